"""Stages give the same bytes with one process, with several and on a cluster, whatever is killed on the way."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from heatflow.compute import cluster, local
from tests.helpers import ROOT, TINY

STAGES = ("train", "saliency", "map")


def checksums(folder):
    files = [path for name in ("models", "saliency", "map") for path in sorted((folder / "data" / name).iterdir())]
    files += [folder / "metrics" / f"{name}.json" for name in STAGES]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def again(finished, inputs):
    """Checksums of what the stages write once more, from the tiles on."""
    for path in (finished.path / "data/models").iterdir():
        path.unlink()
    finished.run_all(STAGES, data=inputs, **TINY)
    return checksums(finished.path)


def test_two_processes_give_the_bytes_of_one(finished, inputs, monkeypatch):
    alone = checksums(finished.path)
    pools, pool = [], local.pool
    monkeypatch.setattr(local, "pool", lambda workers, task: pools.append(workers) or pool(workers, task))
    monkeypatch.setenv("HEATFLOW_WORKERS", "2")
    assert again(finished, inputs) == alone
    assert pools == [2, 2, 2, 2]  # networks; maps, and their tests; rows of windows


def test_a_stage_with_two_processes_says_no_more_than_with_one(finished):
    said = []
    for workers in ("1", "2"):
        environment = os.environ | {"HEATFLOW_WORKERS": workers, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "stages.map"]
        said.append(subprocess.run(command, cwd=finished.path, env=environment, capture_output=True, text=True))
    assert said[0].returncode == 0
    assert (said[1].stdout, said[1].stderr) == (said[0].stdout, said[0].stderr)


def test_a_cluster_of_two_workers_gives_the_bytes_of_one_process(finished, inputs, on_cluster, monkeypatch):
    alone = checksums(finished.path)
    pools, pool = [], cluster.pool
    monkeypatch.setattr(cluster, "pool", lambda where, jobs: pools.append(where) or pool(where, jobs))
    assert again(finished, inputs) == alone
    assert pools == [on_cluster] * 4


def kill_a_worker(stage):
    """Kill a process that computes an item; false where none does."""
    # workers are the children of the server process, which is itself a child of the stage
    for worker in [worker for server in psutil.Process(stage.pid).children() for worker in server.children()]:
        if worker.cpu_times().user > 0.05:
            os.kill(worker.pid, signal.SIGKILL)
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "map"])
def test_a_worker_that_is_killed_changes_nothing(finished, inputs, name):
    changes = TINY | {"data": inputs, "train": {"epochs": 8}}
    finished.run_all(("train", "evaluate", "map"), **changes)
    alone = checksums(finished.path)
    environment = os.environ | {"HEATFLOW_WORKERS": "2", "PYTHONPATH": str(ROOT)}
    stage = subprocess.Popen([sys.executable, "-m", f"stages.{name}"], cwd=finished.path, env=environment)
    killed = False
    while stage.poll() is None and not killed:
        with contextlib.suppress(psutil.NoSuchProcess):
            killed = kill_a_worker(stage)
        time.sleep(0.01)
    assert stage.wait() == 0
    assert killed
    assert checksums(finished.path) == alone
