"""Tables of wells: reading any, whatever its format, its columns and its unit."""

import zipfile
from pathlib import Path, PurePosixPath

import geopandas
import numpy as np
import pandas as pd

from heatflow.config.schema import Wells
from heatflow.errors import InputError
from heatflow.geo.text_tables import plain_name, read_text_table
from heatflow.grid.crs import parse_crs
from heatflow.io.untrusted import is_remote, vector_file

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


def read_wells(path: str, wells: Wells = Wells()) -> geopandas.GeoDataFrame:
    r"""Read a table of wells.

    Parameters
    ----------
    path : str
        Of a CSV (also gzipped), any vector file with points, or a zip archive that holds one of these.
    wells : Wells
        Names of columns, CRS, layer and unit, where they are not the usual ones.

    Returns
    -------
    GeoDataFrame, one row for each row of the file
        ``id`` (its number, from 1), ``name`` (as the file has it, text), ``heat_flow`` and ``residual`` (mW/m2,
        float64, NaN where there is none), ``heat_flow_text`` and ``residual_text`` (as the file has them, "" where it
        has none; None in a table that has no such column), ``quality`` (text), ``depth`` (m, NaN where there is none),
        ``x`` and ``y`` (as the file has them), ``impossible`` (no place on Earth), geometry (None for such a place).

    Raises
    ------
    InputError
        The file is missing or cannot be read, it lacks a column that is named or needed, it holds no number, or its CRS
        is not known.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "wells.csv").write_text("lon;lat;q\n-117.2;39.5;85,5\n-117.1;39.6;\n")
    ...     table = read_wells(f"{folder}/wells.csv")
    >>> table["heat_flow"].tolist(), table.crs.name
    ([85.5, nan], 'WGS 84')
    """
    table = read_points(path, wells)
    residual = _find(table, wells.residual, RESIDUAL, "wells.residual", path)
    heat_flow = _find(table, wells.heat_flow, HEAT_FLOW, "wells.heat_flow", path)
    quality = _find(table, wells.quality_column, QUALITY, "wells.quality_column", path)
    depth = _find(table, wells.depth, DEPTH, "wells.depth", path)
    name = _find(table, None, NAME, "", path)
    if residual is None and heat_flow is None:
        lacks = f"no column of residuals ({', '.join(RESIDUAL)}) and none of heat flow ({', '.join(HEAT_FLOW)})"
        remedy = f"name one with wells.residual or wells.heat_flow. Columns: {_listing(table)}"
        raise InputError(f"data.wells: {path}: {lacks}; {remedy}")
    content = {
        "id": np.arange(1, len(table) + 1),
        "name": _text(table[name]) if name else "",
        "heat_flow": _numbers(table[heat_flow]) * UNITS[wells.unit] if heat_flow else np.nan,
        "residual": _numbers(table[residual]) * UNITS[wells.unit] if residual else np.nan,
        "heat_flow_text": _text(table[heat_flow]) if heat_flow else None,
        "residual_text": _text(table[residual]) if residual else None,
        "quality": _text(table[quality]) if quality else "",
        "depth": _numbers(table[depth]) if depth else np.nan,
    }
    read = geopandas.GeoDataFrame(content, geometry=table.geometry.to_numpy(), crs=table.crs)
    for column, given in (("residual", residual), ("heat_flow", None if residual else heat_flow)):
        if given and not np.isfinite(read[column]).any():
            raise InputError(f"data.wells: {path}: column {given!r} holds no number")
    _check_needed(read, wells, path)
    return _without_impossible_places(read, path)


def read_points(path: str, wells: Wells = Wells()) -> geopandas.GeoDataFrame:
    """All columns of a table of places, whatever they are, and points; the rest as `read_wells`."""
    if not (path.startswith("/vsi") or is_remote(path, "data.wells") or Path(path).exists()):
        raise InputError(f"data.wells: {path}: no such file")
    member = _archived(path, wells.layer) if Path(path).is_file() and zipfile.is_zipfile(path) else None
    if (member or path).lower().removesuffix(".gz").endswith(TEXT_TABLES):
        table = _read_text(path, member, wells)
    else:
        file, layer = (f"/vsizip/{{{path}}}/{member}", None) if member else (path, wells.layer)
        table = _read_vector(file, layer, wells.crs)
    if table.empty:
        raise InputError(f"data.wells: {path}: holds no wells")
    return table


def _check_needed(read: geopandas.GeoDataFrame, wells: Wells, path: str) -> None:
    """Refuse a table that lacks what the params ask for."""
    if wells.background.when == "always" and read["heat_flow_text"].isna().all():
        raise InputError(f"wells.background.when: always, and {path} has no column of heat flow to estimate it from")
    if wells.quality is not None and (read["quality"] == "").all():
        raise InputError(f"wells.quality: {path} has no column of quality codes; name it with wells.quality_column")
    if wells.min_depth is not None and read["depth"].isna().all():
        raise InputError(f"wells.min_depth: {path} has no column of depths; name it with wells.depth")


