"""Intervals: how far a score may be off, with tiles near each other counted as what they are, no independent draws.

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
    block : int array, shape (n,), the block that each tile lies in

    Returns
    -------
    float64 array, shape (draws, n); NaN throughout where there are fewer than LEAST_BLOCKS blocks
    """
    names, index = np.unique(block, return_inverse=True)
    if len(names) < LEAST_BLOCKS:
        return np.full((1, len(block)), np.nan)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(names), (draws, len(names)))
    counts = np.zeros((draws, len(names)))
    np.add.at(counts, (np.arange(draws)[:, None], drawn), 1)
    return counts[:, index]


def interval(values: np.ndarray) -> tuple[float, float]:
    """Central interval of LEVEL of the draws in which the score has a value."""
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


def compare(
    label: np.ndarray,
    network: np.ndarray,
    baselines: dict[str, np.ndarray],
    first_high: int,
    n_wells: np.ndarray,
    block: np.ndarray,
    seed: int,
) -> dict:
    """The network's headline metrics with intervals, each baseline's beside them, and what the network adds.

    Parameters
    ----------
    label : int array, shape (n,)
    network : float array, shape (n, classes), out-of-fold probabilities
    baselines : the same of each baseline; ``constant`` ranks nothing and has an AUC of 0.5 by definition
    first_high : lowest class above the binary edge
    n_wells : int array, shape (n,)
    block : int array, shape (n,), the block that each tile lies in

    Returns
    -------
    dict
        Each metric of the network with ``_low`` and ``_high``; ``baseline`` with the metrics of each, its AUC with
        ``_low`` and ``_high``; ``skill`` with the network's AUC less each baseline's, ``auc_high`` with ``_low`` and
        ``_high``, and the ``verdict`` in words.
    """
    weight = draw_weights(block, seed)
    once = np.ones((1, len(label)))
    point, drawn = (scores(label, network, first_high, w, n_wells) for w in (once, weight))
    found: dict = {}
    for name in NETWORK:
        low, high = interval(drawn[name])
        found |= {name: float(point[name][0]), f"{name}_low": low, f"{name}_high": high}
    found |= {"baseline": {}, "skill": {}}
    for name, probability in baselines.items():
        own = scores(label, probability, first_high, once)
        other = scores(label, probability, first_high, weight)["auc_high"]
        if name == "constant":
            own["auc_high"], other = np.array([0.5]), np.full(len(other), 0.5)
        low, high = interval(other)
        found["baseline"][name] = {key: float(own[key][0]) for key in BASELINE}
        found["baseline"][name] |= {"auc_high_low": low, "auc_high_high": high}
        low, high = interval(drawn["auc_high"] - other)
        found["skill"][name] = {
            "auc_high": float(point["auc_high"][0] - own["auc_high"][0]),
            "auc_high_low": low,
            "auc_high_high": high,
            "verdict": verdict(low, high),
        }
    return found


def auc_table(
    high: np.ndarray, p_high: dict[str, np.ndarray], n_wells: np.ndarray, block: np.ndarray, seed: int
) -> pd.DataFrame:
    """AUC of each prediction among tiles of a like number of wells, stratum by stratum and over all of them.

    Parameters
    ----------
    high : bool array, shape (n,)
    p_high : for each prediction the probability of being high, float array, shape (n,)
    n_wells, block : int arrays, shape (n,)

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
            low, up = interval(value[1:])
            rows.append((wells, name, int(here.sum()), high[here].mean(), value[0], low, up))
    return pd.DataFrame(rows, columns=["wells", "prediction", "tiles", "high_share", "auc", "auc_low", "auc_high"])
