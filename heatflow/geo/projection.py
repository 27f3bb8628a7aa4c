"""Points and bounds in another coordinate reference system; infinite where they have no image."""

from functools import cache

import numpy as np
import pyproj
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

Bounds = tuple[float, float, float, float]  # left, bottom, right, top


@cache
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def project(source: CRS, target: CRS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of points in another CRS.

    pyproj gives infinity for a point without an image; `rasterio.warp.transform` gives up on all of them.

    Parameters
    ----------
    source, target : rasterio.crs.CRS
    x, y : float arrays, shape (n,)
        In the unit of `source`.

    Returns
    -------
    x, y : float64 arrays, shape (n,)
        In the unit of `target`.
    """
    try:
        return _transformer(source.to_wkt(), target.to_wkt()).transform(x, y)
    except ProjError:
        return np.full(np.shape(x), np.inf), np.full(np.shape(x), np.inf)


def project_bounds(source: CRS, target: CRS, bounds: Bounds) -> Bounds:
    """Bounds in another CRS that hold all of `bounds`, with 101 points along each edge.

    Examples
    --------
    >>> bounds = project_bounds(CRS.from_epsg(4326), CRS.from_epsg(32611), (-118, 39, -116, 40))
    >>> [round(edge) for edge in bounds]
    [413407, 4316777, 586593, 4428236]
    """
    try:
        return _transformer(source.to_wkt(), target.to_wkt()).transform_bounds(*bounds, densify_pts=101)
    except ProjError:
        return np.inf, np.inf, np.inf, np.inf
