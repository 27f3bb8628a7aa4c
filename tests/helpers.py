"""Small rasters, wells, params and projects that tests share, as plain functions; fixtures are in conftest files."""

import contextlib
import copy
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import geopandas
import numpy as np
import rasterio
import yaml
from rasterio.transform import from_origin

from heatflow.config.schema import Params, Section

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
CRS = "EPSG:32611"
LEFT, TOP = 500_000.0, 4_400_000.0  # upper-left corner of all rasters
RAMP = np.add.outer(np.arange(80) * 10.0, np.arange(80) * 3.0).astype(np.float32)
TINY = {  # params of stages that are run in this process on RAMP
    "demo": {"width": 60, "height": 60, "resolution": 1000},
    "terrain": {"resolution": 200},
    "tile": {"size": 11, "edges": [0], "binary_edge": 0},
    "model": {"channels": [3], "layout": "report"},
    "split": {"folds": 2, "block_size": 1, "buffer": 0, "validation": 0.3},
    "train": {"epochs": 1, "seeds": 1},
}
TINY_DEMO = {  # params of the project that DVC reproduces
    "demo": {"width": 320, "height": 320, "resolution": 1000},
    "terrain": {"resolution": 1000},
    "tile": {"size": 40, "edges": [50], "binary_edge": 50},
    "filter": {"min_valid": 0.2},
    "split": {"folds": 2, "block_size": 1, "buffer": 0, "validation": 0.2},
    "model": {"channels": [4, 4, 4]},
    "train": {"epochs": 2, "seeds": 1},
    "saliency": {"methods": ["gradient", "grad_cam"]},
}
PREDICTED = {  # what `heatflow predict` writes where wells and places are given
    "applicability.qml", "applicability.tif", "places.csv", "probability.qml", "probability.tif", "sites.qml",
    "sites.tif", "summary.json", "top.fgb", "uncertainty.qml", "uncertainty.tif", "wells.fgb", "wells_dropped.csv",
}  # fmt: skip
NEAR_WELLS = {"near_wells.qml", "near_wells.tif"}  # and with --near-wells
TRACKED = (  # of the working tree, what the pipeline needs
    "heatflow",
    "stages",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "benchmarks/ABLATION_demo.csv",
)


def params_with(**changes):
    """The committed params, with ``section={key: value}`` changed."""
    params = copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))
    for section, values in changes.items():
        params[section].update(values)
    return params


def make_raster(path, array, *, crs=CRS, resolution=200.0, transform=None, **profile):
    """Write an array as a GeoTIFF whose upper-left corner is at (LEFT, TOP); returns its path as text."""
    array = np.asarray(array)
    bands = array if array.ndim == 3 else array[None]
    profile = {
        "driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "crs": crs,
        "dtype": bands.dtype.name, "transform": transform or from_origin(LEFT, TOP, resolution, resolution),
    } | profile  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        out.write(bands)
    return str(path)


