"""The terrain that is written: its values, its summary, and what is refused."""

import numpy as np
import pytest
import rasterio

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation
from heatflow.geo.terrain import write_terrain
from heatflow.geo.warp import working_grid

PLANE = (1000 + np.add.outer(3.0 * np.arange(60), 2.0 * np.arange(80))).astype(np.float32)


def written(path, tmp_path, **options):
    terrain, rows = Terrain(**options), []
    with open_elevation(path, terrain) as source:
        grid = working_grid(source, terrain)
        summary = write_terrain(source, grid, terrain, tmp_path / "terrain.tif", tmp_path / "trend.tif", rows.append)
    assert sum(rows) == grid.height
    with rasterio.open(tmp_path / "terrain.tif") as dataset:
        return summary, dataset.read(1)


def test_summary_is_that_of_what_is_read_and_written(write_raster, tmp_path):
    array = PLANE.copy()
    array[:6] = np.nan
    summary, values = written(write_raster(array), tmp_path, detrend_radius=None)
    np.testing.assert_array_equal(values, array)
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    assert summary.metrics == {
        "width": 80, "height": 60, "valid": 0.9, "source_pixel": 200.0, "elevation": {"low": low, "high": high},
        "low": low, "high": high,
    }  # fmt: skip
    assert not summary.detrended


def test_plane_is_subtracted_as_a_trend(write_raster, tmp_path):
    summary, values = written(write_raster(PLANE), tmp_path, detrend_radius=2000)
    assert np.abs(values).max() < 1e-3
    assert summary.elevation == (1000, PLANE.max())
    assert summary.detrended


@pytest.mark.parametrize(("radius", "cell"), [(2000, 1), (13_000, 3)])
def test_trend_is_the_mean_of_what_was_subtracted(write_raster, tmp_path, radius, cell):
    array = (PLANE + 300 * np.random.default_rng(0).normal(size=PLANE.shape)).astype(np.float32)
    array[:6, :9] = np.nan
    _, values = written(write_raster(array), tmp_path, detrend_radius=radius)
    with rasterio.open(tmp_path / "trend.tif") as dataset:
        trend = dataset.read(1)
        assert dataset.res == (200 * cell, 200 * cell)
    padded = np.pad(array - values, ((0, -60 % cell), (0, -80 % cell)), constant_values=np.nan)
    cells = padded.reshape(len(padded) // cell, cell, -1, cell).transpose(0, 2, 1, 3).reshape(*trend.shape, -1)
    empty = np.isnan(cells).all(axis=2)
    np.testing.assert_array_equal(np.isnan(trend), empty)
    np.testing.assert_allclose(trend[~empty], np.nanmean(cells[~empty], axis=1), rtol=1e-5)


def test_a_raster_that_is_detrended_already_has_no_trend(write_raster, tmp_path):
    written(write_raster(PLANE), tmp_path, detrend_radius=None)
    with rasterio.open(tmp_path / "trend.tif") as dataset:
        assert np.isnan(dataset.read(1)).all()


def test_rasters_without_data_or_smaller_than_the_radius_are_refused(write_raster, tmp_path):
    with pytest.raises(InputError, match=r"has no pixel with data; check its nodata value"):
        written(write_raster(np.full((8, 9), np.nan, dtype=np.float32)), tmp_path, detrend_radius=None)
    with pytest.raises(InputError, match=r"detrend_radius: 40000 m is more than .* measures \(16000 m\)"):
        written(write_raster(PLANE), tmp_path)
    assert not (tmp_path / "terrain.tif").exists()
