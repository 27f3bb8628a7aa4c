"""Fixtures that tests of several rooms share."""

import os
import shutil
from contextlib import ExitStack

import pytest
import rasterio
import torch

from benchmarks import dask_cluster
from heatflow.compute import cluster
from heatflow.grid.grids import Grid
from tests.helpers import (
    CRS,
    LEFT,
    STAGES,
    TINY,
    TOP,
    Workspace,
    make_clone,
    make_experiment,
    make_inputs,
    make_raster,
    make_wells,
    recorded_params,
)

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers inherit it: threads of several would wait for each other
os.environ["HEATFLOW_WORKERS"] = "1"  # tests run side by side already, and patch what would run elsewhere
# Files whose tests share what takes long to make: one process makes the clone, and one runs all stages, once for all.
TOGETHER = {
    "tests/docs/test_readme.py": "clone", "tests/stages/test_parallel.py": "clone",
    "tests/stages/test_pipeline.py": "clone", "tests/stages/test_contracts.py": "stages",
    "tests/docs/test_tutorial.py": "stages", "tests/stages/test_qgis.py": "stages",
    "tests/stages/test_resume.py": "stages", "tests/stages/test_side_by_side.py": "stages",
    "tests/stages/test_stages.py": "stages", "tests/test_predict.py": "stages",
    "tests/test_run.py": "stages",
}  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Send the tests of a file, or of the files that belong TOGETHER, to one process.

    xdist's own marker of groups has no effect with pytest 9.2, which ignores the name that it gives to a test.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return TOGETHER.get(file, file)

    return Scheduler(config, log)


@pytest.fixture(autouse=True)
def same_numbers():
    """Start every test from the same random numbers, so that none fails once in hundreds of runs."""
    torch.manual_seed(0)


@pytest.fixture
def write_raster(tmp_path):
    """Write an array as a GeoTIFF; returns its path as text."""
    return lambda array, *, name="dem.tif", **options: make_raster(tmp_path / name, array, **options)


@pytest.fixture
def write_wells(tmp_path):
    """Write points as a FlatGeobuf; returns its path as text."""
    return lambda x, y, *, name="wells.fgb", **options: make_wells(tmp_path / name, x, y, **options)


@pytest.fixture
def grid():
    """Ten by eight pixels of 200 m."""
    return Grid(LEFT, TOP, 200.0, 10, 8, rasterio.crs.CRS.from_string(CRS))


@pytest.fixture(scope="session")
def _inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def inputs(_inputs):
    """``data.elevation`` and ``data.wells``: 80 x 80 pixels, two wells in each of its 49 tiles of 11 pixels."""
    return dict(_inputs)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty project folder, entered; ``workspace.run(name, **changes)`` runs a stage with changed params."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Workspace(folder)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory, _inputs):
    """A project folder where all stages have been run, and the params that each of them read."""
    folder, read = Workspace(tmp_path_factory.mktemp("finished")), {}
    for name in STAGES:
        with recorded_params() as names:
            assert folder.run(name, data=_inputs, **TINY) == 0, name
        read[name] = frozenset(names)
    return folder.path, read


@pytest.fixture
def finished(workspace, _finished):
    """The workspace with the outputs of all stages, run with ``inputs`` and TINY params."""
    shutil.copytree(_finished[0], workspace.path, dirs_exist_ok=True)
    return workspace


@pytest.fixture
def params_read(_finished):
    """Params that each stage read when all were run, as ``section.name``, by the name of the stage."""
    return _finished[1]


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A git repository with the pipeline and tiny params, reproduced once; use it in files of TOGETHER alone."""
    return make_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def experiment(clone):
    """An experiment that was run in the clone and set back: DVC's run cache then holds that of the README too."""
    return make_experiment(clone)


@pytest.fixture(scope="session")
def dask_scheduler():
    """Address of a scheduler with two workers of one thread each."""
    distributed = pytest.importorskip("distributed")
    with ExitStack() as stack:
        where = dask_cluster.address(dask_cluster.start(stack, "scheduler", "--port", "0"))
        dask_cluster.start(stack, "worker", where, "--nthreads", "1", "--nworkers", "2")
        with distributed.Client(where, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=dask_cluster.LONGEST)
        yield where


@pytest.fixture
def on_cluster(dask_scheduler, monkeypatch):
    """Tasks are computed by the two workers; the address of their scheduler."""
    monkeypatch.setenv("HEATFLOW_SCHEDULER", dask_scheduler)
    monkeypatch.setattr(cluster, "WAIT", dask_cluster.LONGEST)  # workers start slowly on a machine that does much else
    return dask_scheduler
