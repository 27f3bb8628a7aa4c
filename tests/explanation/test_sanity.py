"""Sanity checks: the rules by which a method fails."""

import numpy as np
import pytest

from heatflow.explanation.sanity import failures


def failed(**changes):
    given = {"classifier": 0.8, "all": 0.3, "shuffled": 0.2, "again": 0.4, "high": -0.01} | changes
    return failures(
        {"classifier": given["classifier"], "block 1": given["all"]}, given["shuffled"], given["again"],
        {"deletion_against_random": -0.02, "deletion_against_random_high": given["high"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classifier": 0.95}, "random classifier"),
        ({"all": 0.6}, "random parameters throughout"),
        ({"shuffled": 0.5}, "shuffled labels"),
        ({"high": 0.01}, "does not lower the probability significantly"),
        ({"high": np.nan}, "Too few tiles"),
        ({"classifier": np.nan}, "random classifier"),
        ({"shuffled": np.nan}, "shuffled labels"),
    ],
)
def test_a_map_fails_by_the_stated_rules(change, says):
    assert not failed()
    assert not failed(shuffled=None)  # not tested
    (complaint,) = failed(**change)
    assert says in complaint
