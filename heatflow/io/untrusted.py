"""Open files that strangers made, with limits: rasters, vector files, archives and addresses.

Some formats hold no data, but name other files, addresses or programs to take it from, and GDAL knows a format by its
content, whatever the file is called. A raster is opened by drivers of plain files alone (DRIVERS), unless params name
another. A vector file is opened only where its content is that of a plain format (FORMATS). While a file is open, GDAL
has no network and loads no SpatiaLite; afterwards its settings are as before.
"""

import errno
import html
import lzma
import os
import re
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyogrio
from pyogrio.errors import CRSError, DataSourceError, FeatureError, FieldError, GeometryError
from rasterio import DatasetReader, Env
from shapely.errors import ShapelyError

from heatflow.errors import InputError, one_line

MAX_UNPACKED = 2_000_000_000  # bytes of all that is taken out of an archive
MAX_RATIO = 200  # of the size of a file in an archive to its packed size, where it is larger than SMALL
SMALL = 10_000_000
MAX_MEMBERS = 10_000
MAX_TEXT = 10_000_000  # bytes of a file of settings
LEAST_FEATURE = 8  # bytes
DRIVERS = [
    "AAIGrid", "AIG", "BT", "BYN", "DTED", "EHdr", "ENVI", "GRASSASCIIGrid", "GRIB", "GS7BG", "GSAG", "GSBG", "GTiff",
    "HFA", "ILWIS", "JP2OpenJPEG", "JPEG", "Leveller", "NGSGEOID", "NITF", "NWT_GRD", "PNG", "RMF", "RST", "SAGA",
    "SIGDEM", "SRTMHGT", "Terragen", "USGSDEM", "WEBP", "XYZ", "ZMap",
]  # fmt: skip
FORMATS = "GeoPackage, FlatGeobuf, GeoJSON, shapefile, KML, GML, GPX, MapInfo, DXF, file geodatabase, or a zip of one"
UNREADABLE = (  # what a reader raises on a damaged or hostile vector file
    DataSourceError, FeatureError, FieldError, GeometryError, CRSError, ShapelyError, ValueError, IndexError,
    OverflowError,
)  # fmt: skip
_KINDS = {
    b"SQLite format 3\0": "SQLite", b"\x1f\x8b": "gzip", b"CDF\1": "classic netCDF", b"CDF\2": "classic netCDF",
    b"CDF\5": "classic netCDF", b"fgb": "FlatGeobuf",
}  # fmt: skip
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PLAIN = re.compile(  # shapefile, GeoJSON and its kin; KML, GPX, GML; MapInfo, DXF, GMT, CSV with geometry as text
    rb"\0\0\x27\x0a|(\xef\xbb\xbf)?\s*[{\x1e]"
    rb"|(\xef\xbb\xbf)?\s*(<[?!][^>]*>\s*)*<((\w+:)?(kml|gpx|rss|feed|osm)\b|[^<>]*\bopengis\.net/(gml|kml))"
    rb"|!table|version\s+\d|\s*(0|999)\r?\n|AutoCAD Binary DXF|# @V|[^\n<{]*\bwkt\b", re.IGNORECASE,
)  # fmt: skip
_FOLDERS = (".shp", ".gdbtable", ".tab", ".mif")  # a folder with such a file is read as a whole
# GDAL takes these for formats that lead elsewhere wherever they stand in the first bytes
_POINTERS = re.compile(
    rb"<OGRVRTDataSource|<OGRWFSDataSource|WFS_Capabilities|gdal_streamed_alg|pds\.nasa\.gov/pds4|PDS_VERSION_ID", re.I
)
# with SpatiaLite a GeoPackage could read any file of this machine; GML may name a schema and other files
_NO_POINTERS = {"SPATIALITE_LOAD": "NO", "GML_DOWNLOAD_SCHEMA": "NO", "GML_SKIP_RESOLVE_ELEMS": "ALL"}
_NO_NETWORK = {"GDAL_HTTP_PROXY": "127.0.0.1:9", "GDAL_HTTP_TIMEOUT": "5", "GDAL_HTTP_CONNECTTIMEOUT": "5"}
_ARCHIVE = re.compile(r"/*vsi(zip|gzip|tar|7z|rar)/\{?", re.IGNORECASE)
_ZIP = "/vsizip/"
_PLAIN_SQL = re.compile(
    r"CREATE (TABLE|INDEX|UNIQUE INDEX|TRIGGER)\b"
    r"""|CREATE VIRTUAL TABLE ("[^"]*"|'[^']*'|\[[^\]]*\]|`[^`]*`|\w+)\s+USING\s+rtree\s*\(""", re.IGNORECASE,
)  # fmt: skip
_GENERATED = (2, 3)  # what `pragma table_xinfo` calls columns that are computed


