"""What may be opened: rasters and tables come from strangers, and GDAL follows what they point at.

Some formats hold no data, but name other files or addresses to take them from, and GDAL knows a format by its content,
whatever the file is called. Rasters are opened by drivers of plain files alone (DRIVERS), unless params name another;
drivers of vector files that point elsewhere are switched off when `heatflow` is imported. What else a file must not
hold is in heatflow/geo/vetting.py.
"""

import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyogrio
from pyogrio.errors import CRSError, DataSourceError, FeatureError, FieldError, GeometryError
from rasterio import DatasetReader, Env
from shapely.errors import ShapelyError

from heatflow.errors import InputError
from heatflow.geo.vetting import (
    kind_of,
    promised_features,
    unpacking,
    vet_members,
    vet_sidecars,
    vet_sqlite,
    vet_vector,
)

DRIVERS = [
    "AAIGrid", "AIG", "BT", "BYN", "DTED", "EHdr", "ENVI", "GRASSASCIIGrid", "GRIB", "GS7BG", "GSAG", "GSBG", "GTiff",
    "HFA", "ILWIS", "JP2OpenJPEG", "JPEG", "Leveller", "NGSGEOID", "NITF", "NWT_GRD", "PNG", "RMF", "RST", "SAGA",
    "SIGDEM", "SRTMHGT", "Terragen", "USGSDEM", "WEBP", "XYZ", "ZMap",
]  # fmt: skip
# what a damaged or hostile vector file makes of a reader
UNREADABLE = (
    DataSourceError, FeatureError, FieldError, GeometryError, CRSError, ShapelyError, ValueError, IndexError,
    OverflowError,
)  # fmt: skip
_NO_NETWORK = {"GDAL_HTTP_PROXY": "127.0.0.1:9", "GDAL_HTTP_TIMEOUT": "5", "GDAL_HTTP_CONNECTTIMEOUT": "5"}
_ARCHIVE = re.compile(r"/*vsi(zip|gzip|tar|7z|rar)/\{?", re.IGNORECASE)
_ZIP = "/vsizip/"


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
    while path.startswith("/vsi") and (outer := _ARCHIVE.match(inner)):
        inner = inner[outer.end() :]
    if re.match(r"(/*vsicurl/)?https?://", inner, re.IGNORECASE):
        return True
    # in an archive GDAL takes what names a file system of its own also without the slash in front
    if "://" in inner or re.match("/vsi" if inner == path else "/*vsi", inner, re.IGNORECASE):
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


