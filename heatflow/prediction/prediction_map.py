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
import torch
from rasterio import Env

from heatflow.compute.mapping import map_in_order
from heatflow.compute.task import OpeningTask
from heatflow.config.schema import Tile
from heatflow.errors import InputError
from heatflow.grid.grids import Grid, WindowGrid
from heatflow.io.rasters import open_written, read_around
from heatflow.io.vectors import read_features
from heatflow.learning.checkpoints import Checkpoints
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.learning.training import reproducible
from heatflow.prediction.best_places import best_places
from heatflow.prediction.blending import LEAST_TERRAIN, Blend, Layers
from heatflow.prediction.ensemble import Ensemble, exceedance

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
    sites : float32 array, shape (edges + 1, rows, columns), optional
        Of a site in the middle of each pixel of the map the probability of being above each edge, and the standard
        deviation between networks of that of the binary edge.
    near_wells : float32 array, shape (rows, columns), optional
        The probability of being above the binary edge with what known sites tell of it.
    """

    windows: pd.DataFrame
    layers: Layers
    places: geopandas.GeoDataFrame
    window_grid: WindowGrid
    valid: np.ndarray
    counts: dict[str, int]
    ensemble: Ensemble
    sites: np.ndarray | None = None
    near_wells: np.ndarray | None = None

    def summary(self) -> dict[str, Any]:
        """Counts and means."""
        above = self.layers.above
        return {
            **self.counts,
            "mapped_share": float(np.isfinite(above)[self.valid >= LEAST_TERRAIN].mean()),
            "inside_applicability": float(np.nanmean(self.layers.inside)),
            "applicability_threshold": self.ensemble.applicability.threshold,
            "mean_probability": float(np.nanmean(above)),
            "networks_per_window": float(self.windows["networks"].mean()),
        }

    def metrics(self, tiles: pd.DataFrame) -> dict[str, Any]:
        """`summary`, and how well the map agrees with the out-of-fold predictions of tiles.

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
        correlation = both.corr(method="spearman").to_numpy()[0, 1]
        return self.summary() | {"tiles_on_map": int(at_tiles.count()), "correlation_with_out_of_fold": correlation}


