"""A table of two wells, and GeoPackages of it that were tampered with."""

import sqlite3

import geopandas
import pyogrio
import pytest
from shapely import Point


@pytest.fixture
def table():
    """Two wells with residuals, in degrees."""
    return geopandas.GeoDataFrame({"residual": [1.0, 2.0]}, geometry=[Point(-117, 39), Point(-116, 39)], crs=4326)


@pytest.fixture
def package(tmp_path, table):
    """Write the table as a GeoPackage with a layer "wells", changed by SQL; returns its path."""

    def write(*statements, name="wells.gpkg"):
        path = tmp_path / name
        pyogrio.write_dataframe(table, path, layer="wells", driver="GPKG")
        file = sqlite3.connect(path)
        file.executescript("PRAGMA writable_schema=on; PRAGMA foreign_keys=off;" + ";".join(statements))
        file.commit()
        file.close()
        return path

    return write
