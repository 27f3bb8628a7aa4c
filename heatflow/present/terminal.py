"""What a command shows on a terminal: progress, lines, warnings."""

import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from heatflow.errors import printable

GDAL = {"GDAL_NUM_THREADS": "ALL_CPUS", "GDAL_CACHEMAX": 256_000_000}  # bytes; of a stage or a command alone


def progress(total: int, what: str, unit: str) -> tqdm:
    """A progress bar on stderr; silent where that is not a terminal, so that logs stay short."""
    return tqdm(total=total, desc=what, unit=unit, disable=not sys.stderr.isatty(), leave=False, dynamic_ncols=True)


@contextmanager
def library_messages() -> Iterator[None]:
    """Show warnings and logs of libraries, which may quote a stranger's file, as `warn` does."""
    log, before = logging.Handler(logging.WARNING), logging.lastResort
    log.emit = lambda record: warn([record.getMessage()])  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **options: warn([str(message)])
        logging.lastResort = log
        try:
            yield
        finally:
            logging.lastResort = before


def say(lines: Iterable[str]) -> None:
    """Print lines about what was done."""
    for line in lines:
        print(f"  {printable(line)}", flush=True)


def warn(lines: Iterable[str]) -> None:
    """Print lines that must not be overlooked."""
    for line in lines:
        print(f"  WARNING: {printable(line)}", file=sys.stderr, flush=True)