def kind_of(path: Path) -> str:
    """Format of a file by its first bytes: SQLite, gzip, classic netCDF or FlatGeobuf, "" for any other.

    NetCDF-4 is another: it is HDF5, which may take its values from any other file.
    """
    start = b"" if path.is_dir() else _start(path, 16)
    return next((kind for first, kind in _KINDS.items() if start.startswith(first)), "")


def is_remote(path: str, key: str) -> bool:
    """Tell an address on the network, http or https, from a file.

    Parameters
    ----------
    path : str
        A file, a file in an archive (/vsizip/ and the like), or an address.
    key : str
        The param that holds it, for the message.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        It is an address of another kind.

    Examples
    --------
    >>> is_remote("https://example.org/dem.tif", "data.elevation")
    True
    """
    inner = path
    while path.startswith("/vsi") and (outer := _ARCHIVE.match(inner)):
        inner = inner[outer.end() :]
    if re.match(r"(/*vsicurl/)?https?://", inner, re.IGNORECASE):
        return True
    # in an archive GDAL takes what names a file system of its own also without the slash in front
    if "://" in inner or re.match("/vsi" if inner == path else "/*vsi", inner, re.IGNORECASE):
        raise InputError(f"{key}: {path}: only files and http(s) addresses are read; download it first")
    return False


