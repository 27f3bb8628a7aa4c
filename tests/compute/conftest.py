"""A Dask cluster on this machine: a scheduler and two workers, which listen to nobody else."""

import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from heatflow.compute import cluster
from tests.helpers import ROOT, environment

LONGEST = 90  # seconds until a scheduler answers


def start(stack, name, *options):
    """Start ``dask scheduler`` or ``dask worker`` in the checkout; it is killed in the end."""
    command = [sys.executable, "-m", "dask", name, "--host", "127.0.0.1", "--no-dashboard", *options]
    command += ["--dashboard-address", "127.0.0.1:0"]  # its HTTP server runs even so
    env = environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
    stack.callback(process.communicate)
    stack.callback(process.terminate)  # with its children
    return process


def address(scheduler):
    """Where a scheduler says that it listens."""
    end = time.monotonic() + LONGEST
    for line in scheduler.stderr:
        assert time.monotonic() < end
        if "Scheduler at:" in line:
            return line.split()[-1]
    raise AssertionError("the scheduler has ended")


@pytest.fixture(scope="session")
def dask_scheduler():
    """Address of a scheduler with two workers of one thread each."""
    distributed = pytest.importorskip("distributed")
    with ExitStack() as stack:
        where = address(start(stack, "scheduler", "--port", "0"))
        start(stack, "worker", where, "--nthreads", "1", "--nworkers", "2")
        with distributed.Client(where, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=LONGEST)
        yield where


@pytest.fixture
def on_cluster(dask_scheduler, monkeypatch):
    """Tasks are computed by the two workers."""
    monkeypatch.setenv("HEATFLOW_SCHEDULER", dask_scheduler)
    monkeypatch.setattr(cluster, "WAIT", LONGEST)  # workers start slowly on a machine that does much else
