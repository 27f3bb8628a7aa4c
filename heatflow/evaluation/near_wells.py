"""Near wells: what the residuals of known sites add to a network that sees terrain alone.

The probability of the network is the local mean, and what sites differ from it is kriged: simple indicator kriging with
locally varying means (Goovaerts, 1997, *Geostatistics for Natural Resources Evaluation*). A residual is 1 or 0, whether
a site is high, less its probability. It is between -1 and 1, so that no single site, however surprising, can carry a
whole district. It has to be out of fold: a network that has learnt from a site differs too little from it.
"""

import numpy as np
import pandas as pd

from heatflow.evaluation.intervals import draw_blocks, interval
from heatflow.evaluation.skill import Resamples, auc
from heatflow.geo.distances import distance_class, to_other_groups, to_other_tiles
from heatflow.geo.kriging import Covariance
from heatflow.geo.sites import site_weight

DISTANCES = (2, 5, 10, 20, 40)  # km, between classes of distance to the nearest known site
FEWEST = 30  # sites of a distance class: of fewer an AUC within folds is that of a few pairs
KNOWN = ("sites of other folds", "all other sites")


def corrected(p_high: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """A probability with what is expected of its residual, between 0 and 1.

    >>> corrected(np.array([0.75, 0.75]), np.array([-0.25, 0.5]))
    array([0.5, 1. ])
    """
    return np.clip(p_high + expected, 0, 1)


def predict_near_wells(high: np.ndarray, p_high: np.ndarray, place: np.ndarray,
                       fold: np.ndarray) -> dict[str, np.ndarray]:  # fmt: skip
    """Out-of-fold probabilities of sites, corrected by the residuals of known ones.

    The covariance of each fold is fitted to the sites of the other folds.

    Parameters
    ----------
    high : bool array, shape (m,)
    p_high : float array, shape (m,)
        Out of fold. A constant for kriging without a network.
    place : float array, shape (m, 2)
        In metres.
    fold : int array, shape (m,)
        That tests each site.

    Returns
    -------
    dict of float64 array, shape (m,)
        By what is KNOWN: the sites of other folds alone, as in a district without wells, or all sites but the one that
        is predicted.

    Examples
    --------
    >>> place = np.column_stack([np.arange(100) * 1e3, np.zeros(100)])
    >>> high, fold = np.repeat([True, False], 50), np.arange(100) // 10
    >>> near = predict_near_wells(high, np.full(100, 0.5), place, fold)["all other sites"]
    >>> bool(((near > 0.5) == high).mean() > 0.95)
    True
    """
    residual = high - p_high
    found = {name: p_high.astype(np.float64) for name in KNOWN}
    for name in np.unique(fold):
        test = fold == name
        covariance = Covariance.fit(place[~test], residual[~test])
        expected = covariance.predict(place[~test], residual[~test], place[test])
        found[KNOWN[0]][test] = corrected(p_high[test], expected)
        found[KNOWN[1]][test] = corrected(p_high[test], covariance.predict_others(place, residual)[test])
    return found


def near_wells_table(high: np.ndarray, p_high: np.ndarray, place: np.ndarray, tile: np.ndarray, fold: np.ndarray,
                     block: np.ndarray, seed: int) -> pd.DataFrame:  # fmt: skip
    """Skill at sites by distance from the nearest known site: of the network, of known sites, and of both.

    Parameters
    ----------
    high : bool array, shape (m,)
        Whether each site is above the binary edge.
    p_high : float array, shape (m,)
        Its probability by the network, out of fold.
    place : float array, shape (m, 2)
        In metres.
    tile, fold, block : int array, shape (m,)
        The tile of each site, the fold that tests it, and the block that it lies in.
    seed : int

    Returns
    -------
    DataFrame
        For each of KNOWN and each distance (``km``) of FEWEST or more sites the number of ``sites`` and ``blocks``; the
        AUC of ``network``, of ``wells`` (kriging of the known sites alone) and of ``both``; the ``gain`` of both over
        the network with ``gain_low`` and ``gain_high`` over draws of blocks; and the Brier score of the three, lower is
        better. Pairs are those within folds, and each site weighs one over the sites of its tile.
    """
    weight, drawn = site_weight(tile), draw_blocks(block, seed)
    counts = np.concatenate([np.ones((1, drawn.counts.shape[1])), drawn.counts])
    alone = predict_near_wells(high, np.full(len(high), np.average(high, weights=weight)), place, fold)
    both, rows = predict_near_wells(high, p_high, place, fold), []
    nearest = to_other_groups(place, fold), to_other_tiles(place, np.arange(len(place)))
    for known, distance in zip(KNOWN, nearest, strict=True):
        compared = {"network": p_high, "wells": alone[known], "both": both[known]}
        km = distance_class(distance, DISTANCES)
        for words, here in (("all", ~km.isna()), *((name, km == name) for name in km.categories)):
            if here.sum() < (1 if words == "all" else FEWEST):
                continue
            row = {"known": known, "km": words, "sites": int(here.sum()), "blocks": len(np.unique(block[here]))}
            some = Resamples(drawn.block[here], counts)
            ranked = {name: auc(high[here], p[here], fold[here], some, weight[here]) for name, p in compared.items()}
            gain = ranked["both"] - ranked["network"]
            row |= {name: float(values[0]) for name, values in (ranked | {"gain": gain}).items()}
            row["gain_low"], row["gain_high"] = interval(gain[1:])
            error = {name: (p[here] - high[here]) ** 2 for name, p in compared.items()}
            rows.append(row | {f"brier_{name}": np.average(e, weights=weight[here]) for name, e in error.items()})
    return pd.DataFrame(rows)
