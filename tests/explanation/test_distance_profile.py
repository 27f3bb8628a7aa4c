"""Strength of maps by distance to known features."""

import numpy as np
import pytest

from heatflow.explanation.distance_profile import distance_profiles, distance_table

SIZE = 80


def test_strength_by_distance_is_relative_to_the_tile():
    distance = np.broadcast_to(np.arange(SIZE) * 100.0, (2, SIZE, SIZE))
    strength = np.where(distance < 2000, 3.0, 1.0) * np.array([1, 50])[:, None, None]
    for found in distance_profiles(strength, distance, np.array([0, 1000, 2000, 3000, 99_000, 100_000])):
        assert found[0] == found[1] == pytest.approx(2.0)
        assert found[2] == found[3] == pytest.approx(2 / 3)
        assert np.isnan(found[4])


def test_groups_of_tiles_have_profiles_of_their_own():
    distance = np.broadcast_to(np.where(np.arange(SIZE) < 20, 0.0, 9_000.0), (40, SIZE, SIZE))
    maps = np.ones(distance.shape)
    maps[:10] = distance[:10] < 1
    groups = {"all": np.ones(40, dtype=bool), "some": np.arange(40) < 10}
    table = distance_table("m", maps, distance, np.array([0, 1e3, 1e4]), groups)
    assert table["tiles"].tolist() == [40, 40, 10, 10]
    assert table["near"].tolist() == [0, 1e3] * 2
    np.testing.assert_allclose(table["strength"], [(30 + 10 * 4) / 40, 30 / 40, 4, 0])
