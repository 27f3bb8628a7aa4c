"""A Dask cluster on this machine: a scheduler and two workers, which listen to nobody else."""

import subprocess
import sys
import time

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
