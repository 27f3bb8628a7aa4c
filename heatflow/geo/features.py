"""Known features on the ground, such as faults and structural settings, and how far from them each pixel lies."""

import re

import geopandas
import numpy as np
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.windows import Window
from rasterio.windows import transform as window_transform
from shapely import box

from heatflow.errors import InputError
from heatflow.geo.attributes import distance_to
from heatflow.grid.grids import Grid
from heatflow.io.untrusted import UNREADABLE, vector_file


def read_shapes(path: str, key: str, crs: CRS) -> geopandas.GeoSeries:
    """Geometries of any vector file; empty ones are left out.

    Parameters
    ----------
    path : str
        Of a file that GDAL can read.
    key : str
        The param that holds the path, for messages.
    crs : rasterio.crs.CRS
        That the geometries are transformed to.

    Returns
    -------
    GeoSeries

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
    """Distance from each pixel of a square to the nearest feature.

    Parameters
    ----------
    shapes : GeoSeries
        In the CRS of the grid.
    grid : Grid
    top, left : int
        Row and column of the square's upper-left pixel on the grid.
    size : int
        Edge of the square, pixels.
    margin : int
        Pixels around the square within which features count.

    Returns
    -------
    float64 array, shape (size, size)
        Metres; NaN throughout where no feature is so near.
    """
    edge = size + 2 * margin
    window = Window(left - margin, top - margin, edge, edge)
    transform = window_transform(window, grid.transform)
    west, north = transform * (0, 0)
    east, south = transform * (edge, edge)
    near = shapes.iloc[shapes.sindex.query(box(west, south, east, north))]
    there = np.zeros((edge, edge), dtype=bool)
    if len(near):
        there = rasterize(near, (edge, edge), transform=transform, all_touched=True, dtype="uint8").astype(bool)
    inner = slice(margin, margin + size)
    return distance_to(there, grid.resolution)[inner, inner]
