"""Baselines that predict places: whether the residual of a site is above the binary edge, from its surroundings.

They learn from sites, each with the weight of one over the sites of its tile. The score of a tile is the mean over
points at even distances across it, so that it knows nothing of where the wells of the tile are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from heatflow.geo.sites import site_weight
from heatflow.grid.grids import TileGrid

POINTS = 4  # along each axis of a tile
INNER = 3  # parts of the training tiles, whose scores are those of models without them
NEAR = 10.0  # km, range of the part of heat flow that is local
# share of the variance that is local, range of the rest that has one (km) and its share; what is left is noise
COVARIANCES = tuple(product((0.3, 0.5), (100.0, 200.0, 400.0), (0.05, 0.1, 0.2)))
CHOSEN_ON, MOST = 400, 2000  # sites that the covariance is chosen on, and that predictions are made from
EXTREME = 0.01  # probabilities are kept this far from 0 and 1
# fitted to columns (m, k), whether each site is high (m,) and its weight (m,); predicts at columns (p, k)
SiteModel = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def linear_model(columns: np.ndarray, high: np.ndarray, weight: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Probability by logistic regression on standardised columns; a `SiteModel`."""
    scaler = StandardScaler().fit(columns)
    model = LogisticRegression(max_iter=5000)
    model.fit(scaler.transform(columns), high, weight * len(weight) / weight.sum())
    return model.predict_proba(scaler.transform(new))[:, 1]


def nearest_model(columns: np.ndarray, high: np.ndarray, weight: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Probability by kriging of the indicator 'is high' (Journel, 1983) on coordinates in km; a `SiteModel`.

    It is a Gaussian process with a covariance of two ranges, the likeliest of COVARIANCES.
    """
    mean, variance = np.average(high, weights=weight), high.var()
    order = np.random.default_rng(0).permutation(len(high))

    def process(local: float, far: float, share: float) -> GaussianProcessRegressor:
        near, wide = (ConstantKernel(part * variance) * Matern(length, nu=0.5) for part, length in
                      ((local, NEAR), (share, far)))  # fmt: skip
        return GaussianProcessRegressor(near + wide, alpha=(1 - local - share) * variance, optimizer=None)

    def fit(covariance: tuple[float, float, float], most: int) -> GaussianProcessRegressor:
        part = order[:most]
        return process(*covariance).fit(columns[part], high[part] - mean)

    best = max(COVARIANCES, key=lambda covariance: fit(covariance, CHOSEN_ON).log_marginal_likelihood_value_)
    return mean + fit(best, MOST).predict(new)


@dataclass(frozen=True)
class Places:
    """What a site model learns from and predicts at, for n tiles with m sites.

    Parameters
    ----------
    tile : int array, shape (m,)
        Row of the tile of each site.
    high : bool array, shape (m,)
    sites : float array, shape (m, k)
        Columns of each site.
    points : float array, shape (n, points, k)
        Columns of the points of each tile.
    """

    tile: np.ndarray
    high: np.ndarray
    sites: np.ndarray
    points: np.ndarray

    def predict(self, model: SiteModel, known: np.ndarray, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of being high: of tiles, the mean over their points, and of sites; `known`, `tiles` bool (n,)."""
        learn, asked = known[self.tile], tiles[self.tile]
        high, points = self.high[learn].astype(float), self.points[tiles]
        new = np.concatenate([points.reshape(-1, points.shape[2]), self.sites[asked]])
        if high.min(initial=1) == high.max(initial=0):  # a model needs both
            p = np.full(len(new), high.mean())
        else:
            p = model(self.sites[learn], high, site_weight(self.tile[learn]), new)
        p = np.clip(p, EXTREME, 1 - EXTREME)
        cut = points.shape[0] * points.shape[1]
        return p[:cut].reshape(points.shape[:2]).mean(axis=1), p[cut:]

    def fold(self, model: SiteModel, known: np.ndarray, test: np.ndarray,
             block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Log-odds of the known tiles (each by a model without its part), of the test tiles, and p of their sites.

        `known` and `test` are bool (n,), `block` int (n,): parts are made of whole blocks.
        """
        part = np.unique(block, return_inverse=True)[1].ravel() % INNER
        scores = np.zeros(len(known))
        for k in range(INNER):
            if (held_out := known & (part == k)).any() and (rest := known & (part != k)).any():
                scores[held_out], _ = self.predict(model, rest, held_out)
        scores[test], sites = self.predict(model, known, test)
        scores = np.clip(scores, EXTREME, 1 - EXTREME)
        log_odds = np.log(scores / (1 - scores))
        return log_odds[known], log_odds[test], sites


def points_of_tiles(tiles: TileGrid, row: np.ndarray, col: np.ndarray) -> np.ndarray:
    """Rows and columns of POINTS x POINTS points at even distances across tiles, pixels; float64 (n, points, 2).

    >>> from heatflow.grid.grids import Grid
    >>> tiles = TileGrid(Grid(0, 80, 1, 80, 80, None), size=40, stride=40)
    >>> points_of_tiles(tiles, np.array([1]), np.array([0]))[0, :2].tolist()
    [[45.0, 5.0], [45.0, 15.0]]
    """
    corner = np.column_stack(tiles.corners(row, col))
    steps = (np.arange(POINTS) + 0.5) / POINTS * tiles.size
    return corner[:, None] + np.array([*product(steps, steps)])
