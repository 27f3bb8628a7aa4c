"""Warping an elevation raster onto the working grid, strip by strip, so that memory stays bounded whatever its size."""

import numpy as np
from rasterio import Affine, MemoryFile
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from heatflow.geo.elevation import Elevation
from heatflow.geo.trend import Strips
from heatflow.grid.crs import project
from heatflow.grid.grids import Grid

STRIP_PIXELS = 8_000_000  # source pixels that a strip of the warp holds at a time: 32 MB of float32


def warp_strips(source: Elevation, grid: Grid, resampling: str = "auto") -> Strips:
    """Warp a raster onto a grid strip by strip.

    Parameters
    ----------
    source : Elevation
    grid : Grid
    resampling : str
        ``"auto"`` or the name of a `rasterio.enums.Resampling`. ``"auto"`` averages when shrinking, so that no source
        pixel is skipped, and is cubic when enlarging, so that no creases appear along the lines of the source.

    Yields
    ------
    row : int
        First row of the strip on the grid.
    strip : float32 array, shape (rows, grid.width)
        Metres; NaN where there is no data. When enlarging, a pixel has data where the source pixel around its centre
        has; when averaging, where any source pixel in it has.
    """
    shrink = _source_pixels_per_pixel(source, grid)
    method = ("average" if shrink > 1 + 1e-6 else "cubic") if resampling == "auto" else resampling
    rows = int(np.clip(STRIP_PIXELS / (max(shrink, 1e-9) ** 2 * grid.width), 1, 512))
    aligned = _aligned_offset(source, grid)
    for top in range(0, grid.height, rows):
        height = min(rows, grid.height - top)
        if aligned is not None:
            row, column = aligned
            yield top, source.read(Window(column, row + top, grid.width, height))
        else:
            yield top, _warp_strip(source, grid, top, height, Resampling[method], shrink)


def _aligned_offset(source: Elevation, grid: Grid) -> tuple[int, int] | None:
    """(row, column) of the grid's first pixel where it is a plain cut of the source, else None."""
    ds = source.dataset
    t = ds.transform
    if ds.crs != grid.crs or t.b or t.d or t.a != grid.resolution or t.e != -grid.resolution:
        return None
    column, row = (grid.left - t.c) / grid.resolution, (t.f - grid.top) / grid.resolution
    inside = 0 <= column <= ds.width - grid.width and 0 <= row <= ds.height - grid.height
    return (int(row), int(column)) if inside and column.is_integer() and row.is_integer() else None


def _source_pixels_per_pixel(source: Elevation, grid: Grid) -> float:
    """Edge of a grid pixel in source pixels, at the middle of the grid."""
    x = grid.left + (grid.width / 2 + np.array([0.0, 1.0, 0.0])) * grid.resolution
    y = grid.top - (grid.height / 2 + np.array([0.0, 0.0, 1.0])) * grid.resolution
    columns, rows = _source_pixels(source, grid, x, y)
    area = abs((columns[1] - columns[0]) * (rows[2] - rows[0]) - (columns[2] - columns[0]) * (rows[1] - rows[0]))
    return float(np.sqrt(area)) if np.isfinite(area) else 1.0


def _source_pixels(source: Elevation, grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Source (column, row) as floats of points in the grid's CRS; NaN where they have no image."""
    if source.dataset.crs != grid.crs:
        x, y = (np.where(np.isfinite(v), v, np.nan) for v in project(grid.crs, source.dataset.crs, x, y))
    inverse = ~source.dataset.transform
    return inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f


def _warp_strip(source: Elevation, grid: Grid, top: int, height: int, method: Resampling, shrink: float) -> np.ndarray:
    ds, empty = source.dataset, np.full((height, grid.width), np.nan, dtype=np.float32)
    window = _source_window(source, grid, top, height, shrink)
    if window is None or np.isnan(values := source.read(window)).all():
        return empty
    profile = {
        "driver": "GTiff", "width": window.width, "height": window.height, "count": 1, "dtype": "float32",
        "crs": ds.crs, "transform": ds.window_transform(window), "nodata": np.nan,
    }  # fmt: skip
    place = Affine(grid.resolution, 0, grid.left, 0, -grid.resolution, grid.top - top * grid.resolution)
    with MemoryFile() as memory:
        with memory.open(**profile) as cut:
            cut.write(values, 1)
        # The default tolerance, an eighth of a source pixel, shifts a projected map by tens of metres. Without XSCALE
        # and YSCALE, GDAL guesses the scale from the shape of the strip, and blurs where that misleads it.
        with memory.open() as cut, WarpedVRT(
            cut, crs=grid.crs, transform=place, width=grid.width, height=height, resampling=method, nodata=np.nan,
            tolerance=0.01, XSCALE=1 / shrink, YSCALE=1 / shrink,
        ) as warped:  # fmt: skip
            return warped.read(1)


def _source_window(source: Elevation, grid: Grid, top: int, height: int, shrink: float) -> Window | None:
    """The source pixels that a strip of the grid needs; None where it has none."""
    ds = source.dataset
    x = grid.left + np.linspace(0, grid.width, 65) * grid.resolution
    y = grid.top - (top + np.linspace(0, height, 9)) * grid.resolution
    columns, rows = _source_pixels(source, grid, *(v.ravel() for v in np.meshgrid(x, y)))
    finite = np.isfinite(columns) & np.isfinite(rows)
    if not finite.any():
        return None
    margin = int(np.ceil(4 * max(shrink, 1))) + 4
    c0, r0 = (max(0, int(np.floor(v[finite].min())) - margin) for v in (columns, rows))
    c1 = min(ds.width, int(np.ceil(columns[finite].max())) + margin)
    r1 = min(ds.height, int(np.ceil(rows[finite].max())) + margin)
    return Window(c0, r0, c1 - c0, r1 - r0) if c0 < c1 and r0 < r1 else None
