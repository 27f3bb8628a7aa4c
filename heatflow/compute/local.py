"""Processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import joblib
import psutil

from heatflow.compute import preload
from heatflow.compute.memory import keep_freed_memory

RESERVE = 1e9  # bytes of memory left to everything else
_LIMIT, _USED, _PARTS = (Path("/sys/fs/cgroup") / f"memory.{name}" for name in ("max", "current", "stat"))  # container


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
        parts = dict(line.split() for line in _PARTS.read_text().splitlines()) if _PARTS.exists() else {}
        files = float(parts.get("inactive_file", 0))  # read lately; the kernel gives them up where memory is short
        free = min(free, float(limit) - float(_USED.read_text()) + files)
    return free


def serve(module: str) -> BaseContext:
    """Start a server process, once, which loads a module now, and gives copies of itself as workers later.

    A copy of this process would inherit its threads' locks. The server also loads what this process has loaded of
    heatflow: Python runs the stage's module again in every worker, with all that it imports. Where a system has no such
    server, each worker loads by itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    os.environ[preload.MODULES] = ",".join([module, *(name for name in sys.modules if name.startswith("heatflow."))])
    context.set_forkserver_preload([preload.__name__])
    resource_tracker.ensure_running()  # of which the server needs one, and which lets SIGINT in again when it starts
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C while it loads would end it
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        os.environ.pop(preload.MODULES, None)
    return context


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the end of a block; it reaches the main thread alone, by whatever thread it comes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


class _Workers(ProcessPoolExecutor):
    """A pool whose workers start whole: one that Ctrl-C left half started would not be known, and not be killed."""

    def submit(self, *call: Any, **options: Any) -> Future:
        with _uninterrupted():
            return super().submit(*call, **options)


@contextmanager
def pool(workers: int, task: Callable) -> Iterator[tuple[ProcessPoolExecutor, int]]:
    """Worker processes, none of which is left afterwards, whatever happens to this process.

    They are copies of the process that `serve` starts.
    """
    others = set(multiprocessing.active_children())
    executor = _Workers(workers, serve(task.__module__), _begin)
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
