"""What the baselines know is read at the right places."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio

from heatflow.config.schema import Tile
from heatflow.evaluation.predictors import read_predictors
from heatflow.geo.local_statistics import statistics_around
from heatflow.geo.sites import kept_sites
from heatflow.geo.terrain_statistics import terrain_statistics
from heatflow.geo.tiles import PackedTiles
from tests.helpers import CRS, LEFT, TOP, make_raster

SIZE = 20


def sites():
    points = geopandas.points_from_xy(LEFT + np.array([500.0, 9_000, 5_000]), TOP - np.array([500.0, 500, 7_000]))
    return geopandas.GeoDataFrame({"tile": [0, 2, 5], "residual": [60.0, 10, 90]}, geometry=points, crs=CRS)


def test_sites_of_kept_tiles_know_the_place_of_their_tile():
    there, of_tile = kept_sites(sites(), np.array([5, 0]))
    assert there["tile"].tolist() == [0, 5]
    assert of_tile.tolist() == [1, 0]


@pytest.mark.parametrize("trend", [True, False])
def test_tiles_and_sites_get_what_lies_at_their_place(tmp_path, trend):
    elevation = np.random.default_rng(0).normal(size=(40, 60)).cumsum(axis=0).astype(np.float32)
    coarse = np.where(trend, np.add.outer(100 * np.arange(8), np.arange(12)), np.nan).astype(np.float32)
    kept = pd.DataFrame({"tile": [0, 5], "row": [0, 1], "col": [0, 2]})
    pixels = np.stack([elevation[:SIZE, :SIZE], elevation[:SIZE, SIZE : 2 * SIZE], elevation[SIZE:, 2 * SIZE :]])
    with (
        rasterio.open(make_raster(tmp_path / "terrain.tif", elevation)) as terrain,
        rasterio.open(make_raster(tmp_path / "trend.tif", coarse, resolution=1000.0)) as of_trend,
    ):
        packed = PackedTiles(pixels[:, None], np.array([0, 1, 5]))
        found = read_predictors(kept, packed, sites(), terrain, of_trend, Tile(size=SIZE), 1)
        around = statistics_around(terrain, np.array([2.5]), np.array([2.5]))
    np.testing.assert_array_equal(found.terrain[1], terrain_statistics(pixels[2], 200.0))
    np.testing.assert_array_equal(found.local.sites[0], around[0])
    assert found.nearest.sites.tolist() == [[0.5, 0.5], [7, 5]]  # km from the top and the left
    assert found.nearest.points[1].mean(axis=0).tolist() == [6, 10]  # the middle of the tile
    assert found.local.high.tolist() == [True, True]
    assert found.local.tile.tolist() == [0, 1]
    assert found.has_trend == trend
    if trend:
        np.testing.assert_allclose(found.trend, [coarse[:4, :4].mean(), coarse[4:, 8:].mean()])


def test_layers_are_columns_and_the_trend_is_none(tmp_path):
    rng = np.random.default_rng(0)
    bands = rng.normal(size=(3, 40, 60)).cumsum(axis=1).astype(np.float32)
    bands[2, 20:, 40:] = np.nan  # the layer does not reach the second tile
    path = make_raster(tmp_path / "terrain.tif", bands)
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("elevation", "trend", "gravity")
    kept = pd.DataFrame({"tile": [0, 5], "row": [0, 1], "col": [0, 2]})
    pixels = np.stack([bands[:, :SIZE, :SIZE], bands[:, SIZE:, 2 * SIZE :]])
    with (
        rasterio.open(path) as terrain,
        rasterio.open(make_raster(tmp_path / "trend.tif", bands[1, ::5, ::5], resolution=1000.0)) as trend,
    ):
        packed = PackedTiles(pixels, np.array([0, 5]))
        found = read_predictors(kept, packed, sites(), terrain, trend, Tile(size=SIZE), 1)
        around = statistics_around(terrain, np.array([2.5]), np.array([2.5]), [3])
    mean = pixels[0, 2].mean(dtype=np.float64)
    assert found.terrain.shape == (2, 18)
    np.testing.assert_allclose(found.terrain[:, -1], mean)  # that of the others where there is none
    assert found.local.sites.shape == (2, 30)
    np.testing.assert_array_equal(found.local.sites[0], around[0])
    cells = bands[2].astype(float).reshape(8, 5, 12, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(around[0, 25], cells[:2, :2].mean())  # within 1 km of the first cell
    assert np.isfinite(found.local.sites).all()
    assert np.isfinite(found.local.points).all()
