"""Skill: scores of out-of-fold predictions.

Scores of two networks are not on one scale. Pairs of tiles are therefore compared within a fold alone, where one model
predicted both, and the pairs of all folds are counted together.

Every score is taken of many resamples at once (`Resamples`): one with each tile once gives the score, draws of a
bootstrap give its interval (`heatflow.evaluation.intervals`).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

BINS = 10  # of probability, for calibration
STRATA = ("1", "2-3", "4-7", "8-15", "16+")  # wells of a tile


@dataclass(frozen=True)
class Resamples:
    """How often each block of tiles is in each resample.

    Sums over tiles are linear in these counts and sums over pairs of tiles quadratic, so that they are taken once for
    each block, or pair of blocks, and any number of resamples costs a product of small matrices.

    Parameters
    ----------
    block : int array, shape (n,)
        Number of the block of each tile, from 0.
    counts : float64 array, shape (draws, blocks)
    """

    block: np.ndarray
    counts: np.ndarray

    @classmethod
    def once(cls, n: int) -> "Resamples":
        """A single resample, which has each of n tiles once."""
        return cls(np.zeros(n, dtype=int), np.ones((1, 1)))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over the tiles of each resample of values (n, k); float64 (draws, k)."""
        by_block = np.zeros((self.counts.shape[1], values.shape[1]))
        np.add.at(by_block, self.block, values)
        return self.counts @ by_block

    def sums_of_pairs(self, pairs: np.ndarray) -> np.ndarray:
        """Sums over pairs of tiles, given those of each pair of blocks (blocks, blocks); float64 (draws,).

        A block that is drawn twice is two blocks. Each keeps the pairs within it; pairs of a tile of one with a tile
        of the other are left out, as they are pairs of neighbours that would stand for pairs of distant tiles.

        >>> twice = Resamples(np.array([0, 1]), np.array([[2.0, 1.0]]))
        >>> twice.sums_of_pairs(np.array([[10.0, 1.0], [0.0, 0.0]]))
        array([22.])
        """
        within, between = np.diagonal(pairs), pairs - np.diag(np.diagonal(pairs))
        return ((self.counts @ between) * self.counts).sum(axis=1) + self.counts @ within


