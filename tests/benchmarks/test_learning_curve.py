"""Shares of the training tiles: each holds the smaller ones, and nothing else changes."""

import numpy as np

from benchmarks.coverage import region
from benchmarks.learning_curve import thinned


def test_shares_are_nested_and_leave_the_other_parts_as_they_are():
    data = region(1)
    some, more, every = (thinned(data, share).roles for share in (0.25, 0.5, 1.0))
    assert (every == data.roles).all()
    assert ((some != "train") | (more == "train")).all()
    whole = (data.roles == "train").sum(axis=1)
    np.testing.assert_array_equal((some == "train").sum(axis=1), np.round(0.25 * whole))
    for role in ("test", "validation"):
        assert ((some == role) == (data.roles == role)).all()