def _read_text(path: str, member: str | None, wells: Wells) -> geopandas.GeoDataFrame:
    x, y, crs = wells.x, wells.y, wells.crs
    across, up = ((plain_name(x),) if x else EASTING + LONGITUDE), ((plain_name(y),) if y else NORTHING + LATITUDE)
    table = read_text_table(path, member, across, up)
    degrees = None if x or y or crs is not None else [_find(table, None, u, "", path) for u in (LONGITUDE, LATITUDE)]
    if degrees and all(degrees):  # first, since they need no CRS
        x, y = degrees
    x = _find(table, x, EASTING + LONGITUDE, "wells.x", path)
    y = _find(table, y, NORTHING + LATITUDE, "wells.y", path)
    if x is None or y is None:
        remedy = f"name them with wells.x and wells.y. Columns: {_listing(table)}"
        raise InputError(f"data.wells: {path}: no coordinate columns found; {remedy}")
    if crs is None and {plain_name(x), plain_name(y)} <= {*LONGITUDE, *LATITUDE}:
        crs = 4326
    if crs is None:
        remedy = "set wells.crs (EPSG:4326 for longitude and latitude in degrees)"
        what = f"the coordinate reference system of columns {x!r} and {y!r} is not known"
        raise InputError(f"data.wells: {path}: {what}; {remedy}")
    easting, northing = _numbers(table[x]), _numbers(table[y])
    points = geopandas.GeoSeries.from_xy(easting, northing, crs=parse_crs(crs, "wells.crs").to_wkt())
    points[easting.isna() | northing.isna()] = None
    return geopandas.GeoDataFrame(table.drop(columns="geometry", errors="ignore"), geometry=points)


def _read_vector(path: str, layer: str | None, crs: str | int | None) -> geopandas.GeoDataFrame:
    with vector_file(path, "data.wells") as file:
        layers = file.layers()
        if layer is None and len(layers) > 1:
            raise InputError(f"data.wells: {path}: has layers {', '.join(layers)}; choose one with wells.layer")
        if layer is not None and layer not in layers:
            raise InputError(f"wells.layer: {path} has no layer {layer!r}; it has {', '.join(layers)}")
        table = file.read(layer=layer or (layers[0] if layers else None))
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


def _without_impossible_places(wells: geopandas.GeoDataFrame, path: str) -> geopandas.GeoDataFrame:
    """Take the geometry off rows whose coordinates are no place on Earth; refuse a table of which most are."""
    impossible = np.zeros(len(wells), dtype=bool)
    x, y = wells.geometry.x.to_numpy(), wells.geometry.y.to_numpy()
    if wells.crs is not None and wells.crs.is_geographic:
        impossible = (np.abs(y) > 90) | (np.abs(x) > 360)
        if impossible.sum() > 0.5 * (~np.isnan(x)).sum():
            worst = int(np.argmax(impossible))
            rows = f"longitude {x[worst]:g}, latitude {y[worst]:g}, and {impossible.sum() - 1} more rows like it"
            why = "latitude ends at 90 degrees; are the two exchanged (wells.x, wells.y), or is wells.crs wrong?"
            raise InputError(f"data.wells: {path}: row {worst + 1}: {rows}: {why}")
        wells.loc[impossible, "geometry"] = None
    return wells.assign(x=x, y=y, impossible=impossible)


def _archived(path: str, wanted: str | None) -> str:
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


def _find(table: pd.DataFrame, given: str | None, usual: tuple[str, ...], param: str, path: str) -> str | None:
    """The column named by the param, or the first of the usual names, compared as `plain_name` writes them."""
    columns = [c for c in table.columns if c != "geometry"]
    if given is not None:
        if given not in columns:
            raise InputError(f"{param}: {path} has no column {given!r}. Columns: {_listing(table)}")
        return given
    plain = {plain_name(str(c)): c for c in reversed(columns)}
    return next((plain[name] for name in usual if name in plain), None)


def _listing(table: pd.DataFrame, most: int = 30) -> str:
    """Names of columns, for a message."""
    names = [str(c) for c in table.columns if c != "geometry"]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _text(column: pd.Series) -> pd.Series:
    """Cells as text without blanks around it, whole numbers without a point."""
    whole = column.dropna() if column.dtype == np.float64 else None
    if whole is not None and ((whole % 1 == 0) & (whole.abs() < 2**53)).all():  # whole numbers beside blanks
        column = column.astype("Int64")
    return column.astype("object").where(column.notna(), "").astype(str).str.strip()


def _numbers(column: pd.Series) -> pd.Series:
    """Float64; NaN for what is no number, or stands for none."""
    number = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return number.mask(number.isin(MISSING))