def at_centres(layer: np.ndarray, window_grid: WindowGrid, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """Values of a layer at the centres of tiles, by their first pixels; float64 (n,), NaN off the map."""
    row, column = ((first + window_grid.size // 2) // window_grid.cell for first in (tops, lefts))
    values, on_map = np.full(len(row), np.nan), window_grid.map_grid.contains(row, column)
    values[on_map] = layer[row[on_map], column[on_map]]
    return values


def pixels_of(wells: Path, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels that hold the points of a FlatGeobuf."""
    return grid.pixel(*shapely.get_coordinates(read_features(wells).geometry.array).T)


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
    statistics : Path
        Of the array of `heatflow.prediction.ensemble.tile_statistics`, which is made once for all processes.
    """

    terrain: Path
    wells: Path
    fold_data: tuple[Path, ...]
    models: Path
    tile: Tile
    stride: int
    buffer: float | None
    engine: Engine
    statistics: Path

    def __call__(self) -> "Region":
        """Open them."""
        with open_written(self.terrain) as terrain:
            grid = Grid.from_dataset(terrain)
        data = FoldData.load(self.fold_data, self.tile.margin)
        wells = pixels_of(self.wells, grid)
        load, statistics = partial(load_networks, self.models), np.load(self.statistics, allow_pickle=False)
        ensemble = Ensemble.from_folds(data, load, grid, self.tile, self.engine, wells, self.buffer, statistics)
        return Region(self.terrain, WindowGrid(grid, self.tile.size, self.stride), ensemble, wells)


@dataclass(frozen=True)
class Region:
    """A region that is to be mapped.

    Parameters
    ----------
    terrain : Path
        Raster that `heatflow.geo.terrain.write_terrain` wrote.
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
class WindowRow:
    """Predictions of a row of windows.

    Parameters
    ----------
    windows : DataFrame
        ``top``, ``left``, the columns of `Ensemble.predict` and ``dissimilarity`` of each window that is predicted.
    valid : float64 array, shape (rows, columns)
        Share of pixels with data in each pixel of the map, from the first of the row on.
    counts : dict
        ``windows``, and those not predicted: ``low_data``, ``learnt_from`` (every network was trained on them).
    sites : float32 array, shape (m, edges + 1, cells, cells)
        See `PredictionMap`: of each window that is predicted, in each pixel of the map. Of no pixel (cells = 0) where
        sites are not asked for.
    """

    windows: pd.DataFrame
    valid: np.ndarray
    counts: dict[str, int]
    sites: np.ndarray

    def to_state(self) -> dict[str, Any]:
        """As `heatflow.learning.checkpoints.Checkpoints` keeps it."""
        columns = {str(name): torch.from_numpy(column.to_numpy().copy()) for name, column in self.windows.items()}
        arrays = {
            name: torch.from_numpy(array.copy()) for name, array in (("valid", self.valid), ("sites", self.sites))
        }
        return {"windows": columns, "counts": self.counts, **arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "WindowRow":
        """The row that `to_state` was asked for."""
        windows = pd.DataFrame({name: column.numpy() for name, column in state["windows"].items()})
        return cls(windows, state["valid"].numpy(), state["counts"], state["sites"].numpy())


@dataclass(frozen=True)
class MapTask(OpeningTask):
    """Prediction of a row of windows, in whatever process.

    Parameters
    ----------
    open : callable
        Gives the `Region`, such as `MapFiles`.
    min_valid : float
        Smallest share of pixels with data in a window.
    sites : bool
        Whether sites are predicted beside windows, by networks that have maps of them.
    kept : Checkpoints, optional
        Where rows are kept, so that a prediction that was killed goes on.
    """

    open: Callable[[], Region]
    min_valid: float = 0.5
    sites: bool = False
    kept: Checkpoints | None = None

    def __call__(self, top: int) -> WindowRow:
        """Predict the windows of a row, by its first pixel."""
        if self.kept is None:
            return self._predict(top)
        if (state := self.kept.load(f"row{top}")) is None:
            state = self._predict(top).to_state()
            self.kept.save(f"row{top}", state)
        return WindowRow.from_state(state)

    def _predict(self, top: int) -> WindowRow:
        region: Region = self.opened
        grid, size, cell = region.windows.grid, region.windows.size, region.windows.cell
        margin = region.ensemble.tile.margin
        with Env(GDAL_CACHEMAX=CACHE), open_written(region.terrain) as terrain:
            framed = read_around(terrain, top, 0, (size, grid.width), margin)
        strip = framed[0, margin : margin + size, margin : margin + grid.width]
        lefts, columns, finite = region.windows.starts(grid.width), grid.width // cell, np.isfinite(strip)
        valid = finite[:, : columns * cell].reshape(-1, cell, columns, cell).mean(axis=(1, 3))
        left = lefts[np.array([finite[:, k : k + size].mean() >= self.min_valid for k in lefts], dtype=bool)]
        cells = region.windows.cells if self.sites and region.ensemble.has_sites else 0
        with reproducible(0):
            some = np.split(left, np.arange(AT_ONCE, len(left), AT_ONCE))
            parts = [_predict_some(framed, top, each, region.ensemble, grid.resolution, cells) for each in some]
        windows, sites = pd.concat([table for table, _ in parts]), np.concatenate([field for _, field in parts])
        counts = {"windows": len(lefts), "low_data": len(lefts) - len(left), "learnt_from": len(left) - len(windows)}
        return WindowRow(windows, valid, counts, sites)


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
    windows, valid, counts, sites = predict_windows(task, on_done)
    if windows.empty:
        missing = f"no window of {window_grid.size} pixels has enough data and a network that was not trained on it"
        raise InputError(f"{region.terrain}: {missing}")
    threshold, tile = ensemble.applicability.threshold, ensemble.tile
    layers = Layers.from_windows(windows, window_grid, valid, tile, threshold)
    places = best_places(windows, window_grid, threshold, tile, region.wells, most)
    return PredictionMap(windows, layers, places, window_grid, valid, counts, ensemble, sites)


def predict_windows(
    task: MapTask, on_done: Callable[[], object] = lambda: None
) -> tuple[pd.DataFrame, np.ndarray, dict[str, int], np.ndarray | None]:
    """All rows of windows together: the first three of `WindowRow`, and ``sites`` of `PredictionMap`."""
    region: Region = task.opened
    windows, with_sites = region.windows, task.sites and region.ensemble.has_sites
    alone, tops = region.ensemble.engine.device.type != "cpu", windows.starts(windows.grid.height).tolist()
    rows = map_in_order(task, tops, memory=MEMORY, alone=alone, on_done=on_done)
    valid, tables, counts = np.zeros(windows.map_grid.shape), [], Counter(windows=0, low_data=0, learnt_from=0)
    blended = Blend(windows, region.ensemble.tile.n_classes) if with_sites else None
    for top, row in zip(tops, rows, strict=True):
        valid[top // windows.cell : top // windows.cell + len(row.valid)] = row.valid
        tables.append(row.windows)
        counts.update(row.counts)
        if blended is not None and len(row.windows):
            blended.add(row.windows, row.sites)
    sites = None if blended is None else np.where(valid >= LEAST_TERRAIN, blended.mean(), np.nan).astype(np.float32)
    found = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(found, ignore_index=True), valid, dict(counts), sites


def _predict_some(framed: np.ndarray, top: int, left: np.ndarray, ensemble: Ensemble, resolution: float,
                  cells: int) -> tuple[pd.DataFrame, np.ndarray]:  # fmt: skip
    """Predictions of some windows of a strip of rows, with the margin of windows around it, and of sites in them; those
    that no network may predict are left out."""
    eligible = ensemble.eligible(np.full(len(left), top), left)
    may = eligible.any(axis=0)
    if not may.any():
        return pd.DataFrame(), np.zeros((0, ensemble.tile.n_classes, cells, cells), dtype=np.float32)
    left, eligible = left[may], eligible[:, may]
    windows = np.stack([framed[..., k : k + ensemble.tile.edge] for k in left])
    unlike = ensemble.applicability.dissimilarity(ensemble.statistics(windows, resolution), eligible)
    middles = (np.arange(cells) + 0.5) * ensemble.tile.size / max(cells, 1)
    place = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(1, -1, 2)
    of_tiles, of_sites = ensemble.members(windows, eligible, place.repeat(len(left), axis=0))
    above = site_summary(of_sites, ensemble.tile).astype(np.float32).swapaxes(1, 2)
    above = above.reshape(len(left), ensemble.tile.n_classes, cells, cells)
    return ensemble.summary(of_tiles).assign(top=top, left=left, dissimilarity=unlike), above


def site_summary(p: np.ndarray, tile: Tile) -> np.ndarray:
    """Of sites the probability of being above each edge, mean over networks, and the disagreement at the binary edge.

    Parameters
    ----------
    p : float array, shape (networks, ..., classes)
        Class probabilities, NaN of networks that may not predict.
    tile : Tile

    Returns
    -------
    float64 array, shape (..., edges + 1)
        The last is the standard deviation between networks, NaN for one network alone.
    """
    above = exceedance(p)
    number = np.isfinite(above[..., :1]).sum(axis=0)
    mean = np.nansum(above, axis=0) / np.maximum(number, 1)
    deviation = (above - mean)[..., tile.first_high - 1 : tile.first_high]
    spread = np.sqrt(np.nansum(deviation**2, axis=0) / np.maximum(number, 1))
    return np.concatenate([np.where(number > 0, mean, np.nan), np.where(number > 1, spread, np.nan)], axis=-1)
