"""Known features: do maps point at structural settings, faults and range fronts?

A map is scored by how well it ranks the pixels near a feature above other pixels of the same tile, among all of them
and among those with equally steep surroundings. A map of slope alone scores 0.5 in the second by construction.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import rankdata

from heatflow.evaluation.intervals import mean_with_interval
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.out_of_fold import spread
from heatflow.geo.attributes import STEEPNESS, gaussian_matrix

NEAR_POINT = 5_000.0  # m, terrain that belongs to a structural setting
NEAR_LINE = 1_500.0  # m, terrain that belongs to a fault or a range front
REACH = {"structures": NEAR_POINT, "faults": NEAR_LINE, "lookalikes": NEAR_POINT, "range_front": NEAR_LINE}
TESTED = ("structures", "faults")  # the known features that maps are tested on, by order of precedence
BINS = 20  # of equally steep surroundings
EVERY = 4  # pixels along each axis between those that are ranked
MOST_TILES = 150  # with features that are looked at, evenly spread
LEAST_TILES = 20  # with features, below which nothing is measured
CONTROLS = ("slope", "edge", "relief", "profile_curvature", "plan_curvature")  # attributes, which need no network


def ranking(maps: np.ndarray, near: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
    """Chance that a pixel near a feature has a larger value than another of its tile (area under the ROC curve).

    Parameters
    ----------
    maps : float array, shape (n, size, size)
        NaN for no data.
    near : bool array, shape (n, size, size)
    group : int array, shape (n, size, size), optional
        Only pixels of the same group are compared.

    Returns
    -------
    float64 array, shape (n,)
        NaN for tiles without a pair to compare.

    Examples
    --------
    >>> ranking(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[[False, False], [True, False]]])).round(3)
    array([0.667])
    """
    areas = np.full(len(maps), np.nan)
    for k, (values, target) in enumerate(zip(maps, near, strict=True)):
        there = np.isfinite(values)
        values, target = values[there], target[there]
        groups = np.zeros(len(values), dtype=int) if group is None else group[k][there]
        pixels, hits = np.bincount(groups), np.bincount(groups, target)
        if pairs := (hits * (pixels - hits)).sum():
            ranks = rankdata(values)
            if group is not None:
                ranks = rankdata(ranks + groups * (len(values) + 1))  # group by group, then by value
            before = np.cumsum(pixels) - pixels  # pixels of the groups before
            areas[k] = ((ranks - before[groups])[target].sum() - (hits * (hits + 1) / 2).sum()) / pairs
    return areas


def pointing_game(maps: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Whether the largest value of each tile lies near a feature (Zhang et al., 2018, arXiv:1608.00507), bool (n,)."""
    flat = np.where(np.isfinite(maps), maps, -np.inf).reshape(len(maps), -1)
    return np.take_along_axis(near.reshape(len(maps), -1), flat.argmax(axis=1)[:, None], axis=1)[:, 0]


def score_maps(maps: np.ndarray, near: np.ndarray, bins: np.ndarray, sigma: float) -> dict[str, np.ndarray]:
    """How well each map ranks the pixels near a feature; more is better for every score.

    Parameters
    ----------
    maps : float array, shape (n, size, size)
        NaN for no data.
    near : bool array, shape (n, size, size)
    bins : int array, shape (n, size, size)
        Of `steepness_bins`.
    sigma : float
        Standard deviation of the Gaussian of the smoothed scores, pixels.

    Returns
    -------
    dict of str to float64 array, shape (n,)
        ``auc`` (`ranking` of the map), ``auc_smoothed`` (of the map smoothed to the resolution of the network),
        ``auc_as_steep`` (of the latter, among equally steep surroundings), ``pointing`` (`pointing_game`).
    """
    some = (slice(None), slice(None, None, EVERY), slice(None, None, EVERY))
    ranked, target, blur = maps[some], near[some], gaussian_matrix(maps.shape[-1], sigma)[::EVERY]
    smooth = np.where(np.isfinite(ranked), blur @ np.nan_to_num(maps) @ blur.T, np.nan)
    return {
        "auc": ranking(ranked, target),
        "auc_smoothed": ranking(smooth, target),
        "auc_as_steep": ranking(smooth, target, bins[some]),
        "pointing": pointing_game(maps, near).astype(float),
    }


def steepness_bins(steepness: np.ndarray) -> np.ndarray:
    """Bin of the steepness around each pixel, int of the same shape; BINS of them, with as many pixels in each."""
    values = steepness[:, ::EVERY, ::EVERY]
    edges = np.quantile(values[np.isfinite(values)], np.linspace(0, 1, BINS + 1)[1:-1])
    return np.digitize(np.nan_to_num(steepness), edges)


