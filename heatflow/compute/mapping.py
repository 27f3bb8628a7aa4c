"""A task for every item of a list, side by side, with the results in the order of the items.

Where it is computed is chosen by the environment, never by a param: it must not invalidate what was computed.
``HEATFLOW_SCHEDULER`` is "local" (the default), the address of a Dask scheduler such as "tcp://host:8786", or "slurm".
``HEATFLOW_WORKERS`` is the most processes, or jobs of a cluster, that run at once.
"""

import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, chdir
from functools import lru_cache, partial
from typing import Any, TypeVar

import joblib

from heatflow.compute import cluster, local
from heatflow.compute.task import Unfinished
from heatflow.compute.threads import one_thread
from heatflow.errors import InputError, MachineError

Item = TypeVar("Item")
Result = TypeVar("Result")
SCHEDULER, WORKERS = "HEATFLOW_SCHEDULER", "HEATFLOW_WORKERS"
AHEAD = 4  # items for each worker that are begun, or done, before an earlier one is
MOST_DEATHS = 3  # of worker processes, one after the other, without a result between them


def map_in_order(
    task: Callable[[Item], Result | Unfinished], items: Iterable[Item], *, memory: float = 0, alone: bool = False,
    on_done: Callable[[], object] = lambda: None,
) -> Iterator[Result]:  # fmt: skip
    """Results of a task for each item, in the order of the items, each as soon as it and those before it are there.

    Every task computes with one thread, so that its result is the same wherever it runs. A task whose worker process
    dies is repeated. An error in a task is raised here, and ends the others; so does an end of the iteration.

    Parameters
    ----------
    task : callable
        A function of a module, or an object whose class is in one. It is sent to other processes with its items: paths
        and numbers, no open files and no arrays. A process keeps it from item to item, with what it has opened. It may
        give `heatflow.compute.task.Unfinished`, and is then called again with the item in it.
    items : iterable
    memory : float, optional
        Bytes that a task needs. No more processes run on this machine than its free memory holds.
    alone : bool, optional
        Without a cluster, in this process, one after the other: on a GPU, which tasks cannot share.
    on_done : callable, optional
        Called when an item is done, in whatever order they are.

    Yields
    ------
    object

    Raises
    ------
    InputError
        ``HEATFLOW_SCHEDULER`` or ``HEATFLOW_WORKERS`` is wrong.
    MachineError
        The cluster cannot be reached, or worker processes die again and again.

    Examples
    --------
    >>> list(map_in_order(abs, [3, -1, -2]))
    [3, 1, 2]
    """
    todo = list(items)
    scheduler, most = os.environ.get(SCHEDULER, "local"), most_workers()
    if scheduler != "local":
        yield from _gather(partial(cluster.pool, scheduler, min(most or len(todo), len(todo))), task, todo, on_done)
    elif (workers := 1 if alone else local.workers(len(todo), memory, most)) > 1:
        yield from _gather(partial(local.pool, workers, task), task, todo, on_done)
    else:
        for item in todo:
            result: Any = Unfinished(item)
            while isinstance(result, Unfinished):
                with one_thread():
                    result = task(result.item)
            on_done()
            yield result


def get_ready(module: str) -> None:
    """Let the processes of this machine load a module, with all that its tasks need, while the caller loads it too.

    Does nothing where `map_in_order` will use none.
    """
    if os.environ.get(SCHEDULER, "local") == "local" and (most_workers() or joblib.cpu_count()) > 1:
        local.serve(module)


def most_workers() -> int | None:
    """What HEATFLOW_WORKERS says; None where it is not set."""
    text = os.environ.get(WORKERS)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InputError(f"{WORKERS}={text!r}: it must be a whole number, 1 or more")
    return int(text)


def _gather(
    open_pool: Callable[[], AbstractContextManager[tuple[Executor, int]]], task: Callable[[Item], Result | Unfinished],
    items: list[Item], on_done: Callable[[], object],
) -> Iterator[Result]:  # fmt: skip
    results: dict[int, Any] = {}
    following, deaths = 0, 0
    call = partial(_call, pickle.dumps(task), os.getcwd())
    while following < len(items):
        try:
            with open_pool() as (pool, workers):
                for k, result in _run(pool, AHEAD * workers, call, items, following, results):
                    results[k], deaths = result, 0
                    on_done()
                    while following in results:
                        yield results.pop(following)
                        following += 1
        except BrokenProcessPool as error:
            deaths += 1
            if deaths == MOST_DEATHS:
                raise MachineError(
                    "worker processes were killed again and again, most likely for lack of memory; "
                    f"run fewer at once with {WORKERS}=1, or use a machine with more memory"
                ) from error


def _run(
    pool: Executor, ahead: int, call: Callable[[Item], bytes], items: list[Item], following: int,
    results: dict[int, Any],
) -> Iterator[tuple[int, Any]]:  # fmt: skip
    """Items that have no result yet with their results, as they end; at most `ahead` are begun before `following`.

    In `items` an item that is unfinished is replaced by the one with which its task goes on.
    """
    left = iter([k for k in range(following, len(items)) if k not in results])
    running: dict[Future, int] = {}
    while True:
        while len(running) + len(results) < ahead and (k := next(left, None)) is not None:
            running[pool.submit(call, items[k])] = k
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=running.__getitem__):
            result, messages = pickle.loads(future.result())
            for message in messages:
                warnings.warn(message, stacklevel=2)
            k = running.pop(future)
            if isinstance(result, Unfinished):
                items[k] = result.item
                running[pool.submit(call, items[k])] = k
            else:
                yield k, result


@lru_cache(maxsize=1)
def _task(pickled: bytes) -> Callable[[Any], Any]:
    return pickle.loads(pickled)


def _call(task: bytes, folder: str, item: Any) -> bytes:
    """In a worker: the result of a task that runs in a folder, and the warnings of libraries, which this side shows.

    Pickled here, it is complete: torch would hand over memory of the worker, which may be gone by then.
    """
    with one_thread(), chdir(folder), warnings.catch_warnings(record=True) as raised:
        result = _task(task)(item)
    return pickle.dumps((result, list(dict.fromkeys(str(warning.message) for warning in raised))))
