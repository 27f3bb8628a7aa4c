"""Prediction sets: exchangeable blocks reach the level, dense drilling decides nothing, few blocks are told of."""

import numpy as np
import pandas as pd
import pytest

from heatflow.evaluation.prediction_sets import (
    EVERYTHING,
    PredictionSets,
    block_weight,
    coverage,
    sets_out_of_fold,
    supported_level,
    tail_scores,
)
from heatflow.geo.distances import distance_class
from heatflow.present.messages.evaluation import set_lines, support_line


def region(rng, blocks, sharpness=1.0):
    """Sites of blocks that differ in heat, from 1 to 40 of them in a block; probabilities that are too sure of it."""
    number = rng.integers(1, 41, blocks)
    block = np.repeat(np.arange(blocks), number)
    heat = rng.normal(0, 1, blocks)[block] + rng.normal(0, 1, len(block))
    seen = heat + rng.normal(0, 1, len(block)) + rng.normal(0, 1, blocks)[block]
    label = np.digitize(heat, [-1, 0, 1.5])
    score = -sharpness * (seen[:, None] - np.array([-1.8, -0.5, 0.7, 2.2])) ** 2
    p = np.exp(score - score.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True), label, block * 50 + rng.integers(0, 4, len(block)), block


@pytest.mark.parametrize("sharpness", [0.5, 1.5])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_sites_of_a_new_block_are_held_as_often_as_the_level_says(sharpness, level):
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        p, label, tile, block = region(rng, 31, sharpness)
        new = block == 30
        rule = PredictionSets.fit(p[~new], label[~new], tile[~new], block[~new], level)
        inside = rule.members(p[new])[np.arange(new.sum()), label[new]]
        held.append(np.average(inside, weights=block_weight(tile[new], block[new])))
    error = np.std(held) / np.sqrt(len(held))
    assert level - 3 * error < np.mean(held) < level + 1 / 31 + 3 * error


def test_a_block_that_is_drilled_densely_does_not_decide():
    p = np.array([[0.9, 0.1]])
    sure = np.repeat(p, 20, axis=0), np.zeros(20, dtype=int), np.arange(20), np.arange(20)
    wrong = np.repeat(p, 1000, axis=0), np.ones(1000, dtype=int), np.full(1000, 20), np.full(1000, 20)
    p, label, tile, block = (np.concatenate(both) for both in zip(sure, wrong, strict=True))
    rule = PredictionSets.fit(p, label, tile, block, 0.9)
    assert rule.threshold == 0  # the wrong block is one of 22, the unknown one counted
    assert rule.members(p[:1]).tolist() == [[True, False]]
    assert PredictionSets.fit(p, label, tile, np.arange(len(p)), 0.9).threshold == pytest.approx(0.9)


def test_too_few_blocks_hold_all_classes_and_say_so():
    assert supported_level(9) == 0.9
    p, place = np.tile([0.98, 0.01, 0.01], (9, 1)), np.arange(9)
    few = PredictionSets.fit(p[:8], np.zeros(8, dtype=int), place[:8], place[:8])
    enough = PredictionSets.fit(p, np.zeros(9, dtype=int), place, place)
    assert few.threshold == EVERYTHING
    assert few.members(p).all()
    assert enough.members(p).sum() == 9
    assert support_line(few) == (
        "8 blocks support prediction sets of up to 88.9%, not 90%: the sets hold all classes; take a larger region, or "
        "decrease split.block_size"
    )
    assert support_line(PredictionSets(blocks=50, threshold=0.8)) == "50 blocks support prediction sets of up to 98.0%"
    assert (
        PredictionSets.fit(np.tile([0.9, 0.1], (50, 1)), np.zeros(50, int), *[np.arange(50)] * 2, 0.99).threshold == 1
    )


def test_sets_are_intervals_and_never_empty():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(5, 0.3), 2000)
    for threshold in (0.0, 0.2, 0.6, 0.9, 1.0):
        there = PredictionSets(blocks=50, threshold=threshold).members(p)
        assert there.any(axis=1).all()
        starts = np.diff(np.pad(there.astype(int), ((0, 0), (1, 0))), axis=1) == 1
        assert (starts.sum(axis=1) == 1).all()
    assert np.isnan(tail_scores(np.full(3, np.nan))).all()


def test_ends_are_the_edges_of_the_set():
    rule = PredictionSets(blocks=50, threshold=0.7)
    p = np.array([[0.1, 0.5, 0.4, 0.0], [0.0, 0.1, 0.1, 0.8], [0.3, 0.3, 0.2, 0.2], [np.nan] * 4])
    low, high = rule.ends(p, [25, 50, 200])
    np.testing.assert_array_equal(low, [25, 200, np.nan, np.nan])
    np.testing.assert_array_equal(high, [200, np.nan, 200, np.nan])


def test_the_set_of_a_block_is_not_fitted_to_it():
    p, block = np.tile([0.8, 0.2], (40, 1)), np.arange(40)
    label = (block == 0).astype(int)
    sets = sets_out_of_fold(p, label, block, block, level=0.97)
    assert not sets[0, 1]  # the others have no such site
    assert sets[1:, 1].all()


def test_coverage_by_group_is_that_of_its_sites():
    block = np.repeat(np.arange(12), 4)
    tile, label = block * 2 + np.tile([0, 0, 0, 1], 12), np.tile([0, 0, 0, 1], 12)
    sets = np.tile([True, False], (48, 1))
    sets[:12] = True
    km = distance_class(np.where(label == 0, 4e3, np.nan), (5, 10))
    groups = {"class": pd.Categorical.from_codes(label, ["low", "high"]), "km": km}
    table = coverage(sets, label, tile, block, groups, seed=0).set_index(["group", "value"])
    every = table.loc["all"]
    assert every["coverage"].tolist() == pytest.approx([0.5 + 0.5 * 3 / 12, 0.5 + 0.5 * 3 / 12, 0.75 + 0.25 * 3 / 12])
    assert (every["coverage_low"] < every["coverage"]).all()
    assert table.loc[("class", "low"), "coverage"] == 1
    assert table.loc[("class", "high"), ["sites", "blocks", "coverage", "mean_size"]].tolist() == [12, 12, 0.25, 1.25]
    assert table.loc["km"].index.tolist() == ["0 to 5"]  # the others have no distance
    assert table.loc["share of blocks", "coverage"].tolist() == [0.5, 0.5, 1.0]
    rule = PredictionSets(blocks=12, threshold=0.8)
    lines = list(set_lines(rule, table.reset_index(), "sets.csv"))
    assert lines[0].startswith("prediction sets of 90% hold 62.5 % (")
    assert lines[1] == "12 blocks support prediction sets of up to 92.3%"
    assert lines[2].endswith("in a tenth of the blocks 50% or less, of class high 25%")
