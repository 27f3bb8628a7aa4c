"""The working grid of square metric pixels, and warping rasters onto it.

A raster is warped strip by strip, so that memory stays bounded whatever its size.
"""

import numpy as np
from rasterio import CRS, Affine, DatasetReader, MemoryFile
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import SourceRaster
from heatflow.geo.trend import Strips
from heatflow.grid.crs import Bounds, parse_crs, project, project_bounds, require_metric, utm_zone
from heatflow.grid.grids import Grid

MAX_PIXELS, MAX_EDGE = 4_000_000_000, 1_000_000  # of the working grid: 16 GB of float32
STRIP_PIXELS = 8_000_000  # source pixels that a strip of the warp holds at a time: 32 MB of float32
GRID_PIXELS = 4_000_000  # pixels of the grid in a strip: detrending takes ten times their memory
WGS84 = CRS.from_epsg(4326)


def working_grid(source: SourceRaster, terrain: Terrain = Terrain()) -> Grid:
    """The grid that a raster is warped onto.

    In the raster's own CRS its lines start at the raster's upper-left corner; in another they are whole multiples of
    the resolution. It covers the raster's bounds, or as much of them as `terrain.bounds` asks for.

    Parameters
    ----------
    source : SourceRaster
    terrain : Terrain
        Of which the resolution, the CRS and the bounds are used.

    Returns
    -------
    Grid

    Raises
    ------
    InputError
        A geographic or non-metric CRS, a raster that cannot be projected, a grid too large or empty.

    Examples
    --------
    >>> with open_elevation("dem.tif") as source:  # doctest: +SKIP
    ...     working_grid(source, Terrain(resolution=100, crs="EPSG:32611"))
    """
    ds, resolution = source.dataset, terrain.resolution
    target = _metric_crs(ds, terrain.crs)
    whole = _bounds(ds)
    part = whole if terrain.bounds is None else _within(ds, whole, terrain.bounds)
    own = target == ds.crs
    left, bottom, right, top = part if own else project_bounds(ds.crs, target, part)
    if not np.isfinite([left, bottom, right, top]).all():
        remedy = "choose a CRS made for the region, or a part of the raster with terrain.bounds"
        raise InputError(
            f"terrain.crs: {ds.name} cannot be projected to it (its bounds have no finite image); {remedy}"
        )
    if part is not whole or not own:  # outwards to the lines of the grid
        x, y = (whole[0], whole[3]) if own else (0.0, 0.0)
        left, bottom = (c + np.floor((edge - c) / resolution) * resolution for c, edge in ((x, left), (y, bottom)))
        right, top = (c + np.ceil((edge - c) / resolution) * resolution for c, edge in ((x, right), (y, top)))
    width, height = int((right - left) / resolution + 1e-6), int((top - bottom) / resolution + 1e-6)
    if width < 1 or height < 1:
        size = f"{ds.name} measures ({right - left:g} x {top - bottom:g} m)"
        raise InputError(f"terrain.resolution: {resolution:g} m is more than {size}; give a smaller one")
    if width * height > MAX_PIXELS or max(width, height) > MAX_EDGE:
        size = f"{resolution:g} m makes a grid of {width:,} x {height:,} pixels for {ds.name}"
        limit = f"at most {MAX_PIXELS:,} pixels are supported, give a coarser resolution or terrain.bounds"
        raise InputError(f"terrain.resolution: {size}; {limit}")
    return Grid(float(left), float(top), float(resolution), width, height, target)


