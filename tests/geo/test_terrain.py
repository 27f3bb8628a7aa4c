"""The terrain that is written: its values, its summary, and what is refused."""

import hashlib

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio.transform import from_origin

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation, open_layers
from heatflow.geo.inputs import further_inputs
from heatflow.geo.terrain import write_terrain
from heatflow.geo.warp import working_grid
from heatflow.io.rasters import write_cog
from tests.helpers import CRS, LEFT, TOP

PLANE = (1000 + np.add.outer(3.0 * np.arange(60), 2.0 * np.arange(80))).astype(np.float32)


def write(path, tmp_path, inputs=("detrended",), layers=None, **options):
    """Write the terrain; its summary."""
    terrain, rows, paths = Terrain(**options), [], (tmp_path / "terrain.tif", tmp_path / "trend.tif")
    with open_elevation(path, terrain) as source, open_layers(layers or {}) as opened:
        grid = working_grid(source, terrain)
        summary = write_terrain(source, grid, terrain, *paths, inputs, opened, on_strip=rows.append)
    assert sum(rows) == grid.height
    return summary


def written(path, tmp_path, **options):
    summary = write(path, tmp_path, **options)
    with rasterio.open(tmp_path / "terrain.tif") as dataset:
        return summary, dataset.read(1)


def test_summary_is_that_of_what_is_read_and_written(write_raster, tmp_path):
    array = PLANE.copy()
    array[:6] = np.nan
    summary, values = written(write_raster(array), tmp_path, detrend_radius=None)
    np.testing.assert_array_equal(values, array)
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    assert summary.metrics == {
        "width": 80, "height": 60, "valid": 0.9, "source_pixel": 200.0, "elevation": {"low": low, "high": high},
        "low": low, "high": high,
    }  # fmt: skip
    assert not summary.detrended


def test_plane_is_subtracted_as_a_trend(write_raster, tmp_path):
    summary, values = written(write_raster(PLANE), tmp_path, detrend_radius=2000)
    assert np.abs(values).max() < 1e-3
    assert summary.elevation == (1000, PLANE.max())
    assert summary.detrended


