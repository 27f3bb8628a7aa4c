"""Strength of saliency by distance to the known features."""

import numpy as np
import pandas as pd


def distance_profiles(strength: np.ndarray, distance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A map's mean strength at each distance from a feature, over its mean in the whole tile.

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
    float64 array, shape (n, bins)
        NaN for bins without a pixel, and for maps that are zero everywhere.
    """
    profiles = np.full((len(strength), len(edges) - 1), np.nan)
    for k, (values, away) in enumerate(zip(strength, distance, strict=True)):
        there = np.isfinite(values) & np.isfinite(away)
        bins = np.digitize(away[there], edges) - 1
        inside = (bins >= 0) & (bins < len(edges) - 1)
        mean = values[there].mean() if there.any() else 0
        if mean > 0:
            count = np.bincount(bins[inside], minlength=len(edges) - 1)
            total = np.bincount(bins[inside], values[there][inside], minlength=len(edges) - 1)
            profiles[k, count > 0] = (total / np.maximum(count, 1) / mean)[count > 0]
    return profiles


def distance_table(
    name: str, strength: np.ndarray, distance: np.ndarray, edges: np.ndarray, groups: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Mean of the `distance_profiles` of a map in each group of tiles.

    Parameters
    ----------
    name : str
        Of the map.
    strength : float array, shape (n, size, size)
        Not negative, NaN for no data.
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
    profiles, rows = distance_profiles(strength, distance, edges), []
    for group, here in groups.items():
        counted = np.isfinite(profiles[here]).sum(axis=0)
        mean = np.where(counted > 0, np.nansum(profiles[here], axis=0) / np.maximum(counted, 1), np.nan)
        columns = {"near": edges[:-1], "far": edges[1:], "strength": mean}
        rows.append(pd.DataFrame({"map": name, "group": group, "tiles": int(here.sum())} | columns))
    return pd.concat(rows, ignore_index=True)
