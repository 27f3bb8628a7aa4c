"""A Dask cluster on this machine: a scheduler and workers, which listen to nobody else."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 90  # seconds until a scheduler answers


def start(stack: ExitStack, name: str, *options: str) -> subprocess.Popen[str]:
    """Start ``dask scheduler`` or ``dask worker`` in the checkout; it is killed in the end."""
    command = [sys.executable, "-m", "dask", name, "--host", "127.0.0.1", "--no-dashboard", *options]
    command += ["--dashboard-address", "127.0.0.1:0"]  # its HTTP server runs even so
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "HEATFLOW_"))}
    variables |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True)
    stack.callback(process.communicate)
    stack.callback(process.terminate)  # with its children
    return process


def address(scheduler: subprocess.Popen[str]) -> str:
    """Where a scheduler says that it listens."""
    end = time.monotonic() + LONGEST
    for line in scheduler.stderr or ():
        if "Scheduler at:" in line:
            return line.split()[-1]
        if time.monotonic() > end:
            break
    raise TimeoutError("the scheduler does not say where it listens")
