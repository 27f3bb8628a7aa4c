"""The class of a tile from what is said of each of its sites.

The class of a tile is that of its hottest well. It is taken to be above an edge unless none of its sites is, each by
its own probability. Sites of a tile are alike: a normal factor, with a share r of the variance, is common to all of
them (correlated probit: Ochi and Prentice, 1984, Biometrika 71:531). With r = 0 sites are independent; towards r = 1
the hottest counts alone.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import log_ndtr, logsumexp, ndtri

from heatflow.config.schema import Tile
from heatflow.evaluation.baselines import OF_SITES, TERRAIN
from heatflow.evaluation.intervals import CEILING, Prediction, Target, compare
from heatflow.geo.labels import classify

FACTOR, WEIGHT = np.polynomial.hermite_e.hermegauss(20)  # quadrature over the common factor
LOG_WEIGHT = np.log(WEIGHT / WEIGHT.sum())
CORRELATIONS = 0.0, 0.95  # between which r is fitted
CERTAIN = 1e-6  # probabilities are kept this far from 0 and 1
BY = "_by_sites"
OURS, HOTTEST = f"network{BY}", "network_hottest_site"  # predictions of the network
RANKS = ("auc_high", "auc_equal_count", "area_for_half")  # of baselines, whose probabilities are not made for sites


def log_probability(above: np.ndarray, p: np.ndarray, tile: np.ndarray, tiles: int, r: float) -> np.ndarray:
    """Log-probability that in each tile these sites are above an edge, and the others are not.

    Parameters
    ----------
    above : bool array, shape (m,)
    p : float array, shape (m,)
        Probability of each site to be above the edge.
    tile : int array, shape (m,)
        Row of the tile of each site.
    tiles : int
    r : float
        Correlation of the sites of a tile, from 0 to below 1.

    Returns
    -------
    float64 array, shape (tiles,)
        0 for a tile without sites.

    Examples
    --------
    None of two independent sites is above with a probability of 0.4 * 0.9; of alike ones with nearly 0.4.

    >>> p, tile = np.array([0.6, 0.1]), np.zeros(2, dtype=int)
    >>> [round(float(np.exp(log_probability(p > 1, p, tile, 1, r))[0]), 2) for r in (0, 0.9)]
    [0.36, 0.4]
    """
    normal = ndtri(np.clip(p, CERTAIN, 1 - CERTAIN))[:, None]
    given = (normal + np.sqrt(r) * FACTOR) / np.sqrt(1 - r)
    each = log_ndtr(np.where(above[:, None], given, -given))
    of_tile = csr_array((np.ones(len(tile)), (tile, np.arange(len(tile)))), shape=(tiles, len(tile)))
    return logsumexp(of_tile @ each + LOG_WEIGHT, axis=1)


def fit_correlation(above: np.ndarray, p: np.ndarray, tile: np.ndarray, tiles: int) -> float:
    """The correlation that makes what sites are the most likely, of all edges together.

    Arguments as in `log_probability`, but for `above` and `p`: they have a column for each edge.
    """

    def lost(r: float) -> float:
        return -sum(log_probability(*edge, tile, tiles, r).sum() for edge in zip(above.T, p.T, strict=True))

    return float(minimize_scalar(lost, bounds=CORRELATIONS, method="bounded", options={"xatol": 1e-3}).x)


def tile_probabilities(sites: np.ndarray, label: np.ndarray, tile: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Class probabilities of tiles from out-of-fold class probabilities of their sites.

    For each fold the correlation is fitted to the tiles of the other folds.

    Parameters
    ----------
    sites : float array, shape (m, classes)
    label : int array, shape (m,)
        Class of each site.
    tile : int array, shape (m,)
        Row of the tile of each site. Each tile has one or more.
    fold : int array, shape (n,)
        Fold that tests each tile.

    Returns
    -------
    float64 array, shape (n, classes)

    Examples
    --------
    >>> sites, tile = np.array([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]), np.array([0, 0, 1, 2])
    >>> p = tile_probabilities(sites, np.array([1, 0, 1, 0]), tile, np.array([0, 1, 1]))
    >>> p[1:].round(2).tolist()  # a single site is its tile
    [[0.5, 0.5], [0.2, 0.8]]
    """
    edges, tiles = np.arange(1, sites.shape[1]), len(fold)
    p = np.column_stack([sites[:, edge:].sum(axis=1) for edge in edges])
    above, none = label[:, None] >= edges, np.empty((tiles, len(edges)))
    for here in (fold == name for name in np.unique(fold)):
        known, asked = ~here[tile], here[tile]
        r = fit_correlation(above[known], p[known], tile[known], tiles)
        for k in range(len(edges)):
            nowhere = np.zeros(asked.sum(), dtype=bool)
            none[here, k] = np.exp(log_probability(nowhere, p[asked, k], tile[asked], tiles, r)[here])
    return np.diff(none, axis=1, prepend=0, append=1)


