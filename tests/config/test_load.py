"""Reading params.yaml: every fault, all at once, each with its place; a stage gets what it names."""

import pytest
import yaml

from heatflow.config.load import load
from heatflow.errors import InputError
from tests.helpers import ROOT, params_with


def refused(tmp_path, **changes):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params_with(**changes)))
    with pytest.raises(InputError) as caught:
        load(path, ())
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"dropout": "abc"}}, "train.dropout: input should be a valid number"),
        ({"train": {"dropout": 1.0}}, "train.dropout: input should be less than 1 (it is 1.0)"),
        ({"train": {"lr": float("nan")}}, "train.lr: input should be a finite number"),
        ({"train": {"droput": 0.1}}, "train.droput: unknown key"),
        ({"train": {"device": "gpu"}}, "train.device"),
        ({"split": {"folds": 1}}, "split.folds: input should be greater than or equal to 2"),
        ({"tile": {"edges": [50, 25]}}, "tile: edges must ascend"),
        ({"tile": {"binary_edge": 30}}, "tile: binary_edge (30) must be one of edges"),
        ({"tile": {"size": 34}}, "tile.size 34 is too small for 3 NiN blocks: at least 37"),
        ({"saliency": {"methods": []}}, "saliency.methods"),
        ({"demo": {"signal": 2}}, "demo.signal"),
        ({"terrain": {"crs": [1]}}, "terrain.crs: input should be a valid string (it is [1])"),
        ({"saliency": {"target": 4}}, "saliency.target: there is no class 4"),
        ({"terrain": {"bounds": [1, 2, 0, 3]}}, "bounds must be degrees west, south, east, north"),
        (
            {"model": {"head_relu": True}, "train": {"loss": "ordinal"}},
            "model.head_relu: scores that cannot be negative",
        ),
        ({"model": {"inputs": ["trend"]}}, "model: inputs must be [detrended] or [detrended, trend]"),
        ({"model": {"inputs": ["detrended", "gravity"]}}, "model.inputs: input should be 'detrended' or 'trend'"),
        (
            {"model": {"inputs": ["detrended", "trend"]}, "terrain": {"detrend_radius": None}},
            "model.inputs: there is no trend where terrain.detrend_radius is null",
        ),
        ({"data": {"layers": {"my layer": "a.tif"}}}, "data.layers.my layer: string should match pattern"),
        ({"data": {"layers": {"trend": "a.tif"}}}, "data: layers: trend is what elevation itself gives"),
        ({"data": {"layers": {"gravity": ""}}}, "data.layers.gravity: string should have at least 1 character"),
        ({"train": {"early_stopping": 5}, "split": {"validation": 0}}, "train.early_stopping: there are no tiles"),
    ],
)
def test_each_fault_is_named(tmp_path, changes, message):
    assert message in refused(tmp_path, **changes)


def test_all_faults_at_once_with_their_lines(tmp_path):
    text = (ROOT / "params.yaml").read_text().replace("dropout: 0.1", "dropout: abc").replace("folds: 5", "folds: 0")
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(path, ())
    faults = str(caught.value).splitlines()
    lines = text.splitlines()
    assert len(faults) == 2
    for fault, start in zip(faults, ("  folds", "  dropout"), strict=True):
        number = int(fault.removeprefix(f"{path}:").split(":")[0])
        assert lines[number - 1].startswith(start)


def test_only_what_is_named_can_be_read():
    chosen = load(ROOT / "params.yaml", ("tile.size", "split"))
    assert chosen.tile.size == 200
    assert chosen.split.folds == 5
    with pytest.raises(AttributeError):
        _ = chosen.tile.edges
    with pytest.raises(AttributeError):
        _ = chosen.train


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\t: x", "a: &a {b: *a}", "data: &a {elevation: *a}"])
def test_broken_yaml_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError):
        load(tmp_path / "params.yaml", ())
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "missing.yaml", ())