def make_wells(path, x, y, *, crs=CRS, **columns):
    """Write points as a FlatGeobuf; returns its path as text."""
    table = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(x, y), crs=crs)
    table.to_file(path, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    return str(path)


def make_inputs(folder):
    """A raster of 80 x 80 pixels and two wells in each of its 49 tiles of 11 pixels, as params name them."""
    rng = np.random.default_rng(0)
    row, col = (v.ravel().repeat(2) * 11 for v in np.mgrid[:7, :7])
    x, y = LEFT + (col + rng.uniform(0, 11, 98)) * 200, TOP - (row + rng.uniform(0, 11, 98)) * 200
    wells = make_wells(folder / "wells.fgb", x, y, residual=rng.normal(0, 30, 98))
    return {"elevation": make_raster(folder / "dem.tif", RAMP), "wells": wells}


class Workspace:
    """A project folder whose stages are run in this process."""

    def __init__(self, path):
        self.path = path

    def params(self, **changes):
        """Write params.yaml with changed params."""
        # rasters in tests are small: none has a regional trend unless the test says so
        changes["terrain"] = {"detrend_radius": None} | changes.get("terrain", {})
        (self.path / "params.yaml").write_text(yaml.safe_dump(params_with(**changes)))

    def run(self, name, **changes):
        """Run a stage with changed params; returns its exit code, 0 where it returned."""
        from stages import _runner

        self.params(**changes)
        module = importlib.import_module(f"stages.{name}")
        if name == "baselines":  # forests of 500 trees would take most of the time of all tests
            changed = mock.patch("heatflow.evaluation.baselines.TREES", 5)
        else:
            changed = contextlib.nullcontext()
        with changed, contextlib.chdir(self.path), mock.patch.object(sys, "argv", [f"stages/{name}.py"]):
            try:
                _runner.run(module.main, getattr(module, "INPUTS", ()))
            except SystemExit as stop:
                return stop.code
        return 0

    def run_all(self, names, **changes):
        """Run stages one after another; each must return."""
        for name in names:
            assert self.run(name, **changes) == 0, name

    def files(self):
        """Paths of all files, from the folder."""
        return sorted(str(p.relative_to(self.path)) for p in self.path.rglob("*") if p.is_file())


@contextlib.contextmanager
def recorded_params():
    """Yield a set that comes to hold every param, as ``section.name``, that a stage reads once it has loaded them."""
    from stages import _runner

    read, load, dump = set(), _runner.load, Section.model_dump

    def recorded_load(*args):
        chosen = load(*args)
        read.clear()  # what checking them has read
        return chosen

    def recorded_get(self, name):
        if name in type(self).model_fields and not isinstance(self, Params):
            read.add(f"{type(self).__name__.lower()}.{name}")
        return object.__getattribute__(self, name)

    def recorded_dump(self, **options):
        read.update(param_names(type(self)))
        return dump(self, **options)

    with (
        mock.patch.object(_runner, "load", recorded_load),
        mock.patch.object(Section, "__getattribute__", recorded_get, create=True),
        mock.patch.object(Section, "model_dump", recorded_dump),
    ):
        yield read


def param_names(section):
    """Names of all params of a section, and of the sections in it."""
    names = {f"{section.__name__.lower()}.{name}" for name in section.model_fields}
    kinds = [field.annotation for field in section.model_fields.values()]
    return names.union(*(param_names(kind) for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)))


def make_clone(folder):
    """A git repository with the working tree's pipeline and tiny params, reproduced once and committed."""
    for name in TRACKED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "params.yaml").write_text(yaml.safe_dump(params_with(**TINY_DEMO)))
    baselines = folder / "heatflow/evaluation/baselines.py"
    baselines.write_text(re.sub(r"^TREES = 500$", "TREES = 5", baselines.read_text(), flags=re.M))
    assert "\nTREES = 5\n" in baselines.read_text()  # 500 would take most of the time
    call(folder, "git", "init", "-q")
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "start")
    call(folder, "dvc", "repro")
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "run")
    return folder


@dataclass(frozen=True)
class Experiment:
    """What happened when a param of a clone was changed for an experiment and then set back."""

    stages: list[str]  # that ran
    metrics: dict  # that differ
    stages_back: list[str]  # that ran when the param had its first value again
    status_back: str  # what git says is not as it was


def make_experiment(folder):
    """Run an experiment with `train.dropout` of 0.3, which the README shows too, and set the param back."""
    there = stages_run(call(folder, "dvc", "exp", "run", "-S", "train.dropout=0.3"))
    metrics = json.loads(call(folder, "dvc", "metrics", "diff", "--json"))
    call(folder, "git", "checkout", "-q", "params.yaml")
    back = stages_run(call(folder, "dvc", "repro"))
    return Experiment(there, metrics, back, call(folder, "git", "status", "--porcelain"))


def environment():
    """Environment of a command in a clone."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_"))} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t",
        "DVC_NO_ANALYTICS": "1",
        "OMP_NUM_THREADS": "1",  # threads of several processes on few cores wait for each other
    }  # fmt: skip


def call(folder, *command, code=0):
    """Run a command in a folder; returns what it printed. With a code other than 0 it has to fail."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr
    return done.stdout + done.stderr


def stages_run(printed):
    """Names of the stages that DVC ran, in order, from what it printed."""
    return [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]


def outputs(folder):
    """Checksum of every output in dvc.lock, by path."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
