"""Classes and statistics of the residuals of wells."""

import numpy as np
import pytest

from heatflow.config.schema import Tile
from heatflow.geo.labels import classify, label_squares

EDGES = [25, 50, 200]


def test_classes_are_right_closed():
    above = [np.nextafter(e, np.inf) for e in EDGES]
    assert classify(np.array([*EDGES, *above]), EDGES).tolist() == [0, 1, 2, 1, 2, 3]
    assert classify(np.array([-1.0, 0.0, 1.0]), [0]).tolist() == [0, 0, 1]


@pytest.mark.parametrize(("statistic", "value"), [("max", 100), ("p90", 82), ("median", 10), ("mean", 40)])
def test_statistic_of_the_wells_in_a_square(statistic, value):
    table = label_squares(np.zeros(3, dtype=int), np.array([10.0, 10.0, 100.0]), Tile(statistic=statistic))
    assert table["residual"].tolist() == [pytest.approx(value)]
    assert table["n_wells"].tolist() == [3]


def test_squares_with_fewer_wells_are_left_out():
    table = label_squares(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]), Tile(min_wells=2))
    assert table.index.tolist() == [0]
