"""Predictions of a whole region: overlapping windows, each by networks that have not learnt from it, in one map.

Where the terrain is unlike anything that was learnt from: area of applicability, Meyer and Pebesma (2021), Methods in
Ecology and Evolution 12:1620, doi 10.1111/2041-210X.13650.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from heatflow.analysis.baselines import terrain_statistics
from heatflow.geo.grid import Grid
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.scaling import normalise
from heatflow.learning.training import predict

FINENESS = 4  # pixels of the map, at least, from one window to the next
WHISKER = 1.5  # interquartile ranges above the upper quartile beyond which a training tile is an outlier


@dataclass(frozen=True)
class Lattice:
    """Windows of `size` pixels every `stride` pixels of `grid`, and the coarser grid of the map they make.

    A window of 40 km has no detail of 200 m: a pixel of the map has `cell` pixels of the grid along its edge, a quarter
    of the stride or less where that divides both size and stride. What fills no whole pixel of the map, less than
    `cell` pixels along the right and the lower edge, is left out.
    """

    grid: Grid
    size: int
    stride: int

    @property
    def cell(self) -> int:
        cell = gcd(self.size, self.stride)
        while cell * FINENESS > self.stride and cell % 2 == 0:
            cell //= 2
        return cell

    @property
    def map_grid(self) -> Grid:
        """The map's grid, with the corner of `grid`."""
        cell = self.cell
        return Grid(
            self.grid.left,
            self.grid.top,
            self.grid.resolution * cell,
            self.grid.width // cell,
            self.grid.height // cell,
            self.grid.crs,
        )

    def starts(self, length: int) -> np.ndarray:
        """First pixels of the windows along an axis of so many pixels; the last window ends with the map.

        >>> grid = Grid(0, 0, 1, 100, 100, None)
        >>> Lattice(grid, size=40, stride=20).starts(93).tolist()
        [0, 20, 40, 50]
        """
        last = (length // self.cell) * self.cell - self.size
        if last < 0:
            return np.array([], dtype=int)
        return np.unique(np.append(np.arange(0, last + 1, self.stride), last))


def touches(top: np.ndarray, left: np.ndarray, tops: np.ndarray, lefts: np.ndarray, size: int) -> np.ndarray:
    """Whether each window shares a pixel with any of some tiles; both are squares of `size` pixels.

    Parameters
    ----------
    top, left : int arrays, shape (m,), first row and column of the windows
    tops, lefts : int arrays, shape (n,), of the tiles

    Returns
    -------
    bool array, shape (m,)

    >>> touches(np.array([0, 0]), np.array([10, 9]), np.array([0]), np.array([0]), 10).tolist()
    [False, True]
    """
    down = np.abs(np.subtract.outer(top, tops)) < size
    right = np.abs(np.subtract.outer(left, lefts)) < size
    return (down & right).any(axis=1)


def taper(cells: int) -> np.ndarray:
    """Weight of each pixel of a window, (cells, cells): a raised cosine, so that no window's edge shows in the map."""
    along = np.sin(np.pi * (np.arange(cells) + 0.5) / cells) ** 2
    return np.outer(along, along)


class Blend:
    """Weighted mean of what windows say of the pixels that they cover.

    Parameters
    ----------
    lattice : Lattice
    bands : number of values of each window
    """

    def __init__(self, lattice: Lattice, bands: int):
        self.cell, self.cells = lattice.cell, lattice.size // lattice.cell
        self.weight = taper(self.cells)
        self.total = np.zeros((bands, *lattice.map_grid.shape))
        self.weights = np.zeros((bands, *lattice.map_grid.shape))

    def add(self, top: int, left: int, values: np.ndarray) -> None:
        """Add a window by its first row and column; values that are NaN say nothing."""
        r, c = top // self.cell, left // self.cell
        place = slice(None), slice(r, r + self.cells), slice(c, c + self.cells)
        there = np.isfinite(values)
        self.total[place] += np.where(there, values, 0)[:, None, None] * self.weight
        self.weights[place] += there[:, None, None] * self.weight

    def mean(self) -> np.ndarray:
        """Float32 (bands, rows, columns), NaN where no window was added."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.weights > 0, self.total / self.weights, np.nan).astype(np.float32)


def entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy of class probabilities along the first axis, as a share of ln K: 0 certain, 1 anything goes.

    >>> entropy(np.array([[0.5, 1.0], [0.5, 0.0]])).tolist()
    [1.0, 0.0]
    """
    p = np.clip(probability, 1e-12, 1)
    found = -(p * np.log(p)).sum(axis=0) / np.log(len(probability))
    return np.where(np.isnan(probability).any(axis=0), np.nan, np.maximum(found.round(9), 0))


@dataclass(frozen=True)
class Applicability:
    """How far predictors may lie from those that were learnt from. All predictors weigh the same."""

    mean: np.ndarray
    spread: np.ndarray
    known: cKDTree
    unit: float
    threshold: float

    @classmethod
    def fit(cls, columns: np.ndarray, fold: np.ndarray) -> "Applicability":
        """From the predictors (n, k) of the tiles that were learnt from, and the fold that tests each, int (n,).

        The threshold is the largest dissimilarity of a training tile to those of other folds, outliers left out.
        """
        mean, spread = columns.mean(axis=0), columns.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = (columns - mean) / spread
        unit = float(pdist(scaled).mean()) or 1.0
        among = np.empty(len(scaled))
        for k in np.unique(fold):
            here, others = fold == k, fold != k
            among[here] = cKDTree(scaled[others]).query(scaled[here])[0] / unit if others.any() else np.nan
        among = among[np.isfinite(among)]
        q1, q3 = np.quantile(among, [0.25, 0.75])
        threshold = float(among[among <= q3 + WHISKER * (q3 - q1)].max())
        return cls(mean, spread, cKDTree(scaled), unit, threshold)

    def dissimilarity(self, columns: np.ndarray) -> np.ndarray:
        """Distance (m,) to the nearest training tile, over the mean distance between training tiles; NaN for NaN."""
        scaled = (columns - self.mean) / self.spread
        there = np.isfinite(scaled).all(axis=1)
        found = np.full(len(columns), np.nan)
        found[there] = self.known.query(scaled[there])[0] / self.unit
        return found


@dataclass(frozen=True)
class Ensemble:
    """The networks of all folds that are scored, and the squares that each fold has learnt from.

    `networks`: of each fold, by its number. `tops`, `lefts`: first pixels of the kept tiles, int (n,). `first_high`:
    the lowest class above the binary edge.
    """

    data: FoldData
    networks: dict[int, list[NetworkInNetwork]]
    tops: np.ndarray
    lefts: np.ndarray
    size: int
    first_high: int
    engine: Engine
    batch_size: int

    def of(self, windows: np.ndarray, top: np.ndarray, left: np.ndarray) -> pd.DataFrame:
        """What the networks that have learnt from no pixel of a window say of it.

        A fold's networks have learnt from its training and its validation tiles, whole. (With `augment.resample` their
        patches also reach into land without wells around those tiles, never into tiles that the fold tests.)

        Parameters
        ----------
        windows : float32 array, shape (m, size, size), metres, NaN for no data
        top, left : int arrays, shape (m,), first row and column

        Returns
        -------
        DataFrame of m rows
            ``p0`` and so on; ``disagreement``, standard deviation of the probability of being high, NaN for one network
            alone; ``networks``, their number; NaN throughout where there is none.
        """
        said: list[np.ndarray] = []
        for fold, networks in self.networks.items():
            learnt = np.isin(self.data.roles[fold], ("train", "validation"))
            may = ~touches(top, left, self.tops[learnt], self.lefts[learnt], self.size)
            if not may.any():
                continue
            tiles = torch.from_numpy(normalise(windows[may], self.data.scalings[fold]))[:, None]
            for network in networks:
                scores = predict(network, tiles.to(self.engine.device), self.batch_size, self.engine)
                said.append(np.full((len(windows), scores.shape[1]), np.nan))
                said[-1][may] = scores.double().softmax(dim=1).cpu().numpy()
        if not said:
            return pd.DataFrame(np.nan, index=range(len(windows)), columns=["networks"])
        every = np.array(said)
        number = np.isfinite(every[:, :, 0]).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.nansum(every, axis=0) / np.where(number > 0, number, np.nan)[:, None]
            above = every[:, :, self.first_high :].sum(axis=2)
            spread = np.nansum((above - mean[:, self.first_high :].sum(axis=1)) ** 2, axis=0) / number
        table = pd.DataFrame(mean, columns=[f"p{k}" for k in range(mean.shape[1])])
        table["disagreement"] = np.where(number > 1, np.sqrt(spread), np.nan)
        return table.assign(networks=np.where(number > 0, number, np.nan))


def survey(
    read: Callable[[int], np.ndarray],
    lattice: Lattice,
    shape: tuple[int, int],
    ensemble: Ensemble,
    applicability: Applicability,
    min_valid: float,
    on_windows: Callable[[int], object] = lambda n: None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Predict every window of a raster, a row of windows at a time.

    Parameters
    ----------
    read : rows of the raster from one on, float32 (size, width), NaN for no data
    shape : (rows, columns) of the raster
    min_valid : least share of pixels with data

    Returns
    -------
    table : DataFrame
        ``top``, ``left`` and what `Ensemble.of` says of each window that is predicted, with ``dissimilarity``
    counts : ``windows``, and those not predicted: ``low_data``, ``learnt_from`` (by every network)
    """
    found, counts = [], {"windows": 0, "low_data": 0, "learnt_from": 0}
    lefts = lattice.starts(shape[1])
    for top in lattice.starts(shape[0]).tolist():
        strip = read(top)
        enough = np.array([np.isfinite(strip[:, k : k + lattice.size]).mean() >= min_valid for k in lefts], dtype=bool)
        counts["windows"] += len(lefts)
        counts["low_data"] += int((~enough).sum())
        if enough.any():
            left = lefts[enough]
            windows = np.stack([strip[:, k : k + lattice.size] for k in left])
            table = ensemble.of(windows, np.full(len(left), top), left).assign(top=top, left=left)
            heard = table["networks"].notna().to_numpy()
            counts["learnt_from"] += int((~heard).sum())
            statistics = [terrain_statistics(window, lattice.grid.resolution) for window in windows[heard]]
            if statistics:
                unlike = applicability.dissimilarity(np.array(statistics))
                found.append(table[heard].assign(dissimilarity=unlike))
        on_windows(len(lefts))
    return (pd.concat(found, ignore_index=True) if found else pd.DataFrame()), counts


def best_apart(value: np.ndarray, top: np.ndarray, left: np.ndarray, size: int, most: int) -> np.ndarray:
    """Index of the windows of the largest values that do not share a pixel, the largest first; NaN is never taken.

    >>> best_apart(np.array([0.1, 0.9, 0.8, np.nan]), np.array([0, 0, 0, 90]), np.array([50, 0, 5, 90]), 10, 9).tolist()
    [1, 0]
    """
    chosen: list[int] = []
    for k in np.argsort(-value, kind="stable").tolist():
        if len(chosen) == most or not np.isfinite(value[k]):
            break
        if not chosen or not touches(top[[k]], left[[k]], top[chosen], left[chosen], size)[0]:
            chosen.append(k)
    return np.array(chosen, dtype=int)
