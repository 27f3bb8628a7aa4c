"""One computing thread for each task."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from threadpoolctl import threadpool_limits

_ONE_AT_A_TIME = RLock()  # tasks of one process share its random generators and its number of threads


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: sums then have one order, and tasks side by side do not wait for each other.

    Of several threads of a process one at a time is let in, as on a Dask worker of more than one thread.
    """
    torch = sys.modules.get("torch")  # which has a number of its own; a task that does without it does not load it
    with _ONE_AT_A_TIME, threadpool_limits(1):
        before = torch.get_num_threads() if torch else 0
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
