"""DESIGN's contracts: what a stage declares in dvc.yaml is what it uses, no more and no less."""

import ast
import importlib
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
ROOMS = ["geo", "learning", "analysis", "present"]
PACKAGES = [ROOT / "heatflow/__init__.py", ROOT / "stages/__init__.py"]  # run whenever a stage starts
PAGE = "heatflow/present/page"  # what the report is written with: no Python, but code all the same
WITH_TORCH = {"train", "evaluate", "saliency", "map"}


def module_file(name):
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


def imported(path):
    """Files of this project that a file imports, by reading its source."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {file for name in names if name.split(".")[0] in ("heatflow", "stages") and (file := module_file(name))}


def closure(path, seen=None):
    seen = set() if seen is None else seen
    if path not in seen:
        seen.add(path)
        for file in imported(path):
            closure(file, seen)
    return {p for p in seen if p.name != "__init__.py"} | set(PACKAGES)


def outputs(stage):
    entries = [*stage.get("outs", []), *stage.get("metrics", [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def test_every_stage_has_its_module_and_description():
    modules = {p.stem for p in (ROOT / "stages").glob("*.py") if not p.stem.startswith("_")}
    assert modules == set(STAGES)
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python -m stages.{name}"
        assert stage["desc"]


@pytest.mark.parametrize("name", STAGES)
def test_declared_code_is_the_import_closure(name):
    declared = {d for d in STAGES[name]["deps"] if d.endswith(".py")}
    assert declared == {str(p.relative_to(ROOT)) for p in closure(ROOT / "stages" / f"{name}.py")}


@pytest.mark.parametrize("name", STAGES)
def test_declared_files_are_those_of_the_module(name):
    module = importlib.import_module(f"stages.{name}")
    declared = {d for d in STAGES[name]["deps"] if not d.endswith(".py") and not d.startswith("$")}
    page = {PAGE} if ROOT / "heatflow/present/report.py" in closure(ROOT / "stages" / f"{name}.py") else set()
    assert declared == {str(p) for p in getattr(module, "INPUTS", ())} | page
    from_data = {d[2:-1] for d in STAGES[name]["deps"] if d.startswith("$")}
    assert from_data == {p for p in module.PARAMS if p.startswith("data.")}


@pytest.mark.parametrize("name", STAGES)
def test_declared_params_are_those_of_the_module(name):
    assert STAGES[name]["params"] == list(importlib.import_module(f"stages.{name}").PARAMS)


def test_packages_run_no_code_of_their_own():
    for package in set((ROOT / "heatflow").rglob("__init__.py")) - set(PACKAGES):
        assert all(isinstance(node, ast.Expr) for node in ast.parse(package.read_text()).body), package


def test_imports_go_one_way():
    for rank, room in enumerate(ROOMS):
        for path in (ROOT / "heatflow" / room).glob("*.py"):
            for file in imported(path):
                inside = file.relative_to(ROOT / "heatflow").parts if file.is_relative_to(ROOT / "heatflow") else None
                assert inside is not None, f"{path} imports {file}: the library must not know the stages"
                assert inside[0] not in ("params.py", "demo.py"), f"{path} imports {file}"
                if inside[0] in ROOMS:
                    assert ROOMS.index(inside[0]) <= rank, f"{path} imports {file}"


def test_the_truth_is_read_by_no_stage_whose_predictions_count():
    truth = ("structures.fgb", "faults.fgb", "influence.tif", "${data.structures}", "${data.faults}")
    readers = {name for name, stage in STAGES.items() if any(str(d).endswith(truth) for d in stage["deps"])}
    assert readers == {"saliency", "report"}
    after = {d for name in readers for d in outputs(STAGES[name])}
    for name in set(STAGES) - readers:
        assert not after & set(STAGES[name]["deps"]), name


def test_stages_without_training_never_load_torch():
    names = [f"stages.{name}" for name in STAGES if name not in WITH_TORCH]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_two_stages_write_one_file():
    written = [out for stage in STAGES.values() for out in outputs(stage)]
    assert len(written) == len(set(written))


def test_plots_name_outputs_that_exist():
    written = {out for stage in STAGES.values() for out in outputs(stage)}
    for entry in PIPELINE["plots"]:
        if isinstance(entry, str):
            assert entry in written
        else:
            (settings,) = entry.values()
            assert set(settings["y"]) <= written