def concordance(high: np.ndarray, score: np.ndarray, weight: np.ndarray, group: np.ndarray, block: np.ndarray,
                blocks: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Weight of the pairs of a high and a low item of one group, for each pair of blocks.

    Parameters
    ----------
    high : bool array, shape (n,)
    score : float array, shape (n,)
    weight : float array, shape (n,)
        A pair weighs the product of the two.
    group : int array, shape (n,)
        Such as the fold.
    block : int array, shape (n,)
    blocks : int

    Returns
    -------
    won, pairs : float64 arrays, shape (blocks, blocks)
        Of pairs with the high item in the block of the row and the low one in that of the column: those in which the
        high item has the larger score, ties counted half, and all.

    Examples
    --------
    >>> high, score = np.array([True, False, True, False]), np.array([0.9, 0.1, 0.3, 0.3])
    >>> won, pairs = concordance(high, score, np.ones(4), np.zeros(4), np.array([0, 0, 1, 1]), 2)
    >>> won.tolist(), pairs.tolist()
    ([[1.0, 1.0], [1.0, 0.5]], [[1.0, 1.0], [1.0, 1.0]])
    """
    won, pairs = np.zeros((blocks, blocks)), np.zeros((blocks, blocks))
    for name in np.unique(group):
        here = np.flatnonzero(group == name)
        here = here[np.argsort(score[here], kind="stable")]
        starts = np.flatnonzero(np.diff(score[here], prepend=-np.inf))
        names, place = np.unique(block[here], return_inverse=True)
        by_block = np.zeros((2, len(here), len(names)))
        by_block[high[here].astype(int), np.arange(len(here)), place] = weight[here]
        cold, hot = np.add.reduceat(by_block, starts, axis=1)
        below = np.cumsum(cold, axis=0) - cold
        won[np.ix_(names, names)] += hot.T @ (below + cold / 2)
        pairs[np.ix_(names, names)] += np.outer(hot.sum(axis=0), cold.sum(axis=0))
    return won, pairs


def auc(high: np.ndarray, score: np.ndarray, group: np.ndarray, resamples: Resamples | None = None,
        weight: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """Area under the ROC curve within groups: the chance that a high item ranks above a low one of its group.

    It is the sum over groups of the pairs in the right order, ties counted half, over that of all pairs.
    scikit-learn's `roc_auc_score` compares over groups, and takes one resample at a time.

    Parameters
    ----------
    high : bool array, shape (n,)
    score : float array, shape (n,)
    group : int array, shape (n,)
        Such as the fold: only items of one group are compared.
    resamples : Resamples, optional
        By default each item once.
    weight : float array, shape (n,), optional
        By default 1.

    Returns
    -------
    float64 array, shape (draws,)
        NaN where there is no pair.

    Examples
    --------
    >>> auc(np.array([True, False, True, False]), np.array([0.2, 0.1, 0.9, 0.8]), np.array([0, 0, 1, 1]))
    array([1.])
    """
    resamples = Resamples.once(len(high)) if resamples is None else resamples
    weight = np.ones(len(high)) if weight is None else weight
    counted = concordance(high, score, weight, group, resamples.block, resamples.counts.shape[1])
    won, pairs = (resamples.sums_of_pairs(part) for part in counted)
    with np.errstate(divide="ignore", invalid="ignore"):
        return won / pairs


def scores(label: np.ndarray, probability: np.ndarray, first_high: int, fold: np.ndarray, n_wells: np.ndarray,
           resamples: Resamples | None = None) -> dict[str, np.ndarray]:  # fmt: skip
    """The metrics of tiles for each resample.

    Parameters
    ----------
    label : int array, shape (n,)
        True class of each tile.
    probability : float array, shape (n, classes)
        Predicted probabilities; the predicted class is the most probable.
    first_high : int
        The lowest class above the binary edge.
    fold : int array, shape (n,)
        Fold that tests each tile.
    n_wells : int array, shape (n,)
    resamples : Resamples, optional
        By default each tile once.

    Returns
    -------
    dict of float array, shape (draws,)
        ``accuracy``; ``binary_accuracy`` (predicted and true class on the same side of the binary edge);
        ``balanced_accuracy`` (mean recall over the classes that occur); ``macro_f1``; ``quadratic_kappa`` (Cohen,
        1968); ``class_mae`` (mean |predicted class - true class|, lower is better); ``off_by_one`` (share of tiles
        whose predicted class is the true one or next to it); ``loss`` (mean cross-entropy in nats, lower is better);
        ``calibration_error`` (Naeini et al., 2015, lower is better); ``area_for_half`` (see `area_for_half`, lower is
        better); ``auc_high`` (area under the ROC curve of the probability of being above the binary edge, pairs within
        folds); ``auc_equal_count`` (the same among pairs with a similar number of wells, see `strata`). NaN where a
        resample leaves nothing to score, such as one side of the edge alone for ``auc_high``.

    Examples
    --------
    >>> label, p_high, one = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]), np.ones(4, dtype=int)
    >>> skill = scores(label, np.column_stack([1 - p_high, p_high]), 1, one, one)
    >>> skill["accuracy"], skill["auc_high"]
    (array([0.5]), array([0.75]))
    """
    n, classes = probability.shape
    resamples = Resamples.once(n) if resamples is None else resamples
    cell = np.eye(classes**2)[label * classes + probability.argmax(axis=1)]
    matrix = resamples.sums(cell).reshape(-1, classes, classes)
    own = np.maximum(probability[np.arange(n), label], 1e-12)
    high, p_high = label >= first_high, probability[:, first_high:].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = matrix.sum(axis=(1, 2))
        return _of_confusion(matrix, first_high) | {
            "loss": resamples.sums(-np.log(own)[:, None])[:, 0] / total,
            "calibration_error": calibration_error(high, p_high, resamples, np.ones(n)),
            "area_for_half": area_for_half(high, p_high, fold, resamples),
            "auc_high": auc(high, p_high, fold, resamples),
            "auc_equal_count": auc(high, p_high, fold * len(STRATA) + strata(n_wells), resamples),
        }


def calibration_error(high: np.ndarray, p_high: np.ndarray, resamples: Resamples, weight: np.ndarray) -> np.ndarray:
    """Expected calibration error (Naeini et al., 2015): |mean probability - share of high ones| of each bin of
    probability, weighted by what is in it; float64 (draws,).

    Parameters
    ----------
    high : bool array, shape (n,)
    p_high, weight : float array, shape (n,)
    resamples : Resamples
    """
    gap = np.eye(BINS)[_bin(p_high)] * ((p_high - high) * weight)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(resamples.sums(gap)).sum(axis=1) / resamples.sums(weight[:, None])[:, 0]


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


def strata(n_wells: np.ndarray) -> np.ndarray:
    """Number of the stratum of similar well counts: 1, 2-3, 4-7, 8-15, 16 and more.

    >>> strata(np.array([1, 2, 3, 4, 15, 16, 900]))
    array([0, 1, 1, 2, 3, 4, 4])
    """
    return np.minimum(np.log2(n_wells).astype(int), len(STRATA) - 1)


def _bin(p_high: np.ndarray) -> np.ndarray:
    return np.minimum((p_high * BINS).astype(int), BINS - 1)


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
    table = pd.DataFrame({"place": _bin(p_high), "predicted": p_high, "observed": high.astype(float)})
    groups = table.groupby("place")
    return groups[["predicted", "observed"]].mean().assign(tiles=groups.size()).reset_index(drop=True)


def ordinal_reading(probability: np.ndarray) -> np.ndarray:
    """The class from which the true one is expected to be the fewest classes away: the median of the probabilities.

    The most probable class may be one of the ends, and never one between, where both ends are likelier than the middle.

    Parameters
    ----------
    probability : float array, shape (n, classes)

    Returns
    -------
    int array, shape (n,)

    Examples
    --------
    >>> ordinal_reading(np.array([[0.4, 0.2, 0.4], [0.6, 0.3, 0.1]]))
    array([1, 0])
    """
    return (probability.cumsum(axis=1) < 0.5).sum(axis=1).clip(max=probability.shape[1] - 1)


def recall(label: np.ndarray, probability: np.ndarray, names: list[str]) -> pd.DataFrame:
    """How many tiles of each class are called by it, by the most probable class and by the `ordinal_reading`.

    Parameters
    ----------
    label : int array, shape (n,)
    probability : float array, shape (n, classes)
    names : list of str
        Of the classes.

    Returns
    -------
    DataFrame
        For each ``reading`` (most_probable, ordinal) and ``class`` the number of its ``tiles``, how many tiles are
        ``predicted`` to be of it, and its ``recall``: the share of its tiles that are; NaN for a class without tiles.

    Examples
    --------
    >>> recall(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), ["low", "high"]).head(2)
             reading class  tiles  predicted  recall
    0  most_probable   low      1          2     1.0
    1  most_probable  high      1          0     0.0
    """
    readings = {"most_probable": probability.argmax(axis=1), "ordinal": ordinal_reading(probability)}
    rows = []
    for (reading, predicted), (k, name) in product(readings.items(), enumerate(names)):
        of_class = label == k
        share = float(np.mean(predicted[of_class] == k)) if of_class.any() else np.nan
        counts = {"tiles": int(of_class.sum()), "predicted": int((predicted == k).sum())}
        rows.append({"reading": reading, "class": name} | counts | {"recall": share})
    return pd.DataFrame(rows)


def search_order(p_high: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Share of the tiles of its fold that are searched before each tile, the most probable first.

    All folds are searched side by side, each in its own order. Of tiles of equal probability half come before.

    >>> search_order(np.array([0.9, 0.1, 0.2, 0.2]), np.array([0, 0, 1, 1]))
    array([0.25, 0.75, 0.5 , 0.5 ])
    """
    rank = pd.Series(p_high).groupby(np.asarray(fold)).rank(ascending=False)
    size = rank.groupby(np.asarray(fold)).transform("size")
    return ((rank - 0.5) / size).to_numpy()


