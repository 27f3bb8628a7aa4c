"""Rasters that say something odd of themselves: the terrain stage reads them right, or refuses them with a message."""

import math

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

from tests.helpers import LEFT, TOP

RAMP = np.add.outer(np.arange(33) * 9.0, np.arange(44) * 4.0).astype(np.float32)
READ = {
    "turned": {"transform": Affine(200, 40, LEFT, 40, -200, TOP)},
    "upside down": {"transform": Affine(200, 0, LEFT, 0, 200, TOP)},
    "oblong": {"transform": Affine(200, 0, LEFT, 0, -137.0, TOP)},
    "nodata infinite": {"nodata": math.inf},
    "float64": {"dtype": "float64"},
    "scaled": {"scale": (0.1, -40.0)},
}
REFUSED = {
    "no CRS": ({"crs": None}, "coordinate reference system"),
    "degrees that are metres": ({"crs": "EPSG:4326"}, "geographic"),
    "feet": ({"crs": "EPSG:2225"}, "metre"),
    "no width": ({"transform": Affine(0, 0, LEFT, 0, -200, TOP)}, "coordinate reference system"),
    "infinite": ({"transform": Affine(200, 0, 1e300, 0, -200, TOP)}, "terrain.resolution"),
    "not a number": ({"transform": Affine(200, 0, math.nan, 0, -200, TOP)}, "no finite image"),
    "tiny pixels": ({"transform": from_origin(LEFT, TOP, 1e-6, 1e-6)}, "terrain.resolution"),
    "huge pixels": ({"transform": from_origin(LEFT, TOP, 1e7, 1e7)}, "pixels are supported"),
    "complex": ({"dtype": "complex64"}, "complex"),
    "three bands": ({"count": 3}, "terrain.band"),
    "scale not a number": ({"scale": (math.nan, 0.0)}, "no pixel with data"),
    "offset infinite": ({"scale": (1.0, math.inf)}, "no pixel with data"),
    "all nodata": ({"nodata": 7.0, "fill": 7.0}, "no pixel with data"),
}


def write(path, *, scale=None, fill=None, **odd):
    options = {
        "driver": "GTiff", "crs": "EPSG:32611", "transform": from_origin(LEFT, TOP, 200, 200), "nodata": np.nan,
        "dtype": "float32", "count": 1, "width": 44, "height": 33,
    } | odd  # fmt: skip
    with rasterio.open(path, "w", **options) as out:
        for band in range(1, options["count"] + 1):
            out.write((RAMP if fill is None else np.full_like(RAMP, fill)).astype(options["dtype"]), band)
        if scale:
            out.scales, out.offsets = [scale[0]], [scale[1]]
    return {"data": {"elevation": str(path)}, "terrain": {"resolution": 200}}


@pytest.mark.parametrize("odd", READ)
def test_odd_but_legal_rasters_are_read_right(workspace, tmp_path, odd):
    assert workspace.run("terrain", **write(tmp_path / "dem.tif", **READ[odd])) == 0
    scale, offset = READ[odd].get("scale", (1.0, 0.0))
    with rasterio.open("data/terrain.tif") as made:
        got = made.read(1)
    assert np.isfinite(got).mean() > 0.7
    assert np.nanmin(got) == pytest.approx(RAMP.min() * scale + offset, abs=20)
    assert np.nanmax(got) == pytest.approx(RAMP.max() * scale + offset, abs=20)


@pytest.mark.parametrize("odd", REFUSED)
def test_rasters_that_cannot_be_placed_or_read_are_refused(workspace, tmp_path, capsys, odd):
    changes, message = REFUSED[odd]
    assert workspace.run("terrain", **write(tmp_path / "dem.tif", **changes)) == 2
    assert message in capsys.readouterr().err


def test_raster_too_wide_to_hold_is_refused_before_it_is_read(workspace, tmp_path, capsys):
    path = tmp_path / "dem.tif"
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32611", transform=from_origin(LEFT, TOP, 1, 1), dtype="float32", count=1,
        width=10**6, height=10**6, sparse_ok=True, tiled=True, bigtiff="YES",
    ):  # fmt: skip
        pass
    assert workspace.run("terrain", data={"elevation": str(path)}, terrain={"resolution": 1}) == 2
    assert "pixels are supported" in capsys.readouterr().err
