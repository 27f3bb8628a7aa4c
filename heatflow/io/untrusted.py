"""What may be opened: rasters and tables come from strangers, and GDAL follows what they point at.

Some formats hold no data, but name other files or addresses to take them from, and GDAL knows a format by its content,
whatever the file is called. Rasters are opened by drivers of plain files alone (DRIVERS), unless params name another;
drivers of vector files that point elsewhere are switched off when `heatflow` is imported.
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
from typing import IO

import pyogrio
from pyogrio.errors import CRSError, DataSourceError, FeatureError, FieldError, GeometryError
from rasterio import DatasetReader, Env
from shapely.errors import ShapelyError

from heatflow.errors import InputError

MAX_UNPACKED = 2_000_000_000  # bytes of all that is taken out of an archive
MAX_RATIO = 200  # of a file in an archive to what it is packed to, where it is larger than SMALL
SMALL = 10_000_000
MAX_MEMBERS = 10_000
MAX_TEXT = 10_000_000  # bytes of a file of settings
KINDS = {
    b"SQLite format 3\0": "SQLite", b"\x1f\x8b": "gzip", b"CDF\1": "classic netCDF", b"CDF\2": "classic netCDF",
    b"CDF\5": "classic netCDF", b"fgb": "FlatGeobuf",
}  # fmt: skip
LEAST_FEATURE = 8  # bytes
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DATA = re.compile(
    r"CREATE (TABLE|INDEX|UNIQUE INDEX|TRIGGER)\b"
    r"""|CREATE VIRTUAL TABLE ("[^"]*"|'[^']*'|\[[^\]]*\]|`[^`]*`|\w+)\s+USING\s+rtree\s*\(""",
    re.IGNORECASE,
)
_GENERATED = (2, 3)  # what `pragma table_xinfo` calls columns that are computed


def kind_of(path: Path) -> str:
    """Which of KINDS a file is by its first bytes, "" for any other.

    NetCDF-4 is none of them: it is HDF5, which may take its values from any other file.
    """
    if path.is_dir():
        return ""
    with open(path, "rb") as file:
        start = file.read(16)
    return next((kind for first, kind in KINDS.items() if start.startswith(first)), "")


def vet_vector(path: Path) -> None:
    """A file that is to be read as a vector file, or one that lies beside such a one and belongs to it."""
    with open(path, "rb") as file:
        start = file.read(100_000)
    kind = kind_of(path)
    if kind == "SQLite":
        vet_sqlite(path)
    if kind == "gzip":
        raise ValueError(f"{path.name} is compressed; unpack it with: gunzip")
    if zipfile.is_zipfile(path):  # also workbooks and KMZ
        with unpacking(path) as archive:
            vet_members(archive.infolist())
    lower = start.lower()
    # where GDAL started before its drivers could be left out, as in a notebook, the content has to tell
    if any(mark in lower for mark in (b"<ogrvrtdatasource", b"<ogrwfsdatasource", b"gdal_streamed_alg")):
        raise ValueError(f"{path.name} holds no data, but names other files or addresses")
    if path.suffix.lower() == ".tab":
        _vet_mapinfo(path)


def _vet_mapinfo(path):
    """A seamless table or a view of MapInfo is a list of other tables, wherever they lie."""
    if path.stat().st_size > MAX_TEXT:
        raise ValueError(f"{path.name} is no table of MapInfo: it has more than {MAX_TEXT:,} bytes")
    text = path.read_bytes().lower()
    if b"isseamless" in text or b"create view" in text:
        raise ValueError(f"{path.name} names other tables; export what they hold to one file with: ogr2ogr")


def vet_sqlite(path: Path) -> None:
    """A GeoPackage: plain tables, with the number of features that it says it has.

    A view or a virtual table is a program, which may take other files, all memory, or for ever.
    """
    path = path.resolve()
    for ending in ("-wal", "-journal"):
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise ValueError(f"{beside.name} holds changes that are not in {path.name} yet; close what has it open")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
            file.execute("PRAGMA trusted_schema=OFF")
            _vet_schema(file, path.name)
            _vet_count(file, path.name)
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise ValueError(f"{path.name}: a damaged SQLite file ({error})") from None


def _vet_schema(file, name):
    tables = []
    for called, sql in file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall():
        # SQLite goes by the text of the statement, whatever kind the row says it is
        if not _DATA.match(str(sql)):
            raise ValueError(
                f"{name} computes {called!r} (a view, or a virtual table), and tables alone are read; if you trust it: "
                f'ogr2ogr tables.gpkg {name} "{called}"'
            )
        if str(sql)[:12].upper() == "CREATE TABLE":
            tables.append(called)
    for table in tables:
        for row in file.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", [table]):
            if row[1] in _GENERATED:
                raise ValueError(
                    f"{name} computes the column {row[0]!r} of {table!r}, and stored columns alone are read"
                )


def _vet_count(file, name):
    if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_ogr_contents'").fetchone():
        return
    promises = file.execute("SELECT table_name, feature_count FROM gpkg_ogr_contents").fetchall()
    for table, promised in promises:
        known = "SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?)"
        if promised is None or not file.execute(known, [table]).fetchone():
            continue
        quoted = '"' + str(table).replace('"', '""') + '"'
        held = file.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]
        if held != promised:
            raise ValueError(
                f"{name} says that layer {table!r} has {promised} features, and it has {held}; "
                f"write it anew with: ogr2ogr whole.gpkg {name}"
            )


@contextmanager
def unpacking(path: Path) -> Iterator[zipfile.ZipFile]:
    """An open zip archive; whatever is wrong with it or with the names in it is a ValueError."""
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


def promised_features(path: Path) -> int:
    """Number of features that a FlatGeobuf says it has; memory is asked for that many before any is read.

    Raises
    ------
    ValueError
        More than its length can hold.
    """
    promised = pyogrio.read_info(path)["features"]
    if promised * LEAST_FEATURE > path.stat().st_size:
        raise ValueError(f"it promises {promised:,} features, more than its length can hold")
    return promised


def vet_members(members: Iterable[zipfile.ZipInfo]) -> None:
    """The files in a zip archive, by the sizes that it gives; `zipfile` unpacks no more than these."""
    members = list(members)
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"it holds more than {MAX_MEMBERS:,} files")
    for member in members:
        if member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
            raise ValueError(f"{member.filename} in it swells to {member.file_size:,} bytes; unpack it if you trust it")
    if (size := sum(member.file_size for member in members)) > MAX_UNPACKED:
        raise ValueError(f"it holds {size:,} bytes, and at most {MAX_UNPACKED:,} are unpacked; unpack it yourself")


def vet_sidecars(name: str, beside: Iterable[str], opened: Callable[[str], IO[bytes]]) -> None:
    """Overviews, masks and metadata beside a raster, which GDAL opens with any driver and follows anywhere.

    Parameters
    ----------
    name : of the raster
    beside : what lies in its folder
    opened : opens one of these
    """
    for other in beside:
        lower = other.lower()
        if not lower.startswith(f"{name.lower()}.") or not lower.endswith((".msk", ".ovr", ".aux.xml")):
            continue
        with opened(other) as file:
            content = file.read(MAX_TEXT)
        if lower.endswith((".msk", ".ovr")) and not content.startswith(TIFF):
            raise ValueError(f"{other} beside it is not a GeoTIFF; remove it if it is not needed")
        text = html.unescape(content.decode(errors="replace")).lower()
        if lower.endswith(".aux.xml") and ("overview_file" in text or len(content) == MAX_TEXT):
            raise ValueError(f"{other} beside it names other files; remove it if it is not needed")


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
