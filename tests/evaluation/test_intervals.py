"""Intervals of the block bootstrap, verdicts, and AUC within strata of the number of wells."""

import numpy as np

from heatflow.evaluation.intervals import auc_table, compare, draw_weights, interval, verdict
from heatflow.evaluation.skill import STRATA, scores


def test_draws_are_of_whole_blocks_and_intervals_cover():
    block = np.repeat(np.arange(40), 5)
    weight = draw_weights(block, 0, 300)
    assert weight.shape == (300, 200)
    assert (weight.sum(axis=1) == 200).all()
    assert (weight.reshape(300, 40, 5) == weight[:, ::5, None]).all()
    # tiles of a block agree: an interval that took them for independent draws would be far too narrow
    covered = 0
    for seed in range(60):
        right = np.repeat(np.random.default_rng(seed).random(40) < 0.6, 5)
        low, high = interval(draw_weights(block, seed, 400) @ right / 200)
        covered += low <= 0.6 <= high
    assert covered >= 51


def test_too_few_blocks_give_no_interval_and_no_verdict():
    label = np.tile([0, 1], 10)
    guess = np.full((20, 2), 0.5)
    comparison = compare(label, guess, {"constant": guess}, 1, np.ones(20), np.arange(20) // 4, 0)
    assert np.isnan(comparison["accuracy_low"])
    assert comparison["accuracy"] == 0.5
    assert comparison["skill"]["constant"]["verdict"] == verdict(np.nan, np.nan) == "not to be held against"


def test_verdict_tells_skill_from_luck():
    rng = np.random.default_rng(1)
    label, block = rng.integers(0, 4, 300), np.repeat(np.arange(75), 4)
    knows = 0.6 * np.eye(4)[np.where(rng.random(300) < 0.7, label, rng.integers(0, 4, 300))] + 0.1
    wells = rng.integers(1, 20, 300)
    guesses = {name: rng.dirichlet(np.ones(4), 300) for name in ("one", "two")}
    skill = compare(label, knows, guesses | {"same": knows}, 2, wells, block, 0)
    assert skill["skill"]["one"]["verdict"] == "above"
    assert skill["skill"]["same"]["verdict"] == "within noise of"
    assert (
        compare(label, guesses["one"], {"knows": knows, **guesses}, 2, wells, block, 0)["skill"]["knows"]["verdict"]
        == "below"
    )
    luck = compare(label, guesses["one"], {"two": guesses["two"]}, 2, wells, block, 0)["skill"]["two"]
    assert luck["verdict"] == "within noise of"
    assert skill["accuracy_low"] < skill["accuracy"] < skill["accuracy_high"]


def test_the_constant_guess_ranks_nothing():
    label = np.array([0, 0, 1, 3])
    guess = np.array([[0.5, 0.2, 0.2, 0.1]] * 2 + [[0.1, 0.2, 0.2, 0.5]] * 2)  # would rank tiles over folds
    skill = compare(label, guess, {"constant": guess}, 2, np.ones(4), np.arange(4), 0)
    assert skill["auc_high"] > 0.5
    assert skill["baseline"]["constant"]["auc_high"] == 0.5


def test_auc_within_strata_is_blind_to_what_the_number_of_wells_tells():
    rng = np.random.default_rng(0)
    n_wells = 2 ** rng.integers(0, 5, 600)
    high = rng.random(600) < np.log2(n_wells) / 5 + 0.1
    by_count = {"count": n_wells.astype(float), "truth": high + 0.0}
    table = auc_table(high, by_count, n_wells, np.arange(600) // 4, 0).set_index(["prediction", "wells"])
    assert table.loc[("count", "all"), "auc"] > 0.7
    assert table.loc[("count", "equal"), "auc"] == 0.5
    assert (table.loc["truth"]["auc"] == 1).all()
    assert table.loc["count"].loc[list(STRATA), "tiles"].sum() == 600
    one = np.ones((1, 600))
    within = scores(high.astype(int), np.column_stack([1 - high, high]), 1, one, n_wells)["auc_equal_count"]
    assert within == 1
