"""Memory that is freed and used again."""

import ctypes
import sys
from contextlib import suppress


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for the next array, rather than give it back to the kernel.

    glibc maps and unmaps arrays of a megabyte or more one by one, and the kernel clears every page again: a quarter of
    the time of a stage that computes on whole rasters. Does nothing where the C library is another.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(mmap_max, 0)
            mallopt(trim_threshold, 2**31 - 1)
