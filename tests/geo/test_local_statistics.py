"""Statistics around places, compared with those of the windows cut out one by one."""

import numpy as np
import pytest
import rasterio

from heatflow.geo import local_statistics as module
from heatflow.geo.local_statistics import RADII, STATISTICS, statistics_around
from tests.helpers import make_raster


@pytest.fixture
def terrain(tmp_path):
    array = np.random.default_rng(0).normal(size=(200, 160)).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    array[150:, 100:] = np.nan
    with rasterio.open(make_raster(tmp_path / "dem.tif", array, nodata=np.nan, resolution=500.0)) as dataset:
        yield dataset


def test_windows_are_those_cut_out_of_the_cells(terrain):
    row, column = np.array([80.0, 121.9, 3.0]), np.array([70.5, 60.0, 90.0])
    found = statistics_around(terrain, row, column).reshape(3, len(RADII), len(STATISTICS))
    pixels = terrain.read(1).astype(float).reshape(100, 2, 80, 2)
    z, spread = pixels.mean(axis=(1, 3)), pixels.var(axis=(1, 3))
    slope = np.hypot(*np.gradient(z, 1000.0))
    for k, (i, j) in enumerate(zip((row // 2).astype(int), (column // 2).astype(int), strict=True)):
        for n, radius in enumerate(RADII[:3]):
            half = round(radius / 1000)
            window = np.s_[max(0, i - half) : i + half + 1, max(0, j - half) : j + half + 1]
            expected = [z[i, j] - z[window].mean(), z[window].std(), slope[window].mean()]
            np.testing.assert_allclose(found[k, n, :3], expected, rtol=1e-6, atol=1e-6)
            assert found[k, n, 4] == pytest.approx(np.sqrt(spread[window].mean()), rel=1e-5)


def test_bands_change_nothing(terrain, monkeypatch):
    rng = np.random.default_rng(1)
    row, column = rng.uniform(0, 200, 40), rng.uniform(0, 160, 40)
    whole = statistics_around(terrain, row, column)
    monkeypatch.setattr(module, "BAND", 24)
    np.testing.assert_allclose(statistics_around(terrain, row, column), whole, atol=1e-6)


@pytest.mark.parametrize("resolution", [1.0, 50_000.0])
def test_rasters_of_any_resolution_have_numbers(tmp_path, resolution):
    array = np.random.default_rng(0).normal(size=(9, 12)).astype(np.float32)
    with rasterio.open(make_raster(tmp_path / "dem.tif", array, resolution=resolution)) as dataset:
        assert np.isfinite(statistics_around(dataset, np.array([0.0, 8.5]), np.array([0.0, 11.5]))).all()


def test_places_without_data_have_numbers(terrain):
    found = statistics_around(terrain, np.array([190.0]), np.array([150.0]))
    assert np.isfinite(found).all()
    assert found.reshape(len(RADII), -1)[0, 1] == 0  # relief where there is no data near
    assert found.reshape(len(RADII), -1)[-1, 1] > 0  # the widest window holds some
