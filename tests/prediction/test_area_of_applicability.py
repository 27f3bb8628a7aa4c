"""The dissimilarity index."""

import numpy as np
import pytest

from heatflow.errors import InputError
from heatflow.prediction.area_of_applicability import AreaOfApplicability


def test_dissimilarity_by_hand():
    columns = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])  # standardised: the corners (-1, -1) to (1, 1)
    roles = np.array([["test", "test", "train", "validation"], ["train", "train", "test", "test"]])
    area = AreaOfApplicability.fit(columns, roles)
    unit = (4 * 2 + 2 * np.sqrt(8)) / 6
    assert area.threshold == pytest.approx(2 / unit)  # the nearest training tile of the fold that tests a tile
    places = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 0.0], [0.0, 0.0], [np.nan, 0.0]])
    eligible = np.array([[0, 0, 1, 0, 1], [1, 1, 1, 0, 1]], dtype=bool)
    # of the fold that is eligible; the mean of both; none; no data
    np.testing.assert_allclose(area.dissimilarity(places, eligible), [0, 3 / unit, 1 / unit, np.nan, np.nan])


def test_an_outlier_among_training_tiles_does_not_set_the_threshold():
    columns = np.append(np.arange(20.0), 500.0)[:, None]
    roles = np.array([["train", "test"] * 10 + ["test"], ["test", "train"] * 10 + ["buffer"]])
    area = AreaOfApplicability.fit(columns, roles)
    assert area.dissimilarity(np.array([[500.0]]), np.ones((2, 1), dtype=bool)) > area.threshold
    assert area.threshold == pytest.approx(1 / columns.std() / area.unit)


def test_tiles_that_a_layer_does_not_reach_are_left_out():
    columns = np.column_stack([np.arange(8.0), np.arange(8.0) % 3])
    roles = np.array([["train", "test"] * 4, ["test", "train"] * 4])
    gaps = np.vstack([columns, [[3.0, np.nan]]])
    with_gaps = AreaOfApplicability.fit(gaps, np.column_stack([roles, ["train", "test"]]))
    plain = AreaOfApplicability.fit(columns, roles)
    assert (with_gaps.threshold, with_gaps.unit) == (plain.threshold, plain.unit)
    columns[::2, 1] = np.nan
    with pytest.raises(InputError, match="too few tiles have data of every layer"):
        AreaOfApplicability.fit(columns, roles)
