"""Distances of sites from others, by hand."""

import numpy as np

from heatflow.geo.distances import distance_class, to_other_groups, to_other_tiles, to_training


def test_the_sites_of_a_tile_are_passed_over():
    place = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [9.0, 0.0]])
    np.testing.assert_array_equal(to_other_tiles(place, np.array([4, 4, 4, 8])), [9, 8, 7, 7])
    assert np.isnan(to_other_tiles(place, np.array([4, 4, 4, 4]))).all()


def test_nearest_of_many_sites_is_that_of_a_plain_search():
    rng = np.random.default_rng(0)
    place, tile = rng.uniform(0, 1, (200, 2)), rng.integers(0, 12, 200)
    plain = [np.linalg.norm(place[tile != tile[k]] - place[k], axis=1).min() for k in range(200)]
    np.testing.assert_allclose(to_other_tiles(place, tile), plain)


def test_buffers_are_no_training():
    roles = np.array([["test", "buffer", "train", "validation"], ["train", "train", "test", "test"]])
    place = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0], [0.0, 3.0]])
    np.testing.assert_array_equal(to_training(place, np.arange(4), roles), [3, np.nan, 4, 2])


def test_other_groups_are_measured_to_known_sites_alone():
    place, group = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]), np.array([0, 1, 1])
    np.testing.assert_array_equal(to_other_groups(place, group), [5, 5, np.sqrt(34)])
    assert to_other_groups(place, group, known=np.array([True, False, False])).tolist() == [np.inf, 5, np.sqrt(34)]
    assert np.isinf(to_other_groups(place, np.zeros(3))).all()


def test_classes_of_distance_are_closed_on_the_left():
    km = distance_class(np.array([0.0, 1999.0, 2000.0, np.inf]), (2, 5))
    assert km.tolist()[:3] == ["0 to 2", "0 to 2", "2 to 5"]
    assert km.isna().tolist() == [False, False, False, True]
