"""The working grid: lines, bounds and CRS."""

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.warp import transform

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation
from heatflow.geo.warp import warp_strips
from heatflow.geo.working_grid import working_grid

RAMP = np.add.outer(np.arange(8) * 100.0, np.arange(10) * 10.0).astype(np.float32)


def warped(path, resolution=200.0, **options):
    terrain = Terrain(resolution=resolution, detrend_radius=None, **options)
    with open_elevation(path, terrain) as source:
        grid = working_grid(source, terrain)
        return grid, np.vstack([strip for _, strip in warp_strips(source, grid, terrain.resampling)])


def test_grid_too_fine_or_too_coarse_is_refused(write_raster):
    path = write_raster(RAMP)
    with pytest.raises(InputError, match="give a coarser resolution"):
        warped(path, 0.01)
    with pytest.raises(InputError, match="give a smaller one"):
        warped(path, 50_000.0)


def test_bounds_cut_whole_pixels_out_of_the_raster_s_own_grid(write_raster):
    path = write_raster(np.zeros((80, 100), dtype=np.float32))
    terrain = Terrain(bounds=(-116.95, 39.70, -116.9, 39.74), detrend_radius=None)
    with open_elevation(path, terrain) as source:
        grid = working_grid(source, terrain)
    assert ((grid.left - 500_000) % 200, (4_400_000 - grid.top) % 200) == (0, 0)
    x, y = transform(CRS.from_epsg(4326), grid.crs, [-116.95, -116.9], [39.74, 39.70])
    assert (grid.contains(*grid.pixel(x, y))).all()
    assert grid.width * grid.height < 80 * 100 / 4
    far = Terrain(bounds=(10, 50, 11, 51))
    with open_elevation(path) as source, pytest.raises(InputError, match=r"terrain\.bounds: .* does not meet"):
        working_grid(source, far)
