"""The command `heatflow predict`: from a bundle and a raster to a folder, the same bytes however it is computed."""

import hashlib
import json
import shutil
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.warp
import torch
from rasterio.transform import from_origin

from heatflow import cli, predict
from heatflow.compute import local
from heatflow.config.schema import Demo
from heatflow.demo.region import make_region
from heatflow.errors import InputError
from heatflow.geo import terrain as terrain_module
from heatflow.io.vectors import write_features
from heatflow.prediction.bundle import Bundle, signed
from heatflow.prediction.prediction_map import MapTask
from tests.helpers import LEFT, NEAR_WELLS, PREDICTED, RAMP, TOP, make_raster, make_wells

RASTERS = ("probability.tif", "uncertainty.tif", "applicability.tif")
UTM = "EPSG:32613"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A demo region of another seed, in a UTM zone with pixels of 150 m, and its wells; far from the region of
    training."""
    folder = tmp_path_factory.mktemp("elsewhere")
    region = make_region(Demo(seed=2, width=40, height=40, resolution=150))
    write_features(folder / "wells.fgb", region.layers()["wells"], "wells")
    grid = region.grid
    transform, width, height = rasterio.warp.calculate_default_transform(
        grid.crs, UTM, grid.width, grid.height, *grid.bounds, resolution=150
    )
    elevation = np.full((height, width), np.nan, dtype=np.float32)
    rasterio.warp.reproject(
        region.elevation, elevation, src_transform=grid.transform, src_crs=grid.crs, src_nodata=np.nan,
        dst_transform=transform, dst_crs=UTM, dst_nodata=np.nan, resampling=rasterio.warp.Resampling.cubic,
    )  # fmt: skip
    raster = make_raster(folder / "dem.tif", elevation, crs=UTM, transform=transform, nodata=np.nan)
    return {"elevation": raster, "wells": str(folder / "wells.fgb")}


def run(elevation, out="out", *more, model="data/bundle"):
    """Exit code of `heatflow predict`."""
    return cli.main(["predict", "--model", str(model), "--elevation", str(elevation), "--out", str(out), *more])


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def test_the_map_of_the_region_of_training_is_that_of_the_map_stage(finished, inputs):
    assert run(inputs["elevation"], "out", "--wells", inputs["wells"]) == 0
    predicted, mapped = contents("out"), contents("data/map")
    assert {name for name in mapped if predicted[name] != mapped[name]} == set()
    summary, metrics = json.loads(predicted["summary.json"]), json.loads(Path("metrics/map.json").read_text())
    assert {name: metrics[name] for name in summary["map"]} == summary["map"]
    assert summary["coarseness"] == 1
    assert summary["wells"]["sites_in_training_area"] > 0  # and the others score them
    assert 0 <= summary["wells"]["site_auc"] <= 1
    assert [path.name for path in Path().iterdir() if "unfinished" in path.name or "partial" in path.name] == []


def test_known_wells_correct_the_probabilities_of_sites_near_them(finished, elsewhere, capsys):
    with rasterio.open(elsewhere["elevation"]) as raster:
        x, y = raster.xy(raster.height // 2, raster.width // 2)
        lon, lat = (v[0] for v in rasterio.warp.transform(raster.crs, "EPSG:4326", [x], [y]))
    wells = ("--wells", elsewhere["wells"], "-S", "wells.background.radius=40000")
    assert run(elsewhere["elevation"], "out", *wells, "--near-wells", "--at", f"{lon:.5f},{lat:.5f}") == 0
    assert contents("out").keys() == PREDICTED | NEAR_WELLS
    assert "; with the wells near it " in capsys.readouterr().out
    with rasterio.open("out/sites.tif") as sites, rasterio.open("out/near_wells.tif") as near:
        before, after = sites.read(1), near.read(1)
    np.testing.assert_array_equal(np.isfinite(before), np.isfinite(after))
    assert np.nanmin(after) >= 0
    assert np.nanmax(after) <= 1
    used = json.loads(Path("out/summary.json").read_text())["wells"]["near_wells"]
    assert set(used) == {"sites", "share", "range"}
    assert (np.nanmax(np.abs(after - before)) > 0) == (used["share"] > 0)
    assert run(elsewhere["elevation"], "other", "--near-wells") == 2
    assert capsys.readouterr().err == (
        "heatflow predict: --near-wells: there are no wells whose residuals are known; give them with --wells TABLE\n"
    )
    assert not Path("other").exists()


def test_what_known_wells_add_is_scored_without_the_well_that_is_predicted(finished, inputs, capsys):
    assert run(inputs["elevation"], "out", "--wells", inputs["wells"], "--near-wells") == 0
    scores = json.loads(Path("out/summary.json").read_text())["wells"]
    assert scores["near_wells_auc"] - scores["site_auc"] == pytest.approx(scores["near_wells_gain"])
    assert 0 <= scores["wells_alone_auc"] <= 1
    said = f"with all other sites known: AUC of sites {scores['near_wells_auc']:.3f}"
    assert said in capsys.readouterr().out


def test_a_raster_that_cannot_be_read_to_its_end_leaves_nothing(finished, inputs, capsys):
    whole = Path(inputs["elevation"]).read_bytes()
    Path("cut.tif").write_bytes(whole[: len(whole) // 2])
    there = sorted(Path().iterdir())
    assert run("cut.tif", "out") == 2
    assert "cut.tif" in capsys.readouterr().err
    assert sorted(Path().iterdir()) == there


def test_all_networks_predict_terrain_that_they_were_trained_on_where_that_is_asked_for(finished, inputs):
    assert run(inputs["elevation"], "out", "--all-networks") == 0
    summary = json.loads(Path("out/summary.json").read_text())["map"]
    assert summary["networks_per_window"] == 2
    assert summary["learnt_from"] == 0
    with rasterio.open("out/uncertainty.tif") as all_of_them, rasterio.open("data/map/uncertainty.tif") as mapped:
        both = mapped.read(3) == 2  # windows that no network has learnt from, if all over such pixels are
        np.testing.assert_array_equal(all_of_them.read(2)[both], mapped.read(2)[both])


def test_another_region_in_another_grid_is_predicted_and_scored(finished, elsewhere, capsys):
    wells = ("--wells", elsewhere["wells"], "-S", "wells.background.radius=40000")
    with rasterio.open(elsewhere["elevation"]) as raster:
        x, y = raster.xy(raster.height // 2, raster.width // 2)
        lon, lat = (v[0] for v in rasterio.warp.transform(raster.crs, "EPSG:4326", [x], [y]))
    center = f"{lon:.5f},{lat:.5f}"
    assert run(elsewhere["elevation"], "out", *wells, "--at", center, "--at", "10,10") == 0
    said = capsys.readouterr()
    assert contents("out").keys() == PREDICTED
    assert "no site took part in training" in said.out
    assert f"place 1 ({lon:.4f}, {lat:.4f}): probability of a site above 0: " in said.out
    assert "place 2 (10.0000, 10.0000): not predicted, outside the raster" in said.out
    assert "forms" not in said.err  # 150 m are averaged to the 200 m of training
    inside = json.loads(Path("out/summary.json").read_text())["map"]["inside_applicability"]
    warned = f"only {inside:.1%} of the map lie in the area of applicability" in said.err
    assert warned == (inside < 0.5) == said.err.endswith("there is no best place\n")  # the terrain here is another's
    with rasterio.open("out/sites.tif") as sites, rasterio.open("out/probability.tif") as tiles:
        assert sites.crs.to_epsg() == 32613
        assert sites.descriptions == (
            "site: probability of above 0 mW/m2", "site: disagreement, sd of the probability of above 0 mW/m2",
        )  # fmt: skip
        above, spread = sites.read()
        np.testing.assert_array_equal(np.isfinite(above), np.isfinite(tiles.read(1)))
        assert np.nanmin(above) >= 0
        assert np.nanmax(above) <= 1
        assert np.nanmax(spread) > 0
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["map"]["networks_per_window"] == 2
    assert summary["wells"]["sites_in_training_area"] == 0
    assert 0 <= summary["wells"]["set_coverage"] <= 1 <= summary["wells"]["set_size"] <= 2
    assert "prediction sets of 90% hold " in said.out
    found = geopandas.read_file("out/wells.fgb")
    assert found["scored"].sum() == summary["wells"]["sites"] > 0
    places = pd.read_csv("out/places.csv", keep_default_na=False)
    assert places["reason"].tolist() == ["", "outside the raster"]
    rule = json.loads(Path("data/bundle/bundle.json").read_text())["sets"]
    p_high = float(places["above_0"][0])
    assert (places["set_low"][0] == "0") == (p_high > max(0.5, rule["threshold"]))
    assert float(places["lowest"][0]) <= float(places["above_0"][0]) <= float(places["highest"][0])


def test_a_prediction_that_was_ended_goes_on_to_the_same_bytes(finished, elsewhere, monkeypatch):
    assert run(elsewhere["elevation"], "whole") == 0
    rows, predict_row, warped = [], MapTask._predict, []

    def ended(self, top):
        if len(rows) == 3:
            raise KeyboardInterrupt
        rows.append(top)
        return predict_row(self, top)

    with monkeypatch.context() as patch:
        patch.setattr(MapTask, "_predict", ended)
        assert run(elsewhere["elevation"]) == 130
    assert not Path("out").exists()
    (kept,) = Path(".out.unfinished").iterdir()
    (kept / f"row{rows[1]}").write_bytes(b"cut short")
    monkeypatch.setattr(predict, "write_terrain", lambda *args, **kwargs: warped.append(1))
    monkeypatch.setattr(MapTask, "_predict", lambda self, top: rows.append(top) or predict_row(self, top))
    assert run(elsewhere["elevation"]) == 0
    assert not warped  # the terrain was whole
    assert rows.count(rows[0]) == rows.count(rows[2]) == 1
    assert rows.count(rows[1]) == 2  # what was kept of it is damaged
    assert contents("out") == contents("whole")
    assert not Path(".out.unfinished").exists()


def test_terrain_that_was_ended_is_begun_again(finished, elsewhere, monkeypatch):
    def ended(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(terrain_module, "write_cog", ended)
        assert run(elsewhere["elevation"]) == 130
    assert run(elsewhere["elevation"]) == 0


def test_two_processes_give_the_bytes_of_one(finished, elsewhere, monkeypatch):
    wells = ("--wells", elsewhere["wells"], "-S", "wells.background.radius=40000")
    assert run(elsewhere["elevation"], "one", *wells) == 0
    pools, pool = [], local.pool
    monkeypatch.setattr(local, "pool", lambda workers, task: pools.append(workers) or pool(workers, task))
    monkeypatch.setenv("HEATFLOW_WORKERS", "2")
    assert run(elsewhere["elevation"], "two", *wells) == 0
    assert 2 in pools
    assert contents("two") == contents("one")


def damaged(change):
    """A copy of the bundle after a change to it."""
    shutil.copytree("data/bundle", "copy")
    change(Path("copy"))
    return "copy"


def of_format(folder, number):
    content = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(content | {"format": number}))


def with_values(folder, *, forged=False, **values):
    """Change values of the manifest, and its digest too where it is forged."""
    content = json.loads((folder / "bundle.json").read_text()) | values
    (folder / "bundle.json").write_text(json.dumps(signed(content) if forged else content))


def replaced(folder, name, content):
    """Put another file into a bundle, with the manifest made to fit."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "bundle.json").read_text())["files"]
    with_values(folder, forged=True, files=files | {name: hashlib.sha256(content).hexdigest()})


