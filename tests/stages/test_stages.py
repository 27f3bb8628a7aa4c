"""Stages at the edge: what a person sees with bad input, and what is left on disk."""

import json
import multiprocessing
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import from_origin

from heatflow import cli
from tests.helpers import LEFT, RAMP, STAGES, TINY, TOP


def test_whole_pipeline_keeps_every_well_and_tile(finished):
    evaluation = json.loads((finished.path / "metrics/evaluation.json").read_text())
    assert evaluation["tiles"] == 49
    kept = geopandas.read_file(finished.path / "data/predictions.fgb")
    assert kept["n_wells"].sum() == 98
    assert {"tile", "row", "col", "n_wells", "residual", "label", "valid", "fold", "predicted", "p0", "p1"} <= set(kept)
    np.testing.assert_allclose(kept[["p0", "p1"]].sum(axis=1), 1)


def test_wells_in_are_wells_kept_and_wells_dropped(finished, inputs, write_wells):
    x = [LEFT + 100, LEFT + 100, LEFT - 1, LEFT + 300, LEFT + 500]
    wells = write_wells(x, [TOP - 100] * 5, name="odd.fgb", residual=[1.0, 1.0, 2.0, np.nan, 4.0])
    assert finished.run("wells", **TINY | {"data": inputs | {"wells": wells}}) == 0
    kept = geopandas.read_file("data/wells.fgb")
    dropped = pd.read_csv("data/wells_dropped.csv")
    assert sorted([*kept["id"], *dropped["id"]]) == [1, 2, 3, 4, 5]
    assert dropped.set_index("id")["reason"].to_dict() == {
        2: "exact duplicate", 3: "outside the raster", 4: "no residual",
    }  # fmt: skip


def refusal(workspace, capsys, stage, **changes):
    """The message of a stage that must refuse, having written nothing new."""
    before = {name: (workspace.path / name).read_bytes() for name in workspace.files() if name != "params.yaml"}
    capsys.readouterr()
    assert workspace.run(stage, **changes) == 2
    after = {name: (workspace.path / name).read_bytes() for name in workspace.files() if name != "params.yaml"}
    assert after == before
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("missing", "no such file"),
        ("text", "not a raster that GDAL can read"),
        ("no crs", "no coordinate reference system"),
        ("geographic", "set terrain.crs to a projected CRS"),
        ("two bands", "choose one with terrain.band"),
        ("all nodata", "has no pixel with data"),
        ("bad crs", "is not a coordinate reference system"),
    ],
)
def test_bad_rasters(finished, write_raster, inputs, capsys, tmp_path, case, message):
    changes = {"data": dict(inputs)}
    match case:
        case "missing":
            changes["data"]["elevation"] = "nowhere.tif"
        case "text":
            (tmp_path / "text.tif").write_text("elevation")
            changes["data"]["elevation"] = str(tmp_path / "text.tif")
        case "no crs":
            changes["data"]["elevation"] = write_raster(RAMP, name="bad.tif", crs=None)
        case "geographic":
            place = from_origin(-117, 40, 0.01, 0.01)
            changes["data"]["elevation"] = write_raster(RAMP, name="bad.tif", crs="EPSG:4326", transform=place)
        case "two bands":
            changes["data"]["elevation"] = write_raster(np.stack([RAMP] * 2), name="bad.tif")
        case "all nodata":
            changes["data"]["elevation"] = write_raster(np.full((20, 20), np.nan, np.float32), name="bad.tif")
        case "bad crs":
            changes["terrain"] = {"crs": "EPSG:1"}
    assert message in refusal(finished, capsys, "terrain", **changes)


def test_wells_elsewhere_are_refused(finished, inputs, write_wells, capsys):
    far = write_wells([0.0, LEFT - 5], [0.0, TOP], name="far.fgb", residual=[1.0, 2.0])
    message = refusal(finished, capsys, "wells", data=inputs | {"wells": far})
    assert "none of its 2 wells can be used (2 outside the raster)" in message


def test_tiles_larger_than_the_terrain_are_refused(finished, inputs, capsys):
    message = refusal(finished, capsys, "tile", data=inputs, **TINY | {"tile": {"size": 81, "stride": 5}})
    assert "tile.size: 81 pixels is more than the terrain measures (80 x 80 pixels)" in message


