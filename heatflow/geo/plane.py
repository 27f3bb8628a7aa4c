"""The plane that fits weighted points best, from their sums."""

from collections.abc import Iterable

import numpy as np

FLAT = 1e-6  # spread of the points (variance, in the unit of the offsets) below which a direction has no slope


def height_of_plane(sums: Iterable[np.ndarray], least: float) -> np.ndarray:
    """Height at the origin of the plane that fits weighted points best.

    Where the points lie on a line the slope is the one along it, and where they are a single point there is none.

    Parameters
    ----------
    sums : iterable of 9 float arrays
        Of one shape, that of the result: the sum of the weights; sums of weight times the offsets x and y, and times
        their products xx, xy and yy; sums of weight times height, and of that times x and y.
    least : float
        Sum of weights up to which there is no height.

    Returns
    -------
    float64 array
        NaN where the sum of the weights is not above `least`.
    """
    s, sx, sy, sxx, sxy, syy, t, tx, ty = sums
    s = np.where(s > least, s, np.nan)
    x, y, z = sx / s, sy / s, t / s
    cxx, cxy, cyy = sxx / s - x * x, sxy / s - x * y, syy / s - y * y
    cx, cy = tx / s - x * z, ty / s - y * z
    middle, half = (cxx + cyy) / 2, np.hypot((cxx - cyy) / 2, cxy)
    large, small = middle + half, middle - half
    with np.errstate(divide="ignore", invalid="ignore"):
        # inverse of the covariance, or of its larger part alone: (C - small) / (large - small) projects onto it
        area, along = large * small, (large - small) * large
        line = small <= FLAT
        slope_x = np.where(line, ((cxx - small) * cx + cxy * cy) / along, (cyy * cx - cxy * cy) / area)
        slope_y = np.where(line, (cxy * cx + (cyy - small) * cy) / along, (cxx * cy - cxy * cx) / area)
    level = large <= FLAT
    return z - np.where(level, 0, slope_x) * x - np.where(level, 0, slope_y) * y