def with_network(folder, **values):
    settings = json.loads((folder / "network.json").read_text()) | values
    replaced(folder, "network.json", json.dumps(settings).encode())


def with_weights(folder, change):
    state = torch.load(folder / "fold0_0.pt", weights_only=True)
    name = next(iter(state))
    torch.save(state | {name: change(state[name])}, folder / "fold0_0.pt")
    replaced(folder, "fold0_0.pt", (folder / "fold0_0.pt").read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "copy: no model bundle (it has no bundle.json); give data/bundle"),
        (lambda folder: (folder / "fold1_0.pt").unlink(), "copy: a damaged model bundle (fold1_0.pt is missing)"),
        (
            lambda folder: (folder / "tiles.fgb").write_bytes(b"fgb"),
            "(tiles.fgb is changed or cut short); get it again",
        ),
        (lambda folder: (folder / "bundle.json").write_text("{"), "(bundle.json cannot be read); get it again"),
        (lambda folder: of_format(folder, 99), "a model bundle of format 99, made by heatflow 0."),
        (lambda folder: with_values(folder, format=1, versions=None), "of format 1, made by heatflow another version"),
        (lambda folder: with_values(folder, source_pixel=100.5), "a damaged model bundle (bundle.json is changed)"),
        (
            lambda folder: with_values(folder, forged=True, scalings=[]),
            "scalings: 2 folds of 1 inputs need one each",
        ),
        (
            lambda folder: with_values(folder, forged=True, inputs=["detrended", "trend"]),
            "inputs: 1, and bundle.json needs 2",
        ),
        (lambda folder: with_network(folder, classes=7), "network.json: classes: 7, and bundle.json needs "),
        (lambda folder: with_network(folder, channels=[9]), "damaged model bundle (copy/fold0_0.pt: damaged"),
        (lambda folder: with_network(folder, seeds="two"), "a damaged model bundle ("),
        (lambda folder: with_network(folder, first_high=0), "network.json: first_high: 0, and bundle.json needs 1"),
        (
            lambda folder: with_weights(folder, lambda value: value[:1]),
            "damaged model bundle (copy/fold0_0.pt: damaged",
        ),
        (lambda folder: with_weights(folder, lambda value: value * torch.nan), "weights that are no finite numbers"),
        (
            lambda folder: replaced(folder, "fold0_0.pt", (folder / "fold0_0.pt").read_bytes()[:1000]),
            "a damaged model bundle (",
        ),
        (lambda folder: replaced(folder, "tiles.fgb", b"fgb"), "a damaged model bundle (copy/tiles.fgb: damaged"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_one_message(finished, inputs, capsys, change, message):
    model = damaged(change)
    before = finished.files()
    assert run(inputs["elevation"], model=model) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert finished.files() == before


def test_a_bundle_from_before_there_were_further_inputs_is_one_of_elevation_alone(finished):
    manifest = Path("data/bundle/bundle.json")
    content = json.loads(manifest.read_text())
    assert content.pop("inputs") == ["detrended"]
    del content["digest"]  # nor did that stand in it
    manifest.write_text(json.dumps(content))
    settings = Bundle.open(Path("data/bundle")).settings
    assert (settings.inputs, settings.layers) == (["detrended"], [])


def far_wells():
    return make_wells("far.fgb", [LEFT - 1e5] * 3, [TOP] * 3, residual=[1.0, 2.0, 3.0])


def without_crs():
    return make_raster("none.tif", RAMP, crs=None)


def coarse(resolution):
    return make_raster("coarse.tif", np.tile(RAMP, (3, 3)), resolution=resolution)


def geographic():
    return make_raster("degrees.tif", RAMP, crs="EPSG:4326", transform=from_origin(-117, 40, 0.002, 0.002))


def test_wells_that_no_tile_holds_are_refused_before_the_map_is_computed(finished, inputs, capsys, monkeypatch):
    monkeypatch.setattr(predict, "predict_map", lambda *_: pytest.fail("the map was begun"))
    right = LEFT + 79.5 * 200  # of the last whole tile of 11 pixels
    wells = make_wells("right.fgb", [right] * 3, [TOP - 500, TOP - 900, TOP - 1300], residual=[1.0, 2.0, 3.0])
    assert run(inputs["elevation"], "out", "--wells", wells) == 2
    assert "no tile holds" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("raster", "more", "message"),
    [
        (without_crs, (), "none.tif: has no coordinate reference system; assign the right one"),
        (geographic, (), "give with --crs a projected CRS in metres, such as EPSG:32611 (UTM) for this raster"),
        (lambda: coarse(450), (), "its pixels of 450 m are more than 2 times those that the model was trained on"),
        (lambda: make_raster("small.tif", RAMP[:9]), (), "measures 80 x 9 pixels of 200 m, and the model looks at 11"),
        (lambda: "none", (), "none: no such file"),
        (None, ("--at", "10,10"), "--at: none of the 1 places lies on"),
        (None, ("--at", "10,100"), "--at 10,100: no place on Earth"),
        (None, ("--at", "north"), "--at north: neither longitude,latitude in degrees nor a table of points"),
        (None, ("--wells", far_wells), "--wells far.fgb: none of its 3 wells lies on"),
        (None, ("--wells", "welss.csv"), "--wells: welss.csv: no such file"),
        (None, ("-S", "terrain.resolution=100"), "-S terrain.resolution: the model was trained with 200"),
        (None, ("-S", "train.lr=1"), "-S train.lr=1: give terrain.<name>, wells.<name>, map.<name> or train.device"),
        (None, ("-S", "map.top=0"), "-S map.top: Input should be greater than or equal to 1"),
        (None, ("-S", "map.nothing=0"), "-S map.nothing: Extra inputs are not permitted"),
        (None, ("--crs", "nonsense"), "terrain.crs: 'nonsense' is not a coordinate reference system"),
    ],
)
def test_a_region_that_cannot_be_predicted_is_one_message(finished, inputs, capsys, raster, more, message):
    words = [word() if callable(word) else word for word in more]
    path = inputs["elevation"] if raster is None else raster()
    before = finished.files()
    assert run(path, "out", *words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert finished.files() == before


def test_coarser_pixels_are_warned_of(finished, capsys):
    assert run(coarse(300)) == 0
    assert "WARNING: the raster is 1.50 times as coarse as that of training (200 m)" in capsys.readouterr().err


def test_a_folder_that_holds_other_things_is_not_replaced(finished, inputs, capsys):
    assert run(inputs["elevation"], "data") == 2
    assert "--out data: is there already and holds no prediction" in capsys.readouterr().err
    assert Path("data/terrain.tif").exists()
    assert run(inputs["elevation"]) == 0
    assert run(inputs["elevation"]) == 0  # its own is


def test_places_come_from_a_table(finished, inputs, capsys):
    points = make_wells("points.fgb", [LEFT + 8000, LEFT + 100], [TOP - 8000, TOP - 100])
    assert run(inputs["elevation"], "out", "--at", points, "--all-networks") == 0
    assert pd.read_csv("out/places.csv")["name"].tolist() == ["points.fgb:1", "points.fgb:2"]
    assert "points.fgb:1 (" in capsys.readouterr().out


def test_a_table_without_places_is_named_as_it_was_given(grid, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"^--at: .*t.csv: no coordinate columns found"):
        predict.read_places((str(tmp_path / "t.csv"),), grid)