def test_too_few_tiles_and_absent_classes_are_refused(finished, inputs, capsys):
    message = refusal(
        finished, capsys, "split", data=inputs, **TINY | {"split": {"folds": 50, "block_size": 1, "buffer": 0}}
    )
    assert "need at least 50 blocks of tiles, and there are 49" in message
    absent = {"tile": {"size": 11, "edges": [0, 5000], "binary_edge": 0}}
    assert "no tile is of class 2: >5000" in refusal(finished, capsys, "split", data=inputs, **TINY | absent)


def test_filter_that_leaves_nothing_is_refused(finished, inputs, capsys):
    message = refusal(finished, capsys, "filter", data=inputs, **TINY | {"filter": {"min_relief": 1e6}})
    assert "none of the 49 tiles is left (49 no relief)" in message


def test_bad_params_stop_any_stage_with_every_fault(workspace, capsys):
    message = refusal(workspace, capsys, "terrain", train={"dropout": "abc"}, split={"folds": 0, "seeds": 1})
    assert all(key in message for key in ("train.dropout", "split.folds", "split.seeds"))


def test_terrain_is_detrended_and_the_sea_left_out(workspace, write_raster):
    elevation = write_raster(RAMP - 50)  # a plane, the lowest part of it under water
    terrain = {"resolution": 200, "detrend_radius": 3000, "min_elevation": 0}
    assert workspace.run("terrain", data={"elevation": elevation, "wells": "none"}, terrain=terrain) == 0
    with rasterio.open("data/terrain.tif") as out:
        detrended = out.read(1)
    assert (np.isnan(detrended) == (RAMP < 50)).all()
    assert np.nanmax(np.abs(detrended)) < 1e-3
    metrics = json.loads((workspace.path / "metrics/terrain.json").read_text())
    assert metrics["elevation"] == {"low": 0.0, "high": 977.0}
    assert metrics["valid"] == pytest.approx((RAMP >= 50).mean(), abs=1e-4)


def test_part_of_a_raster_in_degrees(workspace, write_raster):
    world = np.tile(np.arange(360, dtype=np.float32), (180, 1))
    path = write_raster(world, name="world.tif", crs="EPSG:4326", transform=from_origin(-180, 90, 1, 1))
    terrain = {"resolution": 10_000, "crs": "EPSG:32611", "bounds": [-119, 38, -115, 41]}
    assert workspace.run("terrain", data={"elevation": path, "wells": "none"}, terrain=terrain) == 0
    with rasterio.open("data/terrain.tif") as out:
        assert 33 <= out.width <= 37
        assert 33 <= out.height <= 36
        assert out.transform.c % 10_000 == out.transform.f % 10_000 == 0
        assert 59 < np.nanmin(out.read(1)) < np.nanmax(out.read(1)) < 67


class RangeHandler(SimpleHTTPRequestHandler):
    """A file server that can be asked for a part of a file, as those of cloud-optimised GeoTIFFs can."""

    def do_GET(self):
        content = Path(self.translate_path(self.path))
        if not content.is_file() or "Range" not in self.headers:
            self.send_error(404)
            return
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        whole = content.read_bytes()
        part = whole[int(first) : int(last or len(whole)) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.server.served.value += len(part)
        self.wfile.write(part)

    def log_message(self, *args):
        pass


def serve(folder, port, served):
    with HTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=folder)) as server:
        server.served = served
        port.send(server.server_port)
        server.serve_forever()


def test_raster_at_a_url_is_read_by_window(workspace, write_raster, tmp_path):
    noise = np.random.default_rng(0).integers(0, 3000, (3000, 3000), dtype=np.int16)
    write_raster(noise, name="large.tif", tiled=True, blockxsize=256, blockysize=256, compress="deflate")
    # a process of its own: GDAL keeps Python waiting while it asks for a file
    context = multiprocessing.get_context("spawn")
    port, end = context.Pipe()
    served = context.Value("l", 0)
    server = context.Process(target=serve, args=(tmp_path, end, served), daemon=True)
    server.start()
    try:
        address = f"http://127.0.0.1:{port.recv()}"
        data = {"elevation": f"{address}/large.tif", "wells": "none"}
        assert workspace.run("terrain", data=data, terrain={"bounds": [-116, 38.2, -115.8, 38.4]}) == 0
        assert workspace.run("terrain", data=data | {"elevation": f"{address}/none.tif"}) == 2
    finally:
        server.kill()
        server.join()
    with rasterio.open("data/terrain.tif") as out:
        row, column = round((TOP - out.transform.f) / 200), round((out.transform.c - LEFT) / 200)
        cut = noise[row : row + out.height, column : column + out.width]
        np.testing.assert_array_equal(out.read(1), cut)
    assert 0 < served.value < 0.4 * (tmp_path / "large.tif").stat().st_size