@dataclass(frozen=True)
class FeatureScores:
    """Scores of maps on known features.

    Parameters
    ----------
    means : dict of str to float
        Of `score_maps`, with their intervals. Those of tiles with a high predicted class end in ``_called_high``.
    as_steep : float64 array, shape (m,)
        ``auc_as_steep`` of each tile.
    block : int array, shape (m,)
        Block of each tile, for the intervals.
    seed : int
    """

    means: dict[str, float]
    as_steep: np.ndarray
    block: np.ndarray
    seed: int

    def with_control(self, control: "FeatureScores") -> dict[str, float]:
        """The means, and how much ``auc_as_steep`` is above that of a control, tile by tile: ``beyond_control``.

        >>> ours, other = (FeatureScores({}, np.full(40, score), np.arange(40), seed=0) for score in (0.9, 0.6))
        >>> round(ours.with_control(other)["beyond_control_low"], 2)
        0.3
        """
        apart = self.as_steep - control.as_steep
        return self.means | mean_with_interval(apart, self.block, self.seed, "beyond_control")


@dataclass(frozen=True)
class KnownFeatures:
    """Tiles that hold known features of one kind.

    Parameters
    ----------
    name : str
    index : int array, shape (m,)
        The kept tiles that hold some.
    place : int array, shape (m,)
        Theirs in the sample.
    attributes : dict of str to float32 array, shape (of the sample, size, size)
        Of `ExplainedTiles`.
    block : int array, shape (m,)
        Block of each tile, for the intervals.
    sigma : float
        See `score_maps`.
    seed : int
    """

    name: str
    index: np.ndarray
    place: np.ndarray
    attributes: dict[str, np.ndarray]
    block: np.ndarray
    sigma: float
    seed: int

    def attribute(self, name: str) -> np.ndarray:
        """Of these tiles, float32 (m, size, size)."""
        return np.asarray(self.attributes[name][self.place])

    @property
    def distance(self) -> np.ndarray:
        """To the nearest feature, metres, float32 (m, size, size)."""
        return self.attribute(self.name)

    @cached_property
    def near(self) -> np.ndarray:
        """Whether a pixel belongs to a feature, bool (m, size, size)."""
        return self.distance <= REACH[self.name]

    @cached_property
    def bins(self) -> np.ndarray:
        """`steepness_bins` of these tiles, int (m, size, size)."""
        return steepness_bins(self.attribute("steepness"))

    def score(self, maps: np.ndarray, predicted_high: np.ndarray) -> FeatureScores:
        """`score_maps` of maps of these tiles.

        Parameters
        ----------
        maps : float array, shape (m, size, size)
        predicted_high : bool array, shape (m,)
            Tiles with a high predicted class.
        """
        there = np.where(np.isfinite(self.attribute("slope")), maps, np.nan)
        scores = score_maps(there, self.near, self.bins, self.sigma)
        called = {f"{name}_called_high": np.where(predicted_high, of, np.nan) for name, of in scores.items()}
        means = (mean_with_interval(of, self.block, self.seed, name) for name, of in (scores | called).items())
        flat = {name: value for mean in means for name, value in mean.items()}
        return FeatureScores(flat, scores["auc_as_steep"], self.block, self.seed)

    def control(self, name: str) -> np.ndarray:
        """A map that needs no network: "random" numbers, or one of the attributes in CONTROLS."""
        if name == "random":
            return np.random.default_rng(self.seed).random(self.near.shape, dtype=np.float32)
        return self.attribute(name)


def find_known_features(tiles: ExplainedTiles) -> dict[str, KnownFeatures]:
    """For each kind of known features the sampled tiles with some within REACH of a pixel, and with pixels further off.

    Returns
    -------
    dict of str to KnownFeatures
        Kinds with fewer than LEAST_TILES tiles are left out.
    """
    known, attributes, block = {}, tiles.attributes, tiles.block[tiles.sample]
    for name in [name for name in REACH if name in attributes]:
        near = np.asarray(attributes[name]) <= REACH[name]
        has = near.any(axis=(1, 2)) & ~near.all(axis=(1, 2)) & (attributes["steepness"] > 0).any(axis=(1, 2))
        if has.sum() < LEAST_TILES:
            continue
        some = spread(np.flatnonzero(has), MOST_TILES)
        sigma = STEEPNESS / tiles.resolution
        known[name] = KnownFeatures(name, tiles.sample[some], some, attributes, block[some], sigma, tiles.seed)
    return known
