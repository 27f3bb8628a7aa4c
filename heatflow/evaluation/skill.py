"""Skill: scores of out-of-fold predictions.

Every score is taken with a weight for each tile, for many sets of weights at once: a set of ones gives the score,
draws of a bootstrap give its interval (`heatflow.evaluation.intervals`).
"""

import numpy as np
import pandas as pd

BINS = 10  # of probability, for calibration
STRATA = ("1", "2-3", "4-7", "8-15", "16+")  # wells of a tile


def scores(label: np.ndarray, probability: np.ndarray, first_high: int, weight: np.ndarray | None = None,
           n_wells: np.ndarray | None = None) -> dict[str, np.ndarray]:  # fmt: skip
    """The headline metrics for each set of weights.

    Parameters
    ----------
    label : int array, shape (n,)
        True class of each tile.
    probability : float array, shape (n, classes)
        Predicted probabilities; the predicted class is the most probable.
    first_high : int
        The lowest class above the binary edge.
    weight : float array, shape (draws, n), optional
        By default one set of ones.
    n_wells : int array, shape (n,), optional

    Returns
    -------
    dict of float array, shape (draws,)
        ``accuracy``; ``binary_accuracy`` (predicted and true class on the same side of the binary edge);
        ``balanced_accuracy`` (mean recall over the classes that occur); ``macro_f1``; ``quadratic_kappa`` (Cohen,
        1968); ``class_mae`` (mean |predicted class - true class|, lower is better); ``off_by_one`` (share of tiles
        whose predicted class is the true one or next to it); ``auc_high`` (area under the ROC curve of the probability
        of being above the binary edge); ``loss`` (mean cross-entropy in nats, lower is better). With `n_wells` also
        ``auc_equal_count``, the AUC among pairs of tiles with a similar number of wells (see `strata`). NaN where a set
        of weights leaves nothing to score, such as one side of the edge alone for ``auc_high``.

    Examples
    --------
    >>> label, p_high = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    >>> skill = scores(label, np.column_stack([1 - p_high, p_high]), first_high=1)
    >>> skill["accuracy"], skill["auc_high"]
    (array([0.5]), array([0.75]))
    """
    n, classes = probability.shape
    weight = np.ones((1, n)) if weight is None else weight
    cell = np.zeros((n, classes * classes))
    cell[np.arange(n), label * classes + probability.argmax(axis=1)] = 1
    matrix = (weight @ cell).reshape(-1, classes, classes)
    own = np.maximum(probability[np.arange(n), label], 1e-12)
    high, p_high = label >= first_high, probability[:, first_high:].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        metrics = _of_confusion(matrix, first_high)
        metrics |= {"auc_high": auc(high, p_high, weight), "loss": weight @ -np.log(own) / matrix.sum(axis=(1, 2))}
    if n_wells is not None:
        metrics["auc_equal_count"] = auc(high, p_high, weight, strata(n_wells))
    return metrics


def _of_confusion(matrix: np.ndarray, first_high: int) -> dict[str, np.ndarray]:
    """Metrics of confusion matrices, float (draws, classes, classes): rows true class, columns predicted class."""
    total, true, predicted = matrix.sum(axis=(1, 2)), matrix.sum(axis=2), matrix.sum(axis=1)
    hit, k = np.diagonal(matrix, axis1=1, axis2=2), np.arange(matrix.shape[1])
    apart = np.abs(k[:, None] - k)
    same_side = (k[:, None] >= first_high) == (k >= first_high)
    chance = true[:, :, None] * predicted[:, None, :] / total[:, None, None]
    return {
        "accuracy": hit.sum(axis=1) / total,
        "binary_accuracy": (matrix * same_side).sum(axis=(1, 2)) / total,
        "balanced_accuracy": _mean_of_finite(np.where(true > 0, hit / true, np.nan)),
        "macro_f1": _mean_of_finite(np.where(true + predicted > 0, 2 * hit / (true + predicted), np.nan)),
        "quadratic_kappa": 1 - (matrix * apart**2).sum(axis=(1, 2)) / (chance * apart**2).sum(axis=(1, 2)),
        "class_mae": (matrix * apart).sum(axis=(1, 2)) / total,
        "off_by_one": (matrix * (apart <= 1)).sum(axis=(1, 2)) / total,
    }


