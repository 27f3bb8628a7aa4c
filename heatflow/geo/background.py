"""Background heat flow: a robust local linear regression that hot wells do not pull up.

Two-dimensional LOESS (Cleveland and Devlin, 1988, JASA 83:596) with tricube weights inside a radius, fitted again and
again while wells far from it lose weight: the law by which the USGS made its maps of the Great Basin (DeAngelo et al.,
2022, doi 10.5066/P9BZPVUC), 1 up to a residual of 50 mW/m2 and 10^(-(|residual| - 50) / 25) beyond. Wells are drilled
in clusters where it is hot, so that each also weighs one over the number of wells about it (declustering: Isaaks and
Srivastava, 1989, chapter 10); without that, a hot field outvotes the wells around it and becomes its own background.
"""

from dataclasses import dataclass, field, replace

import geopandas
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import cKDTree

from heatflow.config import schema
from heatflow.errors import InputError
from heatflow.geo.plane import height_of_plane
from heatflow.grid.grids import Grid

TOLERATED = 50.0  # mW/m2, residual up to which a well keeps its whole weight
DECADE = 25.0  # mW/m2 beyond it over which the weight falls to a tenth
LEAST_SITES = 5.0  # declustered wells within the radius without which there is no background
CONVERGED, ROUNDS = 0.01, 200  # mW/m2, largest change of the last round, and the most rounds
MAX_PAIRS = 150_000_000  # of wells within a radius of each other: 2 GB
CELLS_IN_RADIUS = 30  # of the raster that shows it
CHUNK = 1000  # places evaluated at a time
Points = tuple[np.ndarray, np.ndarray]  # x and y, metres


def robust_weight(residual: np.ndarray) -> np.ndarray:
    """Weight of a well by its residual (mW/m2).

    >>> robust_weight(np.array([-50.0, 0.0, 75.0, 100.0])).tolist()
    [1.0, 1.0, 0.1, 0.01]
    """
    return 10 ** -(np.maximum(np.abs(residual) - TOLERATED, 0) / DECADE)


@dataclass(frozen=True)
class Background:
    """A fitted background, as `fit_background` makes it.

    Parameters
    ----------
    x, y : float64 arrays, shape (n,)
        Of the wells, in the order of heat flow, metres.
    heat_flow : float64 array, shape (n,), mW/m2
    share : float64 array, shape (n,)
        Of each well in its site: one over the number of wells about it.
    weight : float64 array, shape (n,)
        Robust weight at the end of the fit, times the share.
    radius : float
        Of the tricube weights, metres.
    change : float
        Largest change of the background in the last round, mW/m2.
    tree : scipy.spatial.cKDTree
        Of the wells.
    """

    x: np.ndarray
    y: np.ndarray
    heat_flow: np.ndarray
    share: np.ndarray
    weight: np.ndarray
    radius: float
    change: float
    tree: cKDTree = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether the last round changed next to nothing."""
        return self.change < CONVERGED

    def settled(self, near: sparse.csr_matrix, level: np.ndarray) -> "Background":
        """Fit again and again from a first level at the wells (n,), until it stays; `near` are the weights of wells
        around each. Wells without a share have no part in it."""
        wells, counted, change = (self.x, self.y), self.share > 0, np.inf
        for _ in range(ROUNDS):
            weight = self.share * robust_weight(self.heat_flow - level)
            before, level = level, _planes(near, weight, wells, self.heat_flow, wells, self.radius)
            level = np.where(np.isfinite(level), level, before)
            change = float(np.abs(level - before)[counted].max(initial=0))
            if change < CONVERGED:
                break
        return replace(self, weight=self.share * robust_weight(self.heat_flow - level), change=change)

    def predict(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Background at places.

        Parameters
        ----------
        x, y : float arrays, shape (n,), metres

        Returns
        -------
        float64 array, shape (n,), mW/m2
            NaN with fewer than LEAST_SITES sites within the radius.
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        out = np.full(len(x), np.nan)
        located = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        for start in range(0, len(located), CHUNK):
            part = located[start : start + CHUNK]
            near = _tricube(self.tree, np.column_stack([x[part], y[part]]), self.radius)
            level = _planes(near, self.weight, (self.x, self.y), self.heat_flow, (x[part], y[part]), self.radius)
            sites = (near > 0).astype(np.float64) @ self.share
            out[part] = np.where(sites >= LEAST_SITES, level, np.nan)
        return out

    def predict_grid(self, grid: Grid) -> np.ndarray:
        """Background at the centres of a grid's pixels, mW/m2; float32 array (height, width)."""
        row, column = (v.ravel() for v in np.indices(grid.shape))
        x = grid.left + (column + 0.5) * grid.resolution
        y = grid.top - (row + 0.5) * grid.resolution
        return self.predict(x, y).reshape(grid.shape).astype(np.float32)


