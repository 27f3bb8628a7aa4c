"""Association of maps with terrain: correlations at every place, a null that keeps smoothness, corrected p-values."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from heatflow.explanation.association import associate, beyond, placements, standard_ranks


def smooth(seed, n=24, size=24, sigma=3):
    return gaussian_filter(np.random.default_rng(seed).normal(size=(n, size, size)), (0, sigma, sigma), mode="wrap")


def test_correlation_of_ranks_is_spearmans_also_with_gaps():
    a, b = smooth(0), smooth(1)
    a[3, :5] = np.nan
    b[3, :5] = np.nan
    found = placements(standard_ranks(a), standard_ranks(b))[:, 0]
    for k in (0, 3, 7):
        there = np.isfinite(a[k])
        assert found[k] == pytest.approx(spearmanr(a[k][there], b[k][there]).statistic, abs=1e-5)


def test_every_placement_is_a_shift_or_a_turn_of_the_map():
    a, b = standard_ranks(smooth(0, n=2)), standard_ranks(smooth(1, n=2))
    found = placements(a, b).reshape(2, 8, 24, 24)
    for turn, mirrored, down, right in ((0, False, 5, 3), (1, False, 0, 7), (3, True, 11, 2)):
        moved = np.rot90(a[1][:, ::-1] if mirrored else a[1], turn)
        moved = np.roll(moved, (down, right), (0, 1))
        assert found[1, turn + 4 * mirrored, down, right] == pytest.approx((moved * b[1]).mean(), abs=1e-5)


def test_unrelated_smooth_maps_are_significant_at_the_nominal_rate():
    groups, block = {"all": np.ones(24, dtype=bool)}, np.arange(24)
    p = []
    for seed in range(40):
        table, _ = associate(
            standard_ranks(smooth(2 * seed)), {"x": standard_ranks(smooth(2 * seed + 1))}, groups, block, 999, 0
        )
        p.append(table["p"][0])
    assert (np.array(p) < 0.05).sum() <= 6  # 2 expected; a test that took pixels as independent finds some 25
    naive = [spearmanr(smooth(2 * s)[0].ravel(), smooth(2 * s + 1)[0].ravel()).pvalue < 0.05 for s in range(40)]
    assert sum(naive) > 20


def test_an_association_has_its_size_interval_and_groups():
    terrain = smooth(1)
    strength = standard_ranks(smooth(0) + 0.5 * terrain)
    half = np.arange(24) < 12
    table, single = associate(
        strength, {"tied": standard_ranks(terrain), "other": standard_ranks(smooth(5))},
        {"all": half | ~half, "half": half, "none": half & ~half}, np.arange(24), 999, 0,
    )  # fmt: skip
    row = table.set_index(["attribute", "group"]).loc[("tied", "all")]
    assert row["p"] == 0.001
    assert row["p_corrected"] == 0.002
    assert row["correlation_low"] < row["correlation"] < row["correlation_high"]
    assert row["correlation"] == pytest.approx(np.mean(placements(strength, standard_ranks(terrain))[:, 0]))
    assert abs(row["by_chance"]) < 0.05
    assert set(table["group"]) == {"all", "half"}
    assert len(single) == 48
    assert (single["p"] > 0).all()


def test_the_part_beyond_others_is_uncorrelated_with_them():
    slope, near = smooth(0), smooth(1)
    rest = beyond(standard_ranks(near + slope), [standard_ranks(slope)])
    assert abs((rest * standard_ranks(slope)).mean()) < 1e-6
    assert (rest * standard_ranks(near)).mean() > 0.7
    nothing = beyond(standard_ranks(slope), [standard_ranks(slope)])
    assert not nothing.any()


def test_tiles_without_an_attribute_are_left_out():
    terrain = smooth(1)
    terrain[:20] = np.nan
    groups, block = {"all": np.ones(24, dtype=bool)}, np.arange(24) // 3
    table, single = associate(standard_ranks(smooth(0)), {"x": standard_ranks(terrain)}, groups, block, 999, 0)
    assert np.isnan(table["correlation_low"][0])  # eight blocks are too few for an interval
    assert table["tiles"][0] == 4
    assert set(single["index"]) == {20, 21, 22, 23}
