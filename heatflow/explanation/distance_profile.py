"""Strength of saliency by distance to the known features."""

import numpy as np
import pandas as pd


def distance_profile(strength: np.ndarray, distance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean over tiles of a map's mean strength at each distance from a feature, over its mean in the whole tile.

    Parameters
    ----------
    strength : float array, shape (n, size, size)
        Not negative, NaN for no data.
    distance : float array, shape (n, size, size)
        Metres.
    edges : float array, shape (bins + 1,)
        Of the bins of distance, metres.

    Returns
    -------
    float64 array, shape (bins,)
        NaN for bins without a pixel.
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
    """`distance_profile` of each map in each group of tiles.

    Parameters
    ----------
    maps : dict of str to float array, shape (n, size, size)
        Strength by name, not negative.
    distance : float array, shape (n, size, size)
        Metres.
    edges : float array, shape (bins + 1,)
        Of the bins of distance, metres.
    groups : dict of str to bool array, shape (n,)

    Returns
    -------
    DataFrame
        ``map``, ``group``, ``tiles``, ``near`` and ``far`` (m), ``strength``.
    """
    columns = {"near": edges[:-1], "far": edges[1:]}
    rows = [
        pd.DataFrame(
            {"map": name, "group": group, "tiles": int(here.sum())}
            | columns
            | {"strength": distance_profile(values[here], distance[here], edges)}
        )
        for name, values in maps.items()
        for group, here in groups.items()
    ]
    return pd.concat(rows, ignore_index=True)
