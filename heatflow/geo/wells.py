"""Wells: reading any table of them, placing them on the working grid, keeping account of those that cannot be used."""

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from heatflow.errors import InputError
from heatflow.grid.crs import parse_crs
from heatflow.grid.grids import Grid
from heatflow.io.untrusted import UNREADABLE, vector_file

LONGITUDE = ("longitude", "lon", "long", "lng", "long_ew", "longitude_deg", "lon_deg", "x_wgs84")
LATITUDE = ("latitude", "lat", "lat_ns", "latitude_deg", "lat_deg", "y_wgs84")
EASTING = ("x", "easting", "east", "x_eac117", "x_m", "utm_e", "utm_x")
NORTHING = ("y", "northing", "north", "y_eac117", "y_m", "utm_n", "utm_y")
RESIDUAL = ("residual", "hfqc_resid")
HEAT_FLOW = ("heat_flow", "hf_meas", "heatflow", "heat_flow_mw_m2", "q", "qc")
QUALITY = ("quality_code", "quality_code_child", "qc_code", "quality", "qcode")
DEPTH = ("depth", "depth_m", "well_depth", "total_depth", "total_depth_tvd", "total_depth_md", "q_bottom")
NAME = ("unique_id", "id", "well_id", "api", "name")
TEXT_TABLES = (".csv", ".tsv", ".txt")
VECTORS = (".shp", ".gpkg", ".fgb", ".geojson", ".json", ".gml", ".kml")
UNITS = {"mW/m2": 1.0, "W/m2": 1000.0, "HFU": 41.84}  # mW/m2 in one of each
MISSING = (-999.0, -9999.0, -99999.0)  # what is written where there is no number, as by the USGS
LEAST_HEAT_FLOW = 0.5  # mW/m2; from 0 to this it is one in another unit, or a 0 that stands for none
_DECIMAL_COMMA, _THOUSANDS = r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"
_UNREADABLE = (
    pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, OSError, EOFError, zlib.error, zipfile.BadZipFile,
    RuntimeError, NotImplementedError, csv.Error,
)  # fmt: skip
MAX_LINE, MAX_TEXT = 1_000_000, 100_000_000  # bytes of a header line, and of a text table
MAX_ROWS, MAX_COLUMNS = 2_000_000, 2_000  # of a text table
TYPICAL = (15.0, 2000.0)  # mW/m2; a median heat flow of wells beyond these is in another unit


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table of wells; None looks for the usual ones. The meaning: config/schema.py."""

    residual: str | None = None
    heat_flow: str | None = None
    x: str | None = None
    y: str | None = None
    quality: str | None = None
    depth: str | None = None


def read_wells(
    path: str,
    columns: Columns = Columns(),
    *,
    crs: str | int | None = None,
    layer: str | None = None,
    unit: str = "mW/m2",
) -> geopandas.GeoDataFrame:
    """Read a table of wells.

    Parameters
    ----------
    path : a CSV (also gzipped), any vector file with points, or a zip archive that holds one of these
    columns : which column holds what
    crs : of the coordinates, in place of the file's own
    layer : of a file with several; of an archive, the name of the file in it
    unit : of heat flow and residual, one of UNITS

    Returns
    -------
    GeoDataFrame, one row for each row of the file
        ``id`` (its number, from 1), ``name`` (as the file has it, text), ``heat_flow`` and ``residual`` (mW/m2,
        float64, NaN where there is none), ``heat_flow_text`` and ``residual_text`` (as the file has them, "" where it
        has none; None in a table that has no such column), ``quality`` (text), ``depth`` (m, NaN where there is none),
        geometry (None where there are no coordinates), ``impossible`` (whether the coordinates are no place on Earth).

    Raises
    ------
    InputError
        Missing or unreadable file, no such column, neither residual nor heat flow, no CRS, numbers in another unit.
    """
    member = _archived(path, layer) if Path(path).is_file() and zipfile.is_zipfile(path) else None
    if (member or path).lower().removesuffix(".gz").endswith(TEXT_TABLES):
        table = _read_text(path, member, columns.x, columns.y, crs)
    elif member:
        table = _read_vector(f"/vsizip/{{{path}}}/{member}", None, crs)
    else:
        table = _read_vector(path, layer, crs)
    if table.empty:
        raise InputError(f"data.wells: {path}: holds no wells")
    residual = _find(table, columns.residual, RESIDUAL, "wells.residual", path)
    heat_flow = _find(table, columns.heat_flow, HEAT_FLOW, "wells.heat_flow", path)
    if residual is None and heat_flow is None:
        raise InputError(
            f"data.wells: {path}: no column of residuals ({', '.join(RESIDUAL)}) and none of heat flow "
            f"({', '.join(HEAT_FLOW)}); name one with wells.residual or wells.heat_flow. Columns: {_listing(table)}"
        )
    quality = _find(table, columns.quality, QUALITY, "wells.quality_column", path)
    depth = _find(table, columns.depth, DEPTH, "wells.depth", path)
    name = _find(table, None, NAME, "", path)
    wells = geopandas.GeoDataFrame(
        {
            "id": np.arange(1, len(table) + 1),
            "name": _text(table[name]) if name else "",
            "heat_flow": _numbers(table[heat_flow]) * UNITS[unit] if heat_flow else np.nan,
            "residual": _numbers(table[residual]) * UNITS[unit] if residual else np.nan,
            "heat_flow_text": _text(table[heat_flow]) if heat_flow else None,
            "residual_text": _text(table[residual]) if residual else None,
            "quality": _text(table[quality]) if quality else "",
            "depth": _numbers(table[depth]) if depth else np.nan,
        },
        geometry=table.geometry.to_numpy(),
        crs=table.crs,
    )
    for column, found in (("residual", residual), ("heat_flow", heat_flow)):
        if found and not np.isfinite(wells[column]).any() and not (column == "heat_flow" and residual):
            raise InputError(f"data.wells: {path}: column {found!r} holds no number")
    return _without_impossible_places(wells, path)


def place_wells(
    wells: geopandas.GeoDataFrame,
    grid: Grid,
    *,
    value: str = "residual",
    quality: list[str] | None = None,
    min_depth: float | None = None,
    colocated: str = "keep",
) -> tuple[geopandas.GeoDataFrame, pd.Series]:
    """Bring wells to the grid's CRS and say what is wrong with each, before the terrain itself is looked at.

    Parameters
    ----------
    value : "residual" or "heat_flow", the one that is needed
    quality : patterns (with * and ?) of quality codes to keep; None: all
    min_depth : m; None: no test. A well of unknown depth stays.
    colocated : of the usable wells at one and the same coordinates "keep" each, or leave the first, with the "median"
        or "max" of their values

    Returns
    -------
    wells : GeoDataFrame in the grid's CRS with pixel ``row`` and ``column`` (-1 where there are no coordinates)
    reason : str Series on the same index, "" where the well can be used. The first that applies of: impossible
        coordinates, no coordinates, quality code, too shallow, no residual (or heat flow), not a finite number, heat
        flow of 0 or in another unit, outside the raster, exact duplicate (same place, heat flow and residual as an
        earlier usable row), merged with a well of the same place.

    Raises
    ------
    InputError
        The heat flows as a whole are in another unit.
    """
    if value == "heat_flow":
        _check_unit(wells["heat_flow"])
    what = value.replace("_", " ")
    try:
        placed = wells.to_crs(grid.crs.to_wkt())
    except ProjError as error:
        raise InputError(f"wells.crs: cannot be transformed to the CRS of the terrain ({error})") from None
    points = placed.geometry
    is_point = (points.geom_type == "Point").fillna(False).to_numpy(dtype=bool)
    x, y = np.full(len(placed), np.nan), np.full(len(placed), np.nan)
    if is_point.any():
        x[is_point], y[is_point] = points[is_point].x, points[is_point].y
    located = np.isfinite(x) & np.isfinite(y)
    row, column = np.full(len(placed), -1), np.full(len(placed), -1)
    row[located], column[located] = grid.pixel(x[located], y[located])
    number, heat_flow = placed[value].to_numpy(), placed["heat_flow"].to_numpy()
    text = placed[f"{value}_text"]
    empty = (text == "").to_numpy() | pd.to_numeric(text, errors="coerce").isin(MISSING).to_numpy()
    allowed = np.ones(len(placed), dtype=bool)
    if quality is not None:
        allowed = np.array([any(fnmatchcase(code, pattern) for pattern in quality) for code in placed["quality"]])
    shallow = np.zeros(len(placed), dtype=bool) if min_depth is None else placed["depth"].to_numpy() < min_depth
    reason = np.select(
        [
            placed["impossible"].to_numpy(),
            ~located,
            ~allowed,
            shallow,
            empty,
            ~np.isfinite(number),
            (value == "heat_flow") & (heat_flow >= 0) & (heat_flow < LEAST_HEAT_FLOW),
            ~grid.contains(row, column),
        ],
        [
            "impossible coordinates",
            "no coordinates",
            "quality code",
            "too shallow",
            f"no {what}",
            f"{what} is not a finite number",
            "heat flow of 0, or in another unit",
            "outside the raster",
        ],
        default="",
    ).astype(object)
    key = pd.DataFrame({"x": x, "y": y, "residual": placed["residual"].to_numpy(), "heat_flow": heat_flow})
    duplicate = key[reason == ""].duplicated()
    reason[duplicate.index[duplicate]] = "exact duplicate"
    placed = placed.assign(row=row, column=column)
    if colocated != "keep":
        groups = key[reason == ""].groupby(["x", "y"], sort=False)
        merged = groups[value].transform(colocated)
        other = "heat_flow" if value == "residual" else "residual"
        # what lies between the two, the background, is that of the place and not of one of its wells
        between = (key[other] - key[value])[merged.index].groupby([key["x"], key["y"]]).transform("median")
        placed.loc[merged.index, value] = merged
        placed.loc[merged.index, other] = merged + between
        follower = groups.cumcount() > 0
        reason[follower.index[follower]] = "merged with a well of the same place"
    return placed, pd.Series(reason, index=placed.index)


def why_none_fits(wells: geopandas.GeoDataFrame, grid: Grid) -> str:
    """What may be wrong with wells none of which lies on the grid: "" or a sentence about exchanged coordinates."""
    if wells.crs is None or not wells.crs.is_geographic:
        return ""
    points = wells.geometry.dropna()
    points = points[points.geom_type == "Point"]
    possible = points[points.x.abs() <= 90]
    exchanged = geopandas.GeoSeries.from_xy(possible.y, possible.x, crs=wells.crs).to_crs(grid.crs.to_wkt())
    finite = np.isfinite(exchanged.x) & np.isfinite(exchanged.y)
    found = int(grid.contains(*grid.pixel(exchanged.x[finite], exchanged.y[finite])).sum())
    if not found:
        return ""
    return (
        f" With longitude and latitude exchanged {found} of them would lie on the raster: exchange wells.x and wells.y."
    )


def _check_unit(heat_flow):
    typical = heat_flow[heat_flow > 0].median()
    if TYPICAL[0] <= typical <= TYPICAL[1] or np.isnan(typical):
        return
    fits = [name for name, factor in UNITS.items() if TYPICAL[0] <= typical * factor <= TYPICAL[1]]
    hint = f"; they look like {' or '.join(fits)}: set wells.unit" if fits else ""
    raise InputError(f"data.wells: the median of the heat flows is {typical:g} mW/m2, which no region has{hint}")


def _without_impossible_places(wells, path):
    """Take the geometry off rows whose coordinates are no place on Earth; refuse a table of which most are."""
    impossible = np.zeros(len(wells), dtype=bool)
    if wells.crs is not None and wells.crs.is_geographic:
        x, y = np.full(len(wells), np.nan), np.full(len(wells), np.nan)
        point = (wells.geometry.geom_type == "Point").fillna(False).to_numpy(dtype=bool)
        x[point], y[point] = wells.geometry[point].x, wells.geometry[point].y
        impossible = (np.abs(y) > 90) | (np.abs(x) > 360)
        if impossible.sum() > 0.5 * point.sum():
            worst = int(np.argmax(impossible))
            raise InputError(
                f"data.wells: {path}: row {worst + 1}: longitude {x[worst]:g}, latitude {y[worst]:g}, and "
                f"{impossible.sum() - 1} more rows like it: latitude ends at 90 degrees; are the two exchanged "
                "(wells.x, wells.y), or is wells.crs wrong?"
            )
        wells.loc[impossible, "geometry"] = None
    return wells.assign(impossible=impossible)


def _archived(path, wanted):
    """The table or vector file inside a zip archive: the one named, or the only one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"data.wells: {path}: a damaged zip archive ({error})") from None
    tables = [n for n in names if PurePosixPath(n).suffix.lower() in VECTORS + TEXT_TABLES and not n.startswith("__")]
    chosen = [n for n in tables if wanted in (n, PurePosixPath(n).name, PurePosixPath(n).stem)] if wanted else tables
    if len(chosen) == 1:
        return chosen[0]
    if not tables:
        raise InputError(f"data.wells: {path}: holds no table or vector file ({', '.join(names[:10])})")
    what = f"wells.layer: {path} holds no {wanted!r}" if wanted else f"data.wells: {path}: holds several tables"
    raise InputError(f"{what}; choose with wells.layer one of: {', '.join(tables[:40])}")


