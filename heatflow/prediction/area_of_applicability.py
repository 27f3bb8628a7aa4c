"""Area of applicability: where terrain is similar to what networks were trained on.

Meyer and Pebesma (2021), Methods in Ecology and Evolution 12:1620, doi 10.1111/2041-210X.13650.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from heatflow.errors import InputError

PAIRED = 2000  # tiles, about, whose distances from each other are averaged
WHISKER = 1.5  # interquartile ranges above the upper quartile beyond which a training tile is an outlier


@dataclass(frozen=True)
class AreaOfApplicability:
    """How far predictors may lie from those of training tiles. All predictors weigh the same.

    Parameters
    ----------
    mean, spread : float64 array, shape (k,)
        By which predictors are standardised.
    trained : list of cKDTree
        For each fold the standardised predictors of its training and validation tiles.
    unit : float
        Mean distance between tiles.
    threshold : float
        Largest dissimilarity index inside the area.

    Examples
    --------
    >>> relief = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> roles = np.array([["train", "test"] * 2, ["test", "train"] * 2])
    >>> area = AreaOfApplicability.fit(relief, roles)
    >>> area.dissimilarity(np.array([[1.5], [9.0]]), np.ones((2, 2), dtype=bool)) <= area.threshold
    array([ True, False])
    """

    mean: np.ndarray
    spread: np.ndarray
    trained: list[cKDTree]
    unit: float
    threshold: float

    @classmethod
    def fit(cls, columns: np.ndarray, roles: np.ndarray) -> "AreaOfApplicability":
        """Area of the networks of several folds.

        The threshold is the largest dissimilarity of a tile to those that the fold which tests it was trained on,
        outliers left out.

        Parameters
        ----------
        columns : float array, shape (n, k)
            Predictors of the tiles. Tiles where one is NaN, such as that of a layer that does not reach so far, are
            left out.
        roles : str array, shape (folds, n)
            Role of each tile in each fold.

        Raises
        ------
        InputError
            A fold tests no other tile, or was trained on none.
        """
        if not (known := np.isfinite(columns).all(axis=1)).all():
            columns, roles = columns[known], roles[:, known]
            if not all(np.isin(fold, ("train", "validation")).any() and (fold == "test").any() for fold in roles):
                raise InputError("data.layers: too few tiles have data of every layer to tell where networks apply")
        mean, spread = columns.mean(axis=0), columns.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = (columns - mean) / spread
        unit = float(pdist(scaled[:: -(-len(scaled) // PAIRED)]).mean()) or 1.0
        trained = [cKDTree(scaled[np.isin(fold, ("train", "validation"))]) for fold in roles]
        tested = [tree.query(scaled[fold == "test"])[0] for tree, fold in zip(trained, roles, strict=True)]
        index = np.concatenate(tested) / unit
        q1, q3 = np.quantile(index, [0.25, 0.75])
        return cls(mean, spread, trained, unit, float(index[index <= q3 + WHISKER * (q3 - q1)].max()))

    def dissimilarity(self, columns: np.ndarray, eligible: np.ndarray) -> np.ndarray:
        """Dissimilarity index: distance to the nearest training tile over `unit`, mean over the eligible folds.

        Parameters
        ----------
        columns : float array, shape (m, k)
            Predictors.
        eligible : bool array, shape (folds, m)
            Whether each fold may predict each row.

        Returns
        -------
        float64 array, shape (m,)
            NaN where a predictor is, or no fold is eligible.
        """
        scaled = (columns - self.mean) / self.spread
        eligible = eligible & np.isfinite(scaled).all(axis=1)
        total, count = np.zeros(len(columns)), eligible.sum(axis=0)
        for tree, here in zip(self.trained, eligible, strict=True):
            total[here] += tree.query(scaled[here])[0] / self.unit
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
