"""The prediction map of a region: every window by networks that were not trained on it, in one map."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from rasterio import DatasetReader
from rasterio.windows import Window
from scipy.stats import spearmanr

from heatflow.errors import InputError
from heatflow.geo.terrain_statistics import statistics_of_tiles
from heatflow.grid.grids import WindowGrid
from heatflow.learning.training import reproducible
from heatflow.prediction.best_places import best_places
from heatflow.prediction.blending import LEAST_TERRAIN, Layers
from heatflow.prediction.ensemble import Ensemble

AT_ONCE = 200  # windows that are held in memory
MOST_PIXELS = 100_000_000  # of the map, for which memory is allocated at once


@dataclass(frozen=True)
class PredictionMap:
    """Predictions of a whole region.

    Parameters
    ----------
    windows : DataFrame
        The windows that are predicted: see `predict_windows`.
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
        at_tiles = at_centres(above, self.window_grid, tops, lefts)
        on_map = np.isfinite(at_tiles)
        out_of_fold = tiles[tile.class_columns[tile.first_high :]].sum(axis=1).to_numpy()
        return {
            **self.counts,
            "mapped_share": float(np.isfinite(above)[self.valid >= LEAST_TERRAIN].mean()),
            "inside_applicability": float(np.nanmean(self.layers.inside)),
            "applicability_threshold": self.ensemble.applicability.threshold,
            "mean_probability": float(np.nanmean(above)),
            "networks_per_window": float(self.windows["networks"].mean()),
            "tiles_on_map": int(on_map.sum()),
            "correlation_with_out_of_fold": float(spearmanr(at_tiles[on_map], out_of_fold[on_map]).statistic),
        }


def at_centres(layer: np.ndarray, window_grid: WindowGrid, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """Values of a layer at the centres of tiles, by their first pixels; float64 (n,), NaN off the map."""
    row, column = ((first + window_grid.size // 2) // window_grid.cell for first in (tops, lefts))
    values, on_map = np.full(len(row), np.nan), window_grid.map_grid.contains(row, column)
    values[on_map] = layer[row[on_map], column[on_map]]
    return values


def predict_map(terrain: DatasetReader, window_grid: WindowGrid, ensemble: Ensemble,
                wells: tuple[np.ndarray, np.ndarray], min_valid: float = 0.5, most: int = 20,
                on_windows: Callable[[int], object] = lambda n: None) -> PredictionMap:  # fmt: skip
    """Predict every place of a raster.

    Parameters
    ----------
    terrain : rasterio dataset
        Float32, NaN for no data.
    window_grid : WindowGrid
        On the grid of the terrain.
    ensemble : Ensemble
    wells : tuple of int array, shape (n,)
        Rows and columns of the pixels that hold wells.
    min_valid : float
        Smallest share of pixels with data in a window.
    most : int
        Number of best places.
    on_windows : callable
        Called with the number of windows after each row of them.

    Returns
    -------
    PredictionMap

    Raises
    ------
    InputError
        The map would be too large, or no window can be predicted.

    Examples
    --------
    >>> with open_written("data/terrain.tif") as terrain:  # doctest: +SKIP
    ...     prediction = predict_map(terrain, window_grid, ensemble, wells)
    """
    if (pixels := window_grid.map_grid.width * window_grid.map_grid.height) > MOST_PIXELS:
        raise InputError(f"map.stride: a map of {pixels:,} pixels is more than {MOST_PIXELS:,}; increase it")
    with reproducible(0):
        windows, valid, counts = predict_windows(terrain, window_grid, ensemble, min_valid, on_windows)
    if windows.empty:
        missing = f"no window of {window_grid.size} pixels has enough data and a network that was not trained on it"
        raise InputError(f"{terrain.name}: {missing}")
    threshold, tile = ensemble.applicability.threshold, ensemble.tile
    layers = Layers.from_windows(windows, window_grid, valid, tile, threshold)
    places = best_places(windows, window_grid, threshold, tile, wells, most)
    return PredictionMap(windows, layers, places, window_grid, valid, counts, ensemble)


def predict_windows(terrain: DatasetReader, window_grid: WindowGrid, ensemble: Ensemble, min_valid: float,
                    on_windows: Callable[[int], object] = lambda n: None,
                    ) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:  # fmt: skip
    """Predict every window of a raster, a row of windows at a time.

    Parameters
    ----------
    terrain, window_grid, ensemble, min_valid, on_windows
        As in `predict_map`.

    Returns
    -------
    windows : DataFrame
        ``top``, ``left``, the columns of `Ensemble.predict` and ``dissimilarity`` of each window that is predicted.
    valid : float64 array, shape (rows, columns)
        Share of pixels with data in each pixel of the map.
    counts : dict
        ``windows``, and those not predicted: ``low_data``, ``learnt_from`` (every network was trained on them).
    """
    grid, size, cell = window_grid.grid, window_grid.size, window_grid.cell
    lefts, valid = window_grid.starts(grid.width), np.zeros(window_grid.map_grid.shape)
    tables, counts = [pd.DataFrame()], {"windows": 0, "low_data": 0, "learnt_from": 0}
    for top in window_grid.starts(grid.height).tolist():
        strip = terrain.read(1, window=Window(0, top, grid.width, size))
        finite = np.isfinite(strip)
        cells = finite[:, : valid.shape[1] * cell].reshape(-1, cell, valid.shape[1], cell)
        valid[top // cell : top // cell + len(cells)] = cells.mean(axis=(1, 3))
        left = lefts[np.array([finite[:, k : k + size].mean() >= min_valid for k in lefts], dtype=bool)]
        for some in np.split(left, np.arange(AT_ONCE, len(left), AT_ONCE)):
            tables.append(_predict_some(strip, top, some, ensemble, grid.resolution))
        counts["windows"] += len(lefts)
        counts["low_data"] += len(lefts) - len(left)
        on_windows(len(lefts))
    windows = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    counts["learnt_from"] = counts["windows"] - counts["low_data"] - len(windows)
    return windows, valid, counts


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
