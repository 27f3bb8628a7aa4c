"""Terrain attributes of surfaces whose answer is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from heatflow.geo.attributes import FRONT_RELIEF, block_mean, gaussian_matrix, smoothed, terrain_attributes

INNER = (slice(30, -30), slice(30, -30))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_of_squares_are_the_same_bytes_beside_missing_data(dtype):
    """An array without missing data takes a shorter way; it is too wide for a square of its own at the edge."""
    whole = np.random.default_rng(0).normal(0, 1000, (3, 23, 47)).astype(dtype)
    part = whole.copy()
    part[0, 0, 0] = np.nan
    complete, beside = block_mean(whole, 5), block_mean(part, 5)
    assert complete.dtype == beside.dtype == np.float64
    assert np.array_equal(complete[1:], beside[1:])
    assert complete[0, 0, 0] != beside[0, 0, 0]
    np.testing.assert_allclose(complete[0, 0, 0], whole[0, :5, :5].mean(), rtol=1e-5)


def test_a_plane_has_its_slope_and_no_curvature():
    z = np.add.outer(-3.0 * np.arange(300), 4.0 * np.arange(300))  # 5 m in 100 m
    attributes = terrain_attributes(z, 100.0)
    np.testing.assert_allclose(attributes["slope"][INNER], np.degrees(np.arctan(0.05)), rtol=1e-5)
    for name in ("profile_curvature", "plan_curvature", "edge"):
        np.testing.assert_allclose(attributes[name][INNER], 0, atol=1e-6)
    assert np.isnan(attributes["range_front"]).all()


def test_curvatures_of_a_trough_and_of_a_cone():
    x = (np.arange(161) - 80) * 100.0
    trough = np.broadcast_to(1e-4 * x**2 / 2, (161, 161))  # bends along its slope alone: 0.1 per km
    attributes = terrain_attributes(trough, 100.0)
    off = (slice(40, 120), slice(100, 130))
    np.testing.assert_allclose(attributes["profile_curvature"][off], 0.1, rtol=1e-3)
    np.testing.assert_allclose(attributes["plan_curvature"][off], 0, atol=1e-5)
    away = np.hypot(*np.meshgrid(x, x))
    attributes = terrain_attributes(0.1 * away, 100.0)  # straight down, its contours are circles: 0.1 / distance
    ring = (away > 4000) & (away < 5000)
    np.testing.assert_allclose(attributes["plan_curvature"][ring], 1000 * 0.1 / away[ring], rtol=0.05)
    assert attributes["profile_curvature"][ring].max() < 0.002


def test_range_fronts_are_where_a_range_meets_its_basin():
    z = np.zeros((200, 200))
    z[:, 100:] = FRONT_RELIEF + 100
    attributes = terrain_attributes(z, 200.0)["range_front"][100]
    assert attributes[98:102].min() <= 200
    np.testing.assert_allclose(attributes[60], 200 * 39.5, atol=400)
    low = terrain_attributes(z * 0.5, 200.0)["range_front"]
    assert np.isnan(low).all()


def test_nodata_stays_and_does_not_reach_its_neighbours():
    z = np.full((100, 100), 500.0)
    z[:, :30] = np.nan
    attributes = terrain_attributes(z, 200.0)
    assert np.isnan(attributes["slope"][:, :30]).all()
    assert attributes["slope"][:, 30:].max() < 1e-4
    assert attributes["relief"][:, 30:].max() == 0
    np.testing.assert_allclose(smoothed(z, 15.0)[:, 30:], 500)


def test_the_gaussian_matrix_is_the_gaussian_filter():
    maps = np.random.default_rng(0).normal(size=(3, 50, 50))
    blur = gaussian_matrix(50, 5.0)
    np.testing.assert_allclose(blur @ maps @ blur.T, gaussian_filter(maps, (0, 5, 5)), atol=1e-6)
