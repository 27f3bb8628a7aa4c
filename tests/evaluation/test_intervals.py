"""Intervals of the bootstrap over blocks and networks, p-values, Holm's correction, and verdicts."""

from dataclasses import replace

import numpy as np
import pytest

from heatflow.evaluation.intervals import (
    CEILING,
    RELEVANT,
    TOO_FEW,
    Prediction,
    Target,
    auc_table,
    beyond,
    compare,
    draw_blocks,
    draw_weights,
    holm,
    interval,
    p_value,
    verdict,
)
from heatflow.evaluation.skill import STRATA, Resamples, auc
from heatflow.geo.sites import site_weight
from tests.evaluation.test_skill import brute_force


def make_target(n=300, per_block=4, folds=3, sites=2, seed=0):
    """Tiles of four classes, each with the same number of sites, whose residuals are those of the class."""
    rng = np.random.default_rng(seed)
    block = np.arange(n) // per_block
    label, site = rng.integers(0, 4, n), np.repeat(np.arange(n), sites)
    residual = np.array([10.0, 30, 100, 300])[label[site]] + rng.normal(0, 40, len(site))
    return Target(label, 2, rng.integers(1, 20, n), block % folds, block, site, residual, 50.0)


def guesses(target, seed, members=1):
    return np.random.default_rng(seed).dirichlet(np.ones(4), (members, len(target.label)))


def knowing(target, share=0.7, seed=1):
    rng, n = np.random.default_rng(seed), len(target.label)
    seen = np.where(rng.random(n) < share, target.label, rng.integers(0, 4, n))
    return 0.6 * np.eye(4)[seen][None] + 0.1


def rows(table, prediction):
    return table[table["prediction"] == prediction].set_index("metric")


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


def test_intervals_of_an_auc_that_knows_nothing_hold_a_half():
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        block = np.repeat(np.arange(50), 8)
        level = rng.normal(size=50)[block]  # tiles of a block are alike in truth and in score
        high, score = level + rng.normal(size=400) > 0, rng.normal(size=50)[block] + rng.normal(size=400)
        low, top = interval(auc(high, score, block % 5, draw_blocks(block, seed, 400)))
        held += low <= 0.5 <= top
    assert held >= 90


def test_the_luck_of_training_is_in_the_interval_of_several_networks():
    target = make_target()
    lucky = np.concatenate([knowing(target, share, seed) for seed, share in enumerate((0.2, 0.5, 0.9))])
    several, alone = (
        rows(compare(target, {"network": Prediction(tiles)}, 0), "network").loc["auc_high"]
        for tiles in (lucky, lucky.mean(axis=0, keepdims=True))
    )
    assert several["value"] == pytest.approx(alone["value"])
    assert several["high"] - several["low"] > 1.5 * (alone["high"] - alone["low"])
    same = np.repeat(lucky[:1], 3, axis=0)  # no luck where all are the same
    twins, one = (compare(target, {"network": Prediction(tiles)}, 0) for tiles in (same, lucky[:1]))
    np.testing.assert_allclose(twins[["low", "high"]], one[["low", "high"]], atol=1e-12)


def test_luck_has_the_spread_of_the_mean_of_the_members():
    """The loss is minus the log of the members' mean here, so that its spread is known."""
    target = make_target(n=40, per_block=1, folds=1)
    target = replace(target, label=np.ones(40, dtype=int))
    rng = np.random.default_rng(0)
    p = rng.uniform(0.2, 0.8, 6)
    member = np.ones((6, 40, 4)) * np.column_stack([1 - p, p, 0 * p, 0 * p])[:, None]  # one probability for all
    drawn = Prediction(member).drawn(target, Resamples(np.zeros(40, dtype=int), np.ones((4001, 1))), 0)
    assert drawn["loss"][0] == pytest.approx(-np.log(p.mean()))
    assert drawn["loss"][1:].mean() == pytest.approx(-np.log(p.mean()), abs=1e-3)
    assert drawn["loss"][1:].std() == pytest.approx(p.std(ddof=1) / np.sqrt(6) / p.mean(), rel=0.2)


def test_too_few_blocks_give_no_interval_and_no_verdict():
    target = make_target(n=20, per_block=4, folds=1)
    network, guess = (Prediction(guesses(target, seed)) for seed in (1, 2))
    table = compare(target, {"network": network, "constant": guess}, 0)
    assert table["low"].isna().all()
    assert table["p"].isna().all()
    assert np.isfinite(rows(table, "network").loc["accuracy", "value"])
    assert set(rows(table, "constant")["verdict"]) == {TOO_FEW}


def test_draws_without_a_high_tile_leave_what_could_be_detected():
    target = make_target()
    few = np.flatnonzero(target.label >= target.first_high)[:3]  # many draws of blocks hold none of them
    label = np.zeros_like(target.label)
    label[few] = target.label[few]
    target = replace(target, label=label)
    network, guess = (Prediction(guesses(target, seed)) for seed in (1, 2))
    row = rows(compare(target, {"network": network, "one": guess}, 0), "one").loc["auc_high"]
    assert 0 < row["detectable"] < 1


