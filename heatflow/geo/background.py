"""Background heat flow: a robust local linear regression that hot wells do not pull up.

Two-dimensional LOESS (Cleveland and Devlin, 1988, JASA 83:596) with tricube weights inside a radius, fitted again and
again while wells far from it lose weight: the law by which the USGS made its maps of the Great Basin (DeAngelo et al.,
2022, doi 10.5066/P9BZPVUC), 1 up to a residual of 50 mW/m2 and 10^(-(|residual| - 50) / 25) beyond. Wells are drilled
in clusters where it is hot, so that each also weighs one over the number of wells about it (declustering: Isaaks and
Srivastava, 1989, chapter 10); without that, a hot field outvotes its surroundings and becomes its own background.
"""

from dataclasses import dataclass, field

import geopandas
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import cKDTree

from heatflow.errors import InputError
from heatflow.geo.plane import height_of_plane
from heatflow.grid.grids import Grid

TOLERATED = 50.0  # mW/m2, residual up to which a well keeps its whole weight
DECADE = 25.0  # mW/m2 beyond it over which the weight falls to a tenth
LEAST_SITES = 5.0  # declustered wells within the radius without which there is no background
CONVERGED = 0.01  # mW/m2, largest change of the last round
ROUNDS = 200
MAX_PAIRS = 150_000_000  # of wells within a radius of each other: 2 GB
CELLS_IN_RADIUS = 30  # of the raster that shows it
CHUNK = 1000  # places evaluated at a time


def robust_weight(residual: np.ndarray) -> np.ndarray:
    """Weight of a well by its residual (mW/m2).

    >>> robust_weight(np.array([-50.0, 0.0, 75.0, 100.0])).tolist()
    [1.0, 1.0, 0.1, 0.01]
    """
    return 10 ** -(np.maximum(np.abs(residual) - TOLERATED, 0) / DECADE)


@dataclass(frozen=True)
class Background:
    """A fitted background; `fit` makes it, `at` evaluates it.

    `x`, `y`: of the wells, metres. `heat_flow`: mW/m2. `weight`: robust weight of each well at the end, times its
    share of its site. `share`: the latter alone. `change`: of the last round, mW/m2.
    """

    x: np.ndarray
    y: np.ndarray
    heat_flow: np.ndarray
    share: np.ndarray
    weight: np.ndarray
    radius: float
    change: float
    tree: cKDTree = field(repr=False)

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, heat_flow: np.ndarray, radius: float, decluster: float) -> "Background":
        """Fit the background to wells.

        Parameters
        ----------
        x, y : float arrays, shape (n,), metres in a projected CRS
        heat_flow : float array, shape (n,), mW/m2
        radius : of the tricube weights, metres
        decluster : wells within this distance (metres) of a well share the weight of one site; 0: none do

        Raises
        ------
        InputError
            More pairs of wells within the radius than memory is meant to hold.
        """
        order = np.argsort(heat_flow, kind="stable")  # columns in the order of heat flow, for the medians
        x, y, heat_flow = (np.asarray(v, dtype=np.float64)[order] for v in (x, y, heat_flow))
        tree = cKDTree(np.column_stack([x, y]))
        share = np.ones(len(x))
        if decluster > 0:
            share = 1.0 / tree.query_ball_point(tree.data, decluster, return_length=True, workers=-1)
        pairs = int(tree.count_neighbors(tree, radius))
        if pairs > MAX_PAIRS:
            raise InputError(
                f"wells.background.radius: {len(x):,} wells make {pairs:,} pairs within {radius:g} m of each other; "
                f"at most {MAX_PAIRS:,} are supported, give a smaller radius"
            )
        near = sparse.vstack([_tricube(tree, tree.data[i : i + CHUNK], radius) for i in range(0, len(x), CHUNK)])
        level = _local_median(near, share, heat_flow)
        change = np.inf
        for _ in range(ROUNDS):
            weight = share * robust_weight(heat_flow - level)
            before, level = level, _planes(near, weight, x, y, heat_flow, x, y, radius)
            level = np.where(np.isfinite(level), level, before)
            change = float(np.abs(level - before).max())
            if change < CONVERGED:
                break
        weight = share * robust_weight(heat_flow - level)
        return cls(x, y, heat_flow, share, weight, radius, change, tree)

    @classmethod
    def around(
        cls, wells: geopandas.GeoDataFrame, reason: pd.Series, grid: Grid, radius: float, decluster: float
    ) -> "Background":
        """Fit to the usable wells on the grid and to those beyond its edge that reach onto it.

        `wells` and `reason` are what `heatflow.geo.wells.place_wells` returns.
        """
        left, bottom, right, top = grid.bounds
        x, y = wells.geometry.x.to_numpy(), wells.geometry.y.to_numpy()
        near = (x > left - radius) & (x < right + radius) & (y > bottom - radius) & (y < top + radius)
        used = reason.isin(["", "outside the raster"]).to_numpy() & near
        table = pd.DataFrame({"x": x, "y": y, "heat_flow": wells["heat_flow"].to_numpy()})[used].drop_duplicates()
        return cls.fit(table["x"].to_numpy(), table["y"].to_numpy(), table["heat_flow"].to_numpy(), radius, decluster)

    @property
    def settled(self) -> bool:
        """Whether the last round changed next to nothing."""
        return self.change < CONVERGED

    def on(self, grid: Grid) -> np.ndarray:
        """Background at the centres of a grid's pixels, float32 (height, width)."""
        row, column = (v.ravel() for v in np.indices(grid.shape))
        x = grid.left + (column + 0.5) * grid.resolution
        y = grid.top - (row + 0.5) * grid.resolution
        return self.at(x, y).reshape(grid.shape).astype(np.float32)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Background (mW/m2, float64) at places; NaN with fewer than LEAST_SITES wells, declustered, in the radius."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        out = np.full(len(x), np.nan)
        located = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        for start in range(0, len(located), CHUNK):
            part = located[start : start + CHUNK]
            near = _tricube(self.tree, np.column_stack([x[part], y[part]]), self.radius)
            level = _planes(near, self.weight, self.x, self.y, self.heat_flow, x[part], y[part], self.radius)
            sites = (near > 0).astype(np.float64) @ self.share
            out[part] = np.where(sites >= LEAST_SITES, level, np.nan)
        return out


