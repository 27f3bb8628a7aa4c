"""Confidence intervals of scores and of differences between predictions, which hold two kinds of chance.

*Which tiles there are.* Tiles near each other are no independent draws. Whole blocks of them are drawn again and again
with replacement (block bootstrap: Künsch, 1989, Annals of Statistics 17:1217), and every score is taken of every draw.

*The luck of training.* Where there are several networks for each fold (``train.seeds``, ``split.repeats``), each draw
also draws networks with replacement, and has the luck of their mean (`Prediction.drawn`). A single network shows no
luck, and its intervals leave it out.

Two predictions are compared draw by draw, on the same tiles.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from heatflow.evaluation.skill import STRATA, Resamples, auc, calibration_error, scores, strata
from heatflow.geo.sites import mean_of_others, site_weight

DRAWS = 2000
ALPHA = 0.05  # of tests; intervals have a level of one minus this
LEAST_BLOCKS = 10  # with fewer, draws of blocks are too much alike to tell how far a score may be off
ENSEMBLES = 100  # different draws of networks, at most, that the draws of blocks share
DETECTED = (
    2.8  # standard errors (1.96 + 0.84): a true difference this large is found by 80 % of tests at the level of 5 %
)
LOWER_IS_BETTER = ("class_mae", "loss", "calibration_error", "area_for_half", "site_calibration_error")
RELEVANT = {"auc_high": 0.02, "auc_equal_count": 0.02, "site_auc": 0.02}  # smallest difference worth a word, by metric
TOO_FEW = "too few blocks to tell"
CEILING = "other sites of the tile"


def draw_blocks(block: np.ndarray, seed: int, draws: int = DRAWS) -> Resamples:
    """Draws of whole blocks, with replacement, as many as there are.

    Parameters
    ----------
    block : int array, shape (n,)
        The block that each tile lies in.
    seed : int
    draws : int

    Returns
    -------
    Resamples
        A single draw with NaN throughout where there are fewer than LEAST_BLOCKS blocks.
    """
    names, index = np.unique(block, return_inverse=True)
    if len(names) < LEAST_BLOCKS:
        return Resamples(index, np.full((1, len(names)), np.nan))
    return Resamples(index, _counts(len(names), draws, np.random.default_rng(seed)))


def _counts(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n things is among n draws with replacement; float64 (draws, n)."""
    drawn, counts = rng.integers(0, n, (draws, n)), np.zeros((draws, n))
    np.add.at(counts, (np.arange(draws)[:, None], drawn), 1)
    return counts


