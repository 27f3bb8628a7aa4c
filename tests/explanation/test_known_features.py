"""Known features: maps that point at them, and scores relative to slope."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from heatflow.explanation.known_features import (
    CONTROLS,
    REACH,
    TESTED,
    find_known_features,
    pointing_game,
    ranking,
    score_maps,
    steepness_bins,
)
from tests.explanation.shapes import SIZE, disc

RNG = np.random.default_rng(0)


def test_ranking_is_the_area_under_the_curve_of_each_tile():
    maps, near = RNG.random((3, 20, 20)), RNG.random((3, 20, 20)) < 0.2
    near[2] = False
    found = ranking(maps, near)
    ranks, n = rankdata(maps[0].ravel()), near[0].sum()
    assert found[0] == pytest.approx((ranks[near[0].ravel()].sum() - n * (n + 1) / 2) / (n * (400 - n)))
    assert np.isnan(found[2])
    assert ranking(near.astype(float), near)[0] == 1
    assert ranking(np.zeros((1, 20, 20)), near[:1])[0] == 0.5


def test_slope_ranks_nothing_among_equally_steep_surroundings():
    near = np.stack([disc(40, 40)] * 5)
    slope = gaussian_filter(RNG.random(near.shape), (0, 3, 3)) + 0.05 * near
    scores = score_maps(slope, near, steepness_bins(slope), sigma=0.1)
    assert scores["auc"].mean() > 0.8
    assert abs(scores["auc_as_steep"].mean() - 0.5) < 0.1
    told = score_maps(near.astype(float), near, steepness_bins(slope), sigma=0.1)
    assert told["auc_as_steep"].mean() > 0.99
    assert told["pointing"].all()


def test_pointing_game_and_missing_data():
    maps, near = np.zeros((2, SIZE, SIZE)), np.stack([disc(20, 20)] * 2)
    maps[0, 22, 22] = 1
    maps[1, 70, 70] = 1
    assert pointing_game(maps, near).tolist() == [True, False]
    maps[1, 70, 70] = np.nan
    maps[1, 20, 20] = 0.5
    assert pointing_game(maps, near)[1]


def test_scores_are_means_and_those_of_tiles_predicted_high_and_compared_tile_by_tile():
    near = np.stack([disc(20, 20)] * 40)
    slope = RNG.random(near.shape).astype(np.float32)
    attributes = dict.fromkeys([*CONTROLS, "steepness", "background"], slope) | {"faults": np.where(near, 0.0, 9e3)}
    every = np.arange(40)
    tiles = SimpleNamespace(attributes=attributes, sample=every, block=every, resolution=1_200.0, seed=0)
    known = find_known_features(tiles)
    assert list(known) == ["faults"]
    high = every < 10
    maps = np.where(high[:, None, None], near * 1.0, RNG.random(near.shape))
    found, control = known["faults"].score(maps, high), known["faults"].score(known["faults"].control("slope"), high)
    assert found.means["auc_called_high"] == 1
    assert found.means["auc"] == pytest.approx(0.25 + 0.75 * 0.5, abs=0.03)
    beyond = found.with_control(control)
    apart = found.means["auc_as_steep"] - control.means["auc_as_steep"]
    assert beyond["beyond_control"] == pytest.approx(apart)
    assert beyond["beyond_control_low"] < apart < beyond["beyond_control_high"]
    assert found.with_control(found)["beyond_control_high"] == 0


def test_kinds_with_few_tiles_are_left_out():
    near = np.zeros((40, SIZE, SIZE), dtype=bool)
    near[:19] = disc(20, 20)
    slope = np.ones(near.shape)
    attributes = dict.fromkeys([*CONTROLS, "steepness", "background"], slope) | {"faults": np.where(near, 0.0, 9e3)}
    every = np.arange(40)
    tiles = SimpleNamespace(attributes=attributes, sample=every, block=every, resolution=1_200.0, seed=0)
    assert find_known_features(tiles) == {}
    attributes["faults"][19, 0, 0] = 0
    assert find_known_features(tiles)["faults"].index.tolist() == list(range(20))


def test_lookalikes_are_as_large_as_structures_and_maps_are_not_tested_on_them():
    assert REACH["lookalikes"] == REACH["structures"]
    assert TESTED == ("structures", "faults")
