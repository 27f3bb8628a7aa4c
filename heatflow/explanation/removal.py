"""Deletion and insertion: does the probability of a class change most where a map says that it matters?

Petsiuk, Das and Saenko (2018), arXiv:1806.07421.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heatflow.evaluation.intervals import mean_with_interval
from heatflow.geo.attributes import gaussian_matrix

CELLS = 20  # squares along each edge of a tile that are removed or restored as a whole
STEPS = np.array([0, 0.05, 0.15, 0.3, 0.6, 1])  # shares of the terrain, closer where curves are steep


@dataclass(frozen=True)
class Curves:
    """Probability of the class explained while terrain is removed, or restored, in the order of a map.

    Parameters
    ----------
    deletion, insertion : float arrays, shape (n, len(STEPS))
        A low deletion curve and a high insertion curve are better.
    """

    deletion: np.ndarray
    insertion: np.ndarray


def removal_curves(
    probability: Callable[[np.ndarray], np.ndarray], elevation: np.ndarray, background: np.ndarray,
    importance: np.ndarray, ends: tuple[np.ndarray, np.ndarray],
) -> Curves:  # fmt: skip
    """Probability while terrain is removed, the most important first, and while it is restored.

    Parameters
    ----------
    probability : callable
        Of the class explained, (n,), for terrain (n, size, size).
    elevation : float32 array, shape (n, size, size)
        Metres, without gaps.
    background : float32 array, shape (n, size, size)
        The same terrain without its detail.
    importance : float array, shape (n, size, size)
        Squares of the tile are removed in the order of its mean over each.
    ends : tuple of float array, shape (n,)
        `probability` of the elevation and of the background, which are the same for every map.
    """
    if not len(elevation):
        return Curves(np.empty((0, len(STEPS))), np.empty((0, len(STEPS))))
    size = elevation.shape[-1]
    inside = (np.arange(size)[:, None] * CELLS // size == np.arange(CELLS)).astype(np.float32)
    number = (inside.argmax(axis=1)[:, None] * CELLS + inside.argmax(axis=1)).ravel()
    pixels = np.maximum(np.bincount(number, minlength=CELLS**2), 1)
    means = np.stack([np.bincount(number, np.nan_to_num(m).ravel(), CELLS**2) / pixels for m in importance])
    rank = np.argsort(np.argsort(-means, axis=1, kind="stable"), axis=1).reshape(-1, CELLS, CELLS)
    # soft edges: a cliff around each square would be terrain of its own
    soft = gaussian_matrix(size, size / CELLS / 4) @ inside
    whole, empty = ends
    curves = [(whole, empty)]
    for share in STEPS[1:-1]:
        part = soft @ (rank < share * CELLS**2).astype(np.float32) @ soft.T * (elevation - background)
        curves.append((probability(elevation - part), probability(background + part)))
    return Curves(*np.moveaxis(np.array([*curves, (empty, whole)]), 0, -1))


def area(curve: np.ndarray) -> np.ndarray:
    """Area under curves (n, len(STEPS)) over the share of terrain, (n,).

    >>> area(np.array([STEPS, np.ones(6)])).round(3)
    array([0.5, 1. ])
    """
    return np.trapezoid(curve, STEPS, axis=-1)


def removal_scores(curves: Curves, controls: dict[str, Curves], block: np.ndarray, seed: int) -> dict[str, float]:
    """Mean areas under the curves, and the difference of deletion from each control with its interval.

    Parameters
    ----------
    curves : Curves
        Of a map.
    controls : dict of str to Curves
        Of orders that need no network. A negative difference is better.
    block : int array, shape (n,)
        Block of each tile, for the intervals.
    seed : int

    Returns
    -------
    dict of str to float
        ``deletion``, ``insertion``, and ``deletion_against_<control>`` with ``_low`` and ``_high``; NaN without tiles.
    """
    deletion, insertion = area(curves.deletion), area(curves.insertion)
    scores = {
        name: float(areas.mean()) if len(areas) else float("nan")
        for name, areas in (("deletion", deletion), ("insertion", insertion))
    }
    for name, control in controls.items():
        difference = deletion - area(control.deletion)
        scores |= mean_with_interval(difference, block, seed, f"deletion_against_{name}")
    return scores
