"""Stages at the edge: what a person sees with bad input, and what is left on disk."""

import contextlib
import json

import geopandas
import numpy as np
import pandas as pd
import pytest

from heatflow import params
from heatflow.files import replacing, write_json
from tests.test_contracts import STAGES

RAMP = np.add.outer(np.arange(80) * 10.0, np.arange(80) * 3.0).astype(np.float32)
LEFT, TOP = 500_000.0, 4_400_000.0
TINY = {
    "terrain": {"resolution": 200},
    "tile": {"size": 11, "edges": [0], "binary_edge": 0},
    "model": {"channels": [3]},
    "split": {"folds": 2, "block_size": 1, "validation": 0.3},
    "train": {"epochs": 1},
}


@pytest.fixture
def inputs(write_raster, write_wells):
    """A raster of 80 x 80 pixels and two wells in each of its 49 tiles of 11 pixels."""
    rng = np.random.default_rng(0)
    row, col = (v.ravel().repeat(2) * 11 for v in np.mgrid[:7, :7])
    x, y = LEFT + (col + rng.uniform(0, 11, 98)) * 200, TOP - (row + rng.uniform(0, 11, 98)) * 200
    residual = rng.normal(0, 30, 98)
    return {"elevation": write_raster(RAMP), "wells": write_wells(x, y, residual=residual)}


def test_whole_pipeline_in_process_reads_exactly_the_declared_params(workspace, inputs, monkeypatch):
    read = set()

    def recording(self, name):
        if name in type(self).model_fields:
            read.add(f"{type(self).__name__.lower()}.{name}")
        return object.__getattribute__(self, name)

    changes = {"data": inputs, **TINY}
    for name in [s for s in STAGES if s != "demo"]:
        read.clear()
        with monkeypatch.context() as patch:
            loaded = params.load

            def load(path, names, loaded=loaded, patch=patch):
                chosen = loaded(path, names)
                read.clear()
                patch.setattr(params.Section, "__getattribute__", recording, raising=False)
                return chosen

            patch.setattr(params, "load", load)
            assert workspace.run(name, **changes) == 0, name
        declared = set()
        for entry in STAGES[name]["params"]:
            section, _, key = entry.partition(".")
            model = params.Params.model_fields[section].annotation
            declared |= {entry} if key else {f"{section}.{field}" for field in model.model_fields}
        whole = {d for d in declared if d.split(".")[0] in STAGES[name]["params"]}
        assert read == whole, name  # single params are held to the declaration by params.load itself
    evaluation = json.loads((workspace.path / "metrics/evaluation.json").read_text())
    assert evaluation["tiles"] == 49
    kept = geopandas.read_file(workspace.path / "data/predictions.fgb")
    assert kept["n_wells"].sum() == 98
    assert {"tile", "row", "col", "n_wells", "residual", "label", "valid", "fold", "predicted", "p0", "p1"} <= set(kept)
    np.testing.assert_allclose(kept[["p0", "p1"]].sum(axis=1), 1)


def test_wells_in_are_wells_kept_and_wells_dropped(workspace, inputs, write_wells):
    x = [LEFT + 100, LEFT + 100, LEFT - 1, LEFT + 300, LEFT + 500]
    wells = write_wells(x, [TOP - 100] * 5, name="odd.fgb", residual=[1.0, 1.0, 2.0, np.nan, 4.0])
    changes = TINY | {"data": inputs | {"wells": wells}}
    assert workspace.run("terrain", **changes) == 0
    assert workspace.run("wells", **changes) == 0
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
def test_bad_rasters(workspace, write_raster, inputs, capsys, tmp_path, case, message):
    assert workspace.run("terrain", data=inputs) == 0  # a good terrain that must survive
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
            from rasterio.transform import from_origin

            place = from_origin(-117, 40, 0.01, 0.01)
            changes["data"]["elevation"] = write_raster(RAMP, name="bad.tif", crs="EPSG:4326", transform=place)
        case "two bands":
            changes["data"]["elevation"] = write_raster(np.stack([RAMP] * 2), name="bad.tif")
        case "all nodata":
            changes["data"]["elevation"] = write_raster(np.full((20, 20), np.nan, np.float32), name="bad.tif")
        case "bad crs":
            changes["terrain"] = {"crs": "EPSG:1"}
    assert message in refusal(workspace, capsys, "terrain", **changes)


def test_wells_elsewhere_are_refused(workspace, inputs, write_wells, capsys):
    assert workspace.run("terrain", data=inputs) == 0
    far = write_wells([0.0, LEFT - 5], [0.0, TOP], name="far.fgb", residual=[1.0, 2.0])
    message = refusal(workspace, capsys, "wells", data=inputs | {"wells": far})
    assert "none of its 2 wells can be used (2 outside the raster)" in message


def run_to(workspace, last, **changes):
    for name in list(STAGES)[1:]:
        assert workspace.run(name, **changes) == 0
        if name == last:
            return


def test_tiles_larger_than_the_terrain_are_refused(workspace, inputs, capsys):
    run_to(workspace, "wells", data=inputs, **TINY)
    message = refusal(workspace, capsys, "tile", data=inputs, **TINY | {"tile": {"size": 81, "stride": 5}})
    assert "tile.size: 81 pixels is more than the terrain measures (80 x 80 pixels)" in message


def test_too_few_tiles_and_absent_classes_are_refused(workspace, inputs, capsys):
    run_to(workspace, "filter", data=inputs, **TINY)
    message = refusal(workspace, capsys, "split", data=inputs, **TINY | {"split": {"folds": 49, "block_size": 1}})
    assert "need at least 50 blocks of tiles, and there are 49" in message
    absent = {"tile": {"size": 11, "edges": [0, 5000], "binary_edge": 0}}
    assert "no tile is of class 2: >5000" in refusal(workspace, capsys, "split", data=inputs, **TINY | absent)


def test_filter_that_leaves_nothing_is_refused(workspace, inputs, capsys):
    run_to(workspace, "tile", data=inputs, **TINY)
    message = refusal(workspace, capsys, "filter", data=inputs, **TINY | {"filter": {"min_relief": 1e6}})
    assert "none of the 49 tiles is left (49 no relief)" in message


def test_bad_params_stop_any_stage_with_every_fault(workspace, capsys):
    message = refusal(workspace, capsys, "terrain", train={"dropout": "abc"}, split={"folds": 0, "seeds": 1})
    assert all(key in message for key in ("train.dropout", "split.folds", "split.seeds"))


def test_stage_out_of_order_says_what_to_run(workspace, capsys):
    assert "data/kept.fgb: not there yet" in refusal(workspace, capsys, "split")


def test_interrupt_ends_with_one_line_and_130(workspace, inputs, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("stages.terrain.warp_strips", stop)
    assert workspace.run("terrain", data=inputs) == 130
    assert capsys.readouterr().err.strip() == "terrain: interrupted"
    assert not [f for f in workspace.files() if f != "params.yaml"]


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": np.float64(1.23456), "y": float("nan"), "z": np.int64(3), "w": -0.00001})
    assert json.loads(path.read_text()) == {"x": 1.2346, "y": None, "z": 3, "w": 0.0}
    with contextlib.suppress(ZeroDivisionError), replacing(path) as beside:
        beside.write_text("half")
        _ = 1 / 0
    assert json.loads(path.read_text())["z"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
