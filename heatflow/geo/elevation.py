"""Elevation rasters: reading any, warping one onto the working grid, sampling it.

A pixel without data is NaN from the moment it is read. What counts as without data comes from the file's nodata
value, its mask or alpha band, NaN, infinity, or an explicit override; never from a value that merely looks empty.
"""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError  # what GDAL raises in transforms, of no public kind
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Interleaving, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform, transform_bounds
from rasterio.windows import Window

from heatflow.errors import InputError
from heatflow.grid.crs import require_metric, utm_zone
from heatflow.grid.grids import Grid
from heatflow.io.untrusted import is_remote, opened_raster

MAX_PIXELS = 4_000_000_000  # of the working grid: 16 GB of float32
MAX_EDGE = 1_000_000
MAX_BLOCK = 1_000_000_000  # bytes of a block of the source, which is decoded as a whole
MAX_HELD = 250_000_000  # source pixels that have to be held at a time: 1 GB of float32
STRIP_PIXELS = 8_000_000  # source pixels that a strip of the warp holds at a time: 32 MB of float32
METRES = ("m", "metre", "metres", "meter", "meters", "unknown")


@dataclass(frozen=True)
class Elevation:
    """An open raster, the band that holds elevation, and how to tell its nodata."""

    dataset: rasterio.DatasetReader
    band: int
    nodata: float | None  # override
    lowest: float | None = None  # m; what lies lower is no data

    @property
    def crs(self) -> CRS:
        return self.dataset.crs

    def read(self, window: Window) -> np.ndarray:
        """Elevation in metres as float32, NaN where there is none; scale and offset of the band applied."""
        if window.width * window.height > MAX_HELD:
            raise InputError(
                f"data.elevation: {self.dataset.name}: {int(window.width):,} x {int(window.height):,} of its pixels "
                f"are needed at a time, and at most {MAX_HELD:,} can be held in memory; give a finer "
                "terrain.resolution, or a coarser raster"
            )
        try:
            return self._values(window)
        except RasterioError as error:
            first = int(window.row_off)
            raise InputError(
                f"data.elevation: {self.dataset.name}: rows {first} to {first + int(window.height)} cannot be read "
                f"({error}); is the file damaged, or cut short?"
            ) from None

    def _values(self, window):
        ds, band = self.dataset, self.band
        raw = ds.read(band, window=window)
        values = raw.astype(np.float32)
        scale, offset = ds.scales[band - 1], ds.offsets[band - 1]
        if (scale, offset) != (1.0, 0.0):
            values = (raw.astype(np.float64) * scale + offset).astype(np.float32)
        if self.nodata is None:
            values[ds.read_masks(band, window=window) == 0] = np.nan
        else:
            values[raw == raw.dtype.type(self.nodata)] = np.nan
            if MaskFlags.per_dataset in ds.mask_flag_enums[band - 1]:
                values[ds.dataset_mask(window=window) == 0] = np.nan
        values[~np.isfinite(values)] = np.nan
        if self.lowest is not None:
            values[values < self.lowest] = np.nan
        return values


@contextmanager
def open_elevation(
    path: str,
    band: int | None = None,
    nodata: float | None = None,
    lowest: float | None = None,
    driver: str | None = None,
) -> Iterator[Elevation]:
    """Open a raster for reading elevation from it.

    Parameters
    ----------
    path : file or URL that GDAL can read
    band : int, from 1; None takes the only one
    nodata : value that means no data, in place of the file's own
    lowest : metres; what lies lower is no data
    driver : GDAL driver to open it with; None: those of opening.DRIVERS, which take no data from elsewhere

    Raises
    ------
    InputError
        Missing, not a raster or one whose driver has to be named, of absurd size, without CRS or georeference,
        several bands and none chosen, complex values.
    """
    if not is_remote(path, "data.elevation") and not path.startswith("/vsi") and not Path(path).exists():
        raise InputError(f"data.elevation: {path}: no such file")
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = stack.enter_context(opened_raster(path, driver))
        except (RasterioError, OSError, ValueError) as error:
            raise InputError(
                f"data.elevation: {path}: not a raster that GDAL can read ({error}). One that points at other files or "
                "addresses, such as a VRT or a netCDF-4 file, is read only if you trust it and name its driver with "
                "terrain.driver"
            ) from None
        if (block := _block_bytes(dataset)) > MAX_BLOCK:
            raise InputError(
                f"data.elevation: {path}: has blocks of {block:,} bytes, and at most {MAX_BLOCK:,} can be held in "
                "memory; rewrite it with: gdal_translate -co TILED=YES"
            )
        if dataset.crs is None:
            raise InputError(
                f"data.elevation: {path}: has no coordinate reference system; "
                "assign the right one with: gdal_edit.py -a_srs EPSG:<code> FILE"
            )
        if dataset.transform.is_identity or dataset.transform.is_degenerate:
            raise InputError(f"data.elevation: {path}: has no geotransform; its place on the map is unknown")
        bands = [b for b, c in zip(dataset.indexes, dataset.colorinterp, strict=True) if c != ColorInterp.alpha]
        if band is None and len(bands) != 1:
            raise InputError(f"data.elevation: {path}: has {len(bands)} bands; choose one with terrain.band")
        if band is not None and band not in bands:
            raise InputError(f"terrain.band: {path} has no band {band} of elevation; it has {bands}")
        band = bands[0] if band is None else band
        unit = (dataset.units[band - 1] or "m").strip().lower()
        if unit not in METRES:
            raise InputError(
                f"data.elevation: {path}: its unit is {dataset.units[band - 1]!r}, and elevation must be in metres; "
                "convert it, for instance with: gdal_calc.py"
            )
        dtype = np.dtype(dataset.dtypes[band - 1])
        if dtype.kind == "c":
            raise InputError(f"data.elevation: {path}: band {band} holds complex numbers ({dtype}), not elevation")
        if nodata is not None and dtype.kind in "iu" and not _fits(nodata, dtype):
            raise InputError(f"terrain.nodata: {nodata:g} cannot occur in {path}, whose values are {dtype}")
        yield Elevation(dataset, band, nodata, lowest)