def fit_background(
    x: np.ndarray, y: np.ndarray, heat_flow: np.ndarray, params: schema.Background = schema.Background()
) -> Background:
    """Fit the background to wells.

    Parameters
    ----------
    x, y : float arrays, shape (n,)
        Metres in a projected CRS.
    heat_flow : float array, shape (n,), mW/m2
    params : heatflow.config.schema.Background
        Radius of the tricube weights, and the distance within which wells share the weight of one site.

    Returns
    -------
    Background

    Raises
    ------
    InputError
        More pairs of wells lie within the radius than memory is meant to hold.

    Examples
    --------
    >>> x, y = np.array([0.0, 9e3, 0, 9e3, 5e3, 3e3]), np.array([0.0, 0, 9e3, 9e3, 5e3, 3e3])
    >>> heat_flow = np.array([60, 62, 60, 62, 61, 900.0])  # the last well is hot
    >>> background = fit_background(x, y, heat_flow, schema.Background(radius=20_000, decluster=0))
    >>> background.predict([5e3], [5e3]).round()
    array([61.])
    """
    order = np.argsort(heat_flow, kind="stable")  # for the medians
    x, y, heat_flow = (np.asarray(v, dtype=np.float64)[order] for v in (x, y, heat_flow))
    radius, tree = params.radius, cKDTree(np.column_stack([x, y]))
    share = np.ones(len(x))
    if params.decluster > 0:
        share = 1.0 / tree.query_ball_point(tree.data, params.decluster, return_length=True, workers=-1)
    if (pairs := int(tree.count_neighbors(tree, radius))) > MAX_PAIRS:
        limit = f"at most {MAX_PAIRS:,} are supported, give a smaller radius"
        size = f"{len(x):,} wells make {pairs:,} pairs within {radius:g} m of each other"
        raise InputError(f"wells.background.radius: {size}; {limit}")
    near = _all_near(tree, radius)
    start = Background(x, y, heat_flow, share, share, radius, np.inf, tree)
    return start.settled(near, _local_median(near, share, heat_flow))


def fit_without_own_block(
    background: Background, x: np.ndarray, y: np.ndarray, grid: Grid, edge: float, buffer: float, decluster: float
) -> np.ndarray:
    """Background at each place from wells outside its block and a buffer around it.

    Blocks are squares on a grid with the corner of `grid`. What a well, or its neighbours in a test part of the folds,
    says of the heat flow then has no part in its own background. Each fit starts from that to all wells, and goes on
    until no value changes by CONVERGED.

    Parameters
    ----------
    background : Background
        Fitted to all wells.
    x, y : float arrays, shape (n,), metres
    grid : Grid
    edge, buffer : float, metres
    decluster : float, metres
        As in the params of the background.

    Returns
    -------
    float64 array, shape (n,), mW/m2
        NaN with fewer than LEAST_SITES sites within the radius.
    """
    tree, radius = background.tree, background.radius
    near = _all_near(tree, radius)
    level = _planes(near, background.weight, tree.data.T, background.heat_flow, tree.data.T, radius)
    beside = _tricube(tree, tree.data, decluster) > 0 if decluster > 0 else sparse.eye_array(tree.n)
    out, left, top = np.full(len(x), np.nan), grid.left, grid.top
    located = np.isfinite(x) & np.isfinite(y)
    cell = np.floor(np.column_stack([np.where(located, x, left) - left, top - np.where(located, y, top)]) / edge)
    for column, row in np.unique(cell[located], axis=0):
        right, down = background.x - left - column * edge, top - background.y - row * edge
        inside = (np.maximum(np.abs(right - edge / 2), np.abs(down - edge / 2))) <= edge / 2 + buffer
        wells = beside.astype(np.float64) @ ~inside
        share = np.where(inside, 0.0, 1 / np.maximum(wells, 1))
        own = located & (cell == (column, row)).all(axis=1)
        rest = replace(background, share=share, weight=share).settled(near, level)
        out[own] = rest.predict(x[own], y[own])
    return out


