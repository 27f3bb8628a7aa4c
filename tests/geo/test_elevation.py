"""Elevation rasters: nodata of every kind, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation
from heatflow.geo.warp import warp_strips, working_grid

RAMP = np.add.outer(np.arange(8) * 100.0, np.arange(10) * 10.0).astype(np.float32)


def warped(path, resolution=200.0, **options):
    terrain = Terrain(resolution=resolution, detrend_radius=None, **options)
    with open_elevation(path, terrain) as source:
        grid = working_grid(source, terrain)
        return grid, np.vstack([strip for _, strip in warp_strips(source, grid, terrain.resampling)])


def test_zero_is_a_legal_elevation(write_raster):
    array = RAMP - RAMP[3, 3]
    array[0, 0] = -9999
    _, out = warped(write_raster(array, nodata=-9999))
    assert out[3, 3] == 0
    assert np.isnan(out[0, 0])
    assert np.isnan(out).sum() == 1


@pytest.mark.parametrize("kind", ["tag", "nan", "inf", "mask band", "override", "nan tag", "tag and nan"])
def test_nodata_of_every_kind(write_raster, kind):
    array, profile, options = RAMP.copy(), {}, {}
    array[2, 5] = {"tag": -9999, "nan": np.nan, "inf": np.inf, "mask band": 0, "override": 0}.get(kind, np.nan)
    if kind in ("tag", "tag and nan"):
        profile["nodata"] = -9999
    if kind == "nan tag":
        profile["nodata"] = np.nan
    if kind == "override":
        options["nodata"] = 0
        array[0, 0] = 5  # the ramp's own zero
    path = write_raster(array, **profile)
    if kind == "mask band":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as ds:
            mask = np.full(array.shape, 255, np.uint8)
            mask[2, 5] = 0
            ds.write_mask(mask)
    _, out = warped(path, **options)
    assert np.argwhere(np.isnan(out)).tolist() == [[2, 5]]
    np.testing.assert_array_equal(out[~np.isnan(out)], array.astype(np.float32)[~np.isnan(out)])


def test_override_replaces_a_wrong_nodata_tag(write_raster):
    array = RAMP.copy()
    array[7, 9] = -32768
    _, out = warped(write_raster(array, nodata=0), nodata=-32768)
    assert out[0, 0] == 0
    assert np.isnan(out[7, 9])


def test_integer_raster_with_scale_and_offset(write_raster):
    path = write_raster(RAMP.astype(np.int16), nodata=-1)
    with rasterio.open(path, "r+") as ds:
        ds.scales, ds.offsets = (0.1,), (1000.0,)
    _, out = warped(path)
    np.testing.assert_allclose(out, RAMP * 0.1 + 1000, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: "nowhere.tif", "no such file"),
        (lambda w: w(RAMP, crs=None), "no coordinate reference system"),
        (lambda w: w(np.stack([RAMP, RAMP])), "has 2 bands; choose one with terrain.band"),
        (lambda w: w(RAMP.astype(np.complex64)), "complex"),
        (lambda w: w(RAMP, crs="EPSG:4326", transform=from_origin(-117, 40, 0.01, 0.01)), "set terrain.crs"),
        (lambda w: w(RAMP, crs="EPSG:2225", transform=from_origin(0, 9, 1, 1)), "not metre"),
    ],
)
def test_unusable_rasters_are_refused_with_a_reason(write_raster, make, message):
    with pytest.raises(InputError, match=message):
        warped(make(write_raster))


def test_text_file_is_not_a_raster(tmp_path):
    (tmp_path / "dem.tif").write_text("hello")
    with pytest.raises(InputError, match="not a raster that GDAL can read"):
        warped(str(tmp_path / "dem.tif"))


def test_damaged_raster_and_elevation_in_feet_are_refused(write_raster, tmp_path):
    path = write_raster(np.random.default_rng(0).normal(0, 100, (400, 400)).astype(np.float32))
    whole = Path(path).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with (
        open_elevation(str(tmp_path / "cut.tif")) as source,
        pytest.raises(InputError, match=r"rows \d+ to \d+ cannot be read .* damaged, or cut short"),
    ):
        source.read(Window(0, 0, 400, 400))
    with rasterio.open(path, "r+") as raster:
        raster.units = ("ft",)
    with pytest.raises(InputError, match="its unit is 'ft'"), open_elevation(path):
        pass


def test_blocks_are_measured_in_bytes_with_all_their_bands(write_raster, monkeypatch):
    path = write_raster(np.ones((3, 8, 9), dtype=np.float64), interleave="pixel")
    monkeypatch.setattr("heatflow.geo.elevation.MAX_BLOCK", 3 * 8 * 9 * 8 - 1)
    with pytest.raises(InputError, match="blocks of 1,728 bytes"), open_elevation(path):
        pass


@pytest.mark.parametrize("content", ["<VRTDataset/>", "\x89HDF"])
def test_raster_that_no_driver_of_plain_files_opens_has_to_be_named(tmp_path, content):
    (tmp_path / "dem.tif").write_text(content)
    with pytest.raises(InputError, match=r"terrain\.driver"), open_elevation(str(tmp_path / "dem.tif")):
        pass
