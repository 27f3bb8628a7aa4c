"""What the baselines know of tiles and sites, gathered from the rasters."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import geopandas
import numpy as np
import pandas as pd
from rasterio import DatasetReader

from heatflow.config.schema import Tile
from heatflow.evaluation.baselines import Predictors
from heatflow.evaluation.random_features import reduced
from heatflow.evaluation.site_models import Places, points_of_tiles
from heatflow.geo.local_statistics import statistics_around
from heatflow.geo.sites import kept_sites
from heatflow.geo.terrain_statistics import terrain_statistics
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import sample
from heatflow.learning.folds import block_of


def read_predictors(
    kept: pd.DataFrame, tiles: PackedTiles, sites: geopandas.GeoDataFrame, terrain: DatasetReader, trend: DatasetReader,
    tile: Tile, block_size: int, on_tile: Callable[[], object] = lambda: None,
) -> Predictors:  # fmt: skip
    """Gather what baselines know.

    Parameters
    ----------
    kept : DataFrame
        Tiles with ``tile``, ``row`` and ``col``.
    tiles : PackedTiles
    sites : GeoDataFrame
        As `heatflow.geo.sites.group_sites` gives them, also those of other tiles.
    terrain, trend : rasterio.DatasetReader
        What the terrain stage wrote.
    tile : Tile
    block_size : int
        Edge of a block, tiles.
    on_tile : callable
        Called after each tile.
    """
    grid, ids, row, col = Grid.from_dataset(terrain), *(kept[name].to_numpy() for name in ("tile", "row", "col"))
    sites, of_tile = kept_sites(sites, ids)
    high = sites["residual"].to_numpy() > tile.binary_edge
    points = points_of_tiles(TileGrid(grid, tile.size, tile.step), row, col)
    every = np.concatenate([np.column_stack(grid.position(sites.geometry.x, sites.geometry.y)), points.reshape(-1, 2)])
    statistics, images = [], []
    with ThreadPoolExecutor(1) as beside:  # each takes half of the time of this function
        local = beside.submit(statistics_around, terrain, *every.T)
        for k in tiles.rows(ids):
            statistics.append(terrain_statistics(tiles.pixels[k], grid.resolution))
            images.append(reduced(tiles.pixels[k]))
            on_tile()

    def places(columns: np.ndarray) -> Places:
        at_sites, at_points = np.split(columns, [len(sites)])
        return Places(of_tile, high, at_sites, at_points.reshape(*points.shape[:2], -1))

    coarse = (points.reshape(-1, 2) // round(trend.res[0] / grid.resolution)).astype(int)
    height = sample(trend, *coarse.T).reshape(points.shape[:2])
    counted = np.isfinite(height).sum(axis=1)
    mean = np.divide(np.nansum(height, axis=1), counted, out=np.full(len(ids), np.nan), where=counted > 0)
    return Predictors(
        np.array(statistics), mean, np.array(images), places(local.result()),
        places(every * grid.resolution / 1000), block_of(row, col, block_size, tile.size, tile.step),
    )  # fmt: skip
