"""Stages give the same bytes with one process and with several, whatever is killed on the way."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from heatflow.compute import local
from tests.helpers import ROOT, TINY

STAGES = ("train", "saliency", "map")


def checksums(folder):
    files = [path for name in ("models", "saliency", "map") for path in sorted((folder / "data" / name).iterdir())]
    files += [folder / "metrics" / f"{name}.json" for name in STAGES]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_two_processes_give_the_bytes_of_one(finished, inputs, monkeypatch):
    alone = checksums(finished.path)
    for path in (finished.path / "data/models").iterdir():
        path.unlink()
    pools, pool = [], local.pool
    monkeypatch.setattr(local, "pool", lambda workers, task: pools.append(workers) or pool(workers, task))
    monkeypatch.setenv("HEATFLOW_WORKERS", "2")
    finished.run_all(STAGES, data=inputs, **TINY)
    assert checksums(finished.path) == alone
    assert pools == [2, 2, 2, 2]  # networks; maps, and their tests; rows of windows


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
