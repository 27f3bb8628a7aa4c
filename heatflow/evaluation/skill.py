"""Skill: what out-of-fold predictions are worth.

Every score is taken with a weight for each tile, for many sets of weights at once: a set of ones gives the score,
draws of a bootstrap give its interval (heatflow/evaluation/intervals.py).
"""

import numpy as np
import pandas as pd

BINS = 10  # of probability, for calibration
STRATA = ("1", "2-3", "4-7", "8-15", "16+")  # wells of a tile


def scores(
    label: np.ndarray,
    probability: np.ndarray,
    first_high: int,
    weight: np.ndarray | None = None,
    n_wells: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The headline metrics for each set of weights.

    Parameters
    ----------
    label : int array, shape (n,)
        True class of each tile.
    probability : float array, shape (n, classes)
        Predicted probabilities; the predicted class is the most probable.
    first_high : int
        The lowest class above the binary edge.
    weight : float array, shape (draws, n); None: one set of ones
    n_wells : int array, shape (n,)

    Returns
    -------
    dict of arrays, shape (draws,)
        ``accuracy``; ``binary_accuracy`` (predicted and true class on the same side of the binary edge);
        ``balanced_accuracy`` (mean recall over the classes that occur); ``macro_f1``; ``quadratic_kappa`` (Cohen,
        1968); ``class_mae`` (mean |predicted class - true class|, lower is better); ``off_by_one`` (share of tiles
        whose predicted class is the true one or next to it); ``auc_high`` (area under the ROC curve of the probability
        of being above the binary edge); ``loss`` (mean cross-entropy in nats, lower is better). With `n_wells` also
        ``auc_equal_count``, the AUC among pairs of tiles with a like number of wells (see `strata`). NaN where a set
        of weights leaves nothing to score, such as one side of the edge alone for ``auc_high``.
    """
    n, classes = probability.shape
    weight = np.ones((1, n)) if weight is None else weight
    predicted = probability.argmax(axis=1)
    cell = np.zeros((n, classes * classes))
    cell[np.arange(n), label * classes + predicted] = 1
    table = (weight @ cell).reshape(-1, classes, classes)  # rows true class, columns predicted class
    total = table.sum(axis=(1, 2))
    true, called, hit = table.sum(axis=2), table.sum(axis=1), np.diagonal(table, axis1=1, axis2=2)
    k = np.arange(classes)
    apart = np.abs(k[:, None] - k)
    same_side = (k[:, None] >= first_high) == (k >= first_high)
    chance = true[:, :, None] * called[:, None, :] / total[:, None, None]
    own = np.maximum(probability[np.arange(n), label], 1e-12)
    high, p_high = label >= first_high, probability[:, first_high:].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(true > 0, hit / true, np.nan)
        found = {
            "accuracy": hit.sum(axis=1) / total,
            "binary_accuracy": (table * same_side).sum(axis=(1, 2)) / total,
            "balanced_accuracy": _mean_of_finite(recall),
            "macro_f1": _mean_of_finite(np.where(true + called > 0, 2 * hit / (true + called), np.nan)),
            "quadratic_kappa": 1 - (table * apart**2).sum(axis=(1, 2)) / (chance * apart**2).sum(axis=(1, 2)),
            "class_mae": (table * apart).sum(axis=(1, 2)) / total,
            "off_by_one": (table * (apart <= 1)).sum(axis=(1, 2)) / total,
            "auc_high": auc(high, p_high, weight),
            "loss": weight @ -np.log(own) / total,
        }
        if n_wells is not None:
            found["auc_equal_count"] = auc(high, p_high, weight, strata(n_wells))
        return found


def _mean_of_finite(values):
    finite = np.isfinite(values)
    return np.where(finite, values, 0).sum(axis=1) / np.where(finite.any(axis=1), finite.sum(axis=1), np.nan)


def strata(n_wells: np.ndarray) -> np.ndarray:
    """Number of the stratum of like well counts: 1, 2-3, 4-7, 8-15, 16 and more.

    >>> strata(np.array([1, 2, 3, 4, 15, 16, 900]))
    array([0, 1, 1, 2, 3, 4, 4])
    """
    return np.minimum(np.log2(n_wells).astype(int), len(STRATA) - 1)


def auc(high: np.ndarray, score: np.ndarray, weight: np.ndarray, stratum: np.ndarray | None = None) -> np.ndarray:
    """Weighted area under the ROC curve: the chance that a high tile ranks above a low one, ties counted half.

    Parameters
    ----------
    high : bool array, shape (n,)
    score : float array, shape (n,)
    weight : float array, shape (draws, n)
    stratum : int array, shape (n,); only tiles of one stratum are compared

    Returns
    -------
    float array, shape (draws,); NaN where there is no pair
    """
    groups = [np.ones(len(high), dtype=bool)] if stratum is None else [stratum == s for s in np.unique(stratum)]
    won, pairs = np.sum([_pairs(high[g], score[g], weight[:, g]) for g in groups], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return won / pairs


def _pairs(high, score, weight):
    """Weight of the pairs of a high and a low tile that are in the right order, and of all pairs."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    hot = np.add.reduceat((weight * high)[:, order], starts, axis=1)
    cold = np.add.reduceat((weight * ~high)[:, order], starts, axis=1)
    below = np.cumsum(cold, axis=1) - cold
    return (hot * (below + cold / 2)).sum(axis=1), hot.sum(axis=1) * cold.sum(axis=1)


def score(label: np.ndarray, probability: np.ndarray, first_high: int) -> dict[str, float]:
    """The headline metrics of all tiles, each counted once; see `scores`."""
    return {name: float(value[0]) for name, value in scores(label, probability, first_high).items()}


def constant_guess(tests: np.ndarray, train_label: list[np.ndarray], classes: int) -> np.ndarray:
    """Probabilities (n, classes) of the constant guess: in each fold the class shares of its training tiles; over
    repeats of the split their mean.

    They rank no tile of a fold above another, so that its ``auc_high`` is 0.5 by definition; taken over all folds they
    would rank tiles by the accident of which classes were held out.

    Parameters
    ----------
    tests : bool array, shape (folds, n), whether a fold tests a tile
    train_label : for each fold, the labels of its training tiles
    """
    shares = np.array([np.bincount(train, minlength=classes) + 0.5 for train in train_label])
    shares /= shares.sum(axis=1, keepdims=True)
    return tests.T @ shares / tests.sum(axis=0)[:, None]


def reliability(high: np.ndarray, p_high: np.ndarray) -> pd.DataFrame:
    """How often tiles of like probability are above the edge: ``predicted``, ``observed``, ``tiles`` for each bin.

    >>> reliability(np.array([False, True, True]), np.array([0.05, 0.07, 0.95]))
       predicted  observed  tiles
    0       0.06       0.5      2
    1       0.95       1.0      1
    """
    place = np.minimum((p_high * BINS).astype(int), BINS - 1)
    table = pd.DataFrame({"place": place, "predicted": p_high, "observed": high.astype(float)})
    groups = table.groupby("place")
    return groups[["predicted", "observed"]].mean().assign(tiles=groups.size()).reset_index(drop=True)


def calibration_error(high: np.ndarray, p_high: np.ndarray) -> float:
    """Expected calibration error (Naeini et al., 2015): mean gap of the bins of `reliability`, weighted by tiles."""
    table = reliability(high, p_high)
    return float(np.average(np.abs(table["predicted"] - table["observed"]), weights=table["tiles"]))


def success_rate(high: np.ndarray, p_high: np.ndarray) -> pd.DataFrame:
    """Share of the high tiles found (``found``) when the most probable share of all tiles (``searched``) is searched.

    Tiles of equal probability are searched in no order: their part of the curve is a straight line.
    """
    order = np.argsort(-p_high, kind="stable")
    last = np.flatnonzero(np.diff(p_high[order], append=-1.0))
    searched = np.r_[0, last + 1] / len(high)
    found = np.r_[0, np.cumsum(high[order])[last]] / max(1, high.sum())
    return pd.DataFrame({"searched": searched, "found": found})


def area_for_half(high: np.ndarray, p_high: np.ndarray) -> float:
    """Share of the tiles to be searched, the most probable first, until half of the high ones are found."""
    curve = success_rate(high, p_high)
    searched, found = curve["searched"].to_numpy(), curve["found"].to_numpy()
    k = max(1, int(np.searchsorted(found, 0.5)))
    if k == len(found):  # there is none to find
        return float("nan")
    share = (0.5 - found[k - 1]) / (found[k] - found[k - 1])
    return float(searched[k - 1] + share * (searched[k] - searched[k - 1]))


def confusion(label: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts, rows true class, columns predicted class, shape (classes, classes)."""
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (label, predicted), 1)
    return matrix
