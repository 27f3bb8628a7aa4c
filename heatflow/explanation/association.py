"""Association: do saliency maps follow an attribute of the terrain more closely than by chance?

Both are ranked within a tile and correlated (Spearman). Maps are smooth, so that neighbouring pixels are not
independent, and all have a pattern in common: weaker towards the edges of the tile. The null swaps the maps between the
tiles that one fold tests. A map of another tile keeps its smoothness, that pattern and its direction, and has no tie to
the terrain that it is laid over.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from heatflow.evaluation.intervals import draw_weights, interval
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.geo.attributes import block_mean

ATTRIBUTES = ("slope", "profile_curvature", "plan_curvature", "relief")
FEATURES = ("range_front", "faults", "structures")
ALPHA = 0.05
GAPS = 0.05  # share of a tile without data above which its map is compared with no attribute
COARSE = 4  # pixels along each edge of the squares whose means are compared


def standard_ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks within each tile, with mean 0 and variance 1; 0 where there is no data, and throughout where all is tied.

    Parameters
    ----------
    maps : float array, shape (n, size, size)
        NaN for no data.

    Returns
    -------
    float32 array, shape (n, size, size)
    """
    standard = np.zeros(maps.shape, dtype=np.float32)
    for tile, ranks in zip(maps, standard, strict=True):
        there = np.isfinite(tile)
        if there.sum() > 1 and np.ptp(tile[there]) > 0:
            order = rankdata(tile[there])
            # scaled so that the mean over the whole tile of a product of two such is their correlation
            ranks[there] = (order - order.mean()) / order.std() * np.sqrt(tile.size / there.sum())
    return standard


