"""Where to drill next, replayed: the sites of a block are hidden, a rule picks some of them, and the hot ones count.

Each block is one campaign. Rules choose among the real sites of the block, so that each choice has a known outcome.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from heatflow.evaluation.intervals import mean_with_interval

RANDOM = "at random"
PLACES = (1, 3, 5)  # that a rule may pick in a block


def replay(high: np.ndarray, block: np.ndarray, rules: dict[str, np.ndarray], seed: int,
           places: Iterable[int] = PLACES) -> pd.DataFrame:  # fmt: skip
    """How often the picks of each rule are hot, with intervals over blocks.

    Parameters
    ----------
    high : bool array, shape (m,)
        Whether each site is above the binary edge.
    block : int array, shape (m,)
        The block that each site lies in. Blocks with no more sites than are picked leave no choice, and are left out.
    rules : dict of float array, shape (m,)
        Of each rule the value by which sites are picked, the largest first, such as out-of-fold probabilities. Sites of
        one value are picked at random.
    seed : int
    places : iterable of int
        Numbers of picks.

    Returns
    -------
    DataFrame
        A row for each number of ``places`` and each ``rule``, and for picks at random: ``blocks``, the share of picks
        that are ``hits``, and what that is above picks at random (``gain``), each with ``_low`` and ``_high``.

    Examples
    --------
    >>> high, block = np.tile([True, False, False, False], 12), np.repeat(np.arange(12), 4)
    >>> table = replay(high, block, {"oracle": high.astype(float)}, seed=0, places=[1])
    >>> table[["rule", "places", "blocks", "hits", "gain"]]
            rule  places  blocks  hits  gain
    0     oracle       1      12  1.00  0.75
    1  at random       1      12  0.25  0.00
    """
    rows = []
    for k in places:
        chosen = [np.flatnonzero(block == name) for name in np.unique(block)]
        chosen = [here for here in chosen if len(here) > k]
        by_chance = np.array([high[here].mean() for here in chosen])
        for rule, value in (rules | {RANDOM: np.zeros(len(high))}).items():
            hits = np.array([_hits(high[here], value[here], k) for here in chosen])
            each, row = np.arange(len(chosen)), {"rule": rule, "places": k, "blocks": len(chosen)}
            row |= mean_with_interval(hits, each, seed, "hits")
            rows.append(row | mean_with_interval(hits - by_chance, each, seed, "gain"))
    return pd.DataFrame(rows)


def _hits(high: np.ndarray, value: np.ndarray, k: int) -> float:
    """Share of the k sites of the largest values that are high; its mean over orders of those of one value."""
    last = np.sort(value)[-k]
    above, tied = value > last, value == last
    return float((high[above].sum() + (k - above.sum()) * high[tied].mean()) / k)
