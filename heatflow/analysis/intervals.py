"""Intervals: how far a score may be off, with tiles near each other counted as what they are, no independent draws.

Whole blocks of tiles are drawn again and again with replacement (block bootstrap: Künsch, 1989, Annals of Statistics
17:1217), and every score is taken of every draw. Two predictions are compared draw by draw, on the same tiles.
"""

import numpy as np

from heatflow.analysis.skill import scores

DRAWS = 2000
LEVEL = 0.95
NETWORK = (
    "accuracy", "binary_accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa", "class_mae", "auc_high", "loss",
)  # fmt: skip
BASELINE = tuple(name for name in NETWORK if name != "macro_f1")


def draw_weights(block: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """How often each tile is in each draw of blocks.

    Parameters
    ----------
    block : int array, shape (n,), the block that each tile lies in

    Returns
    -------
    float64 array, shape (draws, n)
    """
    names, index = np.unique(block, return_inverse=True)
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
    """In words, where the interval of a difference lies.

    >>> verdict(0.01, 0.05), verdict(-0.1, 0.2), verdict(-0.3, -0.1)
    ('above', 'within noise of', 'below')
    """
    return "above" if low > 0 else "below" if high < 0 else "within noise of"


def compare(
    label: np.ndarray,
    network: np.ndarray,
    baselines: dict[str, np.ndarray],
    first_high: int,
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
    block : int array, shape (n,), the block that each tile lies in

    Returns
    -------
    dict
        Each metric of the network with ``_low`` and ``_high``; ``baseline`` with the metrics of each; ``skill`` with
        the network's AUC less each baseline's, ``auc_high`` with ``_low`` and ``_high``, and the ``verdict`` in words.
    """
    weight = draw_weights(block, seed)
    once = np.ones((1, len(label)))
    point, drawn = scores(label, network, first_high, once), scores(label, network, first_high, weight)
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
        found["baseline"][name] = {key: float(own[key][0]) for key in BASELINE}
        low, high = interval(drawn["auc_high"] - other)
        found["skill"][name] = {
            "auc_high": float(point["auc_high"][0] - own["auc_high"][0]),
            "auc_high_low": low,
            "auc_high_high": high,
            "verdict": verdict(low, high),
        }
    return found
