"""Simple kriging from the nearest known points, with a covariance that the points choose themselves.

Simple kriging is the mean of a Gaussian process whose mean is 0. Far points are screened by near ones, so that a few of
the nearest give the same within a percent, at a cost that grows with the number of places alone (Cressie, 1993,
*Statistics for Spatial Data*, section 3.2).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

NEAREST = 12  # known points that a place is predicted from
FITTED_ON = 2000  # points, at most, that choose the covariance
AT_ONCE = 20_000  # places that are predicted at a time
SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)  # of the variance that has a range; what is left is noise
RANGES = (2e3, 3e3, 5e3, 7e3, 10e3, 15e3, 20e3, 30e3, 50e3, 100e3)  # m


@dataclass(frozen=True)
class Neighbours:
    """The known points from which each of q places is predicted.

    Parameters
    ----------
    index : int array, shape (q, k)
        Of the known points.
    there : bool array, shape (q, k)
        Whether there is such a point; there may be fewer than k.
    distance : float64 array, shape (q, k)
        From the place, metres.
    apart : float64 array, shape (q, k, k)
        From each other, metres.
    """

    index: np.ndarray
    there: np.ndarray
    distance: np.ndarray
    apart: np.ndarray

    @classmethod
    def of(cls, known: np.ndarray, place: np.ndarray, index: np.ndarray, there: np.ndarray) -> "Neighbours":
        """From their indices; `known` float (n, 2), `place` float (q, 2), metres."""
        index = np.where(there, index, 0)
        points = known[index]
        apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
        return cls(index, there, np.linalg.norm(points - place[:, None], axis=-1), apart)

    @classmethod
    def nearest(cls, known: np.ndarray, place: np.ndarray, others: bool) -> "Neighbours":
        """The nearest known points of each place; with `others` the places are the known points, and no one is its own.

        >>> Neighbours.nearest(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[1.0, 0.0]]), False).distance[0, :2]
        array([1., 2.])
        """
        wanted = NEAREST + 1 if others else NEAREST
        index = cKDTree(known).query(place, k=range(1, wanted + 1))[1]
        there = index < len(known)
        if others:
            there &= index != np.arange(len(known))[:, None]
        return cls.of(known, place, index, there)

    @classmethod
    def before(cls, known: np.ndarray) -> "Neighbours":
        """The nearest of those points that come before each."""
        distance = np.where(np.tri(len(known), k=-1, dtype=bool), cdist(known, known), np.inf)
        index = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
        return cls.of(known, known, index, np.isfinite(np.take_along_axis(distance, index, axis=1)))


@dataclass(frozen=True)
class Covariance:
    """An exponential covariance with noise, relative to the variance.

    Parameters
    ----------
    share : float
        Of the variance that has a range, 0 to 1; the rest differs from point to point.
    range : float
        Distance at which correlation falls by a factor of e, metres.
    """

    share: float
    range: float

    @classmethod
    def fit(cls, place: np.ndarray, value: np.ndarray) -> "Covariance":
        """The likeliest of SHARES and RANGES, and of no correlation, by the likelihood of Vecchia (1988).

        That is the product of the likelihood of each point given the nearest of those before it, in a random order
        (Journal of the Royal Statistical Society B 50:297). Of more than FITTED_ON points it takes so many at random.

        Parameters
        ----------
        place : float array, shape (n, 2)
            In metres.
        value : float array, shape (n,)
            With a mean of 0.

        Examples
        --------
        >>> place = np.column_stack([np.arange(400) * 1e3, np.zeros(400)])
        >>> Covariance.fit(place, np.random.default_rng(0).normal(size=400)).share < 0.5
        True
        """
        order = np.random.default_rng(0).permutation(len(value))[:FITTED_ON]
        value, best = value[order], cls(0.0, RANGES[0])
        if len(value) < 2 or not value.any():
            return best
        before = Neighbours.before(place[order])
        candidates = [best, *(cls(share, length) for share, length in product(SHARES, RANGES))]
        return min(candidates, key=lambda covariance: covariance._unlikelihood(before, value))

    def _unlikelihood(self, before: Neighbours, value: np.ndarray) -> float:
        """Minus the log likelihood of values for the variance that fits them best, up to a factor and a constant."""
        weight, variance = self.weights(before)
        error = value - (weight * value[before.index]).sum(axis=1)
        return float(np.log(np.mean(error**2 / variance)) + np.log(variance).mean())

    def weights(self, neighbours: Neighbours) -> tuple[np.ndarray, np.ndarray]:
        """Weight of each neighbour of each place, float64 (q, k), and the variance that they leave, float64 (q,)."""
        there, number = neighbours.there, neighbours.there.shape[1]
        towards = np.where(there, self.share * np.exp(-neighbours.distance / self.range), 0)
        pairs = there[:, :, None] & there[:, None]
        between = np.where(pairs, self.share * np.exp(-neighbours.apart / self.range), 0)
        between[:, np.arange(number), np.arange(number)] = 1
        weight = np.linalg.solve(between, towards[:, :, None])[:, :, 0]
        return weight, 1 - (weight * towards).sum(axis=1)

    def predict(self, known: np.ndarray, value: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Expected values at places, each from the nearest known points.

        Parameters
        ----------
        known : float array, shape (n, 2)
            Places of the known points, metres.
        value : float array, shape (n,)
            With a mean of 0.
        place : float array, shape (q, 2)
            In metres.

        Returns
        -------
        float64 array, shape (q,)
            0 far from all known points.

        Examples
        --------
        >>> known, value = np.array([[0.0, 0.0], [9e3, 0.0]]), np.array([1.0, 0.0])
        >>> Covariance(0.5, 1e3).predict(known, value, np.array([[0.0, 0.0], [9e5, 0.0]])).round(2)
        array([0.5, 0. ])
        """
        expected = np.zeros(len(place))
        if len(known):
            for first in range(0, len(place), AT_ONCE):
                some = slice(first, first + AT_ONCE)
                expected[some] = self._mean(Neighbours.nearest(known, place[some], others=False), value)
        return expected

    def predict_others(self, known: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Expected value of each known point from the others, float64 (n,); as `predict`.

        >>> Covariance(0.5, 1e3).predict_others(np.array([[0.0, 0.0], [1e3, 0.0]]), np.array([1.0, 0.0])).round(2)
        array([0.  , 0.18])
        """
        return self._mean(Neighbours.nearest(known, known, others=True), value) if len(known) else np.zeros(0)

    def _mean(self, neighbours: Neighbours, value: np.ndarray) -> np.ndarray:
        return (self.weights(neighbours)[0] * value[neighbours.index]).sum(axis=1)
