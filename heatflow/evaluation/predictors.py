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
from heatflow.geo.inputs import TREND, further_inputs
from heatflow.geo.local_statistics import statistics_around
from heatflow.geo.sites import kept_sites
from heatflow.geo.terrain_statistics import channel_means, terrain_statistics
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
        What the terrain stage wrote. Layers beside the terrain give further columns: their means in tiles and around
        places. The trend does not: it has baselines of its own.
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
    layers = [band for band, name in enumerate(further_inputs(terrain), start=2) if name != TREND]
    channels, statistics, images = [band - 1 for band in layers], [], []
    with ThreadPoolExecutor(1) as beside:  # each takes half of the time of this function
        local = beside.submit(statistics_around, terrain, every[:, 0], every[:, 1], layers)
        for k in tiles.rows(ids):
            of_terrain = terrain_statistics(tiles.pixels[k], grid.resolution)
            statistics.append(np.append(of_terrain, channel_means(tiles.stack[k, channels])))
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
        _without_gaps(np.array(statistics)), mean, np.array(images), places(_without_gaps(local.result())),
        places(every * grid.resolution / 1000), block_of(row, col, block_size, tile.size, tile.step),
    )  # fmt: skip


def _without_gaps(columns: np.ndarray) -> np.ndarray:
    """Columns with their means in the place of NaN, as of a tile where a layer shows nothing; 0 where all are NaN."""
    there = np.isfinite(columns)
    mean = np.where(there, columns, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, columns, mean)
