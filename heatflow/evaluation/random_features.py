"""Random convolutional features: what patches of terrain tell without anyone having chosen or trained a filter.

Rolf et al. (2021), Nature Communications 12:4392: patches cut at random from the images themselves, whitened (Coates
and Ng, 2012), are the filters of one convolution; the mean of what passes a threshold is a feature, and a linear model
is fitted to the features. Labels have no part in them.
"""

import numpy as np

from heatflow.geo.attributes import block_mean

IMAGE = 50  # cells along the edge of a tile, at least
COARSER = (1, 2)  # cells of the image that are gathered before patches are cut
EDGE = 6  # cells, of a patch
FILTERS = 128  # at each scale; each gives a feature for what lies above the threshold, and one for what lies below
CANDIDATES = 2000  # patches that whitening is fitted to
THRESHOLD = 0.5  # standard deviations of a filter's response
FLAT = 0.02  # standard deviations of the terrain; patches with less relief are no filters
REGULARISED = 0.1  # share of the mean variance that whitening adds to every direction


def reduced(tile: np.ndarray) -> np.ndarray:
    """A tile as an image of IMAGE cells or a few more, float32; NaN where a cell has no data."""
    return block_mean(np.asarray(tile), max(1, len(tile) // IMAGE)).astype(np.float32)


def random_features(images: np.ndarray, known: np.ndarray, seed: int) -> np.ndarray:
    """Features of all images from filters that are patches of some of them.

    Parameters
    ----------
    images : float array, shape (n, rows, columns)
        Detrended elevation, metres, NaN for no data.
    known : bool array, shape (n,)
        Images of the training part, which patches are cut from.
    seed : int

    Returns
    -------
    float64 array, shape (n, k)
        At most 2 FILTERS for each of COARSER; none at a scale where an image is no larger than a patch.

    Examples
    --------
    >>> images = np.random.default_rng(0).normal(size=(4, 16, 16))
    >>> random_features(images, np.array([True, True, False, False]), seed=0).shape
    (4, 512)
    """
    rng, columns = np.random.default_rng(seed), [np.zeros((len(images), 1))]
    values = images[known][np.isfinite(images[known])]
    spread = (values.std() or 1.0) if values.size else 1.0
    for coarser in COARSER:
        image = block_mean(images, coarser)
        scaled = np.nan_to_num((image - (values.mean() if values.size else 0.0)) / spread).astype(np.float32)
        if min(scaled.shape[1:]) < EDGE:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(scaled, (EDGE, EDGE), axis=(1, 2))
        filters = _filters(windows, known, rng)
        responses = (part.reshape(-1, EDGE**2) @ filters.T for part in windows)
        columns.append(np.array([_pooled(response) for response in responses]))
    joined = np.concatenate(columns[1:] or columns, axis=1)
    return joined.astype(np.float64)


def _filters(windows: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whitened patches, float32 (filters, EDGE**2), whose responses have a standard deviation of 1."""
    place = [rng.integers(0, size, CANDIDATES) for size in windows.shape[1:3]]
    patches = windows[rng.choice(np.flatnonzero(known), CANDIDATES), *place].reshape(CANDIDATES, -1).astype(np.float64)
    patches -= patches.mean(axis=1, keepdims=True)
    patches = patches[patches.std(axis=1) > FLAT]
    if not len(patches):
        return np.zeros((1, EDGE**2), dtype=np.float32)
    variance, direction = np.linalg.eigh(patches.T @ patches / len(patches))
    whitening = direction / (variance + REGULARISED * variance.mean()) @ direction.T  # of the patch and of the image
    filters = patches[:FILTERS] @ whitening
    filters -= filters.mean(axis=1, keepdims=True)
    return (filters / (patches @ filters.T).std(axis=0)[:, None]).astype(np.float32)


def _pooled(response: np.ndarray) -> np.ndarray:
    """Mean of the responses beyond the threshold, on either side."""
    sides = (np.maximum(side * response - THRESHOLD, 0).mean(axis=0) for side in (1, -1))
    return np.concatenate([*sides])
