"""A program that gets ready for workers and meets Ctrl-C: prints whether it has a server, and what each item gives."""

import os
import signal
from multiprocessing import forkserver

import heatflow.grid.crs  # noqa: F401
from heatflow.compute.mapping import get_ready, map_in_order
from tests.compute.tasks import loaded

if __name__ == "__main__":
    get_ready(loaded.__module__)
    if server := forkserver._forkserver._forkserver_pid:
        os.kill(server, signal.SIGINT)
    results = [*map_in_order(loaded, ["tests.compute.tasks", "heatflow.grid.crs", "torch"])]
    print(bool(server), results, server == forkserver._forkserver._forkserver_pid)
