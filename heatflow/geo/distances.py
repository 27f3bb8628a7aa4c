"""Distances of sites from others."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree


def to_other_groups(place: np.ndarray, group: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Distance of each site from the nearest one of another group, such as a fold or a block.

    Parameters
    ----------
    place : float array, shape (m, 2)
        In metres.
    group : int array, shape (m,)
        A few groups of many sites; `to_other_tiles` is for many of a few.
    known : bool array, shape (m,), optional
        Sites that others are measured to; without it all.

    Returns
    -------
    float64 array, shape (m,)
        In metres; infinite where there is none.

    Examples
    --------
    >>> place = np.array([[0.0, 0.0], [3.0, 0.0], [7.0, 0.0]])
    >>> to_other_groups(place, np.array([0, 0, 1]), known=np.array([True, False, True]))
    array([7., 4., 7.])
    """
    distance = np.full(len(place), np.inf)
    for name in np.unique(group):
        here = group == name
        others = ~here if known is None else known & ~here
        if others.any():
            distance[here] = cKDTree(place[others]).query(place[here])[0]
    return distance


def to_other_tiles(place: np.ndarray, tile: np.ndarray) -> np.ndarray:
    """Distance of each site from the nearest one of another tile.

    Parameters
    ----------
    place : float array, shape (m, 2)
        In metres.
    tile : int array, shape (m,)
        A number of its own for each site asks for the nearest of all others.

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


def distance_class(distance: np.ndarray, edges: Sequence[float]) -> pd.Categorical:
    """Classes of distance in words, km; missing where there is no distance.

    Parameters
    ----------
    distance : float array, shape (m,)
        In metres; NaN or infinite where there is none.
    edges : sequence of float
        Between the classes, km, ascending.

    Examples
    --------
    >>> list(distance_class(np.array([4e3, 5e3, 1e5, np.nan]), (5, 10)))
    ['0 to 5', '5 to 10', '10 and more', nan]
    """
    names = [f"{low} to {high}" for low, high in pairwise([0, *edges])]
    return pd.Categorical(
        pd.cut(distance / 1000, [0, *edges, np.inf], right=False, labels=[*names, f"{edges[-1]} and more"])
    )
