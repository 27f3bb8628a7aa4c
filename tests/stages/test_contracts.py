"""DESIGN's contracts: what a stage declares in dvc.yaml is what it uses, no more and no less."""

import ast
import importlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from heatflow.config.schema import Params
from heatflow.pipeline import dependencies, imported, write_dependencies
from tests.helpers import CRS, LEFT, PIPELINE, ROOT, STAGES, TINY, TOP, param_names, recorded_params

ROOMS = (  # each imports from those above it, and from itself
    {"grid"},
    {"io"},
    {"config"},
    {"compute"},
    {"geo"},
    {"learning"},
    {"evaluation"},
    {"explanation", "prediction"},
    {"present"},
)
WITH_TORCH = {"train", "evaluate", "saliency", "map", "bundle"}


def outputs(stage):
    """Paths of all that a stage writes."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def room(path):
    """The room of a file, None where it is in none."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "heatflow" and len(parts) > 2 and any(parts[1] in rank for rank in ROOMS) else None


def test_every_stage_has_its_module_and_description():
    modules = {p.stem for p in (ROOT / "stages").glob("*.py") if not p.stem.startswith("_")}
    assert modules == set(STAGES)
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python -m stages.{name}"
        assert stage["desc"]


@pytest.mark.parametrize("name", STAGES)
def test_dependencies_are_what_the_stage_imports_and_reads(name):
    assert STAGES[name]["deps"] == dependencies(name, ROOT), "make dvc"


def test_make_dvc_leaves_the_committed_file_as_it_is(tmp_path):
    for folder in ("heatflow", "stages"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    committed = (ROOT / "dvc.yaml").read_text()
    pipeline = YAML().load(committed)
    pipeline["stages"]["train"]["deps"] = ["data/other"]
    with (tmp_path / "dvc.yaml").open("w") as file:
        YAML().dump(pipeline, file)
    write_dependencies(tmp_path / "dvc.yaml")
    assert (tmp_path / "dvc.yaml").read_text() == committed


def test_dvc_reads_its_files_in_c():
    """In Python that is half of the time of a run with nothing to do."""
    assert YAML(typ="safe").Parser.__name__ == "CParser"


@pytest.mark.parametrize("name", STAGES)
def test_declared_params_are_those_of_the_module(name):
    assert STAGES[name]["params"] == list(importlib.import_module(f"stages.{name}").PARAMS)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV of heat flow without residuals: some params of the wells matter to such a table alone."""
    rng = np.random.default_rng(0)
    place = {"x": LEFT + rng.uniform(0, 16_000, 98), "y": TOP - rng.uniform(0, 16_000, 98)}
    path = tmp_path_factory.mktemp("table") / "wells.csv"
    pd.DataFrame(place | {"heat_flow": 80.0 + np.arange(98)}).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("name", STAGES)
def test_every_declared_param_is_read(name, params_read, finished, inputs, table):
    """A param that is not declared is missing from what a stage gets: reading it would have ended the finished run."""
    declared = set()
    for entry in STAGES[name]["params"]:
        section, _, key = entry.partition(".")
        declared |= {entry} if key else param_names(Params.model_fields[section].annotation)
    other = {  # values that make a stage read what it does not read in the finished run
        "wells": {
            "data": inputs | {"wells": table},
            "wells": {
                "crs": CRS,
                "background": {"when": "missing", "radius": 20_000, "decluster": 0, "leave_block_out": False},
            },
        },
        "train": {"data": inputs, "train": {"epochs": 1, "optimizer": "sgd", "momentum": 0.9}},
        "saliency": {
            "data": inputs,
            "train": {"epochs": 1, "optimizer": "sgd", "momentum": 0.9},
            "saliency": {"methods": ["gradient"], "shuffled": True},
        },
    }
    read = set(params_read[name])
    if name in other:
        with recorded_params() as names:
            assert finished.run(name, **TINY | other[name]) == 0
        read |= names
    assert declared - read == set()


def test_undeclared_param_cannot_be_read(workspace, monkeypatch):
    from stages import _runner

    workspace.params()
    p = _runner.read_params(("train.dropout",))
    assert p.train.dropout == 0.1
    for read in (lambda: p.train.lr, lambda: p.tile, lambda: p.train.undeclared):
        with pytest.raises(AttributeError):
            read()


def test_packages_run_no_code_of_their_own():
    for package in set((ROOT / "heatflow").rglob("__init__.py")) - {ROOT / "heatflow/__init__.py"}:
        assert all(isinstance(node, ast.Expr) for node in ast.parse(package.read_text()).body), package


def test_imports_go_one_way():
    above = set()
    for rank in ROOMS:
        for name in rank:
            files = sorted((ROOT / "heatflow" / name).glob("*.py"))
            assert files, name
            for path in files:
                for file in imported(path, ROOT):
                    assert file.is_relative_to(ROOT / "heatflow"), f"{path} imports {file}: the library knows no stage"
                    assert room(file) in {None, name} | above, f"{path} imports {file}"
                    assert file.parent.name != "demo", f"{path} imports {file}"
        above |= rank


def test_the_known_structures_are_read_by_no_stage_whose_predictions_count():
    known = (
        "structures.fgb", "faults.fgb", "lookalikes.fgb", "influence.tif",
        "${data.structures}", "${data.faults}", "${data.lookalikes}",
    )  # fmt: skip
    readers = {name for name, stage in STAGES.items() if any(str(d).endswith(known) for d in stage["deps"])}
    assert readers == {"saliency", "report"}
    after = {path for name in readers for path in outputs(STAGES[name])}
    for name in set(STAGES) - readers - {"bundle"}:  # whose model card tells the verdict
        assert not after & set(STAGES[name]["deps"]), name


def test_stages_without_training_never_load_torch():
    names = [f"stages.{name}" for name in STAGES if name not in WITH_TORCH]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_two_stages_write_one_file():
    written = [path for stage in STAGES.values() for path in outputs(stage)]
    assert len(written) == len(set(written))


def test_every_stage_can_be_restored_from_the_run_cache():
    """An entry of ``outs`` with ``cache: false`` keeps its stage out of DVC's run cache."""
    for name, stage in STAGES.items():
        assert all(isinstance(entry, str) for entry in stage["outs"]), name


def test_plots_name_outputs_that_exist():
    written = {path for stage in STAGES.values() for path in outputs(stage)}
    for entry in PIPELINE.get("plots", []):
        paths = [entry] if isinstance(entry, str) else next(iter(entry.values()))["y"]
        assert set(paths) <= written
