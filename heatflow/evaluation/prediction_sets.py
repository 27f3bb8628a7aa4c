"""Prediction sets: the classes that a site may have, so that sites of new blocks have one of them as often as is said.

Conformal prediction (Vovk, Gammerman and Shafer, 2005, *Algorithmic Learning in a Random World*) turns probabilities of
any kind into sets that hold the truth in, say, 90 % of cases, if the cases are exchangeable. Sites are not, since they
resemble their neighbours: whole blocks are. Each block therefore has a weight of 1, however many sites it has, and the
block that is to be predicted counts as one more, of which nothing is known (Dunn, Wasserman and Ramdas, 2023, Journal
of the American Statistical Association 118:2491; Lee, Barber and Willett, 2023, arXiv:2306.06342). Within a block each
tile has the same share, and within a tile each site, so that nothing is decided by where people drill densely.

A class is left out where it lies too far in a tail: where a lower class, or a higher one, is too probable. This is the
score of distributional conformal prediction (Chernozhukov, Wüthrich and Zhu, 2021, PNAS 118:e2107794118) on ordered
classes. The set is an interval of residuals, never empty, and follows from the probabilities of being above each edge.
Adaptive sets (Romano, Sesia and Candès, 2020, NeurIPS 33:3581) and least ambiguous ones (Sadinle, Lei and Wasserman,
2019, Journal of the American Statistical Association 114:223) know no order: they leave gaps.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from heatflow.config.schema import Fraction, Section
from heatflow.evaluation.intervals import draw_blocks, interval
from heatflow.evaluation.skill import Resamples
from heatflow.geo.sites import site_weight

LEVEL = 0.9
EVERYTHING = 1.0  # a threshold that leaves out no class
SPREAD = {"a tenth lie below": 0.1, "half lie below": 0.5, "nine tenths lie below": 0.9}  # of blocks


def supported_level(blocks: int) -> float:
    """The highest level of sets that some blocks can support: a new block is worse than all of them that often.

    >>> round(supported_level(50), 3)
    0.98
    """
    return blocks / (blocks + 1)


def tail_scores(p: np.ndarray) -> np.ndarray:
    """How far each class lies in a tail: the probability of a lower class or of a higher one, whichever is larger.

    The class for which that is smallest has 0, so that it is in every set.

    Parameters
    ----------
    p : float array, shape (..., classes)
        Class probabilities.

    Returns
    -------
    float64 array, shape (..., classes)
        From 0 to 1. NaN where a probability is.

    Examples
    --------
    >>> tail_scores(np.array([0.5, 0.25, 0.25])).tolist()
    [0.0, 0.0, 0.75]
    """
    up_to = np.cumsum(p, axis=-1)
    tail = np.clip(np.maximum(up_to - p, 1 - up_to), 0, 1)
    return np.where(tail <= tail.min(axis=-1, keepdims=True), 0, tail)


def block_weight(tile: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Weight of each site: 1 for each block, which its tiles share, and their sites.

    Parameters
    ----------
    tile, block : int array, shape (m,)
        The tile and the block that each site lies in.

    Returns
    -------
    float64 array, shape (m,)

    Examples
    --------
    >>> block_weight(np.array([7, 7, 8, 9]), np.array([0, 0, 0, 1]))
    array([0.25, 0.25, 0.5 , 1.  ])
    """
    weight, place = site_weight(tile), np.unique(block, return_inverse=True)[1]
    return weight / np.bincount(place, weights=weight)[place]


