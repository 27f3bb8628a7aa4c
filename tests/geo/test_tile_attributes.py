"""Attributes of a tile are those of the raster there."""

import numpy as np
import rasterio

from heatflow.geo.attributes import terrain_attributes
from heatflow.geo.tile_attributes import TileAttributes
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import read_around


def test_attributes_are_those_of_the_raster_at_the_tile(write_raster):
    z = np.random.default_rng(0).normal(size=(300, 300)).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    path = write_raster(z)
    with rasterio.open(path) as f:
        tiles = TileGrid(Grid.from_dataset(f), 100, 100)
        np.testing.assert_array_equal(read_around(f, 100, 200, 100, 20)[:, :120], z[80:220, 180:300])
        assert np.isnan(read_around(f, 100, 200, 100, 20)[:, 120:]).all()
    attributes = TileAttributes(path, tiles, np.array([0, 1]), np.array([0, 1]), {}).compute(np.array([1]))
    whole = terrain_attributes(z, 200.0)
    for name in ("slope", "profile_curvature", "relief", "edge"):
        np.testing.assert_allclose(attributes[name][0], whole[name][100:200, 100:200], rtol=1e-3, atol=1e-4)