def success_rate(high: np.ndarray, p_high: np.ndarray, fold: np.ndarray) -> pd.DataFrame:
    """Share of the high tiles found when the tiles of each fold are searched in the order of their probability.

    Parameters
    ----------
    high : bool array, shape (n,)
    p_high : float array, shape (n,)
        Probability of being high.
    fold : int array, shape (n,)

    Returns
    -------
    DataFrame
        ``searched`` (share of all tiles, the most probable first) and ``found`` (share of the high tiles among them).

    Examples
    --------
    >>> high, p_high = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1])
    >>> success_rate(high, p_high, np.zeros(4))["found"].tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """
    searched, found = _found(high, search_order(p_high, fold), Resamples.once(len(high)))
    return pd.DataFrame({"searched": searched[0], "found": found[0]})


def _found(high: np.ndarray, order: np.ndarray, resamples: Resamples) -> tuple[np.ndarray, np.ndarray]:
    """Shares of all tiles that are searched, and of the high ones that are found; float64 (draws, steps).

    Tiles of one place in the order are searched together: their part of the curve is a straight line.
    """
    by_order = np.argsort(order, kind="stable")
    starts = np.flatnonzero(np.diff(order[by_order], prepend=-np.inf))
    counts = resamples.counts[:, resamples.block[by_order]]
    both = []
    for values in (counts, counts * high[by_order]):
        steps = np.cumsum(np.add.reduceat(values, starts, axis=1), axis=1)
        both.append(np.pad(steps / np.maximum(steps[:, -1:], 1e-12), ((0, 0), (1, 0))))
    return both[0], both[1]


def area_for_half(high: np.ndarray, p_high: np.ndarray, fold: np.ndarray,
                  resamples: Resamples | None = None) -> np.ndarray:  # fmt: skip
    """Tiles to be searched until half of the high ones are found, relative to the least that any order needs.

    The least is half of the share of high tiles. A perfect order has 1, a guess one over the share of high tiles: 2
    where half of the tiles are high.

    Parameters
    ----------
    high : bool array, shape (n,)
    p_high : float array, shape (n,)
        Probability of being high.
    fold : int array, shape (n,)
        Each fold is searched in its own order (`search_order`).
    resamples : Resamples, optional
        By default each tile once. The order of a tile within its fold is that among all tiles.

    Returns
    -------
    float64 array, shape (draws,)
        NaN where no tile is high.

    Examples
    --------
    >>> area_for_half(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1]), np.zeros(4))
    array([1.])
    """
    resamples = Resamples.once(len(high)) if resamples is None else resamples
    searched, found = _found(high, search_order(p_high, fold), resamples)
    k, draw = np.argmax(found >= 0.5, axis=1), np.arange(len(found))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (0.5 - found[draw, k - 1]) / (found[draw, k] - found[draw, k - 1])
        area = searched[draw, k - 1] + share * (searched[draw, k] - searched[draw, k - 1])
        total, of_high = resamples.sums(np.column_stack([np.ones(len(high)), high])).T
        return np.where(k > 0, area / (0.5 * of_high / total), np.nan)
