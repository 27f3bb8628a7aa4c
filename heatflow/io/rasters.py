"""Rasters between stages: cloud-optimised GeoTIFFs, written by strips and read by windows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from heatflow.errors import reading
from heatflow.grid.grids import Grid

COG = {
    "driver": "COG", "statistics": "YES", "compress": "DEFLATE", "predictor": "YES", "level": 1, "blocksize": 256,
    "bigtiff": "IF_SAFER",
}  # fmt: skip


def write_cog(
    path: str | Path, grid: Grid, strips: Iterator[tuple[int, np.ndarray]], *, bands: tuple[str, ...] = ("elevation",),
    units: str | tuple[str, ...] = "m", on_strip: Callable[[int], object] = lambda rows: None,
) -> None:  # fmt: skip
    """Write strips of rows as a cloud-optimised GeoTIFF: tiled, compressed, with overviews; float32, nodata NaN.

    Parameters
    ----------
    path : str or Path
    grid : Grid
        Where the raster lies.
    strips : iterator of (int, ndarray)
        First row of each strip, and its values, shape (rows, width) or (bands, rows, width).
    bands : tuple of str
        Descriptions of the bands.
    units : str or tuple of str
        Unit of all bands, or of each.
    on_strip : callable
        Called with the number of rows written, for progress.
    """
    path = Path(path)
    draft = path.with_name(f".{path.stem}.draft.tif")
    profile = {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "count": len(bands), "dtype": "float32",
        "crs": grid.crs, "transform": grid.transform, "nodata": np.nan, "tiled": True, "blockxsize": 256,
        "blockysize": 256, "bigtiff": "IF_SAFER", "sparse_ok": True, "interleave": "band",
    }  # fmt: skip
    try:
        with rasterio.open(draft, "w", **profile) as out:
            of_bands = [units] * len(bands) if isinstance(units, str) else units
            for number, (description, unit) in enumerate(zip(bands, of_bands, strict=True), start=1):
                out.set_band_description(number, description)
                out.set_band_unit(number, unit)
            for row, strip in strips:
                strip = strip if strip.ndim == 3 else strip[None]
                out.write(strip, window=Window(0, row, grid.width, strip.shape[1]))
                on_strip(strip.shape[1])
        rasterio.shutil.copy(draft, path, overview_resampling="AVERAGE", num_threads="ALL_CPUS", **COG)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def open_written(path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """Open a GeoTIFF that an earlier stage wrote, without any file beside it.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    rasterio.DatasetReader

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    with reading(path), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        dataset = rasterio.open(path, driver="GTiff")
    with dataset:
        yield dataset


def read_overview(dataset: rasterio.DatasetReader, pixels: int = 1000) -> np.ndarray:
    """The first band for a picture: read at every n-th pixel, so that its longer edge has about `pixels`."""
    step = max(1, max(dataset.shape) // pixels)
    return dataset.read(1, out_shape=(dataset.height // step, dataset.width // step))


def sample(dataset: rasterio.DatasetReader, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Read the first band at pixels inside the raster, a strip of blocks at a time.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
    row, column : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    values = np.full(len(row), np.nan, dtype=np.float32)
    height = dataset.block_shapes[0][0]
    strips = row // height
    for strip in np.unique(strips):
        here = np.flatnonzero(strips == strip)
        left, right = int(column[here].min()), int(column[here].max()) + 1
        top = int(strip * height)
        window = Window(left, top, right - left, min(height, dataset.height - top))
        block = dataset.read(1, window=window)
        values[here] = block[row[here] - top, column[here] - left]
    return values


def read_around(
    dataset: rasterio.DatasetReader, top: int, left: int, size: int | tuple[int, int], margin: int
) -> np.ndarray:  # fmt: skip
    """Read a rectangle of all bands with a margin around it.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
    top, left : int
        Row and column of the rectangle's upper-left pixel.
    size : int or tuple of int
        Edge of a square, or rows and columns, pixels.
    margin : int
        Pixels.

    Returns
    -------
    ndarray of float32, shape (bands, rows + 2 margin, columns + 2 margin)
        NaN outside the raster.
    """
    rows, columns = (length + 2 * margin for length in ((size, size) if isinstance(size, int) else size))
    square = np.full((dataset.count, rows, columns), np.nan, dtype=np.float32)
    first_row, first_column = top - margin, left - margin
    r0, c0 = max(0, first_row), max(0, first_column)
    r1, c1 = min(dataset.height, first_row + rows), min(dataset.width, first_column + columns)
    if r0 < r1 and c0 < c1:
        inside = slice(r0 - first_row, r1 - first_row), slice(c0 - first_column, c1 - first_column)
        square[:, *inside] = dataset.read(window=Window(c0, r0, c1 - c0, r1 - r0))
    return square