def _mean_of_finite(values: np.ndarray) -> np.ndarray:
    """Mean over the second axis of what is finite; NaN, without a warning, where nothing is."""
    finite = np.isfinite(values)
    return np.where(finite, values, 0).sum(axis=1) / np.where(finite.any(axis=1), finite.sum(axis=1), np.nan)


def score(label: np.ndarray, probability: np.ndarray, first_high: int) -> dict[str, float]:
    """The headline metrics of all tiles, each counted once; see `scores`."""
    return {name: float(value[0]) for name, value in scores(label, probability, first_high).items()}


def strata(n_wells: np.ndarray) -> np.ndarray:
    """Number of the stratum of similar well counts: 1, 2-3, 4-7, 8-15, 16 and more.

    >>> strata(np.array([1, 2, 3, 4, 15, 16, 900]))
    array([0, 1, 1, 2, 3, 4, 4])
    """
    return np.minimum(np.log2(n_wells).astype(int), len(STRATA) - 1)


def auc(high: np.ndarray, score: np.ndarray, weight: np.ndarray, stratum: np.ndarray | None = None) -> np.ndarray:
    """Weighted area under the ROC curve: the chance that a high tile ranks above a low one, ties counted half.

    scikit-learn's `roc_auc_score` takes one set of weights at a time, 80 times slower for the 2000 of an interval, and
    compares no strata.

    Parameters
    ----------
    high : bool array, shape (n,)
    score : float array, shape (n,)
    weight : float array, shape (draws, n)
    stratum : int array, shape (n,), optional
        Only tiles of one stratum are compared.

    Returns
    -------
    float array, shape (draws,)
        NaN where there is no pair.
    """
    groups = [np.ones(len(high), dtype=bool)] if stratum is None else [stratum == s for s in np.unique(stratum)]
    won, pairs = np.sum([_pairs(high[g], score[g], weight[:, g]) for g in groups], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return won / pairs


def _pairs(high: np.ndarray, score: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the pairs of a high and a low tile that are in the right order, and of all pairs."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    hot = np.add.reduceat((weight * high)[:, order], starts, axis=1)
    cold = np.add.reduceat((weight * ~high)[:, order], starts, axis=1)
    below = np.cumsum(cold, axis=1) - cold
    return (hot * (below + cold / 2)).sum(axis=1), hot.sum(axis=1) * cold.sum(axis=1)


def reliability(high: np.ndarray, p_high: np.ndarray) -> pd.DataFrame:
    """How often tiles of similar probability are above the edge.

    scikit-learn's `calibration_curve` does not give the number of tiles, by which the calibration error weights bins.

    Parameters
    ----------
    high : bool array, shape (n,)
    p_high : float array, shape (n,)
        Probability of being high.

    Returns
    -------
    DataFrame
        ``predicted``, ``observed`` and ``tiles`` for each bin of a tenth that holds a tile.

    Examples
    --------
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
    """Share of the high tiles found when tiles are searched in the order of their probability.

    Tiles of equal probability are searched in no order: their part of the curve is a straight line.

    Parameters
    ----------
    high : bool array, shape (n,)
    p_high : float array, shape (n,)
        Probability of being high.

    Returns
    -------
    DataFrame
        ``searched`` (share of all tiles, the most probable first) and ``found`` (share of the high tiles among them).

    Examples
    --------
    >>> success_rate(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1]))["found"].tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """
    order = np.argsort(-p_high, kind="stable")
    last = np.flatnonzero(np.diff(p_high[order], append=-1.0))
    searched = np.r_[0, last + 1] / len(high)
    found = np.r_[0, np.cumsum(high[order])[last]] / max(1, high.sum())
    return pd.DataFrame({"searched": searched, "found": found})


def area_for_half(high: np.ndarray, p_high: np.ndarray) -> float:
    """Share of the tiles to be searched, the most probable first, until half of the high ones are found.

    >>> area_for_half(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1]))
    0.25
    """
    curve = success_rate(high, p_high)
    searched, found = curve["searched"].to_numpy(), curve["found"].to_numpy()
    k = max(1, int(np.searchsorted(found, 0.5)))
    if k == len(found):  # no tile is high
        return float("nan")
    share = (0.5 - found[k - 1]) / (found[k] - found[k - 1])
    return float(searched[k - 1] + share * (searched[k] - searched[k - 1]))
