"""Statistics of the terrain around places, in windows of 2 to 52 km: what a site can tell without a network."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
from rasterio import DatasetReader
from rasterio.windows import Window
from scipy import ndimage

from heatflow.geo.attributes import block_mean

CELL = 1_000.0  # m; terrain is gathered in cells of about this
RADII = (1_000.0, 3_000.0, 6_500.0, 13_000.0, 26_000.0)  # m, half the edge of the windows
STATISTICS = ("position", "relief", "slope", "curvature", "roughness")
LEAST_CELLS = 4  # along each axis of a small raster
BAND = 512  # rows of places whose terrain is held at a time


def statistics_around(
    dataset: DatasetReader, row: np.ndarray, column: np.ndarray, layers: Sequence[int] = ()
) -> np.ndarray:
    """Statistics of the terrain in square windows around places; they do not depend on how it is turned.

    Of each window: height of the place above the mean (topographic position), standard deviation of elevation (relief),
    mean slope, root mean square of the curvature (Laplacian), and root mean square of the standard deviation within
    cells (roughness). All but the last are those of cells of 1 km. Of further layers the mean. Memory holds a band of
    rows with what its windows reach.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        Terrain in metres, NaN for no data.
    row, column : float arrays, shape (n,)
        Places on the raster, pixels from its upper-left corner.
    layers : sequence of int, optional
        Bands, from 1, whose means in the same windows are wanted.

    Returns
    -------
    float64 array, shape (n, 25 + 5 layers)
        STATISTICS for the first of RADII, then for the next; metres, slope in metres per metre, curvature in 1e-6 per
        metre. 0 where there is no data. After them the means of the first layer for each of RADII, then of the next;
        NaN where there is no data.
    """
    every = max(1, min(round(CELL / dataset.res[0]), min(dataset.shape) // LEAST_CELLS))
    cell_row, cell_column = (np.asarray(place).astype(int) // every for place in (row, column))
    edge = every * dataset.res[0]
    reach = round(RADII[-1] / edge) + 2
    out = np.zeros((len(cell_row), len(RADII) * (len(STATISTICS) + len(layers))))
    last = -(-dataset.height // every) * every
    for start, stop in pairwise([*range(0, last, max(1, BAND // every) * every), last]):
        here = np.flatnonzero((cell_row >= start // every) & (cell_row < stop // every))
        if not len(here):
            continue
        top, bottom = max(0, start - reach * every), min(dataset.height, stop + reach * every)
        place, rows = (cell_row[here] - top // every, cell_column[here]), (top, bottom)
        terrain = _windows(*_cells(dataset, 1, *rows, every), edge)
        further = (_means(_cells(dataset, band, *rows, every)[0], edge) for band in layers)
        for k, window in enumerate(chain(terrain, *further)):
            out[here, k] = window[place]
    return out


def _cells(dataset: DatasetReader, band: int, top: int, bottom: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of a band and of its square in the cells of some rows of pixels, float64 (rows, columns) of cells."""
    parts = []
    for first, last in pairwise([*range(top, bottom, max(1, BAND // every) * every), bottom]):
        strip = dataset.read(band, window=Window(0, first, dataset.width, last - first)).astype(np.float64)
        strip = np.pad(strip, ((0, -len(strip) % every), (0, -dataset.width % every)), constant_values=np.nan)
        parts.append((block_mean(strip, every), block_mean(strip**2, every)))
    mean, squares = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
    return mean, squares


def _means(cells: np.ndarray, edge: float) -> Iterator[np.ndarray]:
    """Mean of a layer in each window of every cell, from its `_cells`."""
    for radius in RADII:
        yield _mean(cells, _window_size(radius, edge, cells), empty=np.nan)


def _window_size(radius: float, edge: float, cells: np.ndarray) -> int:
    """Cells along the edge of a window."""
    return 2 * min(round(radius / edge), max(cells.shape)) + 1


def _windows(z: np.ndarray, squares: np.ndarray, edge: float) -> Iterator[np.ndarray]:
    """Each statistic at every cell, in the order of the columns, from the `_cells` of some rows."""
    down, right = np.gradient(z, edge)
    fields = {
        "z": z, "z2": z**2, "slope": np.hypot(down, right), "curvature": (ndimage.laplace(z) / edge**2 * 1e6) ** 2,
        "roughness": np.maximum(squares - z**2, 0),
    }  # fmt: skip
    for radius in RADII:
        size = _window_size(radius, edge, z)
        mean = {name: _mean(field, size) for name, field in fields.items()}
        yield np.nan_to_num(z - mean["z"])
        yield np.sqrt(np.maximum(mean["z2"] - mean["z"] ** 2, 0))
        yield mean["slope"]
        yield np.sqrt(np.maximum(mean["curvature"], 0))
        yield np.sqrt(np.maximum(mean["roughness"], 0))


def _mean(field: np.ndarray, size: int, empty: float = 0.0) -> np.ndarray:
    """Mean of a square window of cells around each cell, over those with data; `empty` where there is none."""
    there = np.isfinite(field)
    total, share = (
        ndimage.uniform_filter(values, size, mode="constant")
        for values in (np.where(there, field, 0.0), there.astype(np.float64))
    )
    return np.where(share > 1e-9, total / np.maximum(share, 1e-9), empty)
