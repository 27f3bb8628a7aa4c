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
        summary = write_terrain(source, grid, terrain, tmp_path / "terrain.tif", rows.append)
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
        "width": 80, "height": 60, "valid": 0.9, "elevation": {"low": low, "high": high}, "low": low, "high": high,
    }  # fmt: skip
    assert not summary.detrended


def test_plane_is_subtracted_as_a_trend(write_raster, tmp_path):
    summary, values = written(write_raster(PLANE), tmp_path, detrend_radius=2000)
    assert np.abs(values).max() < 1e-3
    assert summary.elevation == (1000, PLANE.max())
    assert summary.detrended


def test_rasters_without_data_or_smaller_than_the_radius_are_refused(write_raster, tmp_path):
    with pytest.raises(InputError, match=r"has no pixel with data; check its nodata value"):
        written(write_raster(np.full((8, 9), np.nan, dtype=np.float32)), tmp_path, detrend_radius=None)
    with pytest.raises(InputError, match=r"detrend_radius: 40000 m is more than .* measures \(16000 m\)"):
        written(write_raster(PLANE), tmp_path)
    assert not (tmp_path / "terrain.tif").exists()