def _block_bytes(dataset):
    """What decoding the largest block takes: all the bands where they lie pixel by pixel."""
    together = dataset.count if dataset.interleaving is Interleaving.pixel else 1
    sizes = (np.dtype(d).itemsize * h * w for d, (h, w) in zip(dataset.dtypes, dataset.block_shapes, strict=True))
    return together * max(sizes, default=0)


def _fits(value, dtype):
    info = np.iinfo(dtype)
    return float(value).is_integer() and info.min <= value <= info.max


def working_grid(
    source: Elevation, resolution: float, crs: CRS | None = None, bounds: tuple[float, ...] | None = None
) -> Grid:
    """The grid that the raster is warped onto.

    In the raster's own CRS its lines are those that start at the raster's upper-left corner; in another they are whole
    multiples of the resolution. It covers the raster's bounds, or as much of them as `bounds` asks for.

    Parameters
    ----------
    resolution : edge of a pixel in metres
    crs : target; None: the raster's own
    bounds : west, south, east, north in degrees (WGS 84); None: all of the raster

    Raises
    ------
    InputError
        A geographic or non-metric CRS, a raster that cannot be projected, a grid too large or empty.
    """
    ds = source.dataset
    target = crs or ds.crs
    if crs is None:
        lon, lat = _centre(ds)
        remedy = f"set terrain.crs to a projected CRS in metres, such as {utm_zone(lon, lat)} (UTM) for this raster"
        require_metric(target, f"data.elevation: {ds.name}: its CRS", remedy)
    else:
        require_metric(target, "terrain.crs", "choose a projected CRS in metres")
    t, columns, rows = ds.transform, np.array([0, ds.width, 0, ds.width]), np.array([0, 0, ds.height, ds.height])
    xs, ys = t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
    whole = xs.min(), ys.min(), xs.max(), ys.max()
    own = target == ds.crs
    if bounds is not None:
        west, south, east, north = _projected(CRS.from_epsg(4326), ds.crs, bounds)
        part = max(west, whole[0]), max(south, whole[1]), min(east, whole[2]), min(north, whole[3])
        if not (part[0] < part[2] and part[1] < part[3]):
            raise InputError(f"terrain.bounds: {list(bounds)} does not meet {ds.name}")
    else:
        part = whole
    left, bottom, right, top = part if own else _projected(ds.crs, target, part)
    if not np.isfinite([left, bottom, right, top]).all():
        raise InputError(
            f"terrain.crs: {ds.name} cannot be projected to it (its bounds have no finite image); choose a CRS made "
            "for the region, or a part of the raster with terrain.bounds"
        )
    if part is not whole or not own:  # outwards to the lines of the grid
        x, y = (whole[0], whole[3]) if own else (0.0, 0.0)
        left, right = (
            x + np.floor((left - x) / resolution) * resolution,
            x + np.ceil((right - x) / resolution) * resolution,
        )
        bottom, top = (
            y + np.floor((bottom - y) / resolution) * resolution,
            y + np.ceil((top - y) / resolution) * resolution,
        )
    width, height = int((right - left) / resolution + 1e-6), int((top - bottom) / resolution + 1e-6)
    if width < 1 or height < 1:
        raise InputError(
            f"terrain.resolution: {resolution:g} m is more than {ds.name} measures "
            f"({right - left:g} x {top - bottom:g} m); give a smaller one"
        )
    if width * height > MAX_PIXELS or max(width, height) > MAX_EDGE:
        raise InputError(
            f"terrain.resolution: {resolution:g} m makes a grid of {width:,} x {height:,} pixels "
            f"for {ds.name}; at most {MAX_PIXELS:,} pixels are supported, give a coarser resolution or terrain.bounds"
        )
    return Grid(float(left), float(top), float(resolution), width, height, target)