def _text(column):
    whole = column.dropna() if column.dtype == np.float64 else None
    if whole is not None and ((whole % 1 == 0) & (whole.abs() < 2**53)).all():  # whole numbers beside blanks
        column = column.astype("Int64")
    return column.astype("object").where(column.notna(), "").astype(str).str.strip()


def _numbers(column):
    """Float64; NaN for what is no number, or stands for none."""
    number = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return number.mask(number.isin(MISSING))


def _find(table, given, usual, param, path):
    """The column named by the param, or the first of the usual names; case does not matter for the latter."""
    columns = [c for c in table.columns if c != "geometry"]
    if given is not None:
        if given not in columns:
            raise InputError(f"{param}: {path} has no column {given!r}. Columns: {_listing(table)}")
        return given
    lower = {str(c).strip().lower(): c for c in reversed(columns)}
    return next((lower[name] for name in usual if name in lower), None)


def _listing(table, most=30):
    names = [str(c) for c in table.columns if c != "geometry"]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _read_text(path, member, x, y, crs):
    try:
        raw = _raw(path, member)
        if max(raw.count(b"\n"), raw.count(b"\r")) > MAX_ROWS:
            raise InputError(f"data.wells: {path}: a text table of more than {MAX_ROWS:,} rows; cut out the region")
        lines = io.StringIO(_decode(raw), newline=None).readlines()
        table = _table_of(lines, *_header(lines, x, y))
    except _UNREADABLE as error:
        raise InputError(
            f"data.wells: {path}: not a CSV, damaged or encrypted ({' '.join(str(error).split())})"
        ) from None
    if crs is None and x is None and y is None:
        x, y = _find(table, None, LONGITUDE, "", path), _find(table, None, LATITUDE, "", path)
        if x is not None and y is not None:
            return _points(table, x, y, CRS.from_epsg(4326))
        x = y = None
    x = _find(table, x, EASTING + LONGITUDE, "wells.x", path)
    y = _find(table, y, NORTHING + LATITUDE, "wells.y", path)
    if x is None or y is None:
        raise InputError(
            f"data.wells: {path}: no coordinate columns found; name them with wells.x and wells.y. "
            f"Columns: {_listing(table)}"
        )
    if crs is None and x.lower() in LONGITUDE + LATITUDE and y.lower() in LONGITUDE + LATITUDE:
        crs = 4326
    if crs is None:
        raise InputError(
            f"data.wells: {path}: the coordinate reference system of columns {x!r} and {y!r} is not known; "
            "set wells.crs (EPSG:4326 for longitude and latitude in degrees)"
        )
    return _points(table, x, y, parse_crs(crs, "wells.crs"))


