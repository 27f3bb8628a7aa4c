"""Wells: reading any table of them, placing them on the working grid, keeping account of those that cannot be used."""

import gzip
import re
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from heatflow.errors import InputError
from heatflow.geo.crs import parse_crs
from heatflow.geo.grid import Grid

LONGITUDE = ("longitude", "lon", "long", "lng", "long_ew", "longitude_deg", "lon_deg", "x_wgs84")
LATITUDE = ("latitude", "lat", "lat_ns", "latitude_deg", "lat_deg", "y_wgs84")
EASTING = ("x", "easting", "east", "x_eac117", "x_m", "utm_e", "utm_x")
NORTHING = ("y", "northing", "north", "y_eac117", "y_m", "utm_n", "utm_y")
RESIDUAL = ("residual", "hfqc_resid")
HEAT_FLOW = ("heat_flow", "hf_meas", "heatflow", "q")
TEXT_TABLES = (".csv", ".tsv", ".txt", ".csv.gz")


def read_wells(
    path: str,
    *,
    residual: str | None = None,
    heat_flow: str | None = None,
    x: str | None = None,
    y: str | None = None,
    crs: str | int | None = None,
    layer: str | None = None,
) -> geopandas.GeoDataFrame:
    """Read a table of wells.

    Parameters
    ----------
    path : a CSV, or any vector file with points
    residual, heat_flow : columns (mW/m2); None looks for the usual names
    x, y : columns of a CSV; None looks for the usual names, longitude and latitude before easting and northing
    crs : of the coordinates, in place of the file's own
    layer : of a file with several

    Returns
    -------
    GeoDataFrame, one row for each row of the file
        ``id`` (its number, from 1), ``heat_flow`` and ``residual`` (mW/m2, float64, NaN where there is none),
        ``given`` (the residual as the file has it, text), geometry (None where there are no coordinates).

    Raises
    ------
    InputError
        Missing or unreadable file, no such column, no CRS.
    """
    if "://" not in path and not path.startswith("/vsi") and not Path(path).exists():
        raise InputError(f"data.wells: {path}: no such file")
    is_text = path.lower().endswith(TEXT_TABLES)
    table = _read_text(path, x, y, crs) if is_text else _read_vector(path, layer, crs)
    if table.empty:
        raise InputError(f"data.wells: {path}: holds no wells")
    residual_column = _find(table, residual, RESIDUAL, "wells.residual", path)
    if residual_column is None:
        raise InputError(
            f"data.wells: {path}: no residual column ({' or '.join(RESIDUAL)}); name it with wells.residual. "
            f"Columns: {_listing(table)}"
        )
    heat_column = _find(table, heat_flow, HEAT_FLOW, "wells.heat_flow", path)
    values = table[residual_column]
    wells = geopandas.GeoDataFrame(
        {
            "id": np.arange(1, len(table) + 1),
            "heat_flow": _numbers(table[heat_column]) if heat_column else np.nan,
            "residual": _numbers(values),
            "given": values.astype("object").where(values.notna(), "").astype(str).str.strip(),
        },
        geometry=table.geometry.to_numpy(),
        crs=table.crs,
    )
    if wells["residual"].isna().all():
        raise InputError(f"data.wells: {path}: column {residual_column!r} holds no number")
    return wells