def _projected(source, target, bounds):
    """Bounds in another CRS; infinite where they have no image."""
    try:
        return transform_bounds(source, target, *bounds, densify_pts=101)
    except (RasterioError, CPLE_BaseError):
        return (np.inf,) * 4


def _centre(ds):
    x, y = ds.xy(ds.height // 2, ds.width // 2)
    try:
        lon, lat = transform(ds.crs, CRS.from_epsg(4326), [x], [y])
    except (RasterioError, CPLE_BaseError):
        return 0.0, 0.0
    return (lon[0], lat[0]) if np.isfinite([lon[0], lat[0]]).all() else (0.0, 0.0)


def warp_strips(source: Elevation, grid: Grid, resampling: str = "auto") -> Iterator[tuple[int, np.ndarray]]:
    """Warp a raster onto the grid strip by strip, so that memory stays bounded whatever its size.

    Parameters
    ----------
    source : Elevation
    grid : Grid
    resampling : "auto" or the name of a rasterio.enums.Resampling
        auto averages when shrinking, so that no source pixel is skipped, and is cubic when enlarging, so that no
        creases appear along the source lattice.

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


def _aligned_offset(source, grid):
    """(row, column) of the grid's first pixel where it is a plain cut of the source, else None."""
    ds = source.dataset
    t = ds.transform
    if ds.crs != grid.crs or t.b or t.d or t.a != grid.resolution or t.e != -grid.resolution:
        return None
    column, row = (grid.left - t.c) / grid.resolution, (t.f - grid.top) / grid.resolution
    inside = 0 <= column <= ds.width - grid.width and 0 <= row <= ds.height - grid.height
    return (int(row), int(column)) if inside and column.is_integer() and row.is_integer() else None


def _source_pixels_per_pixel(source, grid):
    """Edge of a grid pixel in source pixels, at the middle of the grid."""
    x = grid.left + (grid.width / 2 + np.array([0.0, 1.0, 0.0])) * grid.resolution
    y = grid.top - (grid.height / 2 + np.array([0.0, 0.0, 1.0])) * grid.resolution
    columns, rows = _source_pixels(source, grid, x, y)
    area = abs((columns[1] - columns[0]) * (rows[2] - rows[0]) - (columns[2] - columns[0]) * (rows[1] - rows[0]))
    return float(np.sqrt(area)) if np.isfinite(area) else 1.0


@cache
def _transformer(source, target):
    """Points that have no image become infinite, where rasterio gives up on all of them."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _source_pixels(source, grid, x, y):
    """Source (column, row) as floats of points in the grid's CRS."""
    if source.crs != grid.crs:
        x, y = _transformer(grid.crs.to_wkt(), source.crs.to_wkt()).transform(x, y)
        x, y = (np.where(np.isfinite(v), v, np.nan) for v in (x, y))
    inverse = ~source.dataset.transform
    return inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f


def _warp_strip(source, grid, top, height, method, shrink):
    ds = source.dataset
    strip = np.full((height, grid.width), np.nan, dtype=np.float32)
    x = grid.left + np.linspace(0, grid.width, 65) * grid.resolution
    y = grid.top - (top + np.linspace(0, height, 9)) * grid.resolution
    columns, rows = _source_pixels(source, grid, *(v.ravel() for v in np.meshgrid(x, y)))
    finite = np.isfinite(columns) & np.isfinite(rows)
    if not finite.any():
        return strip
    margin = int(np.ceil(4 * max(shrink, 1))) + 4
    c0 = max(0, int(np.floor(columns[finite].min())) - margin)
    r0 = max(0, int(np.floor(rows[finite].min())) - margin)
    c1 = min(ds.width, int(np.ceil(columns[finite].max())) + margin)
    r1 = min(ds.height, int(np.ceil(rows[finite].max())) + margin)
    if c0 >= c1 or r0 >= r1:
        return strip
    window = Window(c0, r0, c1 - c0, r1 - r0)
    values = source.read(window)
    if np.isnan(values).all():
        return strip
    profile = {
        "driver": "GTiff", "width": window.width, "height": window.height, "count": 1, "dtype": "float32",
        "crs": ds.crs, "transform": ds.window_transform(window), "nodata": np.nan,
    }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**profile) as cut:
            cut.write(values, 1)
        with (
            memory.open() as cut,
            # The default tolerance, an eighth of a source pixel, shifts a projected map by tens of metres.
            WarpedVRT(
                cut,
                crs=grid.crs,
                transform=Affine(grid.resolution, 0, grid.left, 0, -grid.resolution, grid.top - top * grid.resolution),
                width=grid.width,
                height=height,
                resampling=method,
                nodata=np.nan,
                tolerance=0.01,
                # or GDAL guesses the scale from the shape of the strip, and blurs where that misleads it
                XSCALE=1 / shrink,
                YSCALE=1 / shrink,
            ) as warped,
        ):
            return warped.read(1)
