"""Predictions of a whole region: overlapping windows, each by networks that have not learnt from it, in one map.

Where the terrain is unlike anything that was learnt from: area of applicability, Meyer and Pebesma (2021), Methods in
Ecology and Evolution 12:1620, doi 10.1111/2041-210X.13650.
"""

from collections.abc import Callable
from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from heatflow.evaluation.baselines import terrain_statistics
from heatflow.grid.grids import TileGrid, WindowGrid
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.inputs import network_inputs
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import predict

AT_ONCE = 200  # windows that are held in memory
PAIRED = 2000  # tiles, about, whose distances from each other are averaged
LEAST_TERRAIN = 0.5  # share of a pixel of the map, at least, that is terrain
WHISKER = 1.5  # interquartile ranges above the upper quartile beyond which a training tile is an outlier


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
    lattice : WindowGrid
    bands : number of values of each window
    """

    def __init__(self, lattice: WindowGrid, bands: int):
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
    """How far predictors may lie from those that networks have learnt from. All predictors weigh the same.

    `known`: for each fold, by its number, the standardised predictors of the tiles that it has learnt from. `unit`: the
    mean distance between tiles. `threshold`: of the dissimilarity index.
    """

    mean: np.ndarray
    spread: np.ndarray
    known: dict[int, cKDTree]
    unit: float
    threshold: float

    @classmethod
    def fit(cls, columns: np.ndarray, learnt: dict[int, np.ndarray], tested: dict[int, np.ndarray]) -> "Applicability":
        """From the predictors (n, k) of the tiles and, for each fold, which it has learnt from and which it tests, int.

        The threshold is the largest dissimilarity of a tile to those that the fold which tests it has learnt from,
        outliers left out.
        """
        mean, spread = columns.mean(axis=0), columns.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = (columns - mean) / spread
        unit = float(pdist(scaled[:: -(-len(scaled) // PAIRED)]).mean()) or 1.0
        known = {fold: cKDTree(scaled[index]) for fold, index in learnt.items()}
        among = np.concatenate([known[fold].query(scaled[index])[0] / unit for fold, index in tested.items()])
        q1, q3 = np.quantile(among, [0.25, 0.75])
        threshold = float(among[among <= q3 + WHISKER * (q3 - q1)].max())
        return cls(mean, spread, known, unit, threshold)

    def dissimilarity(self, columns: np.ndarray, speaks: dict[int, np.ndarray]) -> np.ndarray:
        """Distance to the nearest tile that a fold has learnt from, over `unit`; the mean over the folds that speak.

        Parameters
        ----------
        columns : float array, shape (m, k)
        speaks : for each fold a bool array, shape (m,)

        Returns
        -------
        float64 array, shape (m,); NaN where predictors are, or no fold speaks
        """
        scaled = (columns - self.mean) / self.spread
        there = np.isfinite(scaled).all(axis=1)
        total, count = np.zeros(len(columns)), np.zeros(len(columns))
        for fold, may in speaks.items():
            here = may & there
            if here.any():
                total[here] += self.known[fold].query(scaled[here])[0] / self.unit
                count[here] += 1
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Learnt:
    """What the networks of a fold have learnt from: tiles by their first pixels, wells by their pixels; int (n,)."""

    tops: np.ndarray
    lefts: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def by(
        cls, data: FoldData, fold: int, tiles: TileGrid, wells: tuple[np.ndarray, np.ndarray], buffer: float | None
    ) -> "Learnt":
        """A fold's training and validation tiles and, with them, the wells that its patches may have held.

        Patches (`heatflow.learning.patches`) lie within half a tile of a training tile, at any angle, and may hold
        wells of tiles that were dropped. They touch none of the squares that are closed to them.

        Parameters
        ----------
        wells : rows and columns of the pixels that hold wells, int arrays
        buffer : tiles around test tiles that are closed to patches; None: there were no patches but the tiles
        """
        row, col = (data.table[name].to_numpy() for name in ("row", "col"))
        learnt = np.isin(data.roles[fold], ("train", "validation"))
        pixel_row, pixel_column = wells
        held = np.zeros(len(pixel_row), dtype=bool)
        if buffer is not None:
            place = np.column_stack([pixel_row, pixel_column]) + 0.5
            train = data.members(fold, "train")
            reach = tiles.size * (0.5 + 0.5**0.5)  # centre half a tile away, and from there to a corner
            near = cKDTree(tiles.centres(row[train], col[train]))
            held = near.query(place, p=np.inf)[0] <= reach if len(train) else held
            down, right, half = data.closed(fold, tiles, buffer).T
            closed = np.maximum(np.abs(place[:, :1] - down), np.abs(place[:, 1:] - right)) < half
            held &= ~closed.any(axis=1)
        return cls(row[learnt] * tiles.stride, col[learnt] * tiles.stride, pixel_row[held], pixel_column[held])

    def meets(self, top: np.ndarray, left: np.ndarray, size: int) -> np.ndarray:
        """Whether each window of `size` pixels shares a pixel with such a tile, or holds such a well; bool (m,)."""
        down, right = (np.subtract.outer(*pair) for pair in ((self.rows, top), (self.columns, left)))
        held = ((down >= 0) & (down < size) & (right >= 0) & (right < size)).any(axis=0)
        return held | touches(top, left, self.tops, self.lefts, size)


@dataclass(frozen=True)
class Ensemble:
    """The networks of all folds that are scored, and what each fold has learnt from.

    `networks`, `learnt`, `scalings`: of each fold, by its number. `first_high`: the lowest class above the binary edge.
    """

    networks: dict[int, list[NetworkInNetwork]]
    learnt: dict[int, Learnt]
    scalings: dict[int, dict[str, float]]
    size: int
    first_high: int
    engine: Engine
    batch_size: int

    def speaks(self, top: np.ndarray, left: np.ndarray) -> dict[int, np.ndarray]:
        """For each fold whether it has learnt from nothing of a window, by the windows' first pixels; bool (m,)."""
        return {fold: ~learnt.meets(top, left, self.size) for fold, learnt in self.learnt.items()}

    def of(self, windows: np.ndarray, speaks: dict[int, np.ndarray]) -> pd.DataFrame:
        """What the networks that have learnt from nothing of a window say of it.

        Parameters
        ----------
        windows : float32 array, shape (m, size, size), metres, NaN for no data
        speaks : as `speaks` gives it

        Returns
        -------
        DataFrame of m rows
            ``p0`` and so on; ``disagreement``, standard deviation of the probability of being high, NaN for one network
            alone; ``networks``, their number; NaN throughout where there is none.
        """
        said: list[np.ndarray] = []
        for fold, may in speaks.items():
            if not may.any():
                continue
            tiles = network_inputs(windows[may], self.scalings[fold], self.engine.device)
            for network in self.networks[fold]:
                scores = predict(network, tiles, self.batch_size, self.engine)
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
    lattice: WindowGrid,
    shape: tuple[int, int],
    ensemble: Ensemble,
    applicability: Applicability,
    min_valid: float,
    on_windows: Callable[[int], object] = lambda n: None,
) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:
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
    valid : float array
        Share of pixels with data in each pixel of the map.
    counts : ``windows``, and those not predicted: ``low_data``, ``learnt_from`` (by every network)
    """
    found, counts = [], {"windows": 0, "low_data": 0, "learnt_from": 0}
    lefts = lattice.starts(shape[1])
    cell, (rows, columns) = lattice.cell, lattice.map_grid.shape
    valid = np.zeros((rows, columns))
    for top in lattice.starts(shape[0]).tolist():
        strip = read(top)
        there = np.isfinite(strip)
        cells = there[:, : columns * cell].reshape(-1, cell, columns, cell)
        valid[top // cell : top // cell + len(cells)] = cells.mean(axis=(1, 3))
        enough = np.array([there[:, k : k + lattice.size].mean() >= min_valid for k in lefts], dtype=bool)
        counts["windows"] += len(lefts)
        counts["low_data"] += int((~enough).sum())
        left = lefts[enough]
        for some in np.split(left, np.arange(AT_ONCE, len(left), AT_ONCE)):
            if not len(some):
                continue
            windows = np.stack([strip[:, k : k + lattice.size] for k in some])
            speaks = ensemble.speaks(np.full(len(some), top), some)
            table = ensemble.of(windows, speaks).assign(top=top, left=some)
            heard = table["networks"].notna().to_numpy()
            counts["learnt_from"] += int((~heard).sum())
            if heard.any():
                statistics = np.array([terrain_statistics(w, lattice.grid.resolution) for w in windows[heard]])
                unlike = applicability.dissimilarity(statistics, {fold: may[heard] for fold, may in speaks.items()})
                found.append(table[heard].assign(dissimilarity=unlike))
        on_windows(len(lefts))
    return (pd.concat(found, ignore_index=True) if found else pd.DataFrame()), valid, counts


@dataclass(frozen=True)
class Layers:
    """Maps on the map's grid, float32 (rows, columns), NaN where nothing is predicted or less than half is terrain.

    `probability` has a band for each class; `above` is that of being high. `inside` is 1 in the area of applicability.
    """

    probability: np.ndarray
    above: np.ndarray
    entropy: np.ndarray
    disagreement: np.ndarray
    networks: np.ndarray
    dissimilarity: np.ndarray
    inside: np.ndarray


def layers(
    windows: pd.DataFrame, lattice: WindowGrid, valid: np.ndarray, classes: list[str], first_high: int, threshold: float
) -> Layers:
    """Blend what was said of windows.

    Parameters
    ----------
    windows, valid : as `survey` gives them
    classes : columns of the class probabilities
    threshold : of the dissimilarity index
    """
    blend = Blend(lattice, len(classes) + 3)
    columns = ["top", "left", *classes, "disagreement", "networks", "dissimilarity"]
    for top, left, *values in windows[columns].to_numpy():
        blend.add(int(top), int(left), np.array(values))
    mean = np.where(valid >= LEAST_TERRAIN, blend.mean(), np.nan).astype(np.float32)
    *_, disagreement, networks, dissimilarity = mean
    probability = mean[: len(classes)]
    inside = np.where(np.isnan(dissimilarity), np.nan, dissimilarity <= threshold).astype(np.float32)
    return Layers(
        probability, probability[first_high:].sum(axis=0), entropy(probability).astype(np.float32), disagreement,
        networks, dissimilarity, inside,
    )  # fmt: skip


def cautious(p: np.ndarray, disagreement: np.ndarray, networks: np.ndarray) -> np.ndarray:
    """Probability less one standard error of its mean over networks.

    One network's word is worth less than the mean of five, and where one speaks alone its spread is not known: the
    spread of a single network is taken over all windows that have several.

    Parameters
    ----------
    p, disagreement, networks : float arrays, shape (m,); disagreement is NaN for one network alone

    >>> cautious(np.array([0.9, 0.9]), np.array([0.1, np.nan]), np.array([2.0, 1.0])).round(3)
    array([0.8  , 0.759])
    """
    several = networks > 1
    square = disagreement[several] ** 2 * networks[several] / (networks[several] - 1)
    spread = np.sqrt(square.mean()) if several.any() else 0.0
    return p - spread / np.sqrt(networks)


def best_places(
    windows: pd.DataFrame,
    lattice: WindowGrid,
    threshold: float,
    classes: list[str],
    first_high: int,
    wells: tuple[np.ndarray, np.ndarray],
    most: int,
) -> geopandas.GeoDataFrame:
    """Windows of the highest `cautious` probability of being high that do not overlap, in the area of applicability.

    Parameters
    ----------
    wells : rows and columns of the pixels that hold wells, int arrays

    Returns
    -------
    GeoDataFrame of outlines with ``rank``, ``p_high``, ``p_cautious``, a column for each class, ``entropy``,
    ``disagreement``, ``networks``, ``dissimilarity``, ``n_wells`` (in the window), ``lon`` and ``lat`` of its centre
    """
    p_high = windows[classes[first_high:]].sum(axis=1).to_numpy()
    careful = cautious(p_high, *(windows[name].to_numpy() for name in ("disagreement", "networks")))
    usable = np.where(windows["dissimilarity"].to_numpy() <= threshold, careful, np.nan)
    chosen = best_apart(usable, windows["top"].to_numpy(), windows["left"].to_numpy(), lattice.size, most)
    table = windows.iloc[chosen].reset_index(drop=True)
    res, edge = lattice.grid.resolution, lattice.size * lattice.grid.resolution
    west, north = lattice.grid.left + table["left"] * res, lattice.grid.top - table["top"] * res
    row, column = wells
    held = [
        int(((row >= t) & (row < t + lattice.size) & (column >= k) & (column < k + lattice.size)).sum())
        for t, k in zip(table["top"], table["left"], strict=True)
    ]
    to_degrees = Transformer.from_crs(lattice.grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform((west + edge / 2).to_numpy(), (north - edge / 2).to_numpy())
    columns = {
        "rank": np.arange(1, len(table) + 1), "p_high": p_high[chosen], "p_cautious": careful[chosen],
        **{name: table[name] for name in classes}, "entropy": entropy(table[classes].to_numpy().T),
        "disagreement": table["disagreement"], "networks": table["networks"].astype(int),
        "dissimilarity": table["dissimilarity"], "n_wells": held, "lon": np.round(lon, 5), "lat": np.round(lat, 5),
    }  # fmt: skip
    boxes = shapely.box(west, north - edge, west + edge, north)
    return geopandas.GeoDataFrame(columns, geometry=boxes, crs=lattice.grid.crs.to_wkt())


def at_tiles(above: np.ndarray, lattice: WindowGrid, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """What a layer says at the centres of tiles, by their first pixels; float (n,), NaN off the map."""
    row, column = ((first + lattice.size // 2) // lattice.cell for first in (tops, lefts))
    found = np.full(len(row), np.nan)
    on_map = (row < above.shape[0]) & (column < above.shape[1])
    found[on_map] = above[row[on_map], column[on_map]]
    return found


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
