"""Coordinate reference systems as people write them."""

from pathlib import Path

from rasterio import Env
from rasterio.crs import CRS
from rasterio.errors import CRSError

from heatflow.errors import InputError


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
            crs = CRS.from_epsg(int(text)) if text.isdigit() else CRS.from_user_input(text)
    except (CRSError, ValueError) as error:
        raise InputError(
            f"{key}: {value!r} is not a coordinate reference system ({error}); "
            "give an EPSG code, a PROJ string, WKT or a file that holds WKT"
        ) from None
    return crs


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
