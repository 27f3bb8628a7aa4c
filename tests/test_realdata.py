"""Counts on the Great Basin that were made independently of this project."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scipy import ndimage

from heatflow.config.schema import Tile
from heatflow.geo.tiles import PackedTiles
from tests.helpers import SHARED

GREAT_BASIN = SHARED / "greatbasin"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not GREAT_BASIN.is_dir(), reason="no Great Basin data beside the checkout"),
]


def test_great_basin_tiles_and_classes(workspace):
    data = {"elevation": str(GREAT_BASIN / "detrended_1km.tif"), "wells": str(GREAT_BASIN / "wells.gpkg")}
    changes = {"data": data, "filter": {"min_valid": 0.5, "min_relief": None}}
    for name in ("terrain", "wells", "tile", "filter"):
        assert workspace.run(name, **changes) == 0
    tiles = json.loads((workspace.path / "metrics/tiles.json").read_text())
    assert (tiles["columns"], tiles["rows"], tiles["tiles"]) == (28, 26, 455)
    assert list(tiles["classes"].values()) == [213, 49, 79, 114]
    kept = json.loads((workspace.path / "metrics/filter.json").read_text())
    assert list(kept["classes"].values()) == [211, 47, 79, 113]
    packed = PackedTiles.load("data/tiles.npy", "data/tiles.fgb", Tile().margin)
    assert packed.pixels.shape == (455, 200, 200)
    assert sum(bool(np.isnan(tile).any()) for tile in packed.pixels) == 37


def test_clip_in_tiles_of_fifty_pixels(workspace):
    clip = SHARED / "greatbasin_clip"
    data = {"elevation": str(clip / "detrended_200m.tif"), "wells": str(clip / "wells.gpkg")}
    for size, expected in ((200, [1, 2, 3, 27]), (50, [107, 28, 76, 84])):
        for name in ("terrain", "wells", "tile"):
            assert workspace.run(name, data=data, tile={"size": size}) == 0
        tiles = json.loads((workspace.path / "metrics/tiles.json").read_text())
        assert list(tiles["classes"].values()) == expected


@pytest.mark.slow
def test_great_basin_from_raw_data(workspace):
    """Detrended elevation and residuals against files that were prepared independently of this project."""
    changes = {
        "data": {
            "elevation": str(GREAT_BASIN / "elevation_30s.tif"),
            "wells": str(GREAT_BASIN / "heatflow_ghfdb2024.csv"),
        },
        "terrain": {
            "crs": "+proj=aea +lat_0=37.5 +lon_0=-117 +lat_1=29.5 +lat_2=45.5 +datum=NAD83 +units=m",
            "detrend_radius": 40_000,
        },
    }
    for name in ("terrain", "wells"):
        assert workspace.run(name, **changes) == 0
    with rasterio.open(GREAT_BASIN / "detrended_1km.tif") as prepared, rasterio.open("data/terrain.tif") as own:
        expected = prepared.read(1, masked=True).filled(np.nan)
        with WarpedVRT(
            own, crs=prepared.crs, transform=prepared.transform, width=prepared.width, height=prepared.height,
            resampling=Resampling.average, nodata=np.nan,
        ) as coarse:  # fmt: skip
            detrended = coarse.read(1)
    both = np.isfinite(expected) & np.isfinite(detrended)
    inland = ndimage.distance_transform_edt(np.pad(both, 1))[1:-1, 1:-1] > 40
    assert np.corrcoef(expected[inland], detrended[inland])[0, 1] > 0.999
    assert np.sqrt(np.mean((expected - detrended)[inland] ** 2)) < 7  # m
    wells = geopandas.read_file("data/wells.fgb")
    prepared = geopandas.read_file(GREAT_BASIN / "wells.gpkg").set_index("id")["residual"]
    expected = prepared.loc[wells["name"]].to_numpy()
    residual = wells["residual"].to_numpy()
    edges = [25, 50, 200]
    assert np.mean(np.searchsorted(edges, residual) == np.searchsorted(edges, expected)) > 0.95
    assert np.median(np.abs(residual - expected)) < 4