@contextmanager
def opened_raster(path: str, driver: str | None) -> Iterator[DatasetReader]:
    """A raster from elsewhere, open for reading.

    Parameters
    ----------
    path : file or address
    driver : GDAL driver to open it with, wherever it and the files beside it lead; None: those of DRIVERS, and it must
        not lead to another folder

    Raises
    ------
    ValueError
        It or a file beside it holds what it must not.
    RasterioError, OSError, UnicodeDecodeError
        No driver can open it.
    """
    with offline(path), ExitStack() as stack:
        plain = not path.startswith("/vsi") and Path(path).exists()
        if not driver and not (plain or _is_zipped(path)):  # what lies beside it cannot be looked through
            stack.enter_context(Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"))
        elif not driver:
            _vet_beside(path)
        drivers = [driver] if driver else _drivers(Path(path)) if plain else DRIVERS
        dataset = stack.enter_context(DatasetReader(path, driver=drivers))  # rasterio.open would take one driver alone
        folder = os.path.join(os.path.dirname(os.path.abspath(path)), "")
        if plain and not driver and (far := [f for f in dataset.files if not os.path.abspath(f).startswith(folder)]):
            raise ValueError(f"it takes data from another folder: {far[0]}")
        yield dataset


def _drivers(path):
    """GeoPackage and netCDF only where the content is known not to lead elsewhere."""
    kind = kind_of(path)
    if kind == "SQLite":
        vet_sqlite(path)
    return {"SQLite": ["GPKG"], "classic netCDF": ["netCDF"]}.get(kind, DRIVERS)


def _is_zipped(path):
    return path.startswith(_ZIP) and not is_remote(path, "") and zipfile.is_zipfile(_in_zip(path)[0])


def _vet_beside(path):
    if not _is_zipped(path):
        folder, name = os.path.split(path)
        vet_sidecars(name, os.listdir(folder or "."), lambda other: Path(folder, other).open("rb"))  # noqa: SIM115
        return
    archive, name = _in_zip(path)
    with unpacking(archive) as content:
        vet_sidecars(name, content.namelist(), content.open)


def _in_zip(path):
    """Archive, and name in it ("" for all of it), of /vsizip/ARCHIVE/NAME or /vsizip/{ARCHIVE}/NAME."""
    inner = path.removeprefix(_ZIP)
    if inner.startswith("{"):
        archive, _, name = inner[1:].partition("}")
        return Path(archive), name.strip("/")
    whole = PurePosixPath(inner)
    archive = next((above for above in [*reversed(whole.parents), whole] if Path(above).is_file()), whole)
    return Path(archive), str(whole.relative_to(archive)).removeprefix(".")


@dataclass(frozen=True)
class VectorFile:
    """A vector file that was looked through, as `vector_file` gives it; what it raises is among UNREADABLE."""

    path: Path

    def layers(self) -> list[str]:
        """Names of the layers with geometry."""
        with offline(str(self.path)):
            return [name for name, geometry in pyogrio.list_layers(self.path) if geometry is not None]

    def read(self, **options):
        """As `pyogrio.read_dataframe`, all of it or nothing."""
        with offline(str(self.path)):
            promised = promised_features(self.path) if kind_of(self.path) == "FlatGeobuf" else None
            table = pyogrio.read_dataframe(self.path, **options)
        if promised is not None and len(table) != promised:
            raise ValueError(f"it is cut short: {len(table):,} of {promised:,} features")
        return table


@contextmanager
def vector_file(path: str, key: str) -> Iterator[VectorFile]:
    """A vector file from elsewhere, looked through, in a folder that holds it and what belongs to it alone.

    GDAL opens what it finds beside a file, and writes there; of an archive it gets what was unpacked.

    Parameters
    ----------
    path : of a file, a folder or a zip archive, or of a file in one (/vsizip/ARCHIVE/NAME)
    key : of params.yaml, for the message

    Raises
    ------
    InputError
        No such file, or an address.
    ValueError
        It holds what it must not, as do the others of UNREADABLE that the block may raise.
    """
    if is_remote(path, key):
        raise InputError(f"{key}: {path}: tables and vector files are read from files alone; download it first")
    if path.startswith("/vsi") and not path.startswith(_ZIP):
        raise InputError(f"{key}: {path}: of archives only zip is read; unpack it first")
    archive, name = _in_zip(path) if path.startswith(_ZIP) else (Path(path), "")
    if not archive.exists():
        raise InputError(f"{key}: {archive}: no such file")
    if archive.is_dir():
        for file in archive.iterdir():
            if file.is_file():
                vet_vector(file)
        yield VectorFile(archive)
        return
    with tempfile.TemporaryDirectory(prefix="heatflow-") as folder:
        try:
            if path.startswith(_ZIP) or path.lower().endswith(".zip"):
                yield VectorFile(_unpacked(archive, name, Path(folder)))
            else:
                yield VectorFile(_linked(archive.absolute(), Path(folder)))
        except UNREADABLE as error:
            raise ValueError(str(error).replace(f"{folder}/", "")) from None


def _linked(path, folder):
    vet_vector(path)
    (folder / path.name).symlink_to(path)
    for beside in path.parent.iterdir():
        if beside.name != path.name and beside.name.startswith(path.stem) and _may_belong(beside):
            (folder / beside.name).symlink_to(beside)
    return folder / path.name


def _may_belong(beside):
    """Whether a file may be part of another, as .dbf of .shp; one that is a whole table, or an archive, is not."""
    try:
        if not beside.is_file() or kind_of(beside) or zipfile.is_zipfile(beside):
            return False
        vet_vector(beside)
    except (ValueError, PermissionError):
        return False
    return True


def _unpacked(archive, name, folder):
    """What lies in the archive, all or the file of this name with what belongs to it, each looked through."""
    with unpacking(archive) as content:
        stem = str(PurePosixPath(name).with_suffix("")) if name else ""
        members = [m for m in content.infolist() if m.filename.startswith(stem) and not m.is_dir()]
        vet_members(members)
        files = [Path(content.extract(member, folder)) for member in members]
    if name and name not in [m.filename for m in members]:
        raise ValueError(f"{archive} holds no {name}")
    for file in files:
        vet_vector(file)
    return files[[m.filename for m in members].index(name)] if name else files[0] if len(files) == 1 else folder