def _metric_crs(ds: DatasetReader, wanted: str | int | None) -> CRS:
    """The CRS that is asked for, or the raster's own, where it is in metres."""
    if wanted is not None:
        crs = parse_crs(wanted, "terrain.crs")
        require_metric(crs, "terrain.crs", "choose a projected CRS in metres")
        return crs
    lon, lat = (float(v) for v in project(ds.crs, WGS84, *ds.xy(ds.height // 2, ds.width // 2)))
    zone = utm_zone(lon, lat) if np.isfinite([lon, lat]).all() else utm_zone(0.0, 0.0)
    remedy = f"set terrain.crs to a projected CRS in metres, such as {zone} (UTM) for this raster"
    require_metric(ds.crs, f"data.elevation: {ds.name}: its CRS", remedy)
    return ds.crs


def _bounds(ds: DatasetReader) -> Bounds:
    """(left, bottom, right, top) of a raster that may be rotated or south-up."""
    t, columns, rows = ds.transform, np.array([0, ds.width, 0, ds.width]), np.array([0, 0, ds.height, ds.height])
    x, y = t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _within(ds: DatasetReader, whole: Bounds, degrees: Bounds) -> Bounds:
    """The part of a raster's bounds inside (west, south, east, north) in degrees."""
    west, south, east, north = project_bounds(WGS84, ds.crs, degrees)
    part = max(west, whole[0]), max(south, whole[1]), min(east, whole[2]), min(north, whole[3])
    if not (part[0] < part[2] and part[1] < part[3]):
        raise InputError(f"terrain.bounds: {list(degrees)} does not meet {ds.name}")
    return part


def warp_strips(
    source: SourceRaster, grid: Grid, resampling: str = "auto", between: tuple[int, int] | None = None
) -> Strips:
    """Warp a raster onto a grid strip by strip.

    Parameters
    ----------
    source : SourceRaster
    grid : Grid
    resampling : str
        ``"auto"`` or the name of a `rasterio.enums.Resampling`. ``"auto"`` averages when shrinking, so that no source
        pixel is skipped, and is cubic when enlarging, so that no creases appear along the lines of the source.
    between : (int, int), optional
        First row of the grid, and the one after the last; None is all of it.

    Yields
    ------
    row : int
        First row of the strip on the grid.
    strip : float32 array, shape (rows, grid.width)
        NaN where there is no data. When enlarging, a pixel has data where the source pixel around its centre
        has; when averaging, where any source pixel in it has.
    """
    shrink = source_pixels_per_pixel(source, grid)
    method = ("average" if shrink > 1 + 1e-6 else "cubic") if resampling == "auto" else resampling
    rows = int(np.clip(min(STRIP_PIXELS / max(shrink, 1e-9) ** 2, GRID_PIXELS) / grid.width, 1, 512))
    aligned = _aligned_offset(source, grid)
    first, stop = between or (0, grid.height)
    for top in range(first, stop, rows):
        height = min(rows, stop - top)
        if aligned is not None:
            row, column = aligned
            yield top, source.read(Window(column, row + top, grid.width, height))
        else:
            yield top, _warp_strip(source, grid, top, height, Resampling[method], shrink)


def require_overlap(source: SourceRaster, grid: Grid) -> None:
    """Refuse a raster that shows nothing of a grid, before any long work.

    Raises
    ------
    InputError
        No pixel of it is near the grid.
    """
    if _source_window(source, grid, 0, grid.height, source_pixels_per_pixel(source, grid)) is None:
        question = "does it show the same region?"
        raise InputError(f"{source.param}: {source.dataset.name}: does not meet the terrain; {question}")


def _aligned_offset(source: SourceRaster, grid: Grid) -> tuple[int, int] | None:
    """(row, column) of the grid's first pixel where it is a plain cut of the source, else None."""
    ds = source.dataset
    t = ds.transform
    if ds.crs != grid.crs or t.b or t.d or t.a != grid.resolution or t.e != -grid.resolution:
        return None
    column, row = (grid.left - t.c) / grid.resolution, (t.f - grid.top) / grid.resolution
    inside = 0 <= column <= ds.width - grid.width and 0 <= row <= ds.height - grid.height
    return (int(row), int(column)) if inside and column.is_integer() and row.is_integer() else None


def source_pixel(source: SourceRaster, grid: Grid) -> float:
    """Edge of a source pixel at the middle of a grid, metres."""
    return grid.resolution / max(source_pixels_per_pixel(source, grid), 1e-9)


def source_pixels_per_pixel(source: SourceRaster, grid: Grid) -> float:
    """Edge of a grid pixel in source pixels, at the middle of the grid."""
    x = grid.left + (grid.width / 2 + np.array([0.0, 1.0, 0.0])) * grid.resolution
    y = grid.top - (grid.height / 2 + np.array([0.0, 0.0, 1.0])) * grid.resolution
    columns, rows = _source_pixels(source, grid, x, y)
    area = abs((columns[1] - columns[0]) * (rows[2] - rows[0]) - (columns[2] - columns[0]) * (rows[1] - rows[0]))
    return float(np.sqrt(area)) if np.isfinite(area) else 1.0


def _source_pixels(source: SourceRaster, grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Source (column, row) as floats of points in the grid's CRS; NaN where they have no image."""
    if source.dataset.crs != grid.crs:
        x, y = (np.where(np.isfinite(v), v, np.nan) for v in project(grid.crs, source.dataset.crs, x, y))
    inverse = ~source.dataset.transform
    return inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f


def _warp_strip(
    source: SourceRaster, grid: Grid, top: int, height: int, method: Resampling, shrink: float
) -> np.ndarray:
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


def _source_window(source: SourceRaster, grid: Grid, top: int, height: int, shrink: float) -> Window | None:
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
