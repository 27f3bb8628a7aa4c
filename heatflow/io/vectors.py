"""Tables of features as FlatGeobuf, whose bytes depend on nothing but the table."""

import io
from pathlib import Path

import geopandas
import pyogrio

from heatflow.errors import reading
from heatflow.io.atomic import replacing
from heatflow.io.untrusted import kind_of, promised_features


def write_features(path: str | Path, table: geopandas.GeoDataFrame, layer: str) -> None:
    """Write a GeoDataFrame as FlatGeobuf, rows in their order (no spatial index, which would sort them)."""
    made = io.BytesIO()  # GDAL says nothing of a disk that is full; a file of Python's does
    pyogrio.write_dataframe(table, made, layer=layer, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    with replacing(path) as beside:
        beside.write_bytes(made.getvalue())


def read_features(path: str | Path) -> geopandas.GeoDataFrame:
    """Read a table that `write_features` wrote, with geometry.

    Raises
    ------
    InputError
        It is damaged, or holds fewer rows than it says: FlatGeobuf that was cut short reads as a shorter table.
    """
    return _read(path, read_geometry=True)


def read_table(path: str | Path):
    """Read the attributes alone, a plain pandas table; otherwise as `read_features`."""
    return _read(path, read_geometry=False)


def _read(path, read_geometry):
    with reading(path):
        if kind_of(Path(path)) != "FlatGeobuf":  # GDAL would read whatever it is
            raise ValueError("it is no FlatGeobuf")
        promised = promised_features(Path(path))
        table = pyogrio.read_dataframe(path, read_geometry=read_geometry)
        if len(table) != promised:
            raise ValueError(f"{len(table)} of {promised} rows")
    return table
