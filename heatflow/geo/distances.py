"""Distances of sites from others."""

import numpy as np
from scipy.spatial import cKDTree


def to_other_tiles(place: np.ndarray, tile: np.ndarray) -> np.ndarray:
    """Distance of each site from the nearest one of another tile.

    Parameters
    ----------
    place : float array, shape (m, 2)
        In metres.
    tile : int array, shape (m,)

    Returns
    -------
    float64 array, shape (m,)
        In metres; NaN where there is no other tile.

    Examples
    --------
    >>> to_other_tiles(np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 4.0]]), np.array([5, 5, 6]))
    array([4., 3., 3.])
    """
    most = min(len(tile), int(np.unique(tile, return_counts=True)[1].max()) + 1)  # one of these lies in another tile
    distance, index = cKDTree(place).query(place, k=range(1, most + 1))
    other = tile[index] != tile[:, None]
    nearest = distance[np.arange(len(tile)), other.argmax(axis=1)]
    return np.where(other.any(axis=1), nearest, np.nan)


def to_training(place: np.ndarray, tile: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Distance of each site from the nearest one that was learnt from in the first fold that tests it.

    Parameters
    ----------
    place : float array, shape (m, 2)
        In metres.
    tile : int array, shape (m,)
        Column of the tile of each site in `roles`.
    roles : str array, shape (folds, n)
        Role of each tile in each fold.

    Returns
    -------
    float64 array, shape (m,)
        In metres.

    Examples
    --------
    >>> roles = np.array([["test", "buffer", "train"], ["train", "train", "test"]])
    >>> to_training(np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 4.0]]), np.array([0, 1, 2]), roles)
    array([ 4., nan,  3.])
    """
    distance, tested_by = np.full(len(tile), np.nan), (roles == "test").argmax(axis=0)
    for fold, role in enumerate(roles):
        learnt = np.isin(role, ("train", "validation"))[tile]
        here = (role == "test")[tile] & (tested_by == fold)[tile]
        if learnt.any() and here.any():
            distance[here] = cKDTree(place[learnt]).query(place[here])[0]
    return distance
