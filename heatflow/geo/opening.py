"""What may be opened: rasters and tables come from strangers, and GDAL follows what they point at.

Some formats hold no data, but name other files or addresses to take them from, and GDAL knows a format by its content,
whatever the file is called. Rasters are opened by drivers of plain files alone (DRIVERS), unless params name another;
drivers of vector files that point elsewhere are switched off when `heatflow` is imported.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyogrio
from pyogrio.errors import CRSError, DataSourceError, FeatureError, FieldError, GeometryError
from rasterio import Env
from shapely.errors import ShapelyError

from heatflow.errors import InputError

DRIVERS = [
    "AAIGrid", "AIG", "BT", "BYN", "DTED", "EHdr", "ENVI", "GPKG", "GRASSASCIIGrid", "GRIB", "GS7BG", "GSAG", "GSBG",
    "GTiff", "HFA", "ILWIS", "JP2OpenJPEG", "JPEG", "Leveller", "NGSGEOID", "NITF", "NWT_GRD", "PNG", "RMF", "RST",
    "SAGA", "SIGDEM", "SRTMHGT", "Terragen", "USGSDEM", "WEBP", "XYZ", "ZMap", "netCDF",
]  # fmt: skip
# what a damaged or hostile vector file makes of a reader
UNREADABLE = (
    DataSourceError, FeatureError, FieldError, GeometryError, CRSError, ShapelyError, ValueError, IndexError,
    OverflowError,
)  # fmt: skip
LEAST_FEATURE = 8  # bytes; a FlatGeobuf that promises more than its length can hold would be given memory for them
_NO_NETWORK = {"GDAL_HTTP_PROXY": "127.0.0.1:9", "GDAL_HTTP_TIMEOUT": "5", "GDAL_HTTP_CONNECTTIMEOUT": "5"}
_ARCHIVES = ("/vsizip/", "/vsigzip/", "/vsitar/", "/vsi7z/", "/vsirar/")


def is_remote(path: str, key: str) -> bool:
    """Whether a path is an address on the network: http and https alone.

    Parameters
    ----------
    path : of a file, or of one in an archive (/vsizip/ and the like), or an address
    key : of params.yaml, for the message

    Raises
    ------
    InputError
        An address of another kind.
    """
    inner = path
    while inner.startswith(_ARCHIVES):
        inner = inner[inner.index("/", 1) + 1 :].lstrip("{")
    if re.match(r"(/vsicurl/)?https?://", inner, re.IGNORECASE):
        return True
    if "://" in inner or inner.startswith("/vsi"):
        raise InputError(f"{key}: {path}: files and http(s) addresses alone are read; download it first")
    return False


@contextmanager
def offline(path: str) -> Iterator[None]:
    """While a local file is read GDAL has no network, whatever the file names.

    GeoJSON may give the address of a CRS, and a sidecar of a raster may be a VRT.
    """
    if "http" in path.lower() and is_remote(path, ""):
        yield
        return
    pyogrio.set_gdal_config_options(_NO_NETWORK)
    try:
        with Env(CPL_VSIL_CURL_ALLOWED_EXTENSIONS="{none}", **_NO_NETWORK):
            yield
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(_NO_NETWORK))


def _refuse_pointers(path):
    """Where GDAL started before its drivers could be left out, as in a notebook, the content has to tell."""
    if Path(path).is_file():
        with open(path, "rb") as file:
            start = file.read(100_000).lower()
        if any(mark in start for mark in (b"<ogrvrtdatasource", b"<ogrwfsdatasource", b"gdal_streamed_alg")):
            raise ValueError("it holds no data, but names other files or addresses")


def list_layers(path: str) -> list[str]:
    """Layers with geometry of a vector file; any of UNREADABLE where there is none to be read."""
    _refuse_pointers(path)
    with offline(path):
        return [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]


def read_vector(path: str, **options):
    """`pyogrio.read_dataframe` of a file from elsewhere; any of UNREADABLE where not all of it can be read."""
    _refuse_pointers(path)
    with offline(path):
        promised = None
        if path.lower().endswith(".fgb") and Path(path).is_file():
            promised = pyogrio.read_info(path)["features"]
            if promised * LEAST_FEATURE > Path(path).stat().st_size:
                raise ValueError(f"it promises {promised:,} features, more than its length can hold")
        table = pyogrio.read_dataframe(path, **options)
    if promised is not None and len(table) != promised:
        raise ValueError(f"it is cut short: {len(table):,} of {promised:,} features")
    return table
