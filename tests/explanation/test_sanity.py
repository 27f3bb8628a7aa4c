"""Sanity checks: the rules by which a method fails."""

import numpy as np
import pytest

from heatflow.explanation.sanity import Agreement, failures


def failed(**changes):
    given = {
        "between_seeds": 0.6, "reproducibility": 0.8, "beyond_head": 0.2, "beyond_head_low": 0.1,
        "beyond_shuffled": 0.3, "beyond_shuffled_low": 0.2, "deletion_against_random": -0.02,
        "deletion_against_random_high": -0.01, "deletion_against_slope": -0.02, "deletion_against_slope_high": -0.01,
    } | changes  # fmt: skip
    return failures(given, given)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"beyond_head_low": -0.01}, "a random head"),
        ({"beyond_head_low": np.nan}, "a random head"),
        ({"beyond_shuffled_low": -0.01}, "shuffled labels"),
        ({"reproducibility": 0.4}, "reproducibility 0.40"),
        ({"reproducibility": np.nan}, "reproducibility"),
        ({"deletion_against_random_high": 0.01}, "in random order"),
        ({"deletion_against_slope_high": 0.01}, "in the order of slope"),
        ({"deletion_against_random_high": np.nan}, "Too few tiles"),
    ],
)
def test_a_map_fails_by_the_stated_rules(change, says):
    assert not failed()
    (complaint,) = failed(**change)
    assert says in complaint


def test_without_shuffled_labels_they_are_not_tested():
    given = {"between_folds": 0.6, "reproducibility": 0.6, "beyond_head": 0.2, "beyond_head_low": 0.1}
    controls = ("random", "slope")
    removal = {f"deletion_against_{name}{end}": -0.1 for name in controls for end in ("", "_high")}
    assert not failures(given, removal)


def test_agreement_is_compared_tile_by_tile():
    rng = np.random.default_rng(0)
    again = rng.uniform(0.1, 0.9, 40)
    found = Agreement({"classifier": 0.5}, {"again": again, "head": again - 0.2}, np.arange(40) // 2, "seeds", 3)
    scores = found.scores(seed=0)
    assert scores["beyond_head_low"] == pytest.approx(0.2)
    assert scores["between_seeds"] == pytest.approx(again.mean())
    r = again.mean()
    assert scores["reproducibility"] == pytest.approx(3 * r / (1 + 2 * r))
    assert scores["after_randomised"] == pytest.approx({"classifier": 0.5, "head": r - 0.2})
    assert "beyond_shuffled" not in scores
