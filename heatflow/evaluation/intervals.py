"""Confidence intervals of scores, with tiles near each other counted as what they are: no independent draws.

Whole blocks of tiles are drawn again and again with replacement (block bootstrap: Künsch, 1989, Annals of Statistics
17:1217), and every score is taken of every draw. Two predictions are compared draw by draw, on the same tiles.
"""

import numpy as np
import pandas as pd

from heatflow.evaluation.skill import STRATA, auc, scores, strata

DRAWS = 2000
LEVEL = 0.95
LEAST_BLOCKS = 10  # with fewer, draws of blocks are too much alike to tell how far a score may be off
NETWORK = (
    "accuracy", "binary_accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa", "class_mae", "auc_high",
    "auc_equal_count", "loss",
)  # fmt: skip
BASELINE = tuple(name for name in NETWORK if name not in ("macro_f1", "auc_equal_count"))


def draw_weights(block: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """How often each tile is in each draw of blocks.

    Parameters
    ----------
    block : int array, shape (n,)
        The block that each tile lies in.
    seed : int
    draws : int

    Returns
    -------
    float64 array, shape (draws, n)
        Shape (1, n) and NaN throughout where there are fewer than LEAST_BLOCKS blocks.
    """
    names, index = np.unique(block, return_inverse=True)
    if len(names) < LEAST_BLOCKS:
        return np.full((1, len(block)), np.nan)
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    counts = np.zeros((draws, len(names)))
    np.add.at(counts, (np.arange(draws)[:, None], drawn), 1)
    return counts[:, index]


def interval(values: np.ndarray) -> tuple[float, float]:
    """Central interval of LEVEL of the draws in which the score has a value; NaN where it has none.

    >>> interval(np.array([np.nan, 3.0, 3.0]))
    (3.0, 3.0)
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def verdict(low: float, high: float) -> str:
    """In words, where the interval of a difference lies; NaN where there are too few blocks for one.

    >>> verdict(0.01, 0.05), verdict(-0.1, 0.2), verdict(-0.3, -0.1)
    ('above', 'within noise of', 'below')
    """
    if np.isnan(low):
        return "not to be held against"
    return "above" if low > 0 else "below" if high < 0 else "within noise of"


def compare(label: np.ndarray, network: np.ndarray, baselines: dict[str, np.ndarray], first_high: int,
            n_wells: np.ndarray, block: np.ndarray, seed: int) -> dict:  # fmt: skip
    """The network's headline metrics with intervals, those of each baseline, and the difference in AUC.

    Parameters
    ----------
    label : int array, shape (n,)
        True class of each tile.
    network : float array, shape (n, classes)
        Out-of-fold probabilities.
    baselines : dict of float array, shape (n, classes)
        Out-of-fold probabilities of each baseline; ``constant`` ranks nothing and has an AUC of 0.5 by definition.
    first_high : int
        Lowest class above the binary edge.
    n_wells : int array, shape (n,)
    block : int array, shape (n,)
        The block that each tile lies in.
    seed : int

    Returns
    -------
    dict
        Each metric of the network with ``_low`` and ``_high``; ``baseline`` with the metrics of each, its AUC with
        ``_low`` and ``_high``; ``skill`` with the network's AUC minus each baseline's, ``auc_high`` with ``_low`` and
        ``_high``, and the ``verdict`` in words.

    Examples
    --------
    >>> label, block = np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    >>> network, guess = np.eye(2)[label] * 0.8 + 0.1, np.full((40, 2), 0.5)
    >>> comparison = compare(label, network, {"constant": guess}, 1, np.ones(40), block, seed=0)
    >>> comparison["auc_high"], comparison["skill"]["constant"]["verdict"]
    (1.0, 'above')
    """
    weight, once = draw_weights(block, seed), np.ones((1, len(label)))
    point, drawn = (scores(label, network, first_high, w, n_wells) for w in (once, weight))
    comparison: dict = {}
    for name in NETWORK:
        comparison |= _with_interval(name, point[name], drawn[name])
    comparison |= {"baseline": {}, "skill": {}}
    for name, probability in baselines.items():
        own = scores(label, probability, first_high, once)
        other = scores(label, probability, first_high, weight)["auc_high"]
        if name == "constant":
            own["auc_high"], other = np.array([0.5]), np.full(len(other), 0.5)
        metrics = {key: float(own[key][0]) for key in BASELINE}
        comparison["baseline"][name] = metrics | _with_interval("auc_high", own["auc_high"], other)
        gain = _with_interval("auc_high", point["auc_high"] - own["auc_high"], drawn["auc_high"] - other)
        comparison["skill"][name] = gain | {"verdict": verdict(gain["auc_high_low"], gain["auc_high_high"])}
    return comparison


def _with_interval(name: str, point: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    low, high = interval(draws)
    return {name: float(point[0]), f"{name}_low": low, f"{name}_high": high}


def auc_table(high: np.ndarray, p_high: dict[str, np.ndarray], n_wells: np.ndarray, block: np.ndarray,
              seed: int) -> pd.DataFrame:  # fmt: skip
    """AUC of each prediction among tiles of a similar number of wells, stratum by stratum and over all of them.

    Parameters
    ----------
    high : bool array, shape (n,)
        Whether each tile is above the binary edge.
    p_high : dict of float array, shape (n,)
        Of each prediction the probability of being high.
    n_wells, block : int array, shape (n,)
    seed : int

    Returns
    -------
    DataFrame
        ``wells`` (a stratum; "equal": pairs within strata, all strata together; "all": all pairs), ``prediction``,
        ``tiles``, ``high_share``, ``auc`` with ``auc_low`` and ``auc_high``.
    """
    weight = np.concatenate([np.ones((1, len(high))), draw_weights(block, seed)])
    stratum = strata(n_wells)
    rows = []
    for number, wells in enumerate([*STRATA, "equal", "all"]):
        here = stratum == number if number < len(STRATA) else np.ones(len(high), dtype=bool)
        if not here.any():
            continue
        for name, p in p_high.items():
            value = auc(high[here], p[here], weight[:, here], stratum if wells == "equal" else None)
            rows.append((wells, name, int(here.sum()), high[here].mean(), value[0], *interval(value[1:])))
    return pd.DataFrame(rows, columns=["wells", "prediction", "tiles", "high_share", "auc", "auc_low", "auc_high"])


def mean_with_interval(values: np.ndarray, block: np.ndarray, seed: int, name: str) -> dict[str, float]:
    """Mean over the tiles that have a value, with its interval from draws of whole blocks.

    Parameters
    ----------
    values : float array, shape (n,)
        NaN for tiles without a value.
    block : int array, shape (n,)
        The block that each tile lies in.
    seed : int
    name : str
        Of the mean.

    Returns
    -------
    dict of str to float
        The mean under `name`, with ``_low`` and ``_high``; NaN where no tile has a value, the interval also where there
        are too few blocks.
    """
    here = np.isfinite(values)
    if not here.any():
        return dict.fromkeys([name, f"{name}_low", f"{name}_high"], float("nan"))
    weight = draw_weights(block[here], seed)
    with np.errstate(invalid="ignore"):
        low, high = interval(weight @ values[here] / weight.sum(axis=1))
    return {name: float(values[here].mean()), f"{name}_low": low, f"{name}_high": high}
