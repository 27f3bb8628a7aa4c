"""How every stage starts and ends: its params, its progress, its messages and its exit code."""

import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import rasterio

from heatflow.compute.memory import keep_freed_memory
from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.errors import InputError, fault_of_machine, printable
from heatflow.present.terminal import GDAL, library_messages
from heatflow.present.terminal import progress as progress
from heatflow.present.terminal import say as say
from heatflow.present.terminal import warn as warn


def read_params(names: tuple[str, ...]) -> Params:
    """The sections and single params that a stage declares, from a params.yaml that has been checked whole."""
    return load("params.yaml", names)


def run(main: Callable[[], None], inputs: Iterable[Path] = ()) -> None:
    """Run a stage, which reads the files `inputs`; where it fails, print one message and end with an exit code.

    0: done. 2: unusable input. 3: the machine failed: no space, no permission, no memory. 130: interrupted."""
    name = Path(sys.argv[0]).stem
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    keep_freed_memory()
    try:
        with library_messages(), rasterio.Env(**GDAL):
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
