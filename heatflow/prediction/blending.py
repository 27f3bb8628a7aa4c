"""Predictions of overlapping windows blended into the layers of one map."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from heatflow.config.schema import Tile
from heatflow.grid.grids import WindowGrid

LEAST_TERRAIN = 0.5  # share of a pixel of the map, at least, that is terrain


def taper(cells: int) -> np.ndarray:
    """Weight of each pixel of a window, (cells, cells): a raised cosine, so that no window's edge shows in the map."""
    along = np.sin(np.pi * (np.arange(cells) + 0.5) / cells) ** 2
    return np.outer(along, along)


class Blend:
    """Weighted mean of the values of all windows that cover a pixel of the map; values that are NaN have no weight.

    Windows are added a row at a time, so that memory holds the map and not all windows.

    Parameters
    ----------
    window_grid : WindowGrid
    layers : int
        Number of values of each window.
    """

    def __init__(self, window_grid: WindowGrid, layers: int) -> None:
        self.cell, self.cells = window_grid.cell, window_grid.cells
        self.weight = taper(self.cells)
        self.total, self.weights = np.zeros((2, layers, *window_grid.map_grid.shape))

    def add(self, windows: pd.DataFrame, values: np.ndarray) -> None:
        """Add windows.

        Parameters
        ----------
        windows : DataFrame, m rows
            ``top`` and ``left``, the first row and column of each.
        values : float array, shape (m, layers) or (m, layers, cells, cells)
            One value of each layer for all of a window, or one for each pixel of the map in it.
        """
        values = values.reshape(*values.shape[:2], *(values.shape[2:] or (1, 1)))
        for (row, column), field in zip(windows[["top", "left"]].to_numpy() // self.cell, values, strict=True):
            place = slice(None), slice(row, row + self.cells), slice(column, column + self.cells)
            finite = np.isfinite(field)
            self.total[place] += np.where(finite, field, 0) * self.weight
            self.weights[place] += finite * self.weight

    def mean(self) -> np.ndarray:
        """Float32 array, shape (layers, rows, columns of the map), NaN where there is no window."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.weights > 0, self.total / self.weights, np.nan).astype(np.float32)


def blend(windows: pd.DataFrame, window_grid: WindowGrid, columns: list[str]) -> np.ndarray:
    """`Blend` of columns of a table of windows that has ``top`` and ``left``; float32 (columns, rows, columns)."""
    blended = Blend(window_grid, len(columns))
    blended.add(windows, windows[columns].to_numpy(np.float64))
    return blended.mean()


def entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy of class probabilities along the first axis, as a share of ln K: 0 one class is certain, 1 all are equal.

    `scipy.stats.entropy` rescales probabilities to sum to 1, which would change the last digits of a float32.

    >>> entropy(np.array([[0.5, 1.0], [0.5, 0.0]])).tolist()
    [1.0, 0.0]
    """
    p = np.clip(probability, 1e-12, 1)
    share = -(p * np.log(p)).sum(axis=0) / np.log(len(probability))
    return np.where(np.isnan(probability).any(axis=0), np.nan, np.maximum(share.round(9), 0))


@dataclass(frozen=True)
class Layers:
    """Layers of the map, float32 (rows, columns), NaN where nothing is predicted or less than half is terrain.

    Parameters
    ----------
    probability : float32 array, shape (classes, rows, columns)
    above : float32 array
        Probability of being above the binary edge.
    entropy : float32 array
        Of the class probabilities, as a share of ln K.
    disagreement : float32 array
        Standard deviation of `above` between networks.
    networks : float32 array
        Number of networks, mean over windows.
    dissimilarity : float32 array
        Dissimilarity index.
    inside : float32 array
        1 in the area of applicability, 0 outside.
    """

    probability: np.ndarray
    above: np.ndarray
    entropy: np.ndarray
    disagreement: np.ndarray
    networks: np.ndarray
    dissimilarity: np.ndarray
    inside: np.ndarray

    @classmethod
    def from_windows(cls, windows: pd.DataFrame, window_grid: WindowGrid, valid: np.ndarray, tile: Tile,
                     threshold: float) -> "Layers":  # fmt: skip
        """Blend the predictions of windows.

        Parameters
        ----------
        windows : DataFrame
            ``top``, ``left``, the class probabilities, ``disagreement``, ``networks`` and ``dissimilarity`` of each.
        window_grid : WindowGrid
        valid : float array, shape (rows, columns)
            Share of pixels with data in each pixel of the map.
        tile : Tile
        threshold : float
            Largest dissimilarity index in the area of applicability.
        """
        mean = blend(windows, window_grid, [*tile.class_columns, "disagreement", "networks", "dissimilarity"])
        mean[:, valid < LEAST_TERRAIN] = np.nan
        probability, (disagreement, networks, dissimilarity) = np.split(mean, [tile.n_classes])
        inside = np.where(np.isnan(dissimilarity), np.nan, dissimilarity <= threshold).astype(np.float32)
        above, share = probability[tile.first_high :].sum(axis=0), entropy(probability).astype(np.float32)
        return cls(probability, above, share, disagreement, networks, dissimilarity, inside)

    def rasters(self, tile: Tile) -> dict[str, dict[str, np.ndarray]]:
        """Bands of each raster of the map by their descriptions, by the name of the raster."""
        high = f"probability of above {tile.binary_edge:g} mW/m2"
        classes = [f"probability of {values} mW/m2" for values in tile.class_ranges]
        return {
            "probability": {**dict(zip(classes, self.probability, strict=True)), high: self.above},
            "uncertainty": {
                "entropy, share of ln K": self.entropy, f"disagreement: sd of the {high}": self.disagreement,
                "number of networks, mean over windows": self.networks,
            },
            "applicability": {
                "dissimilarity index": self.dissimilarity, "inside the area of applicability: 1": self.inside,
            },
        }  # fmt: skip