def attribute_ranks(attributes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Standard ranks of what maps are compared with: attributes, nearness to features, and nearness beyond slope.

    Parameters
    ----------
    attributes : dict of str to float array, shape (n, size, size)
        Those of `heatflow.geo.tile_attributes`, NaN for no data. Distances (FEATURES) become nearness.

    Returns
    -------
    dict of str to float32 array, shape (n, size, size)
        ``near_<feature>_beyond_slope`` is the part of nearness that slope, the steepness around and edges do not
        explain.
    """
    ranks = {name: standard_ranks(attributes[name]) for name in ATTRIBUTES}
    plain = [ranks["slope"], standard_ranks(attributes["steepness"]), standard_ranks(attributes["edge"])]
    for name in FEATURES:
        if name in attributes:
            ranks[f"near_{name}"] = standard_ranks(-attributes[name])
            ranks[f"near_{name}_beyond_slope"] = beyond(ranks[f"near_{name}"], plain)
    return ranks


def beyond(attribute: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """The part of an attribute's ranks that others do not explain: the residual of a linear regression in each tile.

    Parameters
    ----------
    attribute : float32 array, shape (n, size, size)
        Standard ranks.
    others : sequence of float32 arrays, shape (n, size, size)
        Standard ranks.
    """
    residuals = np.zeros_like(attribute)
    for k in range(len(attribute)):
        known = np.column_stack([other[k].ravel() for other in others])
        weights = np.linalg.lstsq(known, attribute[k].ravel(), rcond=None)[0]
        rest = attribute[k].ravel() - known @ weights
        if (deviation := rest.std()) > 1e-6:
            residuals[k] = ((rest - rest.mean()) / deviation).reshape(attribute[k].shape)
    return residuals


class Association:
    """Tests of the association of maps with the terrain of the sampled tiles, tile by tile and pooled.

    Parameters
    ----------
    tiles : ExplainedTiles
    """

    def __init__(self, tiles: ExplainedTiles) -> None:
        self.tile = tiles.predictions["tile"].to_numpy()[tiles.sample]
        self.ranks = attribute_ranks({name: block_mean(array, COARSE) for name, array in tiles.attributes.items()})
        self.fold = tiles.networks.data.test_fold[tiles.sample]
        gaps = np.isnan(tiles.networks.data.elevation(tiles.sample)).mean(axis=(1, 2))
        self.complete, self.groups = gaps <= GAPS, tiles.groups(tiles.sample)
        self.block, self.seed = tiles.block[tiles.sample], tiles.seed

    def of_maps(self, method: str, maps: np.ndarray, draws: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """`associate` the size of maps (m, size, size) of the sampled tiles; tables with ``method`` and ``tile``."""
        ranks = standard_ranks(block_mean(np.abs(maps), COARSE))
        drawn = draws, self.seed
        pooled, single = associate(
            ranks, self.ranks, self.groups, self.block, self.fold, *drawn, complete=self.complete
        )
        single.insert(0, "tile", self.tile[single.pop("index")])
        pooled.insert(0, "method", method)
        single.insert(1, "method", method)
        return pooled, single


_of_tiles = lru_cache(maxsize=1)(Association)  # a process ranks the attributes once


def associate_maps(
    tiles: ExplainedTiles, draws: int, method: str, explained: str | int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`Association.of_maps` of the maps of a method on disk, without what has no data, or of the edge detector."""
    maps = np.asarray(tiles.attributes["edge"])
    if explained is not None:
        missing = np.isnan(tiles.networks.data.elevation(tiles.sample))
        maps = np.where(missing, np.nan, tiles.maps(method, explained)[tiles.sample])
    return _of_tiles(tiles).of_maps(method, maps, draws)


def associate(
    ranks: np.ndarray, attributes: dict[str, np.ndarray], groups: dict[str, np.ndarray], block: np.ndarray,
    fold: np.ndarray, draws: int, seed: int, complete: np.ndarray | bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Test the association of maps with each attribute, tile by tile and pooled.

    Parameters
    ----------
    ranks : float32 array, shape (n, size, size)
        Standard ranks of |saliency|.
    attributes : dict of str to float32 array, shape (n, size, size)
        Standard ranks of each attribute; tiles where it is 0 throughout are left out.
    groups : dict of str to bool array, shape (n,)
        Tiles that are pooled, by name.
    block, fold : int arrays, shape (n,)
        Block of each tile, for the intervals, and the fold that tests it: maps are swapped within folds.
    draws : int
        Random swaps of all maps for the pooled p-value.
    seed : int
    complete : bool array, shape (n,), optional
        The tiles with hardly a gap. Others are left out: a map that is swapped would lie partly on gaps, and its
        correlation by chance would come out too small.

    Returns
    -------
    pooled : DataFrame
        ``attribute``, ``group``, ``tiles``, ``correlation`` (mean over the tiles) with ``correlation_low`` and
        ``correlation_high``, ``by_chance`` (its mean over the null), ``p`` (two-sided), ``significant`` (share of tiles
        with p < ALPHA of their own).
    single : DataFrame
        ``index`` of the tile, ``attribute``, ``correlation``, ``p``.
    """
    shown = complete & ranks.any(axis=(1, 2))
    swapped = swaps(np.where(shown, fold, -1), draws, seed)
    weights: dict[bytes, np.ndarray] = {}  # of the tiles of a group: draws take longer than means
    pooled, single = [], []
    for name, attribute in attributes.items():
        every = ranks.reshape(len(ranks), -1) @ attribute.reshape(len(ranks), -1).T / attribute[0].size
        correlation, p = every.diagonal(), single_p(every, np.where(shown, fold, -1))
        usable = shown & attribute.any(axis=(1, 2))
        index = np.flatnonzero(usable)
        single.append(
            pd.DataFrame({"index": index, "attribute": name, "correlation": correlation[index], "p": p[index]})
        )
        null = every[swapped, np.arange(len(ranks))]
        for group, members in groups.items():
            here = usable & members
            if not here.any():
                continue
            if (key := here.tobytes()) not in weights:
                weights[key] = draw_weights(block[here], seed)
            pooled.append(
                {"attribute": name, "group": group} | _pool(correlation[here], p[here], null[:, here], weights[key])
            )
    return pd.DataFrame(pooled), pd.concat(single, ignore_index=True)


def swaps(fold: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Which map each tile gets in each draw, permuted within folds; tiles of fold -1 keep theirs.

    >>> swaps(np.array([0, 0, 1, -1]), 1, seed=3)
    array([[1, 0, 2, 3]])
    """
    rng, drawn = np.random.default_rng(seed), np.tile(np.arange(len(fold)), (draws, 1))
    for number in np.unique(fold[fold >= 0]):
        drawn[:, fold == number] = rng.permuted(drawn[:, fold == number], axis=1)
    return drawn


def single_p(every: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Two-sided p-value of the map of each tile, (n,), among all maps of its fold laid over it.

    `every` (n, n) has the correlation of each map with the attribute of each tile.
    """
    p = np.ones(len(every))
    for number in np.unique(fold[fold >= 0]):
        here = np.flatnonzero(fold == number)
        far = np.abs(every[np.ix_(here, here)] - every[np.ix_(here, here)].mean(axis=0))
        p[here] = (far >= far.diagonal() - 1e-7).mean(axis=0)
    return p


def _pool(correlation: np.ndarray, p: np.ndarray, null: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    """A row of the pooled table, of the tiles of one group."""
    value, chance = correlation.mean(), null.mean(axis=1)
    further = np.abs(chance - chance.mean()) >= abs(value - chance.mean()) - 1e-7
    with np.errstate(invalid="ignore"):
        low, high = interval(weight @ correlation / weight.sum(axis=1))
    return {
        "tiles": len(correlation), "correlation": value, "correlation_low": low, "correlation_high": high,
        "by_chance": chance.mean(), "p": (1 + further.sum()) / (1 + len(null)), "significant": (p < ALPHA).mean(),
    }  # fmt: skip
