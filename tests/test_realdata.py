"""Counts on the Great Basin that were made independently of this project."""

import json

import numpy as np
import pytest

from tests.conftest import SHARED

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
    packed = np.load("data/tiles.npy", mmap_mode="r")
    assert packed.shape == (455, 200, 200)
    assert sum(bool(np.isnan(tile).any()) for tile in packed) == 37


def test_clip_in_tiles_of_fifty_pixels(workspace):
    clip = SHARED / "greatbasin_clip"
    data = {"elevation": str(clip / "detrended_200m.tif"), "wells": str(clip / "wells.gpkg")}
    for size, expected in ((200, [1, 2, 3, 27]), (50, [107, 28, 76, 84])):
        for name in ("terrain", "wells", "tile"):
            assert workspace.run(name, data=data, tile={"size": size}) == 0
        tiles = json.loads((workspace.path / "metrics/tiles.json").read_text())
        assert list(tiles["classes"].values()) == expected
