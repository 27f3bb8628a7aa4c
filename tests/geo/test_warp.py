"""The working grid: lines, bounds and CRS. Warping onto it: every kind of grid, exact places."""

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation
from heatflow.geo.warp import warp_strips, working_grid

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


def test_same_grid_is_copied_to_the_bit(write_raster):
    noise = np.random.default_rng(0).normal(size=(700, 90)).astype(np.float32)
    grid, out = warped(write_raster(noise))
    np.testing.assert_array_equal(out, noise)
    assert (grid.left, grid.top, grid.resolution) == (500_000, 4_400_000, 200)


def test_shrinking_averages_every_source_pixel(write_raster):
    noise = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float32)
    _, out = warped(write_raster(noise, resolution=20.0), resolution=200.0)
    np.testing.assert_allclose(out, noise.reshape(4, 10, 6, 10).mean(axis=(1, 3)), atol=1e-5)


def test_enlarging_keeps_a_plane_and_the_mask_of_the_nearest_pixel(write_raster):
    rows, cols = np.mgrid[:30, :40]
    plane = (3.0 * rows - 2.0 * cols).astype(np.float32)
    plane[10, 10] = np.nan
    _, out = warped(write_raster(plane, resolution=1000.0), resolution=200.0)
    assert out.shape == (150, 200)
    nodata = np.zeros((150, 200), bool)
    nodata[50:55, 50:55] = True
    np.testing.assert_array_equal(np.isnan(out), nodata)
    r, c = (np.mgrid[:150, :200] + 0.5) / 5 - 0.5
    away = (r > 13) & (r < 27) & (c > 13) & (c < 37)
    np.testing.assert_allclose(out[away], (3 * r - 2 * c)[away], atol=1e-3)


def test_south_up_and_rotated_rasters_land_in_their_places(write_raster):
    _, north_up = warped(write_raster(RAMP))
    flipped = Affine(200, 0, 500_000, 0, 200, 4_400_000 - 8 * 200)
    _, out = warped(write_raster(RAMP[::-1].copy(), name="flipped.tif", transform=flipped))
    np.testing.assert_allclose(out, north_up, atol=1e-3)
    big = np.add.outer(np.arange(80) * 1.0, np.arange(80) * 2.0).astype(np.float32)
    turned = Affine(0, 200, 500_000, 200, 0, 4_400_000)  # rows and columns exchanged, south-up
    grid, out = warped(write_raster(big, name="turned.tif", transform=turned))
    # pixel (row r, column c) of the source lies at x = 500000 + 200 r, y = 4400000 + 200 c
    np.testing.assert_allclose(out, big.T[::-1], atol=1e-3)
    assert grid.top == 4_400_000 + 80 * 200


def test_geographic_raster_is_projected_to_the_pixel(write_raster):
    lon, lat = -117 + (np.arange(240) + 0.5) / 120, 40 - (np.arange(240) + 0.5) / 120
    field = (1000 * (lat[:, None] - 39) + 500 * (lon[None] + 116)).astype(np.float32)
    path = write_raster(field, crs="EPSG:4326", transform=from_origin(-117, 40, 1 / 120, 1 / 120))
    grid, out = warped(path, 200.0, crs=32611)
    assert grid.left % 200 == grid.top % 200 == 0
    rng = np.random.default_rng(0)
    row, column = rng.integers(200, grid.height - 200, 50), rng.integers(200, grid.width - 200, 50)
    x, y = grid.left + (column + 0.5) * 200, grid.top - (row + 0.5) * 200
    lon, lat = (np.array(v) for v in transform(grid.crs, CRS.from_epsg(4326), x, y))
    np.testing.assert_allclose(out[row, column], 1000 * (lat - 39) + 500 * (lon + 116), atol=0.2)


def test_strips_make_no_seams(write_raster, monkeypatch):
    noise = np.random.default_rng(0).normal(size=(60, 70)).astype(np.float32)
    path = write_raster(noise, resolution=1000.0)
    _, whole = warped(path, 200.0, crs=5070)
    monkeypatch.setattr("heatflow.geo.warp.STRIP_PIXELS", 1)
    _, rows = warped(path, 200.0, crs=5070)
    np.testing.assert_array_equal(np.isnan(rows), np.isnan(whole))
    np.testing.assert_allclose(rows, whole, atol=0.02)


def test_what_has_no_image_in_the_projection_is_no_data(write_raster):
    path = write_raster(
        np.ones((180, 360), dtype=np.float32), crs="EPSG:4326", transform=from_origin(-180, 90, 1, 1)
    )  # the whole Earth, of which a conic projection shows a part
    grid, out = warped(path, 50_000.0, crs=5070)
    assert out.shape == grid.shape
    assert 0.5 < np.isfinite(out).mean() < 1
    assert np.unique(out[np.isfinite(out)]).tolist() == pytest.approx([1.0])