def background_grid(grid: Grid, radius: float) -> Grid:
    """A coarser grid with the same corner that shows all that a background of this radius holds."""
    cell = max(1, int(radius / CELLS_IN_RADIUS / grid.resolution))
    width, height = -(-grid.width // cell), -(-grid.height // cell)
    return Grid(grid.left, grid.top, grid.resolution * cell, width, height, grid.crs)


def _tricube(tree, places, radius):
    """Weights (places, wells) of the wells within the radius, sparse; columns in order."""
    found = cKDTree(places).sparse_distance_matrix(tree, radius, output_type="ndarray")
    weight = (1 - np.minimum(found["v"] / radius, 1) ** 3) ** 3
    matrix = sparse.csr_matrix((weight, (found["i"], found["j"])), shape=(len(places), tree.n))
    matrix.sort_indices()
    return matrix


def _planes(near, weight, x, y, heat_flow, at_x, at_y, radius):
    """Height at each place of the plane fitted around it. Offsets are in radii from the middle of all wells."""
    middle_x, middle_y = x.mean(), y.mean()
    u, v = (x - middle_x) / radius, (y - middle_y) / radius
    p, q = (at_x - middle_x) / radius, (at_y - middle_y) / radius
    w, z = weight, weight * heat_flow
    sums = near @ np.column_stack([w, w * u, w * v, w * u * u, w * u * v, w * v * v, z, z * u, z * v])
    s, su, sv, suu, suv, svv, t, tu, tv = sums.T
    return height_of_plane(
        s,
        su - p * s,
        sv - q * s,
        suu - 2 * p * su + p * p * s,
        suv - p * sv - q * su + p * q * s,
        svv - 2 * q * sv + q * q * s,
        t,
        tu - p * t,
        tv - q * t,
        least=1e-12,
    )


def _local_median(near, share, heat_flow):
    """Weighted median of the heat flow around each well, the start of the fit. Wells are in the order of heat flow."""
    running = np.cumsum(near.data * share[near.indices])
    ends = near.indptr[1:] - 1
    begins = np.concatenate([[0.0], running[ends[:-1]]])
    middle = np.searchsorted(running, (begins + running[ends]) / 2)
    return heat_flow[near.indices[np.minimum(middle, ends)]]
