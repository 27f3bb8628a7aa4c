import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import rasterio

from heatflow.config.schema import Data
from heatflow.present.qgis import write_style
from heatflow.present.qgis_project import make_project
from tests.helpers import make_raster


@pytest.fixture
def folder(tmp_path):
    """With the styles that the stages write beside their rasters."""
    for name in ("map/probability", "map/uncertainty", "map/applicability", "saliency/grad_cam", "saliency/gradient"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_style(tmp_path / f"{name}.qml", 1, 0, 0.125, "viridis")
    return tmp_path


@pytest.fixture
def make(folder, rasters, params):
    """The root of a project's XML, as a function; its arguments replace params."""
    layers = rasters | {"trend": rasters["terrain"], "background": rasters["terrain"]}
    passed = {"gradient": False, "grad_cam": True}

    def build(**changes):
        text = make_project(folder, layers, passed, params.model_copy(update=changes))
        assert text == make_project(folder, layers, passed, params.model_copy(update=changes))
        return ElementTree.fromstring(text)

    return build


def titles(root):
    """Titles of the layers of each group, from top to bottom."""
    groups = root.findall("layer-tree-group/layer-tree-group")
    return {group.get("name"): [layer.get("name") for layer in group] for group in groups}


def test_maps_lie_in_groups_and_those_that_failed_their_checks_say_so(make):
    found = titles(make())
    assert list(found) == [
        "Best places", "Known truth of the demo", "Wells", "Tiles", "Prediction", "Saliency", "Terrain and background",
    ]  # fmt: skip
    assert found["Saliency"] == ["Grad-CAM (passed its sanity checks)", "gradient (failed its sanity checks)"]
    assert found["Terrain and background"][-1] == "hillshade"  # below all others
    assert "Known truth of the demo" not in titles(make(data=Data(elevation="dem.tif")))


def test_the_tree_and_the_layers_are_the_same_and_their_paths_relative(make):
    root = make()
    tree = {layer.get("id"): layer.get("source") for layer in root.iter("layer-tree-layer")}
    layers = {layer.findtext("id"): layer.findtext("datasource") for layer in root.iter("maplayer")}
    assert tree == layers  # as many as there are keys: each has its own
    assert len(tree) == 20
    assert all(path.startswith("./") and ".." not in path for path in tree.values())
    assert all(len(key) > 10 for key in tree)  # QGIS makes another key for a shorter one, and the tree loses its layers
    assert root.findtext("properties/Paths/Absolute") == "false"


def test_a_raster_looks_as_it_does_when_it_is_opened_alone(make, folder):
    write_style(folder / "saliency/grad_cam.qml", 1, -7, 7, "PuOr_r")
    layers = {layer.findtext("layername"): layer for layer in make().iter("maplayer")}
    renderer = layers["Grad-CAM (passed its sanity checks)"].find("pipe/rasterrenderer")
    assert (renderer.get("classificationMin"), renderer.get("classificationMax")) == ("-7", "7")


def test_a_limit_between_classes_belongs_to_the_lower_one(make, params):
    layers = {layer.findtext("layername"): layer for layer in make().iter("maplayer")}
    ranges = [(float(r.get("lower")), float(r.get("upper"))) for r in layers["wells: residual, mW/m²"].iter("range")]
    assert ranges == [(-1e9, 50), (50, 1e9)]  # QGIS takes the first that holds a value
    classes = [c.attrib for c in layers["class of the tile: mean residual, mW/m²"].iter("category")]
    assert [(c["value"], c["type"], c["label"]) for c in classes] == [("0", "integer", "≤50"), ("1", "integer", ">50")]
    symbols = [symbol.get("name") for symbol in layers["wells: residual, mW/m²"].iter("symbol")]
    assert symbols == ["0", "1"]


def test_best_places_have_their_rank_as_a_label(make):
    (labelled,) = [layer for layer in make().iter("maplayer") if layer.get("labelsEnabled") == "1"]
    assert labelled.findtext("datasource") == "./map/top.fgb"
    assert labelled.find("labeling/settings/text-style").get("fieldName") == '"rank"'


def test_a_raster_without_numbers_is_left_out(folder, rasters, params, tmp_path):
    with rasterio.open(make_raster(tmp_path / "trend.tif", np.full((4, 4), np.nan, np.float32))) as trend:
        layers = rasters | {"trend": trend, "background": rasters["terrain"]}
        root = ElementTree.fromstring(make_project(folder, layers, {"grad_cam": True}, params))
    assert titles(root)["Terrain and background"] == [
        "background heat flow, mW/m²", "elevation without its trend, m", "hillshade",
    ]  # fmt: skip
