"""The plane through weighted points, by hand."""

import numpy as np
import pytest

from heatflow.geo.plane import height_of_plane


def test_height_of_plane_by_hand():
    x, y, z = np.array([1.0, 2, 1]), np.array([1.0, 1, 2]), np.array([3.0, 4, 5])  # z = x + 2 y
    sums = [v.sum() for v in (np.ones(3), x, y, x * x, x * y, y * y, z, z * x, z * y)]
    assert height_of_plane(map(np.asarray, sums), least=0.0) == pytest.approx(0)
    assert np.isnan(height_of_plane(map(np.asarray, sums), least=3.0))