@contextmanager
def _confined(path: str) -> Iterator[None]:
    """Keep GDAL from following what a file names; a local file also from the network, as GeoJSON may name a CRS there.

    The settings of GDAL are as before when the block ends.
    """
    remote = "http" in path.lower() and is_remote(path, "")
    settings: dict[str, Any] = _NO_POINTERS | ({} if remote else _NO_NETWORK)
    before = {name: pyogrio.get_gdal_config_option(name) for name in settings}
    pyogrio.set_gdal_config_options(settings)
    try:
        with Env(**settings, **({} if remote else {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}"})):
            yield
    finally:
        pyogrio.set_gdal_config_options(before)


# ---- rasters


@contextmanager
def opened_raster(path: str, driver: str | None) -> Iterator[DatasetReader]:
    """Open a raster from elsewhere.

    Parameters
    ----------
    path : str
        A file or an address.
    driver : str or None
        GDAL driver to open it with, wherever it and the files beside it lead. None: those of DRIVERS, and it must not
        lead to another folder.

    Yields
    ------
    rasterio.DatasetReader

    Raises
    ------
    ValueError
        It, or a file beside it, holds what it must not.
    RasterioError, OSError, UnicodeDecodeError
        No driver can open it.
    """
    with _confined(path), ExitStack() as stack:
        plain = not path.startswith("/vsi") and Path(path).exists()
        if not driver and not _check_beside(path, plain):
            stack.enter_context(Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"))
        drivers = [driver] if driver else _drivers(Path(path)) if plain else DRIVERS
        dataset = stack.enter_context(DatasetReader(path, driver=drivers))  # rasterio.open would take one driver alone
        folder = os.path.join(os.path.dirname(os.path.abspath(path)), "")
        if plain and not driver and (far := [f for f in dataset.files if not os.path.abspath(f).startswith(folder)]):
            raise ValueError(f"it takes data from another folder: {far[0]}")
        yield dataset


def _drivers(path: Path) -> list[str]:
    """Drivers for a raster; GeoPackage and netCDF only where the content is known not to lead elsewhere."""
    kind = kind_of(path)
    if kind == "SQLite":
        _check_sqlite(path)
    return {"SQLite": ["GPKG"], "classic netCDF": ["netCDF"]}.get(kind, DRIVERS)


def _check_beside(path: str, plain: bool) -> bool:
    """Check what lies beside a raster that is a file, or is in a zip archive; False where it is neither."""
    if plain:
        folder, name = os.path.split(path)
        _check_sidecars(name, os.listdir(folder or "."), lambda other: Path(folder, other).open("rb"))  # noqa: SIM115
        return True
    if not path.startswith(_ZIP) or is_remote(path, "") or not zipfile.is_zipfile(_in_zip(path)[0]):
        return False
    archive, name = _in_zip(path)
    with unpacking(archive) as content:
        _check_sidecars(name, content.namelist(), content.open)
    return True


def _check_sidecars(name: str, beside: Iterable[str], opened: Callable[[str], IO[bytes]]) -> None:
    """Check overviews, masks and metadata beside a raster, which GDAL opens with any driver and follows anywhere."""
    for other in beside:
        lower = other.lower()
        if not lower.startswith(f"{name.lower()}.") or not lower.endswith((".msk", ".ovr", ".aux.xml")):
            continue
        with opened(other) as file:
            content = file.read(MAX_TEXT)
        if lower.endswith((".msk", ".ovr")) and not content.startswith(_TIFF):
            raise ValueError(f"{other} beside it is not a GeoTIFF; remove it if it is not needed")
        text = html.unescape(content.decode(errors="replace")).lower()
        if lower.endswith(".aux.xml") and ("overview_file" in text or len(content) == MAX_TEXT):
            raise ValueError(f"{other} beside it names other files; remove it if it is not needed")


# ---- archives


@contextmanager
def unpacking(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; whatever is wrong with it, or with the names in it, is a ValueError."""
    broken = (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error, lzma.LZMAError)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except broken as error:
        raise ValueError(f"{path.name} is a damaged or encrypted zip archive ({error})") from None
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL):
            raise
        raise ValueError(f"{path.name} holds a file whose name cannot be used ({error.strerror})") from None


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Check the files in a zip archive by the sizes that it gives; `zipfile` unpacks no more than these."""
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"it holds more than {MAX_MEMBERS:,} files")
    for member in members:
        if member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
            swollen = f"{member.filename} in it swells to {member.file_size:,} bytes"
            raise ValueError(f"{swollen}; if you trust it, unpack it yourself")
    if (size := sum(member.file_size for member in members)) > MAX_UNPACKED:
        raise ValueError(f"it holds {size:,} bytes, and at most {MAX_UNPACKED:,} are unpacked; unpack it yourself")


def _in_zip(path: str) -> tuple[Path, str]:
    """Archive, and name in it ("" for all of it), of /vsizip/ARCHIVE/NAME or /vsizip/{ARCHIVE}/NAME."""
    inner = path.removeprefix(_ZIP)
    if inner.startswith("{"):
        archive, _, name = inner[1:].partition("}")
        return Path(archive), name.strip("/")
    whole = PurePosixPath(inner)
    outer = next((above for above in [*reversed(whole.parents), whole] if Path(above).is_file()), whole)
    return Path(outer), str(whole.relative_to(outer)).removeprefix(".")


def _unpacked(archive: Path, name: str, folder: Path) -> Path:
    """Unpack all of an archive, or a file with those that belong to it; returns the file or folder to read."""
    with unpacking(archive) as content:
        stem = str(PurePosixPath(name).with_suffix("")) if name else ""
        members = [m for m in content.infolist() if m.filename.startswith(stem) and not m.is_dir()]
        _check_members(members)
        files = {m.filename: Path(content.extract(m, folder)) for m in members}
    if name and name not in files:
        raise ValueError(f"{archive} holds no {name}")
    for file in files.values():
        _check_part(file)
    if name or len(files) == 1:
        return files[name or next(iter(files))]
    whole = {file.parent for file in files.values() if file.suffix.lower() in _FOLDERS}
    plain = [file for file in files.values() if _is_plain(file)]
    return whole.pop() if len(whole) == 1 else plain[0] if len(plain) == 1 else folder


# ---- vector files


@dataclass(frozen=True)
class VectorFile:
    """A vector file that was checked, as `vector_file` gives it. Its methods raise what is among UNREADABLE."""

    path: Path

    def layers(self) -> list[str]:
        """Names of the layers with geometry."""
        with _confined(str(self.path)):
            return [name for name, geometry in pyogrio.list_layers(self.path) if geometry is not None]

    def read(self, **options: Any) -> Any:
        """Read it as `pyogrio.read_dataframe` does; a file that is cut short is an error."""
        with _confined(str(self.path)):
            promised = promised_features(self.path) if kind_of(self.path) == "FlatGeobuf" else None
            table = pyogrio.read_dataframe(self.path, **options)
        if promised is not None and len(table) != promised:
            raise ValueError(f"it is cut short: {len(table):,} of {promised:,} features")
        return table


@contextmanager
def vector_file(path: str, key: str) -> Iterator[VectorFile]:
    """Check a vector file from elsewhere, and put it in a folder with nothing but what belongs to it.

    GDAL opens what it finds beside a file, and writes there. An archive is unpacked.

    Parameters
    ----------
    path : str
        A file, a folder or a zip archive, or a file in one (/vsizip/ARCHIVE/NAME).
    key : str
        The param that holds it, for the message.

    Yields
    ------
    VectorFile

    Raises
    ------
    InputError
        There is no such file, it is an address, it holds what it must not, or the block raised one of UNREADABLE.
    """
    if is_remote(path, key):
        raise InputError(f"{key}: {path}: tables and vector files are read from files alone; download it first")
    if path.startswith("/vsi") and not path.startswith(_ZIP):
        raise InputError(f"{key}: {path}: of archives only zip is read; unpack it first")
    file, name = _in_zip(path) if path.startswith(_ZIP) else (Path(path), "")
    if not file.exists():
        raise InputError(f"{key}: {file}: no such file")
    with tempfile.TemporaryDirectory(prefix="heatflow-") as folder:
        try:
            choose = _whole if file.is_dir() else _unpacked if zipfile.is_zipfile(file) else _linked
            chosen = choose(file, name, Path(folder))
            if not _is_plain(chosen):
                raise ValueError(f"{path} is in none of the formats that are read: {FORMATS}")
            yield VectorFile(chosen)
        except UNREADABLE as error:
            reason = one_line(error).replace(f"{folder}/", "")
            raise InputError(f"{key}: {path}: not a vector file that GDAL can read ({reason})") from None


def _whole(path: Path, name: str, folder: Path) -> Path:
    """Check the files of a folder, which is read as it is."""
    for part in path.iterdir():
        _check_part(part)
    return path


def _linked(path: Path, name: str, folder: Path) -> Path:
    """Link a file and those that belong to it into a folder."""
    _check_part(path)
    for beside in path.absolute().parent.iterdir():
        if beside.name == path.name or (beside.name.startswith(path.stem) and _may_belong(beside)):
            (folder / beside.name).symlink_to(beside)
    return folder / path.name


def _may_belong(beside: Path) -> bool:
    """Whether a file may be part of another, as .dbf is of .shp; one that is a whole table, or an archive, is not."""
    try:
        if not beside.is_file() or kind_of(beside) or zipfile.is_zipfile(beside):
            return False
        _check_part(beside)
    except (ValueError, PermissionError):
        return False
    return True


def _is_plain(path: Path) -> bool:
    """Whether a file, or a folder of files, begins as one of FORMATS does."""
    if path.is_dir():
        return any(part.suffix.lower() in _FOLDERS for part in path.iterdir())
    belongs = path.suffix.lower() in (".shx", ".xsd")  # to a shapefile, to GML
    return not belongs and (kind_of(path) in ("SQLite", "FlatGeobuf") or bool(_PLAIN.match(_start(path))))


def _start(path: Path, length: int = 100_000) -> bytes:
    with open(path, "rb") as file:
        return file.read(length)


def _check_part(path: Path) -> None:
    """Check a file that is read as a vector file, or that lies beside such a one and may belong to it."""
    if path.is_dir():
        return
    if (kind := kind_of(path)) == "SQLite":
        _check_sqlite(path)
    if kind == "gzip":
        raise ValueError(f"{path.name} is compressed; unpack it with: gunzip")
    if _POINTERS.search(_start(path)):
        raise ValueError(f"{path.name} holds no data, but names other files or addresses")
    if path.suffix.lower() == ".tab":  # a seamless table or a view of MapInfo lists other tables, wherever they are
        if path.stat().st_size > MAX_TEXT:
            raise ValueError(f"{path.name} is no table of MapInfo: it has more than {MAX_TEXT:,} bytes")
        if re.search(rb"isseamless|create view", path.read_bytes(), re.IGNORECASE):
            raise ValueError(f"{path.name} names other tables; export what they hold to one file with: ogr2ogr")


def promised_features(path: Path) -> int:
    """Number of features that a FlatGeobuf says it has; memory is asked for that many before any is read.

    Raises
    ------
    ValueError
        More than its length can hold.
    """
    promised = max(0, pyogrio.read_info(path)["features"])  # GDAL says -1 of an empty table
    if promised * LEAST_FEATURE > path.stat().st_size:
        raise ValueError(f"it promises {promised:,} features, more than its length can hold")
    return promised


def _check_sqlite(path: Path) -> None:
    """Check a GeoPackage: plain tables, with the number of features that it says it has.

    A view or a virtual table is a program, which may take other files, all memory, or for ever.
    """
    path = path.resolve()
    for beside in (path.with_name(path.name + ending) for ending in ("-wal", "-journal")):
        if beside.exists() and beside.stat().st_size:
            raise ValueError(f"{beside.name} holds changes that are not in {path.name} yet; close what has it open")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
            file.execute("PRAGMA trusted_schema=OFF")
            _check_count(file, path.name, _check_schema(file, path.name))
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise ValueError(f"{path.name}: a damaged SQLite file ({error})") from None


def _check_schema(file: sqlite3.Connection, name: str) -> list[str]:
    """Check that nothing in a GeoPackage is computed; returns the names of what it holds."""
    statements = file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    for table, sql in statements:
        # SQLite goes by the text of the statement, whatever kind the row says it is
        if not _PLAIN_SQL.match(str(sql)):
            computed = f"{name} computes {table!r} (a view, or a virtual table), and only tables are read"
            raise ValueError(f'{computed}; if you trust it: ogr2ogr tables.gpkg {name} "{table}"')
    tables = [table for table, sql in statements if str(sql)[:12].upper() == "CREATE TABLE"]
    for table in tables:
        for column, hidden in file.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", [table]):
            if hidden in _GENERATED:
                raise ValueError(f"{name} computes column {column!r} of {table!r}, and only stored columns are read")
    if "gpkg_contents" not in tables:
        raise ValueError(f"{name} is a SQLite file, but no GeoPackage: it has no table gpkg_contents")
    return [table for table, _ in statements]


def _check_count(file: sqlite3.Connection, name: str, tables: list[str]) -> None:
    """Check that the tables of a GeoPackage have as many features as it says."""
    known = {str(table).lower() for table in tables}
    if "gpkg_ogr_contents" not in known:
        return
    promises = file.execute("SELECT table_name, feature_count FROM gpkg_ogr_contents").fetchall()
    for table, promised in promises:
        if promised is None or str(table).lower() not in known:
            continue
        quoted = '"' + str(table).replace('"', '""') + '"'
        held = file.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]
        if held != promised:
            counts = f"{name} says that layer {table!r} has {promised} features, and it has {held}"
            raise ValueError(f"{counts}; write it again with: ogr2ogr whole.gpkg {name}")
