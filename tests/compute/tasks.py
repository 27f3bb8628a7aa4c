"""Tasks for the workers of tests, which have to be functions of a module."""

import os
import signal
import sys
import time
import warnings
from pathlib import Path

from heatflow.compute.task import Unfinished


def square(x):
    return x * x


def square_later(x):
    """The earlier an item, the later its result."""
    time.sleep(0.02 * (8 - x))
    return x * x


def process(_):
    time.sleep(0.05)  # so that one worker does not do them all
    return os.getpid()


def loaded(module):
    return module in sys.modules


def folder(_):
    return os.getcwd()


def threads(_):
    """Threads with which this process computes, of torch and of BLAS."""
    import numpy as np
    from threadpoolctl import threadpool_info

    _ = np.ones((2, 2)) @ np.ones((2, 2))
    torch = sys.modules["torch"]
    return torch.get_num_threads(), max(pool["num_threads"] for pool in threadpool_info())


def fail_first(item):
    """The first item fails; the others leave a file."""
    where, k = item
    if k == 0:
        raise ValueError("item 0: nothing to see")
    time.sleep(0.1)
    (where / str(k)).touch()
    return k


def warn(x):
    warnings.warn(f"item {x} is odd" if x % 2 else "even", stacklevel=2)
    return x


def die_once(item):
    """The worker of the first to come here is killed."""
    marker, x = item
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return x * x
    return os.kill(os.getpid(), signal.SIGKILL)


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(where):
    """Leave a file that says who sleeps."""
    (Path(where) / str(os.getpid())).touch()
    time.sleep(600)


def halve(item):
    """Halve a number until it is odd, a part of the work for each time; which processes took part."""
    number, used = item
    used = [*used, os.getpid()]
    return Unfinished((number // 2, used)) if number % 2 == 0 else (number, used)


def begun_before_others_end(item):
    """In two parts; at the end of the second, how many tasks have begun."""
    folder, k, part = item
    (folder / str(k)).touch()
    time.sleep(0.1)
    return len(list(folder.iterdir())) if part else Unfinished((folder, k, 1))