def test_verdicts_tell_skill_from_luck():
    target = make_target()
    one, two = (Prediction(guesses(target, seed)) for seed in (5, 6))
    knows = Prediction(knowing(target))
    table = compare(target, {"network": knows, "one": one, "two": two, "same": knows}, 0)
    for metric in ("auc_high", "site_auc", "loss", "area_for_half"):
        assert rows(table, "one").loc[metric, "verdict"] == "above", metric  # better, whatever the direction
        assert rows(table, "same").loc[metric, "verdict"] == "within noise of"
    assert rows(table, "one").loc["loss", "difference"] < 0
    beaten = compare(target, {"network": one, "knows": knows, "two": two}, 0)
    assert rows(beaten, "knows").loc["loss", "verdict"] == rows(beaten, "knows").loc["auc_high", "verdict"] == "below"
    assert rows(beaten, "two").loc["auc_high", "verdict"] == "within noise of"
    assert (rows(table, "network")["verdict"] == "").all()
    network = rows(table, "network").loc["accuracy"]
    assert network["low"] < network["value"] < network["high"]


def test_differences_are_those_of_the_same_draws():
    target = make_target()
    table = compare(target, {"network": Prediction(knowing(target)), "one": Prediction(guesses(target, 3))}, 0)
    both = rows(table, "network")["value"] - rows(table, "one")["value"]
    np.testing.assert_allclose(rows(table, "one")["difference"].drop("auc_equal_count"), both.drop(["auc_equal_count"]))
    row = rows(table, "one").loc["auc_high"]
    standard_error = (row["difference_high"] - row["difference_low"]) / 3.92
    assert row["detectable"] == pytest.approx(2.8 * standard_error, rel=0.1)


def test_a_difference_of_auc_that_is_sure_but_small_is_no_verdict():
    draws = np.random.default_rng(0).normal(0, 0.004, 2000)
    for value, words in ((0.015, "within noise of"), (0.04, "above"), (-0.04, "below"), (0.0, "within noise of")):
        difference = np.append(value, value + draws)
        assert verdict(value, p_value(beyond(difference, RELEVANT["auc_high"])[1:])) == words
    assert p_value(0.015 + draws) < 0.05


def test_more_baselines_make_a_verdict_harder():
    target = make_target(n=120)
    network = Prediction(knowing(target, share=0.2))
    few = {"network": network, "one": Prediction(guesses(target, 3))}
    many = few | {str(k): network for k in range(30)}
    p = [rows(compare(target, predictions, 0), "one").loc["auc_high", "p_corrected"] for predictions in (few, many)]
    assert p[0] < p[1] == pytest.approx(min(1, 31 * p[0]))


def test_holm_is_the_step_down_of_its_definition():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_a_p_value_agrees_with_its_interval():
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.5, 2.2, -3.0):
        draws = rng.normal(shift, 1, 1999)
        low, high = interval(draws)
        assert (p_value(draws) < 0.05) == (low > 0 or high < 0)
    assert verdict(0.1, 0.05) == "within noise of"


def test_sites_weigh_one_over_the_sites_of_their_tile():
    rng = np.random.default_rng(0)
    target = make_target(n=60)
    site = np.sort(rng.integers(0, 60, 200))
    target = Target(target.label, 2, target.n_wells, target.fold, target.block, site, rng.normal(50, 30, 200), 50.0)
    score = rng.random(200)
    found = target.score_sites(score, Resamples.once(60))["site_auc"][0]
    expected = brute_force(target.site_residual > 50, score, site_weight(site), target.fold[site])
    assert found == pytest.approx(expected)
    own = Prediction(guesses(target, 0), score[None])
    assert rows(compare(target, {"network": own}, 0), "network").loc["site_auc", "value"] == pytest.approx(expected)


def test_the_ceiling_is_that_of_the_other_sites():
    target = make_target(n=400, sites=3)
    table = compare(target, {"network": Prediction(guesses(target, 0))}, 0)
    ceiling = rows(table, CEILING).loc["site_auc"]
    assert ceiling["low"] < ceiling["value"] < ceiling["high"]
    assert ceiling["value"] > 0.8
    alone = make_target(sites=1)
    assert np.isnan(
        rows(compare(alone, {"network": Prediction(guesses(alone, 0))}, 0), CEILING).loc["site_auc", "value"]
    )


def test_auc_within_strata_is_blind_to_what_the_number_of_wells_tells():
    rng = np.random.default_rng(0)
    n_wells = 2 ** rng.integers(0, 5, 600)
    high = rng.random(600) < np.log2(n_wells) / 5 + 0.1
    by_count = {"count": n_wells.astype(float), "truth": high + 0.0}
    fold = np.arange(600) // 4 % 3
    table = auc_table(high, by_count, n_wells, fold, np.arange(600) // 4, 0).set_index(["prediction", "wells"])
    assert table.loc[("count", "all"), "auc"] > 0.7
    assert table.loc[("count", "equal"), "auc"] == 0.5
    assert (table.loc["truth"]["auc"] == 1).all()
    assert table.loc["count"].loc[list(STRATA), "tiles"].sum() == 600
