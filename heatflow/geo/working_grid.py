"""The working grid: the raster of square metric pixels that elevation is warped onto."""

import numpy as np
from rasterio import CRS, DatasetReader

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import Elevation
from heatflow.grid.crs import Bounds, parse_crs, project, project_bounds, require_metric, utm_zone
from heatflow.grid.grids import Grid

MAX_PIXELS = 4_000_000_000  # of the working grid: 16 GB of float32
MAX_EDGE = 1_000_000
WGS84 = CRS.from_epsg(4326)


def working_grid(source: Elevation, terrain: Terrain = Terrain()) -> Grid:
    """The grid that a raster is warped onto.

    In the raster's own CRS its lines start at the raster's upper-left corner; in another they are whole multiples of
    the resolution. It covers the raster's bounds, or as much of them as `terrain.bounds` asks for.

    Parameters
    ----------
    source : Elevation
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
        raise InputError(
            f"terrain.crs: {ds.name} cannot be projected to it (its bounds have no finite image); choose a CRS made "
            "for the region, or a part of the raster with terrain.bounds"
        )
    if part is not whole or not own:  # outwards to the lines of the grid
        x, y = (whole[0], whole[3]) if own else (0.0, 0.0)
        left, bottom = (c + np.floor((edge - c) / resolution) * resolution for c, edge in ((x, left), (y, bottom)))
        right, top = (c + np.ceil((edge - c) / resolution) * resolution for c, edge in ((x, right), (y, top)))
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
