"""Does the network use structural settings? Two tests against known features, and the verdict.

*The map's*: how well saliency ranks the pixels near a feature above others of the same tile, among all and among those
with equally steep surroundings; a map of slope alone scores 0.5 in the second by construction.

*The network's*, whatever the maps say: terrain near the features is smoothed away, and so is, in its place, terrain
just as steep elsewhere in the tile. What the first costs in log-odds of being high, beyond the second, is what the
features themselves are worth to the network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import fft
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from heatflow.evaluation.intervals import draw_weights, interval
from heatflow.explanation.out_of_fold import Unseen, spread
from heatflow.geo.attributes import block_mean

NEAR_POINT = 5_000.0  # m, terrain that belongs to a structural setting
NEAR_LINE = 1_500.0  # m, terrain that belongs to a fault or a range front
BINS = 20  # of equally steep surroundings
EDGE = 5.0  # pixels, standard deviation by which the edges of what is smoothed away are softened
EVERY = 4  # pixels along each axis between those that are ranked, and by which figures are moved
TURNS = 4  # quarter turns of what is smoothed away elsewhere, one place for each
OVERLAP = 0.3  # share of such a place that may lie on the features
MOST_TILES = 150  # with features that are looked at, evenly spread
LEAST_TILES = 20  # with features, below which nothing is said of them
MATCHED = 1.0  # degrees by which terrain elsewhere may be steeper, or less steep, than the features
NO_EFFECT = 0.1  # log-odds: an effect that is surely smaller, either way, is none
TERRAIN = ("slope", "edge", "relief", "profile_curvature", "plan_curvature")  # controls, which need no network


def ranking(maps: np.ndarray, near: np.ndarray, surroundings: np.ndarray | None = None) -> np.ndarray:
    """Chance that a pixel near a feature has a larger value than another of its tile (area under the ROC curve).

    Parameters
    ----------
    maps : float array, shape (n, size, size), NaN for no data
    near : bool array, the same shape
    surroundings : int array, the same shape
        Only pixels of one number are compared.

    Returns
    -------
    float64 array, shape (n,); NaN for tiles where there is no such pair
    """
    found = np.full(len(maps), np.nan)
    for k, (values, target) in enumerate(zip(maps, near, strict=True)):
        there = np.isfinite(values)
        values, target = values[there], target[there]
        group = np.zeros(len(values), dtype=int) if surroundings is None else surroundings[k][there]
        won = pairs = 0.0
        for number in np.unique(group[target]):
            here = group == number
            hits = int(target[here].sum())
            if hits < here.sum():
                won += rankdata(values[here])[target[here]].sum() - hits * (hits + 1) / 2
                pairs += hits * (here.sum() - hits)
        if pairs:
            found[k] = won / pairs
    return found


def pointing_game(maps: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Whether the largest value of each tile lies near a feature (Zhang et al., 2018, arXiv:1608.00507), bool (n,)."""
    flat = np.where(np.isfinite(maps), maps, -np.inf).reshape(len(maps), -1)
    return np.take_along_axis(near.reshape(len(maps), -1), flat.argmax(axis=1)[:, None], axis=1)[:, 0]


def known_answer(
    maps: np.ndarray, near: np.ndarray, surroundings: np.ndarray, softness: float
) -> dict[str, np.ndarray]:
    """How well each map ranks the pixels near a feature; all scores are better the higher.

    Parameters
    ----------
    maps : float array, shape (n, size, size), NaN for no data
    near : bool array, the same shape
    surroundings : int array, the same shape, the bin of equally steep surroundings
    softness : standard deviation in pixels of the Gaussian after which maps are ranked once more

    Returns
    -------
    dict of float64 arrays, shape (n,)
        ``auc`` (`ranking` of the map), ``auc_smoothed`` (of the map smoothed, as coarse as what a network can resolve),
        ``auc_as_steep`` (of the latter, among equally steep surroundings), ``pointing``.
    """
    some = (slice(None), slice(None, None, EVERY), slice(None, None, EVERY))
    soft = gaussian_filter(np.nan_to_num(maps), (0, softness, softness))
    soft = np.where(np.isfinite(maps), soft, np.nan)
    return {
        "auc": ranking(maps[some], near[some]),
        "auc_smoothed": ranking(soft[some], near[some]),
        "auc_as_steep": ranking(soft[some], near[some], surroundings[some]),
        "pointing": pointing_game(maps, near).astype(float),
    }


def bins_of(steepness: np.ndarray) -> np.ndarray:
    """Number of the bin of equally steep surroundings that each pixel is in, as many pixels in each of BINS."""
    values = steepness[:, ::EVERY, ::EVERY]
    values = values[np.isfinite(values)]
    edges = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.digitize(np.nan_to_num(steepness), edges)