def place_wells(wells: geopandas.GeoDataFrame, grid: Grid) -> tuple[geopandas.GeoDataFrame, pd.Series]:
    """Bring wells to the grid's CRS and say what is wrong with each, before the terrain itself is looked at.

    Returns
    -------
    wells : GeoDataFrame in the grid's CRS with pixel ``row`` and ``column`` (-1 where there are no coordinates)
    reason : str Series on the same index, "" where the well can be used. The first that applies of: no coordinates,
        no residual, residual is not a finite number, outside the raster, exact duplicate (same place, heat flow and
        residual as an earlier usable row).
    """
    placed = wells.to_crs(grid.crs.to_wkt())
    points = placed.geometry
    is_point = (points.geom_type == "Point").fillna(False).to_numpy(dtype=bool)
    x, y = np.full(len(placed), np.nan), np.full(len(placed), np.nan)
    if is_point.any():
        x[is_point], y[is_point] = points[is_point].x, points[is_point].y
    located = np.isfinite(x) & np.isfinite(y)
    row, column = np.full(len(placed), -1), np.full(len(placed), -1)
    row[located], column[located] = grid.pixel(x[located], y[located])
    residual = placed["residual"].to_numpy()
    reason = np.select(
        [
            ~located,
            (placed["given"] == "").to_numpy(),
            ~np.isfinite(residual),
            ~grid.contains(row, column),
        ],
        ["no coordinates", "no residual", "residual is not a finite number", "outside the raster"],
        default="",
    ).astype(object)
    usable = reason == ""
    key = pd.DataFrame({"x": x, "y": y, "residual": residual, "heat_flow": placed["heat_flow"].to_numpy()})
    duplicate = key[usable].duplicated()
    reason[duplicate.index[duplicate]] = "exact duplicate"
    return placed.assign(row=row, column=column), pd.Series(reason, index=placed.index)


def _numbers(column):
    return pd.to_numeric(column, errors="coerce").astype(np.float64)


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


def _read_text(path, x, y, crs):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            separator = "\t" if path.lower().endswith(".tsv") else _separator(path)
            table = pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"data.wells: {path}: not a CSV in UTF-8 ({error})") from None
    table.columns = [str(c).strip() for c in table.columns]
    if crs is None and x is None and y is None:
        x, y = _find(table, None, LONGITUDE, "", path), _find(table, None, LATITUDE, "", path)
        if x is not None and y is not None:
            return _points(table, x, y, CRS.from_epsg(4326), path)
        x = y = None
    x = _find(table, x, EASTING + LONGITUDE, "wells.x", path)
    y = _find(table, y, NORTHING + LATITUDE, "wells.y", path)
    if x is None or y is None:
        raise InputError(
            f"data.wells: {path}: no coordinate columns found; name them with wells.x and wells.y. "
            f"Columns: {_listing(table)}"
        )
    if crs is None:
        raise InputError(
            f"data.wells: {path}: the coordinate reference system of columns {x!r} and {y!r} is not known; "
            "set wells.crs (EPSG:4326 for longitude and latitude in degrees)"
        )
    return _points(table, x, y, parse_crs(crs, "wells.crs"), path)


def _separator(path):
    """The commonest of comma, semicolon and tab in the header line."""
    opener = gzip.open if path.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        header = file.readline(1_000_000)
    return max(",;\t", key=header.count)


def _points(table, x, y, crs, path):
    easting, northing = _numbers(table[x]), _numbers(table[y])
    if crs.is_geographic and (northing.abs() > 90).any():
        worst = northing.abs().idxmax()
        raise InputError(
            f"data.wells: {path}: row {worst + 1}: latitude {northing[worst]:g} (column {y!r}) is beyond 90 degrees; "
            "are longitude and latitude exchanged, or is wells.crs wrong?"
        )
    points = geopandas.GeoSeries.from_xy(easting, northing, crs=crs.to_wkt())
    points[easting.isna() | northing.isna()] = None
    return geopandas.GeoDataFrame(table.drop(columns="geometry", errors="ignore"), geometry=points)


def _read_vector(path, layer, crs):
    try:
        layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        if layer is None and len(layers) > 1:
            raise InputError(f"data.wells: {path}: has layers {', '.join(layers)}; choose one with wells.layer")
        table = pyogrio.read_dataframe(path, layer=layer or (layers[0] if layers else None))
    except DataLayerError:
        raise InputError(f"wells.layer: {path} has no layer {layer!r}; it has {', '.join(layers)}") from None
    except (DataSourceError, UnicodeDecodeError, ValueError) as error:
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
    if crs is not None:
        return table.set_crs(parse_crs(crs, "wells.crs").to_wkt(), allow_override=True)
    if table.crs is None:
        raise InputError(f"data.wells: {path}: has no coordinate reference system; set wells.crs")
    return table
