"""The prediction map of a region: every window by networks that were not trained on it, in one map."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely
from rasterio import Env
from rasterio.windows import Window

from heatflow.compute.mapping import map_in_order
from heatflow.compute.task import OpeningTask
from heatflow.config.schema import Tile
from heatflow.errors import InputError
from heatflow.geo.terrain_statistics import statistics_of_tiles
from heatflow.grid.grids import Grid, WindowGrid
from heatflow.io.rasters import open_written
from heatflow.io.vectors import read_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.learning.training import reproducible
from heatflow.prediction.best_places import best_places
from heatflow.prediction.blending import LEAST_TERRAIN, Layers
from heatflow.prediction.ensemble import Ensemble

AT_ONCE = 200  # windows that are held in memory
MEMORY = 1.2e9  # bytes that a process which predicts takes
CACHE = 64_000_000  # bytes of the raster that it keeps
MOST_PIXELS = 100_000_000  # of the map, for which memory is allocated at once


@dataclass(frozen=True)
class PredictionMap:
    """Predictions of a whole region.

    Parameters
    ----------
    windows : DataFrame
        The windows that are predicted: see `MapTask`.
    layers : Layers
    places : GeoDataFrame
        The best places: see `heatflow.prediction.best_places.best_places`.
    window_grid : WindowGrid
    valid : float array, shape (rows, columns)
        Share of pixels with data in each pixel of the map.
    counts : dict
        ``windows``, and those not predicted: ``low_data``, ``learnt_from`` (every network was trained on them).
    ensemble : Ensemble
    """

    windows: pd.DataFrame
    layers: Layers
    places: geopandas.GeoDataFrame
    window_grid: WindowGrid
    valid: np.ndarray
    counts: dict[str, int]
    ensemble: Ensemble

    def metrics(self, tiles: pd.DataFrame) -> dict[str, Any]:
        """Counts, means, and how well the map agrees with the out-of-fold predictions of tiles.

        Parameters
        ----------
        tiles : DataFrame
            ``row``, ``col`` and the class probabilities of each tile.
        """
        above, tile = self.layers.above, self.ensemble.tile
        tops, lefts = (tiles[name].to_numpy() * tile.step for name in ("row", "col"))
        at_tiles = pd.Series(at_centres(above, self.window_grid, tops, lefts), tiles.index)
        out_of_fold = tiles[tile.class_columns[tile.first_high :]].sum(axis=1)
        both = pd.concat([at_tiles, out_of_fold], axis=1)  # scipy's rank correlation takes a second to import
        return {
            **self.counts,
            "mapped_share": float(np.isfinite(above)[self.valid >= LEAST_TERRAIN].mean()),
            "inside_applicability": float(np.nanmean(self.layers.inside)),
            "applicability_threshold": self.ensemble.applicability.threshold,
            "mean_probability": float(np.nanmean(above)),
            "networks_per_window": float(self.windows["networks"].mean()),
            "tiles_on_map": int(at_tiles.count()),
            "correlation_with_out_of_fold": both.corr(method="spearman").to_numpy()[0, 1],
        }


def at_centres(layer: np.ndarray, window_grid: WindowGrid, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """Values of a layer at the centres of tiles, by their first pixels; float64 (n,), NaN off the map."""
    row, column = ((first + window_grid.size // 2) // window_grid.cell for first in (tops, lefts))
    values, on_map = np.full(len(row), np.nan), window_grid.map_grid.contains(row, column)
    values[on_map] = layer[row[on_map], column[on_map]]
    return values


@dataclass(frozen=True)
class MapFiles:
    """Files that a map is made from.

    Parameters
    ----------
    terrain, wells : Path
        Of the stages of these names.
    fold_data : tuple of Path
        As `FoldData.load` takes them.
    models : Path
        Folder of the networks.
    tile : Tile
    stride : int
        Pixels from one window to the next.
    buffer : float or None
        See `Ensemble.from_folds`.
    engine : Engine
    """

    terrain: Path
    wells: Path
    fold_data: tuple[Path, ...]
    models: Path
    tile: Tile
    stride: int
    buffer: float | None
    engine: Engine

    def __call__(self) -> "Region":
        """Open them."""
        with open_written(self.terrain) as terrain:
            grid = Grid.from_dataset(terrain)
        data = FoldData.load(self.fold_data, self.tile.margin)
        wells = grid.pixel(*shapely.get_coordinates(read_features(self.wells).geometry.array).T)
        load = partial(load_networks, self.models)
        ensemble = Ensemble.from_folds(data, load, grid, self.tile, self.engine, wells, self.buffer)
        return Region(self.terrain, WindowGrid(grid, self.tile.size, self.stride), ensemble, wells)


@dataclass(frozen=True)
class Region:
    """A region that is to be mapped.

    Parameters
    ----------
    terrain : Path
        Raster, float32, NaN for no data.
    windows : WindowGrid
        On the grid of the terrain.
    ensemble : Ensemble
    wells : tuple of int array, shape (n,)
        Rows and columns of the pixels that hold wells.
    """

    terrain: Path
    windows: WindowGrid
    ensemble: Ensemble
    wells: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class MapTask(OpeningTask):
    """Prediction of a row of windows, in whatever process.

    Parameters
    ----------
    open : callable
        Gives the `Region`, such as `MapFiles`.
    min_valid : float
        Smallest share of pixels with data in a window.
    """

    open: Callable[[], Region]
    min_valid: float = 0.5

    def __call__(self, top: int) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:
        """Predict the windows of a row, by its first pixel.

        Returns
        -------
        windows : DataFrame
            ``top``, ``left``, the columns of `Ensemble.predict` and ``dissimilarity`` of each window that is predicted.
        valid : float64 array, shape (rows, columns)
            Share of pixels with data in each pixel of the map, from the one at `top` on.
        counts : dict
            ``windows``, and those not predicted: ``low_data``, ``learnt_from`` (every network was trained on them).
        """
        region: Region = self.opened
        grid, size, cell = region.windows.grid, region.windows.size, region.windows.cell
        with Env(GDAL_CACHEMAX=CACHE), open_written(region.terrain) as terrain:
            strip = terrain.read(1, window=Window(0, top, grid.width, size))
        lefts, columns, finite = region.windows.starts(grid.width), grid.width // cell, np.isfinite(strip)
        valid = finite[:, : columns * cell].reshape(-1, cell, columns, cell).mean(axis=(1, 3))
        left = lefts[np.array([finite[:, k : k + size].mean() >= self.min_valid for k in lefts], dtype=bool)]
        with reproducible(0):
            some = np.split(left, np.arange(AT_ONCE, len(left), AT_ONCE))
            windows = pd.concat([_predict_some(strip, top, each, region.ensemble, grid.resolution) for each in some])
        counts = {"windows": len(lefts), "low_data": len(lefts) - len(left), "learnt_from": len(left) - len(windows)}
        return windows, valid, counts


def predict_map(task: MapTask, most: int = 20, on_done: Callable[[], object] = lambda: None) -> PredictionMap:
    """Predict every place of a region, rows of windows side by side.

    Parameters
    ----------
    task : MapTask
    most : int
        Number of best places.
    on_done : callable
        Called after each row of windows.

    Returns
    -------
    PredictionMap

    Raises
    ------
    InputError
        The map would be too large, or no window can be predicted.

    Examples
    --------
    >>> prediction = predict_map(MapTask(files))  # doctest: +SKIP
    """
    region: Region = task.opened
    window_grid, ensemble = region.windows, region.ensemble
    if (pixels := window_grid.map_grid.width * window_grid.map_grid.height) > MOST_PIXELS:
        raise InputError(f"map.stride: a map of {pixels:,} pixels is more than {MOST_PIXELS:,}; increase it")
    windows, valid, counts = predict_windows(task, on_done)
    if windows.empty:
        missing = f"no window of {window_grid.size} pixels has enough data and a network that was not trained on it"
        raise InputError(f"{region.terrain}: {missing}")
    threshold, tile = ensemble.applicability.threshold, ensemble.tile
    layers = Layers.from_windows(windows, window_grid, valid, tile, threshold)
    places = best_places(windows, window_grid, threshold, tile, region.wells, most)
    return PredictionMap(windows, layers, places, window_grid, valid, counts, ensemble)


def predict_windows(
    task: MapTask, on_done: Callable[[], object] = lambda: None
) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:
    """What `MapTask` returns, of all rows of windows together."""
    windows = task.opened.windows
    alone, tops = task.opened.ensemble.engine.device.type != "cpu", windows.starts(windows.grid.height).tolist()
    rows = map_in_order(task, tops, memory=MEMORY, alone=alone, on_done=on_done)
    valid, tables, counts = np.zeros(windows.map_grid.shape), [], Counter(windows=0, low_data=0, learnt_from=0)
    for top, (table, share, number) in zip(tops, rows, strict=True):
        valid[top // windows.cell : top // windows.cell + len(share)] = share
        tables.append(table)
        counts.update(number)
    found = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(found, ignore_index=True), valid, dict(counts)


def _predict_some(strip: np.ndarray, top: int, left: np.ndarray, ensemble: Ensemble, resolution: float) -> pd.DataFrame:
    """Predictions of some windows of a strip of rows; those that no network may predict are left out."""
    eligible = ensemble.eligible(np.full(len(left), top), left)
    may = eligible.any(axis=0)
    if not may.any():
        return pd.DataFrame()
    left, eligible = left[may], eligible[:, may]
    windows = np.stack([strip[:, k : k + ensemble.tile.size] for k in left])
    unlike = ensemble.applicability.dissimilarity(statistics_of_tiles(windows, resolution), eligible)
    return ensemble.predict(windows, eligible).assign(top=top, left=left, dissimilarity=unlike)
