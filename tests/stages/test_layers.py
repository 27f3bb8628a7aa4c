"""Networks that see the regional trend and a layer beside the terrain: all stages, and predictions from a bundle."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from heatflow import cli
from heatflow.geo.tiles import PackedTiles
from heatflow.learning.models import load_networks
from tests.helpers import CRS, LEFT, RAMP, STAGES, TINY, TOP, Workspace, make_raster

ELEVATION = RAMP + np.random.default_rng(0).normal(0, 50, RAMP.shape).astype(np.float32)


@pytest.fixture(scope="module")
def layered(tmp_path_factory, _inputs):
    """A project where all stages were run with the trend and a layer, and the path of the layer."""
    folder = tmp_path_factory.mktemp("layered")
    rough = np.random.default_rng(1).normal(5, 2, (60, 60)).astype(np.float32)
    # coarser pixels in degrees, which cover the region but for some in the south
    place = from_origin(-117.01, 39.75, 0.004, 0.003)
    layer = make_raster(folder / "gravity.tif", rough, crs="EPSG:4326", transform=place)
    project = Workspace(folder / "project")
    project.path.mkdir()
    data = _inputs | {"elevation": make_raster(folder / "dem.tif", ELEVATION), "layers": {"gravity": layer}}
    changes = TINY | {
        "data": data, "terrain": {"resolution": 200, "detrend_radius": 3000},
        "model": TINY["model"] | {"inputs": ["detrended", "trend"]},
    }  # fmt: skip
    project.run_all(STAGES, **changes)
    return project.path, layer, changes


@pytest.fixture
def project(layered, monkeypatch):
    monkeypatch.chdir(layered[0])
    return layered[0]


def test_tiles_hold_what_the_raster_shows(project):
    with rasterio.open("data/terrain.tif") as raster:
        bands, names = raster.read(), raster.descriptions
    assert names == ("elevation", "trend", "gravity")
    np.testing.assert_allclose(bands[0] + bands[1], ELEVATION, atol=1e-3)
    tiles = PackedTiles.load("data/tiles.npy", "data/tiles.fgb", 20)
    np.testing.assert_array_equal(tiles.stack[8], bands[:, 11:22, 11:22])
    scaling = json.loads(Path("data/scaling.json").read_text())["fold0"]
    assert [len(scaling[name]) for name in ("offset", "scale")] == [3, 3]
    assert 3 < scaling["offset"][2] < 7


def test_networks_and_baselines_have_them(project):
    networks = [load_networks("data/models", fold)[0] for fold in range(2)]
    assert [network.settings["inputs"] for network in networks] == [3, 3]
    predictions = geopandas.read_file("data/predictions.fgb")
    assert np.isfinite(predictions[["p0", "p1"]].to_numpy()).all()
    assert json.loads(Path("data/bundle/bundle.json").read_text())["inputs"] == ["detrended", "trend", "gravity"]
    card = Path("data/bundle/MODEL_CARD.md").read_text()
    assert "from terrain and gravity, how far" in card
    assert "| layer | gravity: `gravity.tif` |" in card
    assert "gravity: gravity.tif" in Path("data/report.html").read_text()


def test_saliency_has_a_band_for_each_input_but_not_of_methods_that_see_them_together(project):
    of = "of the log-odds of above 0 mW/m2"
    with rasterio.open("data/saliency/gradient.tif") as raster:
        bands = raster.read()
        assert raster.descriptions == (f"gradient {of}", f"gradient {of} by trend", f"gradient {of} by gravity")
        assert raster.units == ("score per km", "score per unit", "score per unit")
    assert not (bands[0] == bands[1]).all()
    with rasterio.open("data/terrain.tif") as raster:
        missing = np.isnan(raster.read(3))
    assert np.isnan(bands[2][missing]).all()
    with rasterio.open("data/saliency/grad_cam.tif") as raster:
        assert raster.count == 1


def predict(*more):
    return cli.main(["predict", "--model", "data/bundle", "--out", "out", "--elevation", *more])


def test_a_prediction_from_the_bundle_is_the_map_of_the_region(project, layered):
    _, layer, changes = layered
    assert predict(changes["data"]["elevation"], "--layer", f"gravity={layer}") == 0
    for name in ("probability.tif", "applicability.tif"):
        assert Path("out", name).read_bytes() == Path("data/map", name).read_bytes()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "the model sees gravity beside elevation; give also: --layer gravity=PATH"),
        (["magnetics=a.tif"], "--layer magnetics=a.tif: the model sees gravity beside elevation"),
        (["gravity"], "--layer gravity: the model sees gravity beside elevation; give NAME=PATH"),
        (["gravity=nowhere.tif"], "--layer gravity: nowhere.tif: no such file"),
        (["gravity=far.tif"], "--layer gravity: far.tif: does not meet the terrain"),
    ],
)
def test_layers_that_are_missing_or_unknown_are_one_message(project, layered, capsys, layers, message):
    make_raster(project / "far.tif", RAMP, crs=CRS, transform=from_origin(LEFT + 1e6, TOP, 200, 200))
    before = sorted(Path().rglob("*"))
    options = [word for layer in layers for word in ("--layer", layer)]
    assert predict(layered[2]["data"]["elevation"], *options) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before
