"""Terrain attributes of surfaces whose answer is known, and distances to features on the ground."""

import geopandas
import numpy as np
import pytest
import rasterio
from shapely import LineString, Point

from heatflow.errors import InputError
from heatflow.geo.attributes import FRONT_RELIEF, smoothed, terrain_attributes
from heatflow.geo.features import distance, read_shapes
from heatflow.geo.tile_attributes import TileAttributes
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import read_around

INNER = (slice(30, -30), slice(30, -30))


def test_a_plane_has_its_slope_and_no_curvature():
    z = np.add.outer(-3.0 * np.arange(300), 4.0 * np.arange(300))  # 5 m in 100 m
    found = terrain_attributes(z, 100.0)
    np.testing.assert_allclose(found["slope"][INNER], np.degrees(np.arctan(0.05)), rtol=1e-5)
    for name in ("profile_curvature", "plan_curvature", "edge"):
        np.testing.assert_allclose(found[name][INNER], 0, atol=1e-6)
    assert np.isnan(found["range_front"]).all()


def test_curvatures_of_a_trough_and_of_a_cone():
    x = (np.arange(161) - 80) * 100.0
    trough = np.broadcast_to(1e-4 * x**2 / 2, (161, 161))  # bends along its slope alone: 0.1 per km
    found = terrain_attributes(trough, 100.0)
    off = (slice(40, 120), slice(100, 130))
    np.testing.assert_allclose(found["profile_curvature"][off], 0.1, rtol=1e-3)
    np.testing.assert_allclose(found["plan_curvature"][off], 0, atol=1e-5)
    away = np.hypot(*np.meshgrid(x, x))
    found = terrain_attributes(0.1 * away, 100.0)  # straight down, its contours are circles: 0.1 / distance
    ring = (away > 4000) & (away < 5000)
    np.testing.assert_allclose(found["plan_curvature"][ring], 1000 * 0.1 / away[ring], rtol=0.05)
    assert found["profile_curvature"][ring].max() < 0.002


def test_range_fronts_are_where_a_range_meets_its_basin():
    z = np.zeros((200, 200))
    z[:, 100:] = FRONT_RELIEF + 100
    found = terrain_attributes(z, 200.0)["range_front"][100]
    assert found[98:102].min() <= 200
    np.testing.assert_allclose(found[60], 200 * 39.5, atol=400)
    low = terrain_attributes(z * 0.5, 200.0)["range_front"]
    assert np.isnan(low).all()


def test_nodata_stays_and_does_not_reach_its_neighbours():
    z = np.full((100, 100), 500.0)
    z[:, :30] = np.nan
    found = terrain_attributes(z, 200.0)
    assert np.isnan(found["slope"][:, :30]).all()
    assert found["slope"][:, 30:].max() < 1e-4
    assert found["relief"][:, 30:].max() == 0
    np.testing.assert_allclose(smoothed(z, 15.0)[:, 30:], 500)


def test_distance_to_lines_and_points_is_exact_and_sees_beyond_the_tile(grid):
    big = Grid(grid.left, grid.top, 200.0, 100, 100, grid.crs)
    west = geopandas.GeoSeries([LineString([(grid.left + 100, 0), (grid.left + 100, 9e6)])], crs=grid.crs)
    found = distance(west, big, top=40, left=20, size=10, margin=30)
    np.testing.assert_allclose(found, np.broadcast_to(200.0 * np.arange(20, 30), (10, 10)))
    assert np.isnan(distance(west, big, top=40, left=60, size=10, margin=30)).all()
    point = geopandas.GeoSeries([Point(grid.left + 25 * 200 + 100, grid.top - 43 * 200 - 100)], crs=grid.crs)
    found = distance(point, big, top=40, left=20, size=10, margin=5)
    assert np.unravel_index(found.argmin(), found.shape) == (3, 5)
    assert found[3, 5] == 0


def test_shapes_that_cannot_be_read_say_which_param(tmp_path, grid):
    (tmp_path / "faults.geojson").write_text("no such thing")
    with pytest.raises(InputError, match=r"data\.faults: .*faults\.geojson: not a vector file"):
        read_shapes(str(tmp_path / "faults.geojson"), "data.faults", grid.crs)
    with pytest.raises(InputError, match=r"data\.faults: .*missing\.gpkg"):
        read_shapes(str(tmp_path / "missing.gpkg"), "data.faults", grid.crs)


def test_shapes_come_in_the_crs_of_the_terrain(tmp_path, grid):
    table = geopandas.GeoDataFrame(geometry=[Point(-117, 39)], crs="EPSG:4326")
    table.to_file(tmp_path / "systems.geojson")
    (found,) = read_shapes(str(tmp_path / "systems.geojson"), "data.structures", grid.crs)
    assert found.x == pytest.approx(500_000, abs=1)


def test_surroundings_are_those_of_the_raster_at_the_tile(write_raster):
    z = np.random.default_rng(0).normal(size=(300, 300)).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    path = write_raster(z)
    with rasterio.open(path) as f:
        tiles = TileGrid(Grid.from_dataset(f), 100, 100)
        np.testing.assert_array_equal(read_around(f, 100, 200, 100, 20)[:, :120], z[80:220, 180:300])
        assert np.isnan(read_around(f, 100, 200, 100, 20)[:, 120:]).all()
    found = TileAttributes(path, tiles, np.array([0, 1]), np.array([0, 1]), {}).compute(np.array([1]))
    whole = terrain_attributes(z, 200.0)
    for name in ("slope", "profile_curvature", "relief", "edge"):
        np.testing.assert_allclose(found[name][0], whole[name][100:200, 100:200], rtol=1e-3, atol=1e-4)
