"""Processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import joblib
import psutil

from heatflow.compute.memory import keep_freed_memory

RESERVE = 1e9  # bytes of memory left to everything else
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")  # of a container


def workers(items: int, memory: float, most: int | None = None) -> int:
    """How many processes to run: one for each core, as many as memory allows, and at least one.

    Parameters
    ----------
    items : int
    memory : float
        Bytes that each needs.
    most : int, optional

    Returns
    -------
    int
    """
    fit = int((free_memory() - RESERVE) // memory) if memory else items
    return max(1, min(items, fit, most or joblib.cpu_count()))


def free_memory() -> float:
    """Bytes that processes can still take, of the machine or of the container that this runs in."""
    free = float(psutil.virtual_memory().available)
    if _LIMIT.exists() and (limit := _LIMIT.read_text().strip()).isdigit():
        free = min(free, float(limit) - float(_USED.read_text()))
    return free


@contextmanager
def pool(workers: int, task: Callable) -> Iterator[tuple[ProcessPoolExecutor, int]]:
    """Worker processes, none of which is left afterwards, whatever happens to this process.

    They are copies of a server process that has loaded the module of the `task` once (a copy of this process would
    inherit its threads' locks); where a system has no such server, each loads it by itself.
    """
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload([task.__module__])
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, context, _begin)
    try:
        yield executor, workers
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin() -> None:
    """In a worker: compute with one thread, leave Ctrl-C to the parent, and end with it even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    os.environ["OMP_NUM_THREADS"] = "1"  # of libraries that a task loads later
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os._exit(1)
