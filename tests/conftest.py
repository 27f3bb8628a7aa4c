"""Small rasters, wells and params that tests share."""

import copy
import importlib
import os
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from heatflow.grid.grids import Grid

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is loaded: threads of several workers wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
CRS = "EPSG:32611"


@pytest.fixture
def write_raster(tmp_path):
    """Write an array as a GeoTIFF whose upper-left corner is at (500000, 4400000); returns its path as text."""

    def write(array, *, name="dem.tif", crs=CRS, resolution=200.0, transform=None, **profile):
        array = np.asarray(array)
        bands = array if array.ndim == 3 else array[None]
        path = tmp_path / name
        profile = {
            "driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "crs": crs,
            "dtype": bands.dtype.name,
            "transform": transform or from_origin(500_000, 4_400_000, resolution, resolution),
        } | profile  # fmt: skip
        with rasterio.open(path, "w", **profile) as out:
            out.write(bands)
        return str(path)

    return write


@pytest.fixture
def write_wells(tmp_path):
    """Write points as a FlatGeobuf; returns its path as text."""

    def write(x, y, *, name="wells.fgb", crs=CRS, **columns):
        table = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(x, y), crs=crs)
        table.to_file(tmp_path / name, driver="FlatGeobuf", SPATIAL_INDEX="NO")
        return str(tmp_path / name)

    return write


@pytest.fixture
def grid():
    """Ten by eight pixels of 200 m."""
    return Grid(500_000.0, 4_400_000.0, 200.0, 10, 8, rasterio.crs.CRS.from_string(CRS))


def params_with(**changes):
    """The committed params, with ``section={key: value}`` changed."""
    params = copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))
    for section, values in changes.items():
        params[section].update(values)
    return params


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty project folder to run stages in; ``workspace.run(name, **changes)`` runs one with changed params."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)

    class Workspace:
        path = folder

        def params(self, **changes):
            # rasters in tests are small: none has a regional trend unless the test says so
            changes["terrain"] = {"detrend_radius": None} | changes.get("terrain", {})
            (folder / "params.yaml").write_text(yaml.safe_dump(params_with(**changes)))

        def run(self, name, **changes):
            """Exit code of the stage, 0 where it returned."""
            from stages import _stage

            self.params(**changes)
            module = importlib.import_module(f"stages.{name}")
            monkeypatch.setattr(sys, "argv", [f"stages/{name}.py"])
            try:
                _stage.run(module.main, getattr(module, "INPUTS", ()))
            except SystemExit as stop:
                return stop.code
            return 0

        def files(self):
            return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())

    return Workspace()