def _table_of(lines, separator, header):
    """All cells as the text that they are; numbers with a decimal comma or a comma between thousands as plain ones."""
    # tabs need no quotes, and stray ones eat lines
    options: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if separator == "\t" else {}
    first, second = ([*csv.reader([line], delimiter=separator)] for line in [*lines[header:], "", ""][:2])
    # one cell more than the header has names: an empty one at the end, or a number of the row at the beginning
    if max(len(first[0]) if first else 0, len(second[0]) if second else 0) > MAX_COLUMNS:
        raise InputError(f"data.wells: no table of wells: it has more than {MAX_COLUMNS:,} columns")
    numbered = bool(first and second) and len(second[0]) == len(first[0]) + 1 and second[0][-1].strip() != ""
    if numbered:
        options["index_col"] = 0
    else:
        options |= {"index_col": False, "usecols": range(len(first[0])) if first else None}
    text = io.StringIO("".join(lines[header:]))
    table = pd.read_csv(text, sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True, **options)
    table = table.reset_index(drop=True)
    names = [str(c).lstrip("#").strip().strip('"').strip() for c in table.columns]
    seen: dict[str, int] = {}
    for k, name in enumerate(names):
        seen[name] = seen.get(name, -1) + 1
        while seen[name] and f"{name}.{seen[name]}" in names:
            seen[name] += 1
        names[k] = f"{name}.{seen[name]}" if seen[name] else name
    table.columns = names
    pattern, separating = (_THOUSANDS, ",") if separator == "," else (_DECIMAL_COMMA, "")
    for name in names:
        cells = table[name].fillna("").str.strip()
        if separator == "\t":
            cells = cells.str.replace(r'^"(.*)"$', r"\1", regex=True)
        table[name] = cells
        odd = cells[(cells != "") & pd.to_numeric(cells, errors="coerce").isna()]
        odd = odd[odd.str.lower() != "nan"]
        if len(odd) and odd.str.fullmatch(pattern).all():
            table.loc[odd.index, name] = odd.str.replace(",", "" if separating else ".")
    return table


