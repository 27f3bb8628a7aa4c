"""Do saliency maps follow an attribute of the terrain, more than maps laid over it anyhow would?

Both are ranked within a tile and correlated (Spearman). Maps are smooth, so neighbouring pixels are no independent
evidence: the null moves and turns the map within its tile, edges joined, which keeps its own smoothness and breaks its
tie to the terrain (toroidal shifts: Harms and Fewell in ecology; Fortin and Dale, 2005, *Spatial Analysis*).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import fft
from scipy.stats import rankdata

from heatflow.evaluation.intervals import draw_weights, interval

ATTRIBUTES = ("slope", "profile_curvature", "plan_curvature", "relief")
FEATURES = ("range_front", "faults", "structures")
TURNS = 8  # four rotations, each also mirrored
CHUNK = 64  # tiles at a time: all 20,000 places of a map of 50 x 50 take 5 MB a tile
ALPHA = 0.05


def standard_ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks within each tile, with mean 0 and variance 1; 0 where there is no data, and throughout where all is tied.

    Parameters
    ----------
    maps : float array, shape (n, size, size), NaN for no data

    Returns
    -------
    float32 array, shape (n, size, size)
    """
    found = np.zeros(maps.shape, dtype=np.float32)
    for tile, ranks in zip(maps, found, strict=True):
        there = np.isfinite(tile)
        if there.sum() > 1 and np.ptp(tile[there]) > 0:
            order = rankdata(tile[there])
            # scaled so that the mean over the whole tile of a product of two such is their correlation
            ranks[there] = (order - order.mean()) / order.std() * np.sqrt(tile.size / there.sum())
    return found


def attribute_ranks(attributes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Standard ranks of what maps are held against: attributes, nearness to features, and nearness beyond steepness.

    Parameters
    ----------
    attributes : those of `heatflow.geo.tile_attributes`, shape (n, size, size), NaN for no data; distances (FEATURES)
        become nearness

    Returns
    -------
    dict of float32 arrays, shape (n, size, size)
        ``near_<feature> beyond slope`` is what nearness says that slope, the steepness of the surroundings and edges do
        not.
    """
    ranks = {name: standard_ranks(attributes[name]) for name in ATTRIBUTES}
    plain = [ranks["slope"], standard_ranks(attributes["steepness"]), standard_ranks(attributes["edge"])]
    for name in FEATURES:
        if name in attributes:
            ranks[f"near_{name}"] = standard_ranks(-attributes[name])
            ranks[f"near_{name}_beyond_slope"] = beyond(ranks[f"near_{name}"], plain)
    return ranks


def beyond(attribute: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """What an attribute's ranks say that those of others do not: the residual of a linear regression in each tile.

    Parameters
    ----------
    attribute, others : standard ranks, float32 arrays, shape (n, size, size)
    """
    found = np.zeros_like(attribute)
    for k in range(len(attribute)):
        known = np.column_stack([other[k].ravel() for other in others])
        weights = np.linalg.lstsq(known, attribute[k].ravel(), rcond=None)[0]
        rest = attribute[k].ravel() - known @ weights
        spread = rest.std()
        if spread > 1e-6:
            found[k] = ((rest - rest.mean()) / spread).reshape(attribute[k].shape)
    return found


def places(strength: np.ndarray, attribute: np.ndarray) -> np.ndarray:
    """Correlation of a map with an attribute at every toroidal shift and turn of the map; the first is as it lies.

    Parameters
    ----------
    strength, attribute : standard ranks, float arrays, shape (n, size, size)

    Returns
    -------
    float32 array, shape (n, 8 * size * size)
    """
    turned = [np.rot90(m, k, axes=(1, 2)) for m in (strength, strength[:, :, ::-1]) for k in range(4)]
    maps = fft.rfft2(np.stack(turned, axis=1), workers=-1)
    terrain = fft.rfft2(attribute, workers=-1)[:, None]
    size = attribute.shape[-1]
    found = fft.irfft2(np.conj(maps) * terrain, s=(size, size), workers=-1) / size**2
    return found.reshape(len(strength), -1).astype(np.float32)


def associate(
    strength: np.ndarray,
    attributes: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
    block: np.ndarray,
    draws: int,
    seed: int,
    whole: np.ndarray | bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test the association of maps with each attribute, tile by tile and pooled.

    Parameters
    ----------
    strength : standard ranks of |saliency|, shape (n, size, size)
    attributes : standard ranks of each attribute, shape (n, size, size); tiles where it is 0 throughout are left out
    groups : for each group of tiles a bool array, shape (n,)
    block : int array, shape (n,), the block of each tile, drawn as a whole for the intervals
    draws : number of random placements of all maps for the pooled p-value
    whole : bool array, shape (n,): the tiles with hardly a gap. Others are left out: a map that is moved would lie
        partly on gaps, and chance would seem to do less than it does

    Returns
    -------
    pooled : DataFrame
        ``attribute``, ``group``, ``tiles``, ``correlation`` (mean over the tiles) with ``correlation_low`` and
        ``correlation_high``, ``by_chance`` (its mean over the null), ``p`` (two-sided) and ``p_corrected`` (Holm, 1979,
        for the number of attributes in the group), ``significant`` (share of tiles with p < ALPHA of their own).
    single : DataFrame
        ``index`` of the tile, ``attribute``, ``correlation``, ``p``
    """
    n = len(strength)
    rng = np.random.default_rng(seed)
    at = rng.integers(0, TURNS * strength[0].size, (draws, n))
    weights: dict[bytes, np.ndarray] = {}  # of the tiles of a group
    pooled, single = [], []
    for name, attribute in attributes.items():
        seen, p, null = np.empty(n), np.empty(n), np.empty((draws, n), dtype=np.float32)
        for first in range(0, n, CHUNK):
            part = slice(first, first + CHUNK)
            every = places(strength[part], attribute[part])
            seen[part] = every[:, 0]
            centre = every.mean(axis=1, keepdims=True)
            p[part] = (np.abs(every - centre) >= np.abs(every[:, :1] - centre) - 1e-7).mean(axis=1)
            null[:, part] = np.take_along_axis(every, at[:, part].T, axis=1).T
        usable = whole & strength.any(axis=(1, 2)) & attribute.any(axis=(1, 2))
        index = np.flatnonzero(usable)
        single.append(pd.DataFrame({"index": index, "attribute": name, "correlation": seen[index], "p": p[index]}))
        for group, members in groups.items():
            here = usable & members
            if not here.any():
                continue
            value, chance = seen[here].mean(), null[:, here].mean(axis=1)
            further = np.abs(chance - chance.mean()) >= abs(value - chance.mean())
            if here.tobytes() not in weights:
                weights[here.tobytes()] = draw_weights(block[here], seed)
            weight = weights[here.tobytes()]
            with np.errstate(invalid="ignore"):
                drawn = weight @ seen[here] / weight.sum(axis=1)
            low, high = interval(drawn)
            pooled.append(
                {
                    "attribute": name, "group": group, "tiles": int(here.sum()), "correlation": value,
                    "correlation_low": low, "correlation_high": high, "by_chance": chance.mean(),
                    "p": (1 + further.sum()) / (1 + draws), "significant": (p[here] < ALPHA).mean(),
                }
            )  # fmt: skip
    table = pd.DataFrame(pooled)
    if len(table):
        table["p_corrected"] = table.groupby("group", sort=False)["p"].transform(lambda p: holm(p.to_numpy()))
    return table, pd.concat(single, ignore_index=True)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected for their number (Holm, 1979, Scandinavian Journal of Statistics 6:65).

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3)
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected
