"""Statistics of a tile's terrain: the columns of the terrain baselines and of the area of applicability."""

from collections.abc import Callable, Iterable

import numpy as np

from heatflow.geo.attributes import block_mean

SCALES = (1, 4, 16)  # pixels over which terrain is averaged before its slope, curvature and relief are taken
RELIEF_CELL = 8  # pixels, edge of the cells in which relief is taken


def terrain_statistics(tile: np.ndarray, resolution: float) -> np.ndarray:
    """Statistics of a tile's terrain that do not depend on how it is turned.

    Of elevation: mean, standard deviation, skewness, 10th and 90th percentile. At each of three scales: mean and 90th
    percentile of the slope, standard deviation of the curvature (Laplacian), and mean relief of cells of 8 pixels.

    Parameters
    ----------
    tile : float array, shape (size, size)
        Elevation in metres, NaN for no data.
    resolution : float
        Edge of a pixel in metres.

    Returns
    -------
    float64 array, shape (17,)
        Elevation and relief in metres, slope in metres per metre, curvature in 1e-6 per metre; 0 where a tile has no
        data, or is too small to have a slope at a scale.

    Examples
    --------
    >>> ramp = np.tile(np.arange(64.0) * 20, (64, 1))
    >>> terrain_statistics(ramp, resolution=200)[5::4]
    array([0.1, 0.1, 0.1])
    """
    tile = tile.astype(np.float64)
    z = tile[np.isfinite(tile)]
    if not z.size:
        return np.zeros(5 + 4 * len(SCALES))
    mean, spread = z.mean(), z.std()
    above = z - mean
    skewness = (above * above * above).mean() / (spread or 1.0) ** 3  # numpy's third power takes ten times as long
    statistics = [mean, spread, skewness, *np.quantile(z, [0.1, 0.9], overwrite_input=True)]
    for scale in SCALES:
        statistics += _shape(block_mean(tile, scale) if scale > 1 else tile, scale * resolution)
    return np.array(statistics)


def channel_means(tile: np.ndarray) -> np.ndarray:
    """Mean of each channel of a tile over its pixels with data.

    Parameters
    ----------
    tile : float array, shape (channels, size, size)

    Returns
    -------
    float64 array, shape (channels,)
        NaN where there is no data.

    Examples
    --------
    >>> channel_means(np.array([[[1.0, np.nan], [3.0, 5.0]], [[np.nan, np.nan], [np.nan, np.nan]]]))
    array([ 3., nan])
    """
    there = np.isfinite(tile)
    total, count = np.where(there, tile, 0.0).sum(axis=(1, 2), dtype=np.float64), there.sum(axis=(1, 2))
    return np.divide(total, count, out=np.full(len(tile), np.nan), where=count > 0)


def statistics_of_tiles(
    tiles: Iterable[np.ndarray], resolution: float, on_tile: Callable[[], object] = lambda: None
) -> np.ndarray:
    """`terrain_statistics` of several tiles, and `channel_means` of what networks see beside the terrain.

    Parameters
    ----------
    tiles : iterable of float array, shape (channels, size, size)
        The first channel is elevation in metres, NaN for no data.
    resolution : float
        Edge of a pixel in metres.
    on_tile : callable
        Called after each tile.

    Returns
    -------
    float64 array, shape (n, 16 + channels)
    """
    rows = []
    for tile in map(np.asarray, tiles):
        rows.append(np.append(terrain_statistics(tile[0], resolution), channel_means(tile[1:])))
        on_tile()
    return np.array(rows)


def _shape(elevation: np.ndarray, resolution: float) -> list[float]:
    """Mean and 90th percentile of the slope, standard deviation of the curvature, and mean relief of cells."""
    if min(elevation.shape) < 3:
        return [0.0] * 4
    down, right = np.gradient(elevation, resolution)
    slope = np.sqrt(down * down + right * right)
    z = np.pad(elevation, 1, mode="edge")
    around = z[2:, 1:-1] + z[:-2, 1:-1] + z[1:-1, 2:] + z[1:-1, :-2]
    curvature = (around - 4 * elevation) / resolution**2
    edge = min(RELIEF_CELL, *elevation.shape)
    rows, columns = (n // edge for n in elevation.shape)
    cells = elevation[: rows * edge, : columns * edge].reshape(rows, edge, columns * edge)
    ends = ((end, end.reduce(cells, axis=1).reshape(rows, columns, edge)) for end in (np.fmax, np.fmin))
    high, low = (end.reduce(of_columns, axis=2) for end, of_columns in ends)
    relief = high - low
    slope, curvature, relief = (values[np.isfinite(values)] for values in (slope, curvature, relief))
    steep = (slope.mean(), np.quantile(slope, 0.9, overwrite_input=True)) if slope.size else (0.0, 0.0)
    bent = curvature.std() * 1e6 if curvature.size else 0.0
    return [*steep, bent, relief.mean() if relief.size else 0.0]
