"""The regional trend as it is defined, for the tests and the benchmark of `heatflow.geo.trend.detrend`."""

import math

import numpy as np


def trend_at(values: np.ndarray, row: np.ndarray, column: np.ndarray, radius: float) -> np.ndarray:
    """The definition of the trend, evaluated pixel by pixel: slow, and what `detrend` is compared with.

    Parameters
    ----------
    values : float array, shape (height, width)
        Metres, NaN for no data.
    row, column : int arrays, shape (n,)
    radius : float
        Pixels.

    Returns
    -------
    float64 array, shape (n,)
    """
    trend = np.full(len(row), np.nan)
    reach = math.ceil(radius)
    for k, (r, c) in enumerate(zip(row, column, strict=True)):
        top, left = max(0, r - reach), max(0, c - reach)
        window = values[top : r + reach + 1, left : c + reach + 1].astype(np.float64)
        y, x = np.indices(window.shape, dtype=np.float64)
        y, x = (y + top - r) / radius, (x + left - c) / radius
        weight = np.where(np.isfinite(window), np.clip(1 - np.hypot(x, y) ** 3, 0, None) ** 3, 0.0)
        here = weight > 0
        if here.any():
            z, w = window[here], weight[here]
            offset = np.column_stack([x[here], y[here]])
            centre = np.average(offset, axis=0, weights=w)
            root = np.sqrt(w / w.sum())
            mean = np.average(z, weights=w)
            slope, *_ = np.linalg.lstsq((offset - centre) * root[:, None], (z - mean) * root, rcond=None)
            trend[k] = mean - centre @ slope
    return trend