def by_sites(target: Target, compared: dict[str, Prediction], members: np.ndarray | None, tile: Tile,
             seed: int) -> pd.DataFrame:  # fmt: skip
    """Tiles from what the networks say of their sites, beside what they say of the tiles, and beside baselines.

    A baseline that predicts tiles gives each site the score of its tile. The constant guess knows the number of sites
    alone.

    Parameters
    ----------
    target : Target
    compared : dict of Prediction
        Of the ``network`` and of the baselines.
    members : float array, shape (networks, m, classes), or None
        Sites by each network of a fold; None where networks have no maps of sites.
    tile : Tile
    seed : int

    Returns
    -------
    DataFrame
        As `compare` gives it, for ``network_by_sites`` beside ``network``, ``network_hottest_site`` (the tile is as its
        site with the largest probability to be high), ``constant_by_sites`` and the same of baselines made of terrain,
        of which it has RANKS. Empty without maps of sites, or where the class of a tile is not that of its largest
        residual.
    """
    if members is None or tile.statistic != "max":
        return pd.DataFrame({"prediction": [], "metric": []})
    label, of_tile, first = classify(target.site_residual, tile.edges), target.site_tile, target.first_high

    def told(sites: np.ndarray) -> Prediction:
        tiles = [tile_probabilities(p, label, of_tile, target.fold) for p in sites]
        return Prediction(np.array(tiles), sites[:, :, first:].sum(axis=2))

    def told_high(own: np.ndarray) -> Prediction:
        """High or not is all that a baseline of sites knows."""
        tiles = np.zeros((len(own), len(target.label), tile.n_classes))
        for k, p in enumerate(own):
            both = np.column_stack([1 - p, p])
            tiles[k][:, [0, -1]] = tile_probabilities(both, (label >= first).astype(int), of_tile, target.fold)
        return Prediction(tiles, own)

    p_high = pd.DataFrame(members[:, :, first:].sum(axis=2).T).groupby(of_tile).idxmax()
    hottest = np.array([sites[p_high[k]] for k, sites in enumerate(members)])
    both = {OURS: told(members), "network": compared["network"]}
    both |= {HOTTEST: Prediction(hottest, both[OURS].sites)}
    for name in [name for name in compared if name in ("constant", *TERRAIN, *OF_SITES)]:
        own = compared[name].sites
        both[f"{name}{BY}"] = told(compared[name].tiles[:, of_tile]) if own is None else told_high(own)
    table = compare(target, both, seed)
    ours = table["prediction"].str.startswith("network") | table["metric"].isin(RANKS)
    return table[ours & (table["prediction"] != CEILING)]


def headline_by_sites(table: pd.DataFrame) -> dict[str, Any]:
    """Of `by_sites`, for ``metrics/evaluation.json``.

    Returns
    -------
    dict
        ``by_sites``: accuracy and AUC with their ends; how much more that AUC is than that of the score of the tile
        (``over_network``), of its hottest site (``over_hottest_site``) and of the best baseline by its sites
        (``over_baseline``); the name of that baseline, and its AUC. Empty where the table is.
    """
    if table.empty:
        return {}
    rows = {(row["prediction"], row["metric"]): row for row in table.to_dict("records")}
    ends, metrics = ("", "_low", "_high"), dict[str, Any]()
    for name in ("accuracy", "auc_high"):
        row = rows[OURS, name]
        metrics |= {f"{name}{end}": row[end.strip("_") or "value"] for end in ends}
    auc = {name: row["value"] for (name, metric), row in rows.items() if metric == "auc_high"}
    best = max((name for name in auc if not name.startswith("network")), key=lambda name: auc[name])
    for other, name in (("network", "network"), ("hottest_site", HOTTEST), ("baseline", best)):
        metrics |= {f"over_{other}{end}": rows[name, "auc_high"][f"difference{end}"] for end in ends}
    return {"by_sites": metrics | {"baseline": best.removesuffix(BY), "baseline_auc_high": auc[best]}}
