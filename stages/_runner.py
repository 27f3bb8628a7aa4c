"""How every stage starts and ends: its params, its progress, its messages and its exit code."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.errors import InputError, fault_of_machine, printable


def read_params(names: tuple[str, ...]) -> Params:
    """The sections or single params that a stage declares, from a params.yaml that has been checked whole."""
    return load("params.yaml", names)


def progress(total: int, what: str, unit: str) -> tqdm:
    """A progress bar on stderr; silent where that is not a terminal, so that logs stay short."""
    return tqdm(total=total, desc=what, unit=unit, disable=not sys.stderr.isatty(), leave=False, dynamic_ncols=True)


def run(main: Callable[[], None], inputs: Iterable[Path] = ()) -> None:
    """Run a stage, and end the process where it fails: one message and an exit code.

    0: done. 2: input that cannot be used. 3: the machine failed: no space, no permission, no memory. 130: interrupted.

    Parameters
    ----------
    main : callable
    inputs : iterable of Path
        Files of earlier stages that it reads.
    """
    name = Path(sys.argv[0]).stem
    try:
        with _library_messages():
            if missing := [str(path) for path in inputs if not path.exists()]:
                remedy = f"run the stages that make it with: dvc repro {name}"
                raise InputError(f"{', '.join(missing)}: not there yet; {remedy}")
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
    """Show what libraries warn of or log, which may quote what a file says, in the words of `warn`."""
    before = logging.lastResort
    logging.lastResort = _Log(logging.WARNING)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **options: warn([str(message)])
        try:
            yield
        finally:
            logging.lastResort = before


class _Log(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn([record.getMessage()])


def say(lines: Iterable[str]) -> None:
    """Print lines about what the stage did."""
    for line in lines:
        print(f"  {printable(line)}", flush=True)


def warn(lines: Iterable[str]) -> None:
    """Print lines that must not be overlooked."""
    for line in lines:
        print(f"  WARNING: {printable(line)}", file=sys.stderr, flush=True)
