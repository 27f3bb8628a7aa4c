"""Text tables as people write them: any separator, encoding and decimal sign, and lines above the header.

`csv.Sniffer` and pandas guess the separator too; neither finds a header below other lines, tells a decimal comma from
one between thousands, or gives up on what is too large to be a table.
"""

import codecs
import csv
import gzip
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any

import pandas as pd

from heatflow.errors import InputError

MAX_LINE, MAX_TEXT = 1_000_000, 100_000_000  # bytes of a header line, and of a text table
MAX_ROWS, MAX_COLUMNS = 2_000_000, 2_000
HEADER_LINES = 60  # within which the header stands
DECIMAL_COMMA, THOUSANDS = r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"
UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, csv.Error)


def read_text_table(path: str, member: str | None, across: Collection[str], up: Collection[str]) -> pd.DataFrame:
    """Read a text table whose columns are not known beforehand.

    Parameters
    ----------
    path : str
        Of the table, which may be gzipped, or of a zip archive that holds it.
    member : str or None
        Name of the table in the archive.
    across, up : collections of str
        Names, as `plain_name` writes them, that the columns of the first and the second coordinate may have.

    Returns
    -------
    DataFrame
        All cells as text; numbers with a decimal comma or commas between thousands are written plainly.

    Raises
    ------
    InputError
        The file is damaged, encrypted, no table, or too large.
    """
    try:
        raw = _raw(path, member)
        if max(raw.count(b"\n"), raw.count(b"\r")) > MAX_ROWS:
            raise InputError(f"data.wells: {path}: a text table of more than {MAX_ROWS:,} rows; cut out the region")
        lines = io.StringIO(_decode(raw), newline=None).readlines()
        return _table(lines, *_header(lines, across, up))
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"data.wells: {path}: not a CSV, damaged or encrypted ({reason})") from None


def plain_name(name: str) -> str:
    """Name of a column in small letters and digits, with one underscore for all that stands between them.

    >>> plain_name("Heat flow (mW/m\N{SUPERSCRIPT TWO})"), plain_name(' "Well ID" ')
    ('heat_flow_mw_m2', 'well_id')
    """
    return re.sub("[^a-z0-9]+", "_", unicodedata.normalize("NFKC", name).lower()).strip("_")


def _header(lines: list[str], across: Collection[str], up: Collection[str]) -> tuple[str, int]:
    """Separator and number of the header line: the first that names both coordinates, else the first but comments.

    The Global Heat Flow Database has comments and lines of codes above its header.
    """
    written = [k for k, line in enumerate(lines[:HEADER_LINES]) if line.strip()]
    plain = [k for k in written if not lines[k].startswith("#")] or written
    if not written:
        return ",", 0
    separators = {k: max(",;\t", key=re.sub(r'"[^"]*"', "", lines[k]).count) for k in written}
    for k in written:
        cells = {plain_name(cell) for cell in lines[k].split(separators[k])}
        if not cells.isdisjoint(across) and not cells.isdisjoint(up):
            return separators[k], k
    return separators[plain[0]], plain[0]


def _table(lines: list[str], separator: str, header: int) -> pd.DataFrame:
    """All cells as the text that they are, numbers written plainly."""
    # tabs need no quotes, and stray ones eat lines
    options: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if separator == "\t" else {}
    first, second = (next(csv.reader([line], delimiter=separator), []) for line in [*lines[header:], "", ""][:2])
    if max(len(first), len(second)) > MAX_COLUMNS:
        raise InputError(f"data.wells: no table of wells: it has more than {MAX_COLUMNS:,} columns")
    # one cell more than the header has names: an empty one at the end, or a number of the row at the beginning
    if first and second and len(second) == len(first) + 1 and second[-1].strip():
        options["index_col"] = 0
    else:
        options |= {"index_col": False, "usecols": range(len(first)) if first else None}
    text = io.StringIO("".join(lines[header:]))
    table = pd.read_csv(text, sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True, **options)
    table = table.reset_index(drop=True)
    table.columns = _unique([str(c).lstrip("#").strip().strip('"').strip() for c in table.columns])
    for name in table.columns:
        cells = table[name].fillna("").str.strip()
        if separator == "\t":
            cells = cells.str.replace(r'^"(.*)"$', r"\1", regex=True)
        table[name] = _plain_numbers(cells, separator)
    return table


def _unique(names: list[str]) -> list[str]:
    """Names of columns, a number behind those that occur again."""
    seen: dict[str, int] = {}
    for k, name in enumerate(names):
        seen[name] = seen.get(name, -1) + 1
        while seen[name] and f"{name}.{seen[name]}" in names:
            seen[name] += 1
        names[k] = f"{name}.{seen[name]}" if seen[name] else name
    return names


def _plain_numbers(cells: pd.Series, separator: str) -> pd.Series:
    """A column whose numbers have commas without them; any other as it is."""
    pattern, plain = (THOUSANDS, "") if separator == "," else (DECIMAL_COMMA, ".")
    odd = cells[(cells != "") & pd.to_numeric(cells, errors="coerce").isna()]
    odd = odd[odd.str.lower() != "nan"]
    if len(odd) and odd.str.fullmatch(pattern).all():
        cells.loc[odd.index] = odd.str.replace(",", plain)
    return cells


def _raw(path: str, member: str | None) -> bytes:
    """Content of a text table; what is too long to be one is not read to its end, nor unpacked."""
    with ExitStack() as stack:
        opened: Any = gzip.open if path.lower().endswith(".gz") else open
        archive = stack.enter_context(zipfile.ZipFile(path)) if member else None
        file = stack.enter_context(archive.open(member) if archive and member else opened(path, "rb"))
        start = file.read(MAX_LINE)
        if len(start) == MAX_LINE and not (b"\n" in start or b"\r" in start):
            raise InputError(f"data.wells: {path}: no table: its first line is longer than {MAX_LINE:,} bytes")
        rest = file.read(MAX_TEXT - len(start) + 1)
        if len(start) + len(rest) > MAX_TEXT:
            raise InputError(f"data.wells: {path}: a text table of more than {MAX_TEXT:,} bytes; cut out the region")
    return start + rest


def _decode(raw: bytes) -> str:
    """Text in UTF-8, or else in the Windows code page that old tables and the Global Heat Flow Database are in."""
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")
