"""Normalization: an offset and a scale fitted on the training tiles of one fold."""

from collections.abc import Iterable

import numpy as np

from heatflow.errors import InputError

SAMPLE = 2000  # pixels of each tile that quantiles are taken from


def fit_scaling(tiles: Iterable[np.ndarray], method: str) -> dict[str, float]:
    """Offset and scale such that (value - offset) / scale is normalised.

    Parameters
    ----------
    tiles : training tiles, each a float array in metres with NaN for nodata
    method : "max" (divide by the largest value, as in the report), "standard" (mean and standard deviation),
        "robust" (median and interquartile range) or "none"

    Returns
    -------
    dict with ``offset``, ``scale`` and the range of the values, ``low`` and ``high`` (all in metres)

    Raises
    ------
    InputError
        The training tiles hold no data, or their values give no scale.
    """
    count, mean, spread, low, high = 0, 0.0, 0.0, np.inf, -np.inf
    kept = []
    for tile in tiles:
        values = tile[np.isfinite(tile)].astype(np.float64)
        if not values.size:
            continue
        low, high = min(low, values.min()), max(high, values.max())
        delta, total = values.mean() - mean, count + values.size  # Chan, Golub and LeVeque (1983), pairwise update
        spread += values.var() * values.size + delta**2 * count * values.size / total
        mean, count = mean + delta * values.size / total, total
        if method == "robust":
            kept.append(values[:: max(1, values.size // SAMPLE)].astype(np.float32))
    if not count:
        raise InputError("normalize: the training tiles of a fold hold no data at all; check filter.min_valid")
    match method:
        case "max":
            offset, scale = 0.0, high
        case "standard":
            offset, scale = mean, np.sqrt(spread / count)
        case "robust":
            q1, offset, q3 = np.quantile(np.concatenate(kept), [0.25, 0.5, 0.75])
            scale = q3 - q1
        case _:
            offset, scale = 0.0, 1.0
    if not scale > 0:
        raise InputError(
            f"normalize.method: {method!r} would divide by {scale:g} (the values run from {low:g} to {high:g} m); "
            "use standard, or check the terrain"
        )
    return {"offset": float(offset), "scale": float(scale), "low": float(low), "high": float(high)}
