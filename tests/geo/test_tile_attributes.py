"""Attributes of a tile are those of the raster there, and distances to features on the ground."""

import geopandas
import numpy as np
import pytest
import rasterio
from shapely import LineString, Point

from heatflow.errors import InputError
from heatflow.geo.attributes import distance_to, terrain_attributes
from heatflow.geo.tile_attributes import TileAttributes, read_shapes, touches
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import read_around


def test_attributes_are_those_of_the_raster_at_the_tile(write_raster):
    z = np.random.default_rng(0).normal(size=(300, 300)).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    path = write_raster(z)
    with rasterio.open(path) as f:
        tiles = TileGrid(Grid.from_dataset(f), 100, 100)
        np.testing.assert_array_equal(read_around(f, 100, 200, 100, 20)[0, :, :120], z[80:220, 180:300])
        assert np.isnan(read_around(f, 100, 200, 100, 20)[0, :, 120:]).all()
    (attributes,) = TileAttributes(path, tiles, np.array([0, 1]), np.array([0, 1]), {}).compute(np.array([1]))
    whole = terrain_attributes(z, 200.0)
    for name in ("slope", "profile_curvature", "relief", "edge"):
        np.testing.assert_allclose(attributes[name], whole[name][100:200, 100:200], rtol=1e-3, atol=1e-4)


def test_attributes_are_the_same_however_far_is_read_ahead(write_raster, monkeypatch):
    z = np.random.default_rng(0).normal(size=(200, 300)).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    path = write_raster(z)
    with rasterio.open(path) as f:
        tiles = TileGrid(Grid.from_dataset(f), 100, 100)
    row, col = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 2])
    attributes = TileAttributes(path, tiles, row, col, {})
    together = [*attributes.compute(np.arange(5))]
    monkeypatch.setattr("heatflow.geo.tile_attributes.AHEAD", 2)
    for one, other in zip(attributes.compute(np.arange(5)), together, strict=True):
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])


def distance(shapes, grid, top, left, size, margin):
    own = slice(margin, margin + size)
    return distance_to(touches(shapes, grid, top, left, size, margin), grid.resolution)[own, own]


def test_distance_to_lines_and_points_is_exact_and_sees_beyond_the_tile(grid):
    big = Grid(grid.left, grid.top, 200.0, 100, 100, grid.crs)
    west = geopandas.GeoSeries([LineString([(grid.left + 100, 0), (grid.left + 100, 9e6)])], crs=grid.crs)
    metres = distance(west, big, 40, 20, 10, 30)
    np.testing.assert_allclose(metres, np.broadcast_to(200.0 * np.arange(20, 30), (10, 10)))
    assert np.isnan(distance(west, big, 40, 60, 10, 30)).all()
    point = geopandas.GeoSeries([Point(grid.left + 25 * 200 + 100, grid.top - 43 * 200 - 100)], crs=grid.crs)
    metres = distance(point, big, 40, 20, 10, 5)
    assert np.unravel_index(metres.argmin(), metres.shape) == (3, 5)
    assert metres[3, 5] == 0


def test_shapes_that_cannot_be_read_say_which_param(tmp_path, grid):
    (tmp_path / "faults.geojson").write_text("no such thing")
    with pytest.raises(InputError, match=r"data\.faults: .*faults\.geojson: not a vector file"):
        read_shapes(str(tmp_path / "faults.geojson"), "data.faults", grid.crs)
    with pytest.raises(InputError, match=r"data\.faults: .*missing\.gpkg"):
        read_shapes(str(tmp_path / "missing.gpkg"), "data.faults", grid.crs)


def test_shapes_come_in_the_crs_of_the_terrain(tmp_path, grid):
    table = geopandas.GeoDataFrame(geometry=[Point(-117, 39)], crs="EPSG:4326")
    table.to_file(tmp_path / "systems.geojson")
    (point,) = read_shapes(str(tmp_path / "systems.geojson"), "data.structures", grid.crs)
    assert point.x == pytest.approx(500_000, abs=1)