def by_distance(strength: np.ndarray, distance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean over tiles of a map's mean strength at each distance from a feature, over its mean in the whole tile.

    Parameters
    ----------
    strength : float array, shape (n, size, size), not negative, NaN for no data
    distance : the same shape, metres
    edges : of the bins of distance, metres

    Returns
    -------
    float64 array, shape (len(edges) - 1,); NaN for bins without a pixel
    """
    rows = []
    for values, away in zip(strength, distance, strict=True):
        there = np.isfinite(values) & np.isfinite(away)
        bins = np.digitize(away[there], edges) - 1
        inside = (bins >= 0) & (bins < len(edges) - 1)
        mean = values[there].mean() if there.any() else 0
        if mean > 0:
            count = np.bincount(bins[inside], minlength=len(edges) - 1)
            total = np.bincount(bins[inside], values[there][inside], minlength=len(edges) - 1)
            rows.append(np.where(count > 0, total / np.maximum(count, 1) / mean, np.nan))
    profiles = np.array(rows).reshape(-1, len(edges) - 1)
    counted = np.isfinite(profiles).sum(axis=0)
    return np.where(counted > 0, np.nansum(profiles, axis=0) / np.maximum(counted, 1), np.nan)


def distance_table(
    maps: dict[str, np.ndarray], distance: np.ndarray, edges: np.ndarray, groups: dict[str, np.ndarray]
) -> pd.DataFrame:
    """`by_distance` of each map in each group of tiles: ``map``, ``group``, ``tiles``, ``near``, ``far`` (m),
    ``strength``."""
    rows = []
    for name, values in maps.items():
        for group, here in groups.items():
            profile = by_distance(values[here], distance[here], edges)
            rows.append(
                pd.DataFrame(
                    {"map": name, "group": group, "tiles": int(here.sum()), "near": edges[:-1], "far": edges[1:],
                     "strength": profile}
                )
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


@dataclass(frozen=True)
class Places:
    """Terrain to take away from each tile, shares from 0 to 1.

    `features` (n, size, size); `elsewhere` (TURNS, n, size, size), of the same shape and on terrain as steep.
    """

    features: np.ndarray
    elsewhere: np.ndarray


def find_places(near: np.ndarray, steepness: np.ndarray, softness: float) -> Places:
    """The features of each tile and, for each, the same figure turned and moved to where terrain is as steep.

    Of all places on a lattice of EVERY pixels, edges joined, and in each of TURNS quarter turns: the one whose mean
    steepness is closest to that of the features, among those that lie on the features by no more than OVERLAP.

    Parameters
    ----------
    near : bool array, shape (n, size, size); every tile holds some
    steepness : float array, the same shape, NaN for no data
    softness : standard deviation in pixels by which edges are softened
    """
    features = gaussian_filter(near.astype(np.float32), (0, softness, softness))
    elsewhere = np.empty((TURNS, *near.shape), dtype=np.float32)
    for k, figure in enumerate(features):
        coarse, steep = block_mean(figure, EVERY), np.nan_to_num(block_mean(steepness[k], EVERY))
        spectrum = np.conj(fft.rfft2(np.stack([np.rot90(coarse, turn) for turn in range(TURNS)])))
        means, overlap = (
            fft.irfft2(spectrum * fft.rfft2(ground), s=coarse.shape) / total
            for ground, total in ((steep, coarse.sum()), (coarse, (coarse**2).sum()))
        )
        wrong = np.abs(means - (coarse * steep).sum() / coarse.sum())
        # where every place lies on the features, the one that does so least
        worse = wrong + 1e3 * np.maximum(overlap - np.maximum(OVERLAP, overlap.min(axis=(1, 2), keepdims=True)), 0)
        for turn in range(TURNS):
            down, right = np.unravel_index(worse[turn].argmin(), worse[turn].shape)
            # softened where it comes to lie: an edge that the tile's border cut off would be a cliff inside of it
            moved = np.roll(np.rot90(near[k], turn), (down * EVERY, right * EVERY), (0, 1))
            elsewhere[turn, k] = gaussian_filter(moved.astype(np.float32), softness)
    return Places(features, elsewhere)


def worth(
    evidence: Callable[[np.ndarray], np.ndarray], elevation: np.ndarray, background: np.ndarray, places: Places
) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of being high that are lost when the features are smoothed away, and when places as steep are.

    Parameters
    ----------
    evidence : log-odds (n,) of terrain (n, size, size)
    elevation : float32 array, shape (n, size, size), metres
    background : the same terrain without its detail

    Returns
    -------
    features, elsewhere : float64 arrays, shape (n,)
    """
    whole = evidence(elevation)

    def lost(mask):
        return whole - evidence((elevation * (1 - mask) + background * mask).astype(np.float32))

    return lost(places.features), np.mean([lost(mask) for mask in places.elsewhere], axis=0)


def mean_with_interval(values: np.ndarray, block: np.ndarray, seed: int, name: str) -> dict[str, float]:
    """Mean over the tiles that have a value, with the interval of draws of whole blocks, under `name`."""
    here = np.isfinite(values)
    if not here.any():
        return dict.fromkeys([name, f"{name}_low", f"{name}_high"], float("nan"))
    weight = draw_weights(block[here], seed)
    with np.errstate(invalid="ignore"):
        low, high = interval(weight @ values[here] / weight.sum(axis=1))
    return {name: float(values[here].mean()), f"{name}_low": low, f"{name}_high": high}


@dataclass(frozen=True)
class Known:
    """Tiles that hold known features of one kind.

    `index` (m,) of the kept tiles; of these `near` (m, size, size) whether a pixel belongs to a feature, `distance` in
    metres, `around` what `TileAttributes` computes, `bins` of equally steep surroundings; `softness` in pixels.
    """

    name: str
    index: np.ndarray
    near: np.ndarray
    distance: np.ndarray
    around: dict[str, np.ndarray]
    bins: np.ndarray
    block: np.ndarray
    softness: float
    seed: int

    @classmethod
    def find(
        cls,
        name: str,
        reach: float,
        around: dict[str, np.ndarray],
        index: np.ndarray,
        block: np.ndarray,
        softness: float,
        seed: int,
    ) -> "Known | None":
        """The tiles with a feature within `reach` metres of a pixel, and pixels further off; None: too few for a test.

        `around` and `block` belong to the kept tiles in `index`.
        """
        near = around[name] <= reach
        has = near.any(axis=(1, 2)) & ~near.all(axis=(1, 2)) & (around["steepness"] > 0).any(axis=(1, 2))
        if has.sum() < LEAST_TILES:
            return None
        some = spread(np.flatnonzero(has), MOST_TILES)
        chosen = {key: around[key][some] for key in ("background", "steepness", *TERRAIN)}
        bins = bins_of(chosen["steepness"])
        return cls(name, index[some], near[some], around[name][some], chosen, bins, block[some], softness, seed)

    def score(self, maps: np.ndarray, called_high: np.ndarray) -> dict[str, float]:
        """`known_answer` of maps of the tiles in `index`: means with intervals, and AUC less slope's, tile by tile.

        `called_high`, bool (m,): the tiles that the network calls high, where there is something to point at; scores of
        these alone end in ``_called_high``.
        """
        maps = np.where(np.isfinite(self.around["slope"]), maps, np.nan)
        found = known_answer(maps, self.near, self.bins, self.softness)
        slope = self._of_slope
        found |= {f"{name}_against_slope": found[name] - slope[name] for name in ("auc", "auc_smoothed")}
        found |= {f"{name}_called_high": np.where(called_high, found[name], np.nan) for name in [*found]}
        return {
            k: v for name, one in found.items() for k, v in mean_with_interval(one, self.block, self.seed, name).items()
        }

    @cached_property
    def _of_slope(self):
        return known_answer(self.around["slope"], self.near, self.bins, self.softness)

    def controls(self) -> dict[str, np.ndarray]:
        """Maps that know nothing of heat: random numbers, an edge detector, and attributes of the terrain."""
        noise = np.random.default_rng(self.seed).random(self.near.shape, dtype=np.float32)
        return {"random": noise} | {name: self.around[name] for name in TERRAIN}

    def effect(self, unseen: Unseen) -> dict[str, float]:
        """What the features are `worth` to the networks, what terrain as steep is, and the difference (``effect``).

        Only tiles in which terrain as steep was found elsewhere, to within MATCHED, are counted (``tiles``, of
        ``tiles_with_features``); with fewer than LEAST_TILES of them there is no effect to tell of.
        """
        elevation, background = unseen.data.elevation(self.index), self.around["background"]
        elevation = np.where(np.isfinite(elevation), elevation, background)
        places = find_places(self.near, self.around["steepness"], EDGE)
        lost, elsewhere = worth(lambda terrain: unseen.evidence(self.index, terrain), elevation, background, places)
        steep = np.nan_to_num(self.around["steepness"])
        steepness = [
            (mask * steep).sum(axis=(-2, -1)) / mask.sum(axis=(-2, -1)) for mask in (places.features, places.elsewhere)
        ]
        matched = np.abs(steepness[0] - steepness[1].mean(axis=0)) <= MATCHED
        counted = matched & (matched.sum() >= LEAST_TILES)
        lost, elsewhere = np.where(counted, lost, np.nan), np.where(counted, elsewhere, np.nan)
        return {
            "tiles": int(matched.sum()),
            "tiles_with_features": len(self.index),
            "steepness": float(steepness[0][matched].mean()) if matched.any() else float("nan"),
            "steepness_elsewhere": float(steepness[1][:, matched].mean()) if matched.any() else float("nan"),
            **mean_with_interval(lost, self.block, self.seed, "lost"),
            **mean_with_interval(elsewhere, self.block, self.seed, "lost_elsewhere"),
            **mean_with_interval(lost - elsewhere, self.block, self.seed, "effect"),
        }


def verdict(
    skill_low: float,
    features: str | None,
    effect: dict[str, float],
    method: str | None,
    matched: dict[str, float],
    fronts: dict[str, float] | None = None,
    controls: dict[str, dict[str, float]] | None = None,
) -> dict:
    """The answer in words, by rules that docs/saliency.md states.

    Parameters
    ----------
    skill_low : lower end of the interval of the network's AUC
    features : what was held against it ("structures" or "faults"); None: nothing was given
    effect : ``effect``, ``effect_low``, ``effect_high``: log-odds lost with the features, less those lost elsewhere
    method : title of the map that passed its tests and names best what matters; None: no map passed
    matched : ``auc_as_steep`` of that map, with ``_low`` and ``_high``
    fronts : the effect of range fronts, told where nothing was given; it decides nothing
    controls : scores of what needs no network, the best of which is told beside the map's

    Returns
    -------
    dict
        ``answer`` ("uses structure", "does not use structure", "cannot be told") and ``reasons``, sentences.
    """
    reasons = []
    skilled = skill_low > 0.5
    reasons.append(
        f"The network's AUC is {'above' if skilled else 'not surely above'} that of a guess "
        f"(lower end of its interval {skill_low:.3f}, a guess has 0.5)."
    )
    if features is None:
        reasons.append("Neither structures nor faults were given for this region (data.structures, data.faults).")
        if fronts and np.isfinite([fronts["effect_low"], fronts["effect_high"]]).all():
            low, high = fronts["effect_low"], fronts["effect_high"]
            reasons.append(
                f"Smoothing range fronts away costs {fronts['effect']:+.3f} ({low:+.3f} to {high:+.3f}) in log-odds of "
                f"being high, beyond what terrain as steep elsewhere does ({fronts['tiles']} tiles have any); a range "
                "front is no structural setting, so this decides nothing."
            )
        return {"answer": "cannot be told", "reasons": reasons}
    low, high = effect["effect_low"], effect["effect_high"]
    if not np.isfinite([low, high]).all():
        reasons.append(
            f"There are too few tiles with {features} and terrain as steep elsewhere ({effect.get('tiles', 0)} of "
            f"{effect.get('tiles_with_features', 0)}), or too few blocks of them, to tell what they are worth."
        )
        return {"answer": "cannot be told", "reasons": reasons}
    reasons.append(
        f"Smoothing the {features} away costs {effect['effect']:+.3f} ({low:+.3f} to {high:+.3f}) in log-odds of being "
        f"high, beyond what it costs to smooth terrain as steep elsewhere ({effect['tiles']} tiles have any)."
    )
    best = max(controls or {}, key=lambda name: controls[name]["auc_as_steep"] if controls else 0.0, default=None)
    without = (
        f"{best.replace('_', ' ')} alone has {controls[best]['auc_as_steep']:.3f}"
        if controls and best
        else "0.5 by chance"
    )
    if method is None:
        reasons.append("No saliency map passed its tests, so none was asked where it looks.")
    else:
        reasons.append(
            f"The map that passed its tests and names best what matters ({method}) ranks terrain near {features} above "
            f"terrain with equally steep surroundings with a chance of {matched['auc_as_steep']:.3f} "
            f"({matched['auc_as_steep_low']:.3f} to {matched['auc_as_steep_high']:.3f}; {without})."
        )
    looks = method is not None and matched["auc_as_steep_low"] > 0.5
    if skilled and low > 0 and looks:
        answer = "uses structure"
    elif low > -NO_EFFECT and high < NO_EFFECT:
        answer = "does not use structure"
    else:
        answer = "cannot be told"
    return {"answer": answer, "reasons": reasons}
