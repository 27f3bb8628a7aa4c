"""The replay of drilling: hits of rules that know everything, nothing, or the wrong thing."""

import numpy as np
import pytest

from heatflow.evaluation.drilling import RANDOM, replay

BLOCK = np.repeat(np.arange(40), 10)
HIGH = np.tile([True] * 3 + [False] * 7, 40)


def test_rules_are_between_the_oracle_and_its_opposite():
    noise = np.random.default_rng(0).normal(size=400)
    rules = {"oracle": HIGH * 1.0, "worst": -1.0 * HIGH, "noise": noise, "some": HIGH + noise}
    table = replay(HIGH, BLOCK, rules, seed=1, places=[1, 5]).set_index(["rule", "places"])
    assert table.loc[("oracle", 1), "hits"] == 1
    assert table.loc[("oracle", 5), "hits"] == pytest.approx(3 / 5)  # there are no more
    assert table.loc[("worst", 5), "hits"] == 0
    assert table.loc[(RANDOM, 5), "hits"] == pytest.approx(0.3)
    assert (table.loc[RANDOM, "gain"].abs() < 1e-12).all()
    low, high = table.loc[("noise", 5), ["gain_low", "gain_high"]]
    assert low < 0 < high
    assert table.loc[("some", 5), "gain_low"] > 0


def test_sites_of_one_value_are_picked_at_random():
    value = np.tile([1.0] * 6 + [0.0] * 4, 40)  # three of the six are high
    table = replay(HIGH, BLOCK, {"wells": value}, seed=1, places=[2]).set_index("rule")
    assert table.loc["wells", "hits"] == pytest.approx(0.5)


def test_blocks_without_a_choice_are_left_out():
    block = np.where(BLOCK == 0, np.arange(400), BLOCK + 1000)
    table = replay(HIGH, block, {}, seed=1, places=[1])
    assert table["blocks"].tolist() == [39]
