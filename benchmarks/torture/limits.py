"""A disk that is full and memory that is short: a stage says so in a line, and leaves nothing that is half written."""

import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.torture.campaign import LIMIT, Campaign, Outcome, contents
from benchmarks.torture.predictions import OUT, STAGES, WORDS, finished, region

MEMORY = (350e6, 450e6, 600e6, 900e6)  # bytes of data that a process may have
PREDICT = "predict"


def limited(command: list[str], folder: Path, limit: Callable[[], None]) -> Outcome:
    """Run a command in a folder under a limit of the system, twice LIMIT seconds at most."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HEATFLOW_WORKERS": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=2 * LIMIT, check=False, preexec_fn=limit
        )
    except subprocess.TimeoutExpired as error:
        return None, (error.stderr or b"").decode(errors="replace")
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def largest_file(size: int) -> None:
    """No file may become larger than so many bytes: what a full disk is to a file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def most_memory(size: int) -> None:
    """No process may have more data than so many bytes, stacks of its threads included."""
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def project(campaign: Campaign) -> Path:
    """A folder in which all stages have run, and a region has been predicted."""
    folder = region(campaign)
    shutil.copytree(finished(campaign), folder, dirs_exist_ok=True)
    subprocess.run(command_of(PREDICT), cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return folder


def command_of(name: str) -> list[str]:
    """The command that runs a stage, or the prediction."""
    if name == PREDICT:
        return [sys.executable, "-m", "heatflow.cli", *WORDS, OUT]
    return [sys.executable, "-m", f"stages.{name}"]


def check_whole(whole: dict[str, str]) -> str | None:
    """Everything has the bytes that it had when nothing was short."""
    now = contents(Path(), ("data", "metrics", OUT))
    changed = [name for name in whole.keys() | now.keys() if now.get(name) != whole.get(name)]
    return f"{sorted(changed)} differ" if changed else None


def short(kind: str, limits: Callable[[random.Random], Callable[[], None]], campaign: Campaign, n: int) -> None:
    """Run each stage, and the prediction, under limits; whatever happens, what was there before is there after it.

    The stages run where they have run before: one that is refused leaves the outputs of that run, and one that ends
    well writes the same again.
    """
    rng, ready = random.Random(f"{campaign.seed} {kind}"), project(campaign)
    whole = contents(ready, ("data", "metrics", OUT))
    names = [*STAGES, PREDICT]
    for k in range(n):
        folder, name, limit = campaign.folder(), names[k % len(names)], limits(rng)
        shutil.copytree(ready, folder, dirs_exist_ok=True)
        outcome = limited(command_of(name), folder, limit)
        check = partial(check_whole, whole)
        campaign.case(kind, f"{name} {getattr(limit, 'args', '')}", outcome, folder, check, check)


def full_disk(rng: random.Random) -> Callable[[], None]:
    """A limit from a thousand bytes to ten million."""
    return partial(largest_file, int(10 ** rng.uniform(3, 7)))


def little_memory(rng: random.Random) -> Callable[[], None]:
    """One of MEMORY."""
    return partial(most_memory, int(rng.choice(MEMORY)))
