"""Coordinate reference systems as people write them, and places in one brought to another."""

from functools import cache
from pathlib import Path

import geopandas
import numpy as np
import pyproj
from pyproj.exceptions import ProjError
from rasterio import CRS, Env
from rasterio.errors import CRSError

from heatflow.errors import InputError

Bounds = tuple[float, float, float, float]  # left, bottom, right, top


def parse_crs(value: str | int, key: str) -> CRS:
    """CRS from an EPSG code, a PROJ string, WKT, or the path of a file that holds WKT.

    Parameters
    ----------
    value : such as 32611, "EPSG:32611", "+proj=aea ...", "PROJCS[...]" or "site.wkt"
    key : the param that holds it, for the message

    Raises
    ------
    InputError
    """
    text = str(value).strip()
    try:
        if len(text) < 1000 and Path(text).is_file():
            text = Path(text).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{key}: cannot read {value!r} as a file of WKT: {error}") from None
    if "://" in text or text.lower().startswith("/vsi"):
        raise InputError(f"{key}: {value!r} is an address; give an EPSG code, a PROJ string, WKT or a file of WKT")
    try:
        with Env():  # or GDAL prints what is wrong as it stands in the text
            return CRS.from_epsg(int(text)) if text.isdigit() else CRS.from_user_input(text)
    except (CRSError, ValueError) as error:
        remedy = "give an EPSG code, a PROJ string, WKT or a file that holds WKT"
        raise InputError(f"{key}: {value!r} is not a coordinate reference system ({error}); {remedy}") from None


def require_metric(crs: CRS, what: str, remedy: str) -> None:
    """Refuse a CRS whose coordinates are not metres on a plane."""
    if crs.is_geographic:
        raise InputError(f"{what} is geographic (degrees), and tiles are squares of metres; {remedy}")
    unit, factor = crs.linear_units_factor if crs.is_projected else ("unknown", 0.0)
    if abs(factor - 1) > 1e-9:
        raise InputError(f"{what} has the unit {unit!r}, not metre; {remedy}")


def utm_zone(longitude: float, latitude: float) -> str:
    """EPSG code of the UTM zone (WGS 84) around a place, as a suggestion in messages.

    >>> utm_zone(-117.0, 39.0)
    'EPSG:32611'
    """
    zone = min(60, max(1, int((longitude + 180) // 6) + 1))
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def transform_table(table: geopandas.GeoDataFrame, crs: CRS, what: str) -> geopandas.GeoDataFrame:
    """A table with its geometry in the CRS of the terrain; `what` begins the message of the InputError."""
    try:
        return table.to_crs(crs.to_wkt())
    except ProjError as error:
        raise InputError(f"{what}: cannot be transformed to the CRS of the terrain ({error})") from None


@cache
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def project(source: CRS, target: CRS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of points in another CRS; infinite where they have no image there.

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
