"""What every stage shares: where files are, reading params, and how it ends."""

import logging
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from heatflow import params
from heatflow.errors import InputError, fault_of_machine, printable
from heatflow.files import together

DATA = Path("data")
METRICS = Path("metrics")

DEMO = DATA / "demo"
TERRAIN = DATA / "terrain.tif"
WELLS = DATA / "wells.fgb"
WELLS_DROPPED = DATA / "wells_dropped.csv"
BACKGROUND = DATA / "background.tif"
TILES = DATA / "tiles.npy"
TILE_TABLE = DATA / "tiles.fgb"
KEPT = DATA / "kept.fgb"
TILES_DROPPED = DATA / "tiles_dropped.csv"
FOLDS = DATA / "folds.csv"
SCALING = DATA / "scaling.json"
BASELINES = DATA / "baselines.csv"
MODELS = DATA / "models"
CHECKPOINTS = DATA / ".checkpoints"  # no output: what DVC removes before a run could not be resumed from
PREDICTIONS = DATA / "predictions.fgb"
SALIENCY = DATA / "saliency"
MAP = DATA / "map"
CURVES = METRICS / "curves.csv"
EVALUATION = METRICS / "evaluation.json"

TO_END = (signal.SIGINT, signal.SIGTERM)
GRACE = 10.0  # seconds that a stage has to clear up after the first of these
ONE_PRESS = 0.5  # seconds within which another is the same: a key pressed once reaches DVC and the stage, and DVC tells


def read_params(names: tuple[str, ...]):
    """The sections or single params that a stage declares, from a params.yaml that has been checked whole."""
    return params.load("params.yaml", names)


def progress(total: int, what: str, unit: str) -> tqdm:
    """A progress bar on stderr; silent where that is not a terminal, so that logs stay short."""
    return tqdm(total=total, desc=what, unit=unit, disable=not sys.stderr.isatty(), leave=False, dynamic_ncols=True)


def run(main: Callable[[], Callable[[], None] | None], inputs: tuple[Path, ...] = ()) -> None:
    """Run a stage; where it fails, one message and an exit code, and the outputs of the run before stay as they were.

    0: done. 2: input that cannot be used. 3: the machine failed: no space, no permission, no memory. 130 or 143:
    interrupted or told to end.

    Parameters
    ----------
    main : its outputs are put in place together once it returns; what it returns, if anything, is called after that
    inputs : the files of earlier stages that it reads
    """
    name = Path(sys.argv[0]).stem
    try:
        with _interruptible(), _libraries_heard():
            if missing := [str(path) for path in inputs if not path.exists()]:
                remedy = f"run the stages that make it with: dvc repro {name}"
                raise InputError(f"{', '.join(missing)}: not there yet; {remedy}")
            with together():
                finish = main()
            if finish:
                finish()
    except InputError as error:
        _end(name, 2, "cannot go on:\n" + "\n".join(f"  {line}" for line in str(error).splitlines()))
    except KeyboardInterrupt as error:
        _end(name, getattr(error, "code", 130), str(error) or "interrupted")
    except Exception as error:
        if (fault := fault_of_machine(error)) is None:
            raise
        _end(name, 3, f"cannot go on:\n  {fault}")


def _end(name, code, message):
    with suppress(OSError):  # where nothing can be said any more, the exit code still can
        print(f"{name}: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(code)


class Interrupted(KeyboardInterrupt):
    """A signal to end."""

    def __init__(self, number):
        self.code = 128 + number
        super().__init__("interrupted" if number == signal.SIGINT else "told to end")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the first signal to end into `Interrupted`; while that is on its way, interrupts are ignored.

    Python sees a signal only once the C code that it is in returns. A thread that is told by the C library itself ends
    the process where that takes longer than GRACE, or at the next signal; the next run clears up after it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who insists is obeyed
        raise Interrupted(number)

    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = {number: signal.signal(number, interrupt) for number in TO_END}
    told_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_insist, args=(heard,), daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(told_before)
        os.close(told)


def _insist(heard):
    """The thread of `_interruptible`: hears of signals by number, and of the end of the stage by that of the pipe."""
    first, since = 0, 0.0
    with open(heard, "rb", buffering=0) as pipe:
        while True:
            left = max(0.0, since + GRACE - time.monotonic()) if first else None
            if not select.select([pipe], [], [], left)[0]:
                _leave(first)
            number = pipe.read(1)
            if not number:
                return
            if number[0] not in TO_END:
                continue
            if not first:
                first, since = number[0], time.monotonic()
            elif time.monotonic() - since > ONE_PRESS:
                _leave(number[0])


def _leave(number):
    with suppress(OSError):
        os.write(2, b"interrupted, and ended at once\n")
    os._exit(128 + number)


@contextmanager
def _libraries_heard() -> Iterator[None]:
    """What libraries warn of or log, which may quote what a file says, goes through `warn`."""
    before = logging.lastResort
    logging.lastResort = _Log(logging.WARNING)  # of what no library has chosen to silence
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **options: warn(str(message))
        try:
            yield
        finally:
            logging.lastResort = before


class _Log(logging.Handler):
    def emit(self, record):
        warn(record.getMessage())


def say(text: str) -> None:
    """A line about what the stage did."""
    print(f"  {printable(text)}", flush=True)


def warn(text: str) -> None:
    """A line that must not be overlooked."""
    print(f"  WARNING: {printable(text)}", file=sys.stderr, flush=True)
