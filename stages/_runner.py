"""How every stage starts and ends: its params, its progress, its messages and its exit code."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from tqdm import tqdm

from heatflow.compute.memory import keep_freed_memory
from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.errors import InputError, fault_of_machine, printable

GDAL = {"GDAL_NUM_THREADS": "ALL_CPUS", "GDAL_CACHEMAX": 256_000_000}  # bytes; of a stage alone


def read_params(names: tuple[str, ...]) -> Params:
    """The sections and single params that a stage declares, from a params.yaml that has been checked whole."""
    return load("params.yaml", names)


def progress(total: int, what: str, unit: str) -> tqdm:
    """A progress bar on stderr; silent where that is not a terminal, so that logs stay short."""
    return tqdm(total=total, desc=what, unit=unit, disable=not sys.stderr.isatty(), leave=False, dynamic_ncols=True)


def run(main: Callable[[], None], inputs: Iterable[Path] = ()) -> None:
    """Run a stage, which reads the files `inputs`; where it fails, print one message and end with an exit code.

    0: done. 2: unusable input. 3: the machine failed: no space, no permission, no memory. 130: interrupted."""
    name = Path(sys.argv[0]).stem
    keep_freed_memory()
    try:
        with _library_messages(), rasterio.Env(**GDAL):
            if missing := [str(path) for path in inputs if not path.exists()]:
                raise InputError(f"{', '.join(missing)}: no such file; make it with: dvc repro {name}")
            main()
    except InputError as error:
        _end(name, 2, "cannot go on:\n" + "\n".join(f"  {line}" for line in str(error).splitlines()))
    except KeyboardInterrupt:
        _end(name, 130, "interrupted")
    except Exception as error:
        if (fault := fault_of_machine(error)) is None:
            raise
        _end(name, 3, f"cannot go on:\n  {fault}")


def _end(name: str, code: int, message: str) -> None:
    print(f"{name}: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(code)


@contextmanager
def _library_messages() -> Iterator[None]:
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
    """Print lines about what the stage did."""
    for line in lines:
        print(f"  {printable(line)}", flush=True)


def warn(lines: Iterable[str]) -> None:
    """Print lines that must not be overlooked."""
    for line in lines:
        print(f"  WARNING: {printable(line)}", file=sys.stderr, flush=True)
