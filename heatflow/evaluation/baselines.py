"""Baselines: what can be told of a tile without a network, out of fold on the network's own folds.

Each answers one objection to a network's skill. Count: the largest of many residuals is larger than the largest of few,
so that the number of wells tells the class. Position: the region is hot in places, and the place is all that is known.
Terrain statistics, with a linear model or a forest: plain relief says as much as the network does.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SCALES = (1, 4, 16)  # pixels over which terrain is averaged before its statistics are taken
TREES = 500
DOUBT = 0.05  # share of every prediction that is the class shares: no baseline is certain of anything


def terrain_statistics(tile: np.ndarray, resolution: float) -> np.ndarray:
    """Statistics of a tile's terrain that do not depend on how it is turned.

    Of elevation: mean, standard deviation, skewness, 10th and 90th percentile. At each of three scales: mean and 90th
    percentile of the slope, standard deviation of the curvature (Laplacian), and mean relief of cells of 8 pixels.

    Parameters
    ----------
    tile : float array, shape (size, size), metres, NaN for no data
    resolution : metres

    Returns
    -------
    float64 array, shape (5 + 4 * len(SCALES),)
    """
    valid = np.isfinite(tile)
    if not valid.any():
        return np.zeros(5 + 4 * len(SCALES))
    z = tile[valid].astype(np.float64)
    spread = z.std() or 1.0
    found = [z.mean(), z.std(), ((z - z.mean()) ** 3).mean() / spread**3, *np.quantile(z, [0.1, 0.9])]
    for scale in SCALES:
        coarse = _averaged(tile, scale)
        if min(coarse.shape) < 3:  # too small a tile to have a slope at this scale
            found += [0.0] * 4
            continue
        pixel = scale * resolution
        north, east = np.gradient(coarse, pixel)
        slope = np.hypot(north, east)
        curvature = ndimage.laplace(coarse) / pixel**2
        cells = _cells(coarse, 8)
        relief = np.nanmax(cells, axis=(1, 3), initial=-np.inf) - np.nanmin(cells, axis=(1, 3), initial=np.inf)
        relief = np.where(relief >= 0, relief, np.nan)
        found += [_mean(slope), _quantile(slope, 0.9), _deviation(curvature) * 1e6, _mean(relief)]
    return np.array(found)


def _cells(array, size):
    rows, cols = (max(1, n // size) for n in array.shape)
    size = min(size, *array.shape)
    return array[: rows * size, : cols * size].reshape(rows, size, cols, size)


def _averaged(tile, scale):
    if scale == 1:
        return tile.astype(np.float64)
    cells = _cells(tile.astype(np.float64), scale)
    count = np.isfinite(cells).sum(axis=(1, 3))
    total = np.nansum(cells, axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _finite(values):
    return values[np.isfinite(values)]


def _mean(values):
    values = _finite(values)
    return values.mean() if values.size else 0.0


def _deviation(values):
    values = _finite(values)
    return values.std() if values.size else 0.0


def _quantile(values, q):
    values = _finite(values)
    return np.quantile(values, q) if values.size else 0.0


def linear(seed: int):
    """Logistic regression on standardised columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, random_state=seed))


def forest(seed: int):
    """Random forest of trees whose leaves hold three tiles or more."""
    return RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed, n_jobs=-1)


def out_of_fold(
    columns: np.ndarray, label: np.ndarray, roles: np.ndarray, classes: int, model: Callable, seed: int
) -> np.ndarray:
    """Class probabilities of every tile from a model that was fitted without its fold; their mean over repeats.

    The model sees the training and the validation tiles: it has nothing to choose by validation, and a baseline is to
    be as good as it can.

    Parameters
    ----------
    columns : float array, shape (n, k)
    label : int array, shape (n,)
    roles : str array, shape (folds, n)
    model : makes a scikit-learn classifier from a seed

    Returns
    -------
    float64 array, shape (n, classes), rows sum to 1
    """
    total, times = np.zeros((len(label), classes)), np.zeros((len(label), 1))
    for fold in roles:
        known, test = np.isin(fold, ("train", "validation")), fold == "test"
        shares = np.bincount(label[known], minlength=classes) + 0.5
        total[test] += DOUBT * shares / shares.sum()
        times[test] += 1
        seen = np.unique(label[known])
        if len(seen) > 1:
            fitted = model(seed).fit(columns[known], label[known])
            total[np.ix_(test, fitted.classes_)] += (1 - DOUBT) * fitted.predict_proba(columns[test])
        else:  # nothing to tell apart
            total[np.ix_(test, seen)] += 1 - DOUBT
    return total / times
