"""Masks: the terrain of known features in each tile, and masks of other tiles laid over it in their own place.

A mask of another tile keeps its shape and its place in the tile, and has nothing to do with the terrain that it falls
on. Masks laid over as they come show what any terrain costs. Those that lie on terrain as steep and of as much relief
show what such terrain costs without the features.
"""

from dataclasses import dataclass

import numpy as np

from heatflow.geo.attributes import block_mean, gaussian_matrix

EDGE = 5.0  # pixels, standard deviation that softens the edges of a mask
EVERY = 4  # pixels along each edge of the squares whose means describe the ground under a mask
OTHERS = 4  # masks of other tiles of each kind: as they come, and on similar ground
OVERLAP = 0.1  # share of a mask of another tile that may lie on features; where these are dense, the least quarter may
MOST_OVERLAP = 0.5  # share that no mask may exceed
LEAST_SHARE = 0.005  # of a tile: a mask that holds less shows nothing
GROUND = ("steepness", "relief", "area")  # what describes the ground under a mask


@dataclass(frozen=True)
class Masks:
    """Masks of n tiles, and those of other tiles that are laid over each of them.

    Parameters
    ----------
    soft : float32 array, shape (n, size, size)
        Share of each pixel that is smoothed away, 0 to 1.
    ground : float64 array, shape (n, n, len(GROUND))
        Of each tile under each mask: mean steepness (degrees), mean relief (100 m), area (per cent of the tile).
    as_they_come, similar : int arrays, shape (n, OTHERS)
        Masks that are laid over each tile: drawn at random, and those whose ground is the most similar to that of its
        own. Both are -1 where too few masks keep clear of its features.
    """

    soft: np.ndarray
    ground: np.ndarray
    as_they_come: np.ndarray
    similar: np.ndarray


def soften(near: np.ndarray, sigma: float = EDGE) -> np.ndarray:
    """Masks (n, size, size) with soft edges, float32: a cliff around a mask would be terrain of its own."""
    blur = gaussian_matrix(near.shape[-1], sigma)
    return np.stack([blur @ mask.astype(np.float32) @ blur.T for mask in near])


def lay_masks(
    near: np.ndarray, known: np.ndarray, steepness: np.ndarray, relief: np.ndarray, seed: int, sigma: float = EDGE
) -> Masks:
    """Masks of features, and which of them to lay over which other tiles.

    Parameters
    ----------
    near : bool array, shape (n, size, size)
        Terrain of the features; every tile holds some.
    known : bool array, shape (n, size, size)
        Terrain of features of any kind, which masks of other tiles keep clear of.
    steepness, relief : float arrays, shape (n, size, size)
        Degrees and metres, NaN for no data.
    seed : int
    sigma : float, optional
        Standard deviation that softens the edges, pixels.
    """
    soft = soften(near, sigma)
    coarse = _coarse(soft)
    total = coarse.sum(axis=1)
    on_features = _coarse(known) @ coarse.T / total
    steep, rugged = (_coarse(attribute) @ coarse.T / total for attribute in (steepness, relief))
    area = np.broadcast_to(100 * total / coarse.shape[1], steep.shape)
    ground = np.stack([steep, rugged / 100, area], axis=-1)
    np.fill_diagonal(on_features, np.inf)
    quarter = min(max(2 * OTHERS, len(near) // 4), len(near) - 1)
    least = np.sort(on_features, axis=1)[:, quarter - 1]
    clear = on_features <= np.clip(least, OVERLAP, MOST_OVERLAP)[:, None]
    return Masks(soft, ground, *_choose(ground, clear, np.random.default_rng(seed)))


def _coarse(maps: np.ndarray) -> np.ndarray:
    """Means of squares of EVERY pixels, 0 for no data; float64 (n, squares)."""
    return np.nan_to_num(block_mean(maps.astype(np.float32), EVERY)).reshape(len(maps), -1)


def _choose(ground: np.ndarray, clear: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    spread = ground.reshape(-1, ground.shape[-1]).std(axis=0)
    own = np.einsum("kkc->kc", ground)
    apart = (((ground - own[:, None]) / np.maximum(spread, 1e-9)) ** 2).sum(axis=-1)
    as_they_come, similar = np.full((2, len(ground), OTHERS), -1)
    for k, there in enumerate(clear):
        candidates = np.flatnonzero(there)
        if len(candidates) >= 2 * OTHERS:
            nearest = candidates[np.argsort(apart[k, candidates], kind="stable")]
            similar[k] = nearest[:OTHERS]
            as_they_come[k] = rng.choice(candidates, OTHERS, replace=False)
    return as_they_come, similar