def draw_weights(block: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """How often each tile is in each draw of blocks (`draw_blocks`); float64 (draws, n)."""
    drawn = draw_blocks(block, seed, draws)
    return drawn.counts[:, drawn.block]


def interval(values: np.ndarray) -> tuple[float, float]:
    """Central interval of 95 % of the draws in which the score has a value; NaN where it has none.

    >>> interval(np.array([np.nan, 3.0, 3.0]))
    (3.0, 3.0)
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def p_value(differences: np.ndarray) -> float:
    """Two-sided p-value of a difference of 0 from its draws, by inverting their interval (Efron and Tibshirani, 1993).

    It is twice the share of the draws on the side of 0 that has fewer of them, 0 counted with both; one more draw is
    added to each side, so that it is never 0. NaN where there is no draw.

    >>> p_value(np.array([0.1, 0.2, 0.3, -0.1])), p_value(np.zeros(3))
    (0.8, 1.0)
    """
    d = differences[np.isfinite(differences)]
    if not d.size:
        return float("nan")
    return float(min(1.0, 2 * (min((d <= 0).sum(), (d >= 0).sum()) + 1) / (d.size + 1)))


def beyond(difference: np.ndarray, least: float) -> np.ndarray:
    """A difference and its draws, less as much of it as is too small to matter.

    A minimum-effect test (Murphy and Myors, 1999, Journal of Applied Psychology 84:234). Another seed of the same
    networks changes an AUC by a hundredth and more (benchmarks/STABILITY.md): a verdict on less than twice that would
    fall with the next run.

    Parameters
    ----------
    difference : float array, shape (1 + draws,)
        The first is the difference itself.
    least : float

    Examples
    --------
    >>> beyond(np.array([0.05, 0.03]), 0.02).round(2), beyond(np.array([-0.01, 0.0]), 0.02).round(2)
    (array([0.03, 0.01]), array([0.  , 0.01]))
    """
    return difference - np.clip(difference[0], -least, least)


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for the number of comparisons (Holm, 1979, Scandinavian Journal of Statistics 6:65).

    Parameters
    ----------
    p : float array, shape (n,)
        NaN where there is no comparison.

    Returns
    -------
    float64 array, shape (n,)
        Those below 0.05 are significant; the chance that one of them is by accident is at most 5 %.

    Examples
    --------
    >>> holm(np.array([0.03, 0.01, np.nan, 0.02]))
    array([0.04, 0.03,  nan, 0.04])
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN comes last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected


def verdict(better: float, p: float) -> str:
    """A comparison in words, from how much better the network is and the corrected p-value of that difference.

    >>> verdict(0.05, 0.01), verdict(-0.1, 0.2), verdict(-0.1, 0.01), verdict(0.1, np.nan)
    ('above', 'within noise of', 'below', 'too few blocks to tell')
    """
    if np.isnan(p):
        return TOO_FEW
    return "within noise of" if p >= ALPHA else "above" if better > 0 else "below"


@dataclass(frozen=True)
class Target:
    """What predictions are scored against: n tiles, and their m sites.

    Parameters
    ----------
    label : int array, shape (n,)
        True class of each tile.
    first_high : int
        Lowest class above the binary edge.
    n_wells, fold, block : int arrays, shape (n,)
        Number of wells, the fold that tests each tile, and the block that it lies in.
    site_tile : int array, shape (m,)
        Row of the tile of each site.
    site_residual : float array, shape (m,), mW/m2
    edge : float
        The binary edge, mW/m2.
    """

    label: np.ndarray
    first_high: int
    n_wells: np.ndarray
    fold: np.ndarray
    block: np.ndarray
    site_tile: np.ndarray
    site_residual: np.ndarray
    edge: float

    def score_sites(self, p_high: np.ndarray, resamples: Resamples) -> dict[str, np.ndarray]:
        """``site_auc``, of 'this site is above the edge', and ``site_calibration_error``, for each resample; float64
        (draws,).

        `p_high` (m,) is NaN for sites that are left out. Pairs within folds; each site weighs one over the sites of its
        tile, which is drawing one site of each tile at random: every tile is explored alike.
        """
        there = np.isfinite(p_high)
        tile, high, p = self.site_tile[there], self.site_residual[there] > self.edge, p_high[there]
        drawn, weight = Resamples(resamples.block[tile], resamples.counts), site_weight(self.site_tile)[there]
        ranked = auc(high, p, self.fold[tile], drawn, weight)
        return {"site_auc": ranked, "site_calibration_error": calibration_error(high, p, drawn, weight)}


@dataclass(frozen=True)
class Prediction:
    """Out-of-fold predictions of one kind, by each of its members: networks from other seeds, or one baseline.

    Parameters
    ----------
    tiles : float array, shape (members, n, classes)
        Class probabilities.
    sites : float array, shape (members, m), optional
        Probability that each site is high; by default that of its tile.
    """

    tiles: np.ndarray
    sites: np.ndarray | None = None

    def scores(self, target: Target, resamples: Resamples, weight: np.ndarray) -> dict[str, np.ndarray]:
        """Every score of the mean of members by their weight, for each resample; float64 (draws,)."""
        p = np.average(self.tiles, axis=0, weights=weight)
        p_high = p[:, target.first_high :].sum(axis=1)[target.site_tile]
        sites = p_high if self.sites is None else np.average(self.sites, axis=0, weights=weight)
        found = scores(target.label, p, target.first_high, target.fold, target.n_wells, resamples)
        return found | target.score_sites(sites, resamples)

    def drawn(self, target: Target, resamples: Resamples, seed: int) -> dict[str, np.ndarray]:
        """Every score of the mean of all members for each resample, each with the luck of training of its own.

        The luck is that of members drawn with replacement, on all tiles: the score of their mean minus the average of
        such scores. It is larger than a bootstrap's by the root of S / (S - 1) for S members, since the spread of draws
        from few members is too small by that (Davison and Hinkley, 1997, section 2.6). The first resample has none.
        """
        members = len(self.tiles)
        drawn = self.scores(target, resamples, np.ones(members))
        if members == 1:
            return drawn
        times = _counts(members, ENSEMBLES, np.random.default_rng([seed, 1]))
        once = Resamples.once(len(target.label))
        lucky = [self.scores(target, once, weight) for weight in times]
        which = np.arange(len(resamples.counts) - 1) % ENSEMBLES
        for name, values in drawn.items():
            luck = np.concatenate([found[name] for found in lucky])
            values[1:] += np.sqrt(members / (members - 1)) * (luck - luck.mean())[which]
        return drawn


def compare(target: Target, predictions: dict[str, Prediction], seed: int) -> pd.DataFrame:
    """Every metric of every prediction with its interval, and how the first one differs from each of the others.

    Parameters
    ----------
    target : Target
    predictions : dict of Prediction
        The network first, then the baselines, by name.
    seed : int

    Returns
    -------
    DataFrame
        A row for each ``prediction`` and ``metric``: ``value``, ``low``, ``high``; of the network's value minus that of
        a baseline ``difference`` with ``difference_low`` and ``difference_high``, the ``detectable`` size (a true
        difference that the data would show with a chance of 80 %), ``p`` (`p_value` of what of it is `beyond`
        RELEVANT), ``p_corrected`` (Holm, over the baselines) and the ``verdict`` on the network: above is better,
        whatever the metric.

    Examples
    --------
    >>> label, block = np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    >>> one, site = np.ones(40, dtype=int), np.arange(40)
    >>> target = Target(label, 1, one, block // 4, block, site, 100.0 * label, 50.0)
    >>> network, guess = np.eye(2)[label] * 0.8 + 0.1, np.full((40, 2), 0.5)
    >>> table = compare(target, {"network": Prediction(network[None]), "guess": Prediction(guess[None])}, seed=0)
    >>> table.set_index(["prediction", "metric"]).loc[("guess", "site_auc"), "verdict"]
    'above'
    """
    blocks = draw_blocks(target.block, seed)
    resamples = Resamples(blocks.block, np.concatenate([np.ones((1, blocks.counts.shape[1])), blocks.counts]))
    rows, network = [], None
    for name, prediction in predictions.items():
        drawn = prediction.drawn(target, resamples, seed)
        network = drawn if network is None else network
        for metric, values in drawn.items():
            row = {"prediction": name, "metric": metric} | _with_interval("value", values)
            if drawn is not network:
                difference = network[metric] - values
                row |= _with_interval("difference", difference)
                finite = difference[1:][np.isfinite(difference[1:])]
                row |= {"detectable": DETECTED * finite.std(ddof=1) if len(finite) > 1 else np.nan}
                row |= {"p": p_value(beyond(difference, RELEVANT.get(metric, 0))[1:])}
            rows.append(row)
    rows.append({"prediction": CEILING, "metric": "site_auc"} | _with_interval("value", _ceiling(target, resamples)))
    table = pd.DataFrame(rows).rename(columns={"value_low": "low", "value_high": "high"})
    if "p" not in table:
        return table
    table["p_corrected"] = table.groupby("metric")["p"].transform(lambda p: holm(p.to_numpy()))
    better = np.where(table["metric"].isin(LOWER_IS_BETTER), -1, 1) * table["difference"]
    words = [verdict(*pair) for pair in zip(better, table["p_corrected"], strict=True)]
    return table.assign(verdict=np.where(table["difference"].isna(), "", words))


def _ceiling(target: Target, resamples: Resamples) -> np.ndarray:
    """AUC of sites by the share of the other sites of the tile that are high: what a tile can tell of its sites."""
    high = (target.site_residual > target.edge).astype(float)
    return target.score_sites(mean_of_others(target.site_tile, high), resamples)["site_auc"]


def _with_interval(name: str, drawn: np.ndarray) -> dict[str, float]:
    """The first of the draws, which has every tile once, and the interval of the others."""
    low, high = interval(drawn[1:])
    return {name: float(drawn[0]), f"{name}_low": low, f"{name}_high": high}


def auc_table(high: np.ndarray, p_high: dict[str, np.ndarray], n_wells: np.ndarray, fold: np.ndarray, block: np.ndarray,
              seed: int) -> pd.DataFrame:  # fmt: skip
    """AUC of each prediction among tiles of a similar number of wells, stratum by stratum and over all of them.

    Parameters
    ----------
    high : bool array, shape (n,)
        Whether each tile is above the binary edge.
    p_high : dict of float array, shape (n,)
        Of each prediction the probability of being high.
    n_wells, fold, block : int array, shape (n,)
    seed : int

    Returns
    -------
    DataFrame
        ``wells`` (a stratum; "equal": pairs within strata, all strata together; "all": all pairs), ``prediction``,
        ``tiles``, ``high_share``, ``auc`` with ``auc_low`` and ``auc_high``. Pairs are those within folds, and the
        intervals hold the sampling of blocks alone.
    """
    blocks = draw_blocks(block, seed)
    counts = np.concatenate([np.ones((1, blocks.counts.shape[1])), blocks.counts])
    stratum = strata(n_wells)
    rows = []
    for number, wells in enumerate([*STRATA, "equal", "all"]):
        here = stratum == number if number < len(STRATA) else np.ones(len(high), dtype=bool)
        if not here.any():
            continue
        group = fold * len(STRATA) + stratum if wells == "equal" else fold
        for name, p in p_high.items():
            value = auc(high[here], p[here], group[here], Resamples(blocks.block[here], counts))
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