def _raw(path, member):
    """Content of a text table; what is too long to be one is not read to its end, nor unpacked."""
    with ExitStack() as stack:
        if member:
            file = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(member))
        else:
            file = stack.enter_context((gzip.open if path.lower().endswith(".gz") else open)(path, "rb"))
        start = file.read(MAX_LINE)
        if len(start) == MAX_LINE and not (b"\n" in start or b"\r" in start):
            raise InputError(f"data.wells: {path}: no table: its first line is longer than {MAX_LINE:,} bytes")
        rest = file.read(MAX_TEXT - len(start) + 1)
        if len(start) + len(rest) > MAX_TEXT:
            raise InputError(f"data.wells: {path}: a text table of more than {MAX_TEXT:,} bytes; cut out the region")
    return start + rest


def _decode(raw):
    """Text in UTF-8, or else in the Windows code page that old tables and the Global Heat Flow Database are in."""
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def _header(lines, x, y, most=60):
    """Separator and number of the header line: the first that names both coordinates, else the first but comments.

    The Global Heat Flow Database has comments and lines of codes above its header.
    """
    written = [k for k, line in enumerate(lines[:most]) if line.strip()]
    plain = [k for k in written if not lines[k].startswith("#")] or written
    if not written:
        return ",", 0
    across, up = ({x.lower()} if x else {*LONGITUDE, *EASTING}), ({y.lower()} if y else {*LATITUDE, *NORTHING})
    separators = {k: max(",;\t", key=re.sub(r'"[^"]*"', "", lines[k]).count) for k in written}
    for k in written:
        cells = {cell.strip().strip('"').strip().lower() for cell in lines[k].lstrip("#").split(separators[k])}
        if cells & across and cells & up:
            return separators[k], k
    return separators[plain[0]], plain[0]


