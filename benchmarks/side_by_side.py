"""Tasks side by side against one after the other, and what a task costs beyond its work."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from unittest.mock import patch

import joblib
import torch

from benchmarks.measure import Rows, side_by_side, times
from benchmarks.training import DEFAULT, own_epoch
from heatflow.compute.mapping import SCHEDULER, WORKERS, map_in_order
from heatflow.learning.engine import Engine

EPOCHS = 25  # of a network here
FEW, MANY = 4, 404  # tasks without work


def nothing(item: int) -> int:
    """A task without work."""
    return item


def train_some(seed: int) -> int:
    """A task that trains a network of the default width for some epochs."""
    epoch = own_epoch(Engine(torch.device("cpu"), "float32"), DEFAULT)
    for _ in range(EPOCHS):
        epoch()
    return seed


def mapped(task: Callable[[int], int], items: int, **environment: str) -> Callable[[], object]:
    """A function that runs a task so many times where the environment says."""

    def run() -> None:
        with patch.dict(os.environ, environment):
            list(map_in_order(task, range(items)))

    return run


def compare(rounds: int) -> Rows:
    """Rows of the table of results."""
    cores = joblib.cpu_count()
    networks = partial(mapped, train_some, cores)
    seconds = side_by_side({"one": networks(**{WORKERS: "1"}), "all": networks(**{WORKERS: str(cores)})}, rounds)
    rows = [
        (f"{cores} networks in {cores} processes, start of the processes included", f"{seconds['all']:.1f} s"),
        ("- times faster than in one process", times(seconds["one"], seconds["all"])),
    ]
    with ExitStack() as stack:
        where = {"of this machine": {WORKERS: str(cores)}}
        if find_spec("distributed"):
            from distributed import LocalCluster

            options = {"n_workers": cores, "threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = stack.enter_context(LocalCluster(**options))
            where["of a Dask cluster"] = {SCHEDULER: cluster.scheduler_address}
        for what, environment in where.items():
            few, many = (mapped(nothing, n, **environment) for n in (FEW, MANY))
            seconds = side_by_side({"few": few, "many": many}, rounds)
            overhead = (seconds["many"] - seconds["few"]) / (MANY - FEW)
            rows += [
                (f"processes {what}: start and end", f"{seconds['few']:.2f} s"),
                ("- cost of a task beyond its work", f"{overhead * 1e3:.1f} ms"),
            ]
    return rows