@pytest.mark.parametrize(
    ("terrain", "message"),
    [
        ({"detrend_radius": 100}, "detrend_radius (100 m) must be at least resolution (200 m)"),
        ({"detrend_radius": 40_000}, "terrain.detrend_radius: 40000 m is more than"),
        ({"bounds": [10, 40, 11, 41]}, "terrain.bounds: [10.0, 40.0, 11.0, 41.0] does not meet"),
        ({"bounds": [11, 40, 10, 41]}, "bounds must be degrees west, south, east, north"),
        ({"min_elevation": 5000}, "has no pixel with data"),
    ],
)
def test_trends_and_bounds_that_make_no_sense(finished, inputs, capsys, terrain, message):
    assert message in refusal(finished, capsys, "terrain", data=inputs, terrain=terrain)


def hot_wells(write_wells, n=98, **columns):
    rng = np.random.default_rng(3)
    x, y = LEFT + rng.uniform(0, 16_000, n), TOP - rng.uniform(0, 16_000, n)
    heat = 80 + rng.normal(0, 5, n)
    heat[: n // 4] += 500
    return write_wells(x, y, name="heat.fgb", **{"hf_meas": heat} | columns)


def test_residuals_are_estimated_where_the_table_has_none(finished, inputs, write_wells):
    changes = TINY | {"data": inputs | {"wells": hot_wells(write_wells)}}
    changes["wells"] = {"background": {"when": "missing", "radius": 10_000, "decluster": 0, "leave_block_out": False}}
    assert finished.run("wells", **changes) == 0
    kept = geopandas.read_file("data/wells.fgb")
    np.testing.assert_allclose(kept["heat_flow"] - kept["background"], kept["residual"])
    assert kept["background"].between(70, 90).all()
    assert (kept["residual"] > 400).sum() == 24
    with rasterio.open("data/background.tif") as out:
        assert out.units == ("mW/m2",)
        assert 70 < np.nanmean(out.read(1)) < 90
    metrics = json.loads((finished.path / "metrics/wells.json").read_text())
    assert list(metrics["residual"]) == ["low", "q1", "median", "q3", "high"]
    changes["wells"]["background"]["radius"] = 1000
    assert finished.run("wells", **changes) == 0
    reasons = pd.read_csv("data/wells_dropped.csv")["reason"].unique()
    assert list(reasons) == ["too few wells around it for a background"]


def test_a_background_without_the_own_block_does_not_follow_the_well(finished, inputs, write_wells):
    changes, kept = TINY | {"data": inputs | {"wells": hot_wells(write_wells)}}, []
    for leave in (False, True):
        changes["wells"] = {
            "background": {"when": "missing", "radius": 10_000, "decluster": 0, "leave_block_out": leave}
        }
        assert finished.run("wells", **changes) == 0
        kept.append(geopandas.read_file("data/wells.fgb").set_index("id"))
    both = kept[0].join(kept[1], rsuffix="_left_out", how="inner")
    assert len(both) > 90
    np.testing.assert_allclose(both["heat_flow"] - both["background_left_out"], both["residual_left_out"])
    assert (both["background"] != both["background_left_out"]).mean() > 0.5  # hot wells have no part in it anyway


@pytest.mark.parametrize(
    ("columns", "wells", "message"),
    [
        ({"hf_meas": np.full(98, 0.08)}, {}, "they look like W/m2: set wells.unit"),
        ({"hf_meas": np.full(98, np.nan)}, {}, "column 'hf_meas' holds no number"),
        ({"hf_meas": np.full(98, 80.0), "residual": np.zeros(98)}, {"heat_flow": "other"}, "has no column 'other'"),
        ({"other": np.full(98, 80.0)}, {}, "name one with wells.residual or wells.heat_flow"),
        ({}, {"quality": ["A*"]}, "has no column of quality codes; name it with wells.quality_column"),
        ({}, {"min_depth": 100}, "has no column of depths; name it with wells.depth"),
    ],
)
def test_wells_without_what_is_needed(finished, inputs, write_wells, capsys, columns, wells, message):
    path = hot_wells(write_wells, **columns)
    if "other" in columns:
        table = geopandas.read_file(path)[["other", "geometry"]]
        table.to_file(path, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    assert message in refusal(finished, capsys, "wells", data=inputs | {"wells": path}, wells=wells)


def test_background_of_a_table_without_heat_flow_is_refused(finished, inputs, capsys):
    always = {"background": {"when": "always", "radius": 1e5, "decluster": 0, "leave_block_out": False}}
    message = refusal(finished, capsys, "wells", data=inputs, wells=always)
    assert "has no column of heat flow to estimate it from" in message


def test_names_that_occur_again_and_doubtful_heat_flows_are_said(finished, inputs, write_wells, capsys):
    heat = np.full(98, 80.0)
    heat[:2] = 0.08
    path = hot_wells(write_wells, hf_meas=heat, unique_id=["a"] * 3 + [f"w{k}" for k in range(95)])
    wells = {"background": {"when": "missing", "radius": 10_000, "decluster": 0, "leave_block_out": False}}
    assert finished.run("wells", data=inputs | {"wells": path}, wells=wells) == 0
    printed = capsys.readouterr()
    assert "from 0 to 0.5 mW/m2 are left out" in printed.err
    kept = geopandas.read_file("data/wells.fgb")
    assert len(kept) == 96


def after(name):
    """Stages that come after one in dvc.yaml."""
    return list(STAGES)[list(STAGES).index(name) + 1 :]


def test_several_seeds_repeats_and_a_random_split_are_scored_side_by_side(finished, inputs):
    changes = TINY | {"data": inputs, "saliency": {"methods": ["gradient"], "shuffled": True}}
    changes["split"] = TINY["split"] | {"repeats": 2, "optimism": True}
    changes["train"] = TINY["train"] | {"seeds": 2, "early_stopping": 1, "class_weights": True}
    finished.run_all(after("filter"), **changes)
    folds = pd.read_csv("data/folds.csv", dtype={"repeat": str}).drop_duplicates("fold")
    assert folds["repeat"].tolist() == ["0", "0", "1", "1", "random", "random"]
    assert len(list((finished.path / "data/models").glob("fold*.pt"))) == 12
    seeds = pd.read_csv("data/tables/seeds.csv", dtype={"repeat": str})
    assert sorted(zip(seeds["repeat"], seeds["seed"], strict=True)) == [
        (r, s) for r in ("0", "1", "random") for s in (0, 1)
    ]
    evaluation = json.loads((finished.path / "metrics/evaluation.json").read_text())
    assert set(evaluation["optimism_gap"]) == {"network", "terrain"}
    curves = pd.read_csv("metrics/curves.csv", dtype={"fold": str})
    assert set(curves["fold"]) == {f"{k}.{s}" for k in range(6) for s in (0, 1)}
    statistics = pd.read_csv("data/tables/statistics.csv")
    assert set(statistics["statistic"]) == {"max", "p90", "median", "mean"}
    assert set(statistics["prediction"]) >= {"network", "terrain", "count", "position"}
    assert set(pd.read_csv("data/tables/strata.csv")["wells"]) <= {"1", "2-3", "4-7", "8-15", "16+", "equal", "all"}


def test_evaluation_has_at_most_130_flat_keys(finished):
    evaluation = json.loads((finished.path / "metrics/evaluation.json").read_text())

    def leaves(part):
        return sum(leaves(v) if isinstance(v, dict) else 1 for v in part.values())

    with_trend = {"terrain_trend", "terrain_trend_linear"}  # the raster here has none
    baselines = {"terrain", "terrain_linear", "random_features", "local", "nearest_sites", "count", "position"}
    assert set(evaluation["baseline"]) == set(evaluation["skill"]) == baselines | {"constant"}
    of_one = leaves(evaluation["baseline"]["terrain"]) + leaves(evaluation["skill"]["terrain"])
    assert leaves(evaluation) + len(with_trend) * of_one <= 130
    ends = {f"{name}{end}" for name in ("auc_high", "site_auc") for end in ("", "_low", "_high")}
    assert ends <= set(evaluation)
    for name in evaluation["baseline"]:
        assert {"auc_high", "site_auc"} <= set(evaluation["baseline"][name])
        assert ends <= set(evaluation["skill"][name])
        assert evaluation["skill"][name]["verdict"] in ("above", "within noise of", "below", "too few blocks to tell")
    table = pd.read_csv("data/tables/baselines.csv")
    assert table.groupby("prediction")["metric"].nunique().drop("other sites of the tile").nunique() == 1
    sites = geopandas.read_file("data/sites.fgb")
    assert evaluation["sites"] == len(sites)
    assert sites["n_wells"].sum() == 98


def test_prediction_sets_and_known_sites_are_scored_on_all_sites(finished):
    sites = len(geopandas.read_file("data/site_predictions.fgb"))
    sets, near = (pd.read_csv(f"data/tables/{name}.csv") for name in ("prediction_sets", "near_wells"))
    assert sets.loc[sets["group"] == "all", "sites"].tolist() == [sites] * 3
    assert near.loc[near["km"] == "all", "sites"].tolist() == [sites] * 2
    rule = json.loads(Path("data/prediction_sets.json").read_text())
    assert json.loads(Path("data/bundle/bundle.json").read_text())["sets"] == rule
    assert rule["level"] == 0.9


def test_known_sites_are_two_more_layers_of_the_map(finished, inputs):
    before = {path.name: path.read_bytes() for path in Path("data/map").iterdir()}
    assert finished.run("map", **TINY | {"data": inputs, "map": {"near_wells": True}}) == 0
    after = {path.name: path.read_bytes() for path in Path("data/map").iterdir()}
    assert set(after) - set(before) == {"sites.tif", "sites.qml", "near_wells.tif", "near_wells.qml"}
    assert {name: after[name] for name in before} == before
    with rasterio.open("data/map/near_wells.tif") as near, rasterio.open("data/map/sites.tif") as sites:
        np.testing.assert_array_equal(np.isfinite(near.read(1)), np.isfinite(sites.read(1)))


@pytest.mark.parametrize("loss", ["ordinal", "two_stage"])
def test_other_losses_and_tiles_of_the_grid_go_through(finished, inputs, loss):
    changes = TINY | {"data": inputs, "train": {"epochs": 1, "loss": loss}, "augment": {"resample": False}}
    changes["saliency"] = {"methods": ["gradient"]}
    finished.run_all(("train", "evaluate", "saliency", "map", "bundle", "report"), **changes)
    predicted = ["predict", "--model", "data/bundle", "--elevation", inputs["elevation"], "--out", "elsewhere"]
    assert cli.main(predicted) == 0  # a bundle of networks that learnt from tiles holds no wells of training areas


def test_relu_head_and_a_loss_that_needs_negative_scores_are_refused(workspace, capsys):
    message = refusal(workspace, capsys, "terrain", model={"head_relu": True}, train={"loss": "ordinal"})
    assert "model.head_relu: scores that cannot be negative cannot say no" in message


def test_saliency_of_other_targets_with_a_band_for_each_class(finished, inputs):
    saliency = {"methods": ["grad_cam"], "target": "high", "per_class": True, "smooth_shifts": 2}
    assert finished.run("saliency", **TINY | {"data": inputs, "saliency": saliency}) == 0
    with rasterio.open("data/saliency/grad_cam.tif") as raster:
        assert raster.descriptions == (
            "Grad-CAM of the log-odds of above 0 mW/m2", "Grad-CAM of class 0, <=0 mW/m2",
            "Grad-CAM of class 1, >0 mW/m2",
        )  # fmt: skip
        signed, low, high = raster.read()
    np.testing.assert_allclose(signed, high - low, atol=1e-4)  # of two classes the odds are their difference
    found = json.loads((finished.path / "metrics/saliency.json").read_text())
    assert found["verdict"]["answer"] == "cannot be told"  # the demo's structures say nothing of another region
    assert "structures" not in found["effects"]
    assert {"lattice_share_before", "lattice_share_after"} <= found["methods"]["grad_cam"].keys()


def test_a_class_that_does_not_exist_cannot_be_explained(workspace, capsys):
    assert "there is no class 9" in refusal(workspace, capsys, "terrain", saliency={"target": 9})


def test_faults_that_are_no_vector_file_are_refused(finished, inputs, capsys):
    (finished.path / "faults.txt").write_text("none")
    message = refusal(finished, capsys, "saliency", **TINY | {"data": inputs | {"faults": "faults.txt"}})
    assert "data.faults: faults.txt: not a vector file that GDAL can read" in message
