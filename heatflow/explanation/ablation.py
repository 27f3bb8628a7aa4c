"""Ablation effect: how much evidence do the networks lose when known features are smoothed away?

Terrain near the features is replaced by terrain without detail, and so is, instead, equally steep terrain elsewhere in
the tile. The difference of the two losses is the effect of the features themselves. It does not depend on any map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import fft

from heatflow.evaluation.intervals import mean_with_interval
from heatflow.explanation.known_features import LEAST_TILES, KnownFeatures
from heatflow.explanation.out_of_fold import OutOfFoldNetworks
from heatflow.geo.attributes import block_mean, gaussian_matrix

EDGE = 5.0  # pixels, standard deviation that softens the edges of what is smoothed away
EVERY = 4  # pixels by which a figure is moved
TURNS = 4  # quarter turns of what is smoothed away elsewhere, one place for each
OVERLAP = 0.3  # share of such a place that may lie on the features
MATCHED = 1.0  # degrees by which terrain elsewhere may be steeper, or less steep, than the features


@dataclass(frozen=True)
class Places:
    """Terrain to smooth away from each tile, shares from 0 to 1.

    Parameters
    ----------
    features : float32 array, shape (n, size, size)
    elsewhere : float32 array, shape (TURNS, n, size, size)
        Places of the same shape on equally steep terrain.
    """

    features: np.ndarray
    elsewhere: np.ndarray

    def steepness(self, steepness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean steepness (n, size, size) of the features, (n,), and elsewhere, (TURNS, n)."""
        features, elsewhere = (
            (mask * np.nan_to_num(steepness)).sum(axis=(-2, -1)) / mask.sum(axis=(-2, -1))
            for mask in (self.features, self.elsewhere)
        )
        return features, elsewhere


def find_places(near: np.ndarray, steepness: np.ndarray, sigma: float = EDGE) -> Places:
    """The features of each tile and the same figures, turned and moved to where terrain is equally steep.

    Candidates are all places at steps of EVERY pixels, edges joined, in each of TURNS quarter turns. The one whose mean
    steepness is closest to that of the features is taken, among those that overlap the features by at most OVERLAP.

    Parameters
    ----------
    near : bool array, shape (n, size, size)
        Features; every tile holds some.
    steepness : float array, shape (n, size, size)
        NaN for no data.
    sigma : float, optional
        Standard deviation that softens the edges, pixels.
    """
    soften = gaussian_matrix(near.shape[-1], sigma)
    features = soften @ near.astype(np.float32) @ soften.T
    elsewhere = np.empty((TURNS, *near.shape), dtype=np.float32)
    for k, figure in enumerate(features):
        coarse, steep = block_mean(figure, EVERY), np.nan_to_num(block_mean(steepness[k], EVERY))
        spectrum = np.conj(fft.rfft2(np.stack([np.rot90(coarse, turn) for turn in range(TURNS)])))
        means, overlap = (
            fft.irfft2(spectrum * fft.rfft2(ground), s=coarse.shape) / total
            for ground, total in ((steep, coarse.sum()), (coarse, (coarse**2).sum()))
        )
        wrong = np.abs(means - (coarse * steep).sum() / coarse.sum())
        # where every place lies on the features, the one with the least overlap
        worse = wrong + 1e3 * np.maximum(overlap - np.maximum(OVERLAP, overlap.min(axis=(1, 2), keepdims=True)), 0)
        for turn in range(TURNS):
            down, right = np.unravel_index(worse[turn].argmin(), worse[turn].shape)
            # softened in its new place: an edge that the tile's border cut off would be a cliff inside of it
            moved = np.roll(np.rot90(near[k], turn), (down * EVERY, right * EVERY), (0, 1))
            elsewhere[turn, k] = soften @ moved.astype(np.float32) @ soften.T
    return Places(features, elsewhere)


def losses(
    evidence: Callable[[np.ndarray], np.ndarray], elevation: np.ndarray, background: np.ndarray, places: Places
) -> tuple[np.ndarray, np.ndarray]:
    """Evidence that is lost when the features are smoothed away, and when equally steep places are (mean over TURNS).

    Parameters
    ----------
    evidence : callable
        Log-odds (n,) of terrain (n, size, size).
    elevation : float32 array, shape (n, size, size)
        Metres, without gaps.
    background : float32 array, shape (n, size, size)
        The same terrain without its detail.
    places : Places

    Returns
    -------
    features, elsewhere : float64 arrays, shape (n,)
    """
    whole = evidence(elevation)

    def loss(mask: np.ndarray) -> np.ndarray:
        return whole - evidence((elevation * (1 - mask) + background * mask).astype(np.float32))

    return loss(places.features), np.mean([loss(mask) for mask in places.elsewhere], axis=0)


def ablation_effect(known: KnownFeatures, networks: OutOfFoldNetworks) -> dict[str, float]:
    """Ablation effect of known features on the log-odds of the high classes.

    Parameters
    ----------
    known : KnownFeatures
    networks : OutOfFoldNetworks

    Returns
    -------
    dict of str to float
        ``lost`` (without the features), ``lost_elsewhere`` (without equally steep terrain), ``effect`` (the
        difference), each with ``_low`` and ``_high``. Only tiles whose places elsewhere are as steep to within MATCHED
        count (``tiles``, of ``tiles_with_features``); with fewer than LEAST_TILES the effect is NaN. ``steepness`` and
        ``steepness_elsewhere`` are their means in degrees.
    """
    steepness = known.attribute("steepness")
    places = find_places(known.near, steepness)
    steep, steep_elsewhere = places.steepness(steepness)
    matched = np.abs(steep - steep_elsewhere.mean(axis=0)) <= MATCHED
    lost, elsewhere = np.full((2, len(matched)), np.nan)
    if matched.sum() >= LEAST_TILES:
        index, background = known.index[matched], known.attribute("background")[matched]
        some = Places(places.features[matched], places.elsewhere[:, matched])
        evidence = partial(networks.high_log_odds, index)
        lost[matched], elsewhere[matched] = losses(evidence, networks.without_gaps(index, background), background, some)
    effects: dict[str, float] = {
        "tiles": int(matched.sum()),
        "tiles_with_features": len(known.index),
        "steepness": float(steep[matched].mean()) if matched.any() else float("nan"),
        "steepness_elsewhere": float(steep_elsewhere[:, matched].mean()) if matched.any() else float("nan"),
    }
    for name, values in (("lost", lost), ("lost_elsewhere", elsewhere), ("effect", lost - elsewhere)):
        effects |= mean_with_interval(values, known.block, known.seed, name)
    return effects