class PredictionSets(Section):
    """The rule that makes sets of classes from class probabilities."""

    level: Annotated[float, Field(gt=0, lt=1)] = LEVEL
    """share of the sites of new blocks whose class is in the set"""
    blocks: Annotated[int, Field(ge=0)]
    """that the threshold was fitted to"""
    threshold: Fraction
    """largest score (`tail_scores`) of a class in the set; 1 where the blocks are too few, and sets hold all classes"""

    @classmethod
    def fit(cls, p: np.ndarray, label: np.ndarray, tile: np.ndarray, block: np.ndarray,
            level: float = LEVEL) -> "PredictionSets":  # fmt: skip
        """The rule that holds for sites of a block that is not among those given.

        Parameters
        ----------
        p : float array, shape (m, classes)
            Class probabilities of sites, each by networks that were trained without its block.
        label : int array, shape (m,)
            True classes.
        tile, block : int array, shape (m,)
            The tile and the block that each site lies in.
        level : float

        Examples
        --------
        >>> p_high, block = np.linspace(0.01, 0.99, 99), np.arange(99)
        >>> p, label = np.column_stack([1 - p_high, p_high]), np.ones(99, dtype=int)
        >>> rule = PredictionSets.fit(p, label, block, block)
        >>> round(rule.threshold, 2), rule.members(np.array([0.95, 0.05])).tolist()
        (0.9, [True, False])
        """
        score = tail_scores(p)[np.arange(len(label)), label]
        weight, blocks = block_weight(tile, block), len(np.unique(block))
        order = np.argsort(score, kind="stable")
        reached = np.cumsum(weight[order]) / (blocks + 1) >= level - 1e-9  # the new block is one more, and the worst
        threshold = float(score[order][reached][0]) if reached.any() else EVERYTHING
        return cls(level=level, blocks=blocks, threshold=threshold)

    def members(self, p: np.ndarray) -> np.ndarray:
        """Whether each class is in the set, bool (..., classes), from class probabilities of this shape."""
        return tail_scores(p) <= self.threshold + 1e-9  # sums of probabilities differ in their last digits

    def ends(self, p: np.ndarray, edges: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """The set as an interval of residuals.

        Parameters
        ----------
        p : float array, shape (m, classes)
        edges : sequence of float
            Of the classes, mW/m2.

        Returns
        -------
        low, high : float64 array, shape (m,)
            mW/m2. NaN where there is no such end: below the lowest edge, above the highest, or without probabilities.

        Examples
        --------
        >>> rule = PredictionSets(blocks=50, threshold=0.8)
        >>> rule.ends(np.array([[0.1, 0.6, 0.3], [0.9, 0.1, 0.0]]), [25, 50])
        (array([25., nan]), array([nan, 25.]))
        """
        there, number = self.members(p), p.shape[1]
        bounds = np.array([np.nan, *edges, np.nan])
        first, last = there.argmax(axis=1), number - 1 - there[:, ::-1].argmax(axis=1)
        empty = ~there.any(axis=1)  # of a place without probabilities
        return np.where(empty, np.nan, bounds[first]), np.where(empty, np.nan, bounds[last + 1])


def sets_out_of_fold(p: np.ndarray, label: np.ndarray, tile: np.ndarray, block: np.ndarray,
                     level: float = LEVEL) -> np.ndarray:  # fmt: skip
    """Sets of the sites of each block by the rule that is fitted to all other blocks; as `PredictionSets.fit`.

    Returns
    -------
    bool array, shape (m, classes)
    """
    sets = np.empty(p.shape, dtype=bool)
    for name in np.unique(block):
        here = block == name
        rule = PredictionSets.fit(p[~here], label[~here], tile[~here], block[~here], level)
        sets[here] = rule.members(p[here])
    return sets


def coverage(sets: np.ndarray, label: np.ndarray, tile: np.ndarray, block: np.ndarray,
             groups: dict[str, pd.Categorical], seed: int) -> pd.DataFrame:  # fmt: skip
    """How often sets hold the class of a site, and how many classes they hold.

    Parameters
    ----------
    sets : bool array, shape (m, classes)
    label, tile, block : int array, shape (m,)
        As `PredictionSets.fit` takes them.
    groups : dict of Categorical, length m
        By the name of each grouping the value of each site; sites without one are left out.
    seed : int

    Returns
    -------
    DataFrame
        For each ``group`` and ``value`` the number of ``sites`` and of their ``blocks``, ``coverage`` and ``mean_size``
        with intervals over blocks (``_low``, ``_high``). Sites have the weight of `block_weight`. The first three rows
        are all sites, with that weight, with each tile alike, and with each site alike. Rows of the group "share of
        blocks" are quantiles of the coverage of single blocks.

    Examples
    --------
    >>> sets, place = np.array([[True, False]] * 20), np.arange(20)
    >>> table = coverage(sets, place % 2, place, place, {}, seed=0)
    >>> table[["group", "value", "blocks", "coverage", "mean_size"]].head(1)
      group             value  blocks  coverage  mean_size
    0   all  each block alike      20       0.5        1.0
    """
    held, size = sets[np.arange(len(label)), label], sets.sum(axis=1)
    weight, blocks = block_weight(tile, block), draw_blocks(block, seed)
    counts = np.concatenate([np.ones((1, blocks.counts.shape[1])), blocks.counts])

    def row(group: str, value: str, here: np.ndarray, weight: np.ndarray) -> dict[str, object]:
        columns = np.column_stack([np.ones(len(held)), held, size])[here] * weight[here, None]
        total, covered, classes = Resamples(blocks.block[here], counts).sums(columns).T
        found: dict[str, object] = {"group": group, "value": value, "sites": int(here.sum())}
        found["blocks"] = len(np.unique(block[here]))
        for name, part in (("coverage", covered), ("mean_size", classes)):
            drawn = np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)
            found[name], (found[f"{name}_low"], found[f"{name}_high"]) = float(drawn[0]), interval(drawn[1:])
        return found

    every, alike = np.ones(len(held), dtype=bool), np.ones(len(held))
    rows = [row("all", "each block alike", every, weight), row("all", "each tile alike", every, site_weight(tile))]
    rows.append(row("all", "each site alike", every, alike))
    for group, values in groups.items():
        rows += [row(group, str(value), here, weight) for value in values.categories if (here := values == value).any()]
    by_block = np.bincount(blocks.block, weights=weight * held) / np.bincount(blocks.block, weights=weight)
    for value, share in SPREAD.items():
        counted = {"group": "share of blocks", "value": value, "sites": len(held), "blocks": len(by_block)}
        rows.append(counted | {"coverage": float(np.quantile(by_block, share))})
    return pd.DataFrame(rows)
