"""Tables of features as FlatGeobuf, whose bytes depend on nothing but the table."""

from pathlib import Path

import geopandas
import pyogrio

from heatflow.files import replacing


def write_features(path: str | Path, table: geopandas.GeoDataFrame, layer: str) -> None:
    """Write a GeoDataFrame as FlatGeobuf, rows in their order (no spatial index, which would sort them)."""
    with replacing(path) as beside:
        pyogrio.write_dataframe(table, beside, layer=layer, driver="FlatGeobuf", SPATIAL_INDEX="NO")


def read_features(path: str | Path) -> geopandas.GeoDataFrame:
    """Read a table that `write_features` wrote, with geometry."""
    return pyogrio.read_dataframe(path)


def read_table(path: str | Path):
    """Read the attributes alone: a plain pandas table."""
    return pyogrio.read_dataframe(path, read_geometry=False)