def _points(table, x, y, crs):
    easting, northing = _numbers(table[x]), _numbers(table[y])
    points = geopandas.GeoSeries.from_xy(easting, northing, crs=crs.to_wkt())
    points[easting.isna() | northing.isna()] = None
    return geopandas.GeoDataFrame(table.drop(columns="geometry", errors="ignore"), geometry=points)


def _read_vector(path, layer, crs):
    try:
        with vector_file(path, "data.wells") as file:
            layers = file.layers()
            if layer is None and len(layers) > 1:
                raise InputError(f"data.wells: {path}: has layers {', '.join(layers)}; choose one with wells.layer")
            if layer is not None and layer not in layers:
                raise InputError(f"wells.layer: {path} has no layer {layer!r}; it has {', '.join(layers)}")
            table = file.read(layer=layer or (layers[0] if layers else None))
    except UNREADABLE as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise InputError(f"data.wells: {path}: not a vector file that GDAL can read ({reason})") from None
    if not isinstance(table, geopandas.GeoDataFrame):
        raise InputError(f"data.wells: {path}: has no geometry; give points, or a CSV with coordinate columns")
    if table.geometry.name != "geometry":
        table = table.rename_geometry("geometry")
    single = table.geometry.geom_type == "MultiPoint"
    if single.any():  # one point each in files whose type is multipoint; the rest is not a place
        only = table.geometry[single].apply(lambda g: g.geoms[0] if len(g.geoms) == 1 else None)
        table.loc[single, "geometry"] = only
    table.loc[table.geometry.geom_type != "Point", "geometry"] = None  # a line or an area is no well
    if crs is not None:
        return table.set_crs(parse_crs(crs, "wells.crs").to_wkt(), allow_override=True)
    if table.crs is None:
        raise InputError(f"data.wells: {path}: has no coordinate reference system; set wells.crs")
    return table