def fit_around(wells: geopandas.GeoDataFrame, grid: Grid, params: schema.Background) -> Background:
    """Fit the background to the wells on a grid and to those beyond its edge that reach onto it.

    Parameters
    ----------
    wells : GeoDataFrame
        Points in the grid's CRS with ``heat_flow``; of equal rows one counts.
    grid : Grid
    params : heatflow.config.schema.Background
    """
    left, bottom, right, top = grid.bounds
    x, y, reach = wells.geometry.x, wells.geometry.y, params.radius
    near = (x > left - reach) & (x < right + reach) & (y > bottom - reach) & (y < top + reach)
    table = pd.DataFrame({"x": x, "y": y, "heat_flow": wells["heat_flow"]})[near].drop_duplicates()
    return fit_background(table["x"].to_numpy(), table["y"].to_numpy(), table["heat_flow"].to_numpy(), params)


def background_grid(grid: Grid, radius: float) -> Grid:
    """A coarser grid with the same corner that shows all that a background of this radius holds."""
    cell = max(1, int(radius / CELLS_IN_RADIUS / grid.resolution))
    width, height = -(-grid.width // cell), -(-grid.height // cell)
    return Grid(grid.left, grid.top, grid.resolution * cell, width, height, grid.crs)


def _all_near(tree: cKDTree, radius: float) -> sparse.csr_matrix:
    """Weights (wells, wells) of the wells within the radius of each, sparse."""
    return sparse.vstack([_tricube(tree, tree.data[i : i + CHUNK], radius) for i in range(0, tree.n, CHUNK)])


def _tricube(tree: cKDTree, places: np.ndarray, radius: float) -> sparse.csr_matrix:
    """Weights (places, wells) of the wells within the radius, sparse; columns in order."""
    pairs = cKDTree(places).sparse_distance_matrix(tree, radius, output_type="ndarray")
    weight = (1 - np.minimum(pairs["v"] / radius, 1) ** 3) ** 3
    matrix = sparse.csr_matrix((weight, (pairs["i"], pairs["j"])), shape=(len(places), tree.n))
    matrix.sort_indices()
    return matrix


def _planes(
    near: sparse.csr_matrix, w: np.ndarray, wells: Points, heat_flow: np.ndarray, places: Points, radius: float
) -> np.ndarray:
    """Height at each place of the plane fitted around it. Offsets are in radii from the middle of all wells."""
    middle = wells[0].mean(), wells[1].mean()
    u, v = ((c - m) / radius for c, m in zip(wells, middle, strict=True))
    p, q = ((c - m) / radius for c, m in zip(places, middle, strict=True))
    z = w * heat_flow
    sums = near @ np.column_stack([w, w * u, w * v, w * u * u, w * u * v, w * v * v, z, z * u, z * v])
    s, su, sv, suu, suv, svv, t, tu, tv = sums.T
    xx, xy, yy = suu - 2 * p * su + p * p * s, suv - p * sv - q * su + p * q * s, svv - 2 * q * sv + q * q * s
    return height_of_plane([s, su - p * s, sv - q * s, xx, xy, yy, t, tu - p * t, tv - q * t], least=1e-12)


def _local_median(near: sparse.csr_matrix, share: np.ndarray, heat_flow: np.ndarray) -> np.ndarray:
    """Weighted median of the heat flow around each well, the start of the fit. Wells are in the order of heat flow."""
    running = np.cumsum(near.data * share[near.indices])
    ends = near.indptr[1:] - 1
    begins = np.concatenate([[0.0], running[ends[:-1]]])
    middle = np.searchsorted(running, (begins + running[ends]) / 2)
    return heat_flow[near.indices[np.minimum(middle, ends)]]