@pytest.mark.parametrize(("radius", "cell"), [(2000, 1), (13_000, 3)])
def test_trend_is_the_mean_of_what_was_subtracted(write_raster, tmp_path, radius, cell):
    array = (PLANE + 300 * np.random.default_rng(0).normal(size=PLANE.shape)).astype(np.float32)
    array[:6, :9] = np.nan
    _, values = written(write_raster(array), tmp_path, detrend_radius=radius)
    with rasterio.open(tmp_path / "trend.tif") as dataset:
        trend = dataset.read(1)
        assert dataset.res == (200 * cell, 200 * cell)
    padded = np.pad(array - values, ((0, -60 % cell), (0, -80 % cell)), constant_values=np.nan)
    cells = padded.reshape(len(padded) // cell, cell, -1, cell).transpose(0, 2, 1, 3).reshape(*trend.shape, -1)
    empty = np.isnan(cells).all(axis=2)
    np.testing.assert_array_equal(np.isnan(trend), empty)
    np.testing.assert_allclose(trend[~empty], np.nanmean(cells[~empty], axis=1), rtol=1e-5)


def test_a_raster_that_is_detrended_already_has_no_trend(write_raster, tmp_path):
    written(write_raster(PLANE), tmp_path, detrend_radius=None)
    with rasterio.open(tmp_path / "trend.tif") as dataset:
        assert np.isnan(dataset.read(1)).all()


def test_rasters_without_data_or_smaller_than_the_radius_are_refused(write_raster, tmp_path):
    with pytest.raises(InputError, match=r"has no pixel with data; check its nodata value"):
        written(write_raster(np.full((8, 9), np.nan, dtype=np.float32)), tmp_path, detrend_radius=None)
    with pytest.raises(InputError, match=r"detrend_radius: 40000 m is more than .* measures \(16000 m\)"):
        written(write_raster(PLANE), tmp_path)
    assert not (tmp_path / "terrain.tif").exists()


@pytest.mark.parametrize("odd", [30_000.0, -32_768.0])
def test_what_is_no_elevation_on_earth_is_refused(write_raster, tmp_path, odd):
    """Feet, or a value that means no data and is not declared as such."""
    raised = np.where(np.arange(PLANE.size).reshape(PLANE.shape) == 40, odd, PLANE).astype(np.float32)
    with pytest.raises(InputError, match=r"Earth has none beyond .* are they in feet, or .* \(terrain.nodata\)\?$"):
        written(write_raster(raised), tmp_path, detrend_radius=None)
    assert not (tmp_path / "terrain.tif").exists()


ROUGH = (PLANE + 300 * np.random.default_rng(0).normal(size=PLANE.shape)).astype(np.float32)


def bands(tmp_path):
    with rasterio.open(tmp_path / "terrain.tif") as dataset:
        return dataset.read(), dataset.descriptions, dataset.units, further_inputs(dataset)


def test_terrain_alone_has_the_bytes_of_one_plain_band_and_further_ones_change_nothing_of_it(write_raster, tmp_path):
    grid = write(write_raster(PLANE), tmp_path, detrend_radius=None).grid
    write_cog(tmp_path / "plain.tif", grid, iter([(0, PLANE)]))
    assert (tmp_path / "terrain.tif").read_bytes() == (tmp_path / "plain.tif").read_bytes()
    write(write_raster(PLANE), tmp_path, layers={"other": write_raster(ROUGH, name="other.tif")}, detrend_radius=None)
    np.testing.assert_array_equal(bands(tmp_path)[0][0], PLANE)


def test_the_trend_is_a_band_and_gives_elevation_with_what_is_left(write_raster, tmp_path):
    array = ROUGH.copy()
    array[:6, :9] = np.nan
    write(write_raster(array), tmp_path, inputs=["detrended", "trend"], detrend_radius=2000)
    values, descriptions, units, further = bands(tmp_path)
    assert (descriptions, units, further) == (("elevation", "trend"), ("m", "m"), ["trend"])
    np.testing.assert_allclose(values.sum(axis=0), array, atol=1e-3)
    assert np.nanstd(np.diff(values[1])) < np.nanstd(np.diff(values[0])) / 20  # it is the smooth one of the two


def test_layers_are_bands_on_the_grid_of_the_terrain_with_their_units(write_raster, tmp_path):
    layer = ROUGH.copy()
    layer[:, 70:] = np.nan
    paths = {"gravity": write_raster(layer, name="g.tif", nodata=np.nan), "whole": write_raster(PLANE, name="w.tif")}
    with rasterio.open(paths["gravity"], "r+") as dataset:
        dataset.set_band_unit(1, "mGal")
    summary = write(write_raster(PLANE), tmp_path, layers=paths, detrend_radius=None)
    values, descriptions, units, further = bands(tmp_path)
    assert (descriptions, units) == (("elevation", "gravity", "whole"), ("m", "mGal", None))
    assert further == ["gravity", "whole"]
    np.testing.assert_array_equal(values, [PLANE, layer, PLANE])
    assert summary.metrics["layers"] == {"gravity": 70 / 80, "whole": 1}


def test_a_layer_in_another_crs_lies_where_it_belongs(write_raster, tmp_path):
    """A plane of degrees: what it says of a pixel is where the pixel lies."""
    place = from_origin(-118, 41, 0.01, 0.01)
    longitude, latitude = np.meshgrid(-118 + 0.005 + 0.01 * np.arange(300), 41 - 0.005 - 0.01 * np.arange(300))
    options = {"crs": "EPSG:4326", "transform": place}
    paths = {
        "longitude": write_raster(longitude.astype(np.float32), name="x.tif", **options),
        "latitude": write_raster(latitude.astype(np.float32), name="y.tif", **options),
    }
    write(write_raster(PLANE), tmp_path, layers=paths, detrend_radius=None)
    values = bands(tmp_path)[0]
    column, row = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    x, y = (LEFT + column * 200).ravel(), (TOP - row * 200).ravel()
    expected = np.array(rasterio.warp.transform(CRS, "EPSG:4326", x, y)).reshape(2, 60, 80)
    np.testing.assert_allclose(values[1:], expected, atol=2e-4)  # a fiftieth of a pixel of the layer


def test_layers_are_the_same_in_any_strips(write_raster, tmp_path, monkeypatch):
    layer = write_raster(ROUGH, name="layer.tif", resolution=130.0)
    digests = []
    for pixels in (4_000_000, 400):
        monkeypatch.setattr("heatflow.geo.warp.GRID_PIXELS", pixels)
        write(write_raster(ROUGH), tmp_path, ["detrended", "trend"], {"layer": layer}, detrend_radius=2000)
        digests.append(hashlib.sha256(bands(tmp_path)[0][2]).hexdigest())
    assert digests[0] == digests[1]


def test_layers_that_cannot_be_used_are_refused_by_name(write_raster, tmp_path):
    elevation, far = write_raster(PLANE), from_origin(LEFT + 1e6, TOP, 200, 200)
    cases = {
        "does not meet the terrain": write_raster(PLANE, name="far.tif", transform=far),
        "has no data on the terrain": write_raster(np.full_like(PLANE, np.nan), name="empty.tif"),
        "no such file": str(tmp_path / "nowhere.tif"),
        "has 2 bands": write_raster(np.stack([PLANE, PLANE]), name="two.tif"),
        "has no coordinate reference system": write_raster(PLANE, name="lost.tif", crs=None),
        "complex numbers": write_raster(PLANE.astype(np.complex64), name="complex.tif"),
    }
    for message, path in cases.items():
        with pytest.raises(InputError, match=f"^data.layers.gravity: .*{message}"):
            write(elevation, tmp_path, layers={"gravity": path}, detrend_radius=None)
