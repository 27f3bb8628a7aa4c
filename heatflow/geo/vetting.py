"""What files from strangers must not hold. GDAL knows a format by its content, and so does this, whatever the name.

Whatever is refused is a ValueError that says why, and what to do.
"""

import errno
import html
import lzma
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pyogrio

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
