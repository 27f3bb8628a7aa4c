"""Known features on the ground, such as faults and structural settings, and how far from them each pixel lies."""

import re

import geopandas
import numpy as np
import rasterio
from pyproj.exceptions import ProjError
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely import box

from heatflow.errors import InputError
from heatflow.geo.attributes import distance_to
from heatflow.grid.grids import Grid
from heatflow.io.untrusted import UNREADABLE, vector_file


def read_shapes(path: str, key: str, crs: rasterio.crs.CRS) -> geopandas.GeoSeries:
    """Geometries of any vector file, in `crs`; empty ones are left out.

    Parameters
    ----------
    path : of a file that GDAL can read
    key : of params.yaml, for the message

    Raises
    ------
    InputError
        The file cannot be read, or does not say where on Earth it lies.
    """
    try:
        with vector_file(path, key) as file:
            shapes = file.read(columns=[])
    except UNREADABLE as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise InputError(f"{key}: {path}: not a vector file that GDAL can read ({reason})") from None
    if not isinstance(shapes, geopandas.GeoDataFrame):
        raise InputError(f"{key}: {path}: has no geometry; give points, lines or areas")
    if shapes.crs is None:
        raise InputError(f"{key}: {path}: does not say its coordinate system; write it into the file")
    geometry = shapes.geometry[~(shapes.geometry.is_empty | shapes.geometry.isna())]
    try:
        return geometry.to_crs(crs.to_wkt())
    except ProjError as error:
        raise InputError(f"{key}: {path}: cannot be transformed to the CRS of the terrain ({error})") from None


def distance(shapes: geopandas.GeoSeries, grid: Grid, top: int, left: int, size: int, margin: int) -> np.ndarray:
    """Distance from each pixel of a square to the nearest feature within `margin` pixels around the square.

    Parameters
    ----------
    shapes : in the CRS of the grid
    top, left : row and column of the square's upper-left pixel on the grid
    size : of the square, pixels

    Returns
    -------
    float64 array, shape (size, size), metres; NaN throughout where no feature is so near
    """
    edge = size + 2 * margin
    window = Window(left - margin, top - margin, edge, edge)
    transform = rasterio.windows.transform(window, grid.transform)
    west, north = transform * (0, 0)
    east, south = transform * (edge, edge)
    near = shapes.iloc[shapes.sindex.query(box(west, south, east, north))]
    there = np.zeros((edge, edge), dtype=bool)
    if len(near):
        there = rasterize(near, (edge, edge), transform=transform, all_touched=True, dtype="uint8").astype(bool)
    inner = slice(margin, margin + size)
    return distance_to(there, grid.resolution)[inner, inner]
