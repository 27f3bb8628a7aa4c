"""Association of maps with terrain: rank correlations, and a null of maps swapped within folds."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from heatflow.explanation.association import associate, beyond, single_p, standard_ranks, swaps


def smooth(seed, n=24, size=24, sigma=3):
    return gaussian_filter(np.random.default_rng(seed).normal(size=(n, size, size)), (0, sigma, sigma), mode="wrap")


ONE_FOLD = np.zeros(24, dtype=int)


def test_correlation_of_ranks_is_spearmans_also_with_gaps():
    a, b = smooth(0), smooth(1)
    a[3, :5] = np.nan
    b[3, :5] = np.nan
    everything = {"all": np.ones(24, dtype=bool)}
    _, found = associate(standard_ranks(a), {"x": standard_ranks(b)}, everything, np.arange(24), ONE_FOLD, 999, 0)
    for k in (0, 3, 7):
        there = np.isfinite(a[k])
        assert found["correlation"][k] == pytest.approx(spearmanr(a[k][there], b[k][there]).statistic, abs=1e-5)


def test_maps_are_swapped_within_folds():
    fold = np.array([0, 0, 0, 1, 1, 1, -1])
    drawn = swaps(fold, 200, seed=0)
    assert (np.sort(drawn, axis=1) == np.arange(7)).all()
    assert (fold[drawn] == fold).all()
    assert (drawn[:, 6] == 6).all()
    assert len(np.unique(drawn, axis=0)) == 36


def test_the_p_value_of_a_tile_is_its_rank_among_the_maps_of_its_fold():
    every = np.zeros((8, 8))
    every[:4, 0] = [0.9, 0.1, 0.2, 0.3]
    every[4:, 0] = 5  # of another fold
    p = single_p(every, np.array([0, 0, 0, 0, 1, 1, 1, -1]))
    assert p[0] == 0.25
    assert p[7] == 1


def test_a_pattern_that_all_maps_have_in_common_is_no_association():
    """Maps and terrain are both stronger in the middle: the correlation is high, and so it is by chance."""
    middle = 3 * np.exp(-np.hypot(*(np.mgrid[:24, :24] - 11.5)) / 8)
    maps, terrain = standard_ranks(smooth(0) + middle), standard_ranks(smooth(1) + middle)
    table, _ = associate(maps, {"x": terrain}, {"all": np.ones(24, dtype=bool)}, np.arange(24), ONE_FOLD, 999, 0)
    assert table["correlation"][0] > 0.4
    assert table["by_chance"][0] == pytest.approx(table["correlation"][0], abs=0.1)
    assert table["p"][0] > 0.05


def test_unrelated_smooth_maps_are_significant_at_the_nominal_rate():
    groups, block = {"all": np.ones(24, dtype=bool)}, np.arange(24)
    p = []
    for seed in range(40):
        table, _ = associate(
            standard_ranks(smooth(2 * seed)),
            {"x": standard_ranks(smooth(2 * seed + 1))},
            groups,
            block,
            ONE_FOLD,
            999,
            0,
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
        {"all": half | ~half, "half": half, "none": half & ~half}, np.arange(24), ONE_FOLD, 999, 0,
    )  # fmt: skip
    row = table.set_index(["attribute", "group"]).loc[("tied", "all")]
    assert row["p"] == 0.001
    assert row["correlation_low"] < row["correlation"] < row["correlation_high"]
    assert row["correlation"] == pytest.approx((strength * standard_ranks(terrain)).mean(), abs=1e-6)
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
    table, single = associate(
        standard_ranks(smooth(0)), {"x": standard_ranks(terrain)}, groups, block, ONE_FOLD, 999, 0
    )
    assert np.isnan(table["correlation_low"][0])  # eight blocks are too few for an interval
    assert table["tiles"][0] == 4
    assert set(single["index"]) == {20, 21, 22, 23}
