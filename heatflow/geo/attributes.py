"""Terrain attributes of geomorphometry, pixel by pixel: slope, curvatures, relief, edges, distance to range fronts.

Slope and curvatures: Zevenbergen and Thorne (1987), Earth Surface Processes and Landforms 12:47. Edges: Marr and
Hildreth (1980), Proc. R. Soc. B 207:187. Topographic position: Weiss (2001).
"""

import numpy as np
from scipy import ndimage

SMOOTHING = 400.0  # m, standard deviation of the Gaussian before derivatives are taken
RELIEF = 5_000.0  # m, edge of the square that local relief is taken of
POSITION = 1_000.0, 5_000.0  # m, standard deviations between which the topographic position is taken
FRONT_RELIEF = 300.0  # m, least local relief at a range front
FRONT_RISE = 0.02  # m of topographic position per m of distance, at least, across a range front
STEEPNESS = 2_400.0  # m, standard deviation of the Gaussian that makes steepness of slope: 12 pixels of 200 m
MARGIN = 12_000.0  # m of terrain around a tile that its attributes use


def terrain_attributes(elevation: np.ndarray, resolution: float) -> dict[str, np.ndarray]:
    """Attributes of every pixel of a piece of terrain.

    Parameters
    ----------
    elevation : float array, shape (rows, columns)
        Metres, NaN for no data.
    resolution : float
        Edge of a pixel, metres.

    Returns
    -------
    dict of float32 arrays, shape (rows, columns)
        NaN where there is no data. ``slope`` in degrees; ``profile_curvature`` and ``plan_curvature``, their size
        without sign, per km; ``relief``, metres within RELIEF; ``edge``, the size of the Laplacian, per km, as in an
        edge detector; ``range_front``, the distance in metres to where ranges meet basins: the topographic position
        changes sign there, by FRONT_RISE or more, and the local relief is FRONT_RELIEF or more. NaN throughout where
        there is no range front.

    Examples
    --------
    >>> plane = np.add.outer(-3.0 * np.arange(61), 4.0 * np.arange(61))  # 5 m in 100 m
    >>> attributes = terrain_attributes(plane, resolution=100.0)
    >>> round(float(attributes["slope"][30, 30]), 3), round(float(np.degrees(np.arctan(0.05))), 3)
    (2.862, 2.862)
    """
    valid = np.isfinite(elevation)
    smooth = smoothed(elevation, SMOOTHING / resolution)
    down, right = np.gradient(smooth, resolution)
    (dd, dr), rr = np.gradient(down, resolution), np.gradient(right, resolution, axis=1)
    squared = down**2 + right**2
    steep = np.maximum(squared, 1e-12)
    low, high = np.where(valid, elevation, np.inf), np.where(valid, elevation, -np.inf)
    window = max(3, round(RELIEF / resolution))
    relief = ndimage.maximum_filter(high, window) - ndimage.minimum_filter(low, window)
    near, far = (smoothed(elevation, sigma / resolution) for sigma in POSITION)
    position = near - far
    edge = (position > 0) & ~ndimage.binary_erosion(position > 0, border_value=1)
    rise = np.hypot(*np.gradient(position, resolution))
    front = edge & (rise >= FRONT_RISE) & (relief >= FRONT_RELIEF) & valid
    attributes = {
        "slope": np.degrees(np.arctan(np.sqrt(squared))),
        "profile_curvature": 1000 * np.abs(rr * right**2 + 2 * dr * right * down + dd * down**2) / steep,
        "plan_curvature": 1000 * np.abs(rr * down**2 - 2 * dr * right * down + dd * right**2) / steep,
        "relief": relief,
        "edge": 1000 * np.abs(rr + dd),
        "range_front": distance_to(front, resolution),
    }
    return {name: np.where(valid, array, np.nan).astype(np.float32) for name, array in attributes.items()}


def smoothed(elevation: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over the pixels with data (normalised convolution: Knutsson and Westin, 1993).

    `scipy.ndimage.gaussian_filter` would spread NaN to all within its reach.

    Parameters
    ----------
    elevation : float array, shape (rows, columns)
        NaN for no data.
    sigma : float
        Standard deviation in pixels.

    Returns
    -------
    float64 array, shape (rows, columns)
        Finite everywhere: pixels without data take the mean of those around; 0 far from any data.
    """
    coarse = max(1, int(sigma // 4))  # a wide Gaussian does not need every pixel
    if coarse > 1:
        rows, columns = elevation.shape
        filled = np.pad(elevation, ((0, -rows % coarse), (0, -columns % coarse)), constant_values=np.nan)
        small = smoothed(block_mean(filled, coarse), sigma / coarse)
        return ndimage.zoom(small, coarse, order=1, mode="nearest", grid_mode=True)[:rows, :columns]
    valid = np.isfinite(elevation)
    total = ndimage.gaussian_filter(np.where(valid, elevation, 0).astype(np.float64), sigma, mode="nearest")
    if valid.all():
        return total
    weight = ndimage.gaussian_filter(valid.astype(np.float64), sigma, mode="nearest")
    return total / np.maximum(weight, 1e-9)


def gaussian_matrix(size: int, sigma: float) -> np.ndarray:
    """G of which G @ map @ G.T is `scipy.ndimage.gaussian_filter` of a map, (size, size), in a tenth of the time.

    >>> bool(np.allclose(gaussian_matrix(9, 2.0).sum(axis=1), 1))
    True
    """
    return ndimage.gaussian_filter1d(np.eye(size, dtype=np.float32), sigma, axis=0)


def distance_to(there: np.ndarray, resolution: float) -> np.ndarray:
    """Distance in metres from each pixel to the nearest that is set; NaN throughout where none is.

    Examples
    --------
    >>> distance_to(np.array([[False, False, True]]), 100.0)
    array([[200., 100.,   0.]])
    """
    if not there.any():
        return np.full(there.shape, np.nan)
    return ndimage.distance_transform_edt(~there) * resolution


def block_mean(array: np.ndarray, every: int) -> np.ndarray:
    """Means of squares of pixels, over those that are finite.

    Parameters
    ----------
    array : float array, shape (..., rows, columns)
    every : int
        Edge of a square in pixels. Rows and columns that fill no square are left out.

    Returns
    -------
    float64 array, shape (..., rows // every, columns // every)
        NaN where no pixel of a square is finite.

    Examples
    --------
    >>> block_mean(np.array([[1.0, 3.0, 9.0], [np.nan, 5.0, 9.0]]), 2)
    array([[3.]])
    """
    rows, columns = (n // every for n in array.shape[-2:])
    cut = array[..., : rows * every, : columns * every].reshape(*array.shape[:-2], rows, every, columns, every)
    there = np.isfinite(cut)
    if there.all():
        return cut.sum(axis=(-3, -1)).astype(np.float64) / every**2  # the same, in half of the time
    count = there.sum(axis=(-3, -1))
    total = np.where(there, cut, 0).sum(axis=(-3, -1))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
