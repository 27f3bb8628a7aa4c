"""Tables of features as FlatGeobuf, whose bytes depend on nothing but the table."""

import io
from pathlib import Path

import geopandas
import pandas as pd
import pyogrio

from heatflow.errors import reading
from heatflow.io.atomic import replacing
from heatflow.io.untrusted import kind_of, promised_features


def write_features(path: str | Path, table: geopandas.GeoDataFrame, layer: str) -> None:
    """Write a table of features as FlatGeobuf, rows in their order (no spatial index, which would sort them).

    Parameters
    ----------
    path : str or Path
    table : GeoDataFrame
    layer : str
        Name of the layer.
    """
    made = io.BytesIO()  # GDAL says nothing of a disk that is full; a file of Python's does
    pyogrio.write_dataframe(table, made, layer=layer, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    with replacing(path) as beside:
        beside.write_bytes(made.getvalue())


def read_features(path: str | Path) -> geopandas.GeoDataFrame:
    """Read a table that `write_features` wrote, with geometry.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    GeoDataFrame

    Raises
    ------
    InputError
        It is damaged, or holds fewer rows than it says: GDAL reads a FlatGeobuf that was cut short as a shorter table.
    """
    return _read(path, geometry=True)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read the attributes alone, otherwise as `read_features`."""
    return _read(path, geometry=False)


def _read(path: str | Path, *, geometry: bool) -> pd.DataFrame:
    with reading(path):
        if kind_of(Path(path)) != "FlatGeobuf":  # GDAL would read whatever it is
            raise ValueError("it is not a FlatGeobuf")
        promised = promised_features(Path(path))
        table = pyogrio.read_dataframe(path, read_geometry=geometry)
        if len(table) != promised:
            raise ValueError(f"{len(table)} of {promised} rows")
    return table
