"""What every stage shares: where files are, reading params, and how it ends."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from heatflow import params
from heatflow.errors import InputError, fault_of_machine
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
        with _interruptible():
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
        print(f"{name}: {_printable(message)}", file=sys.stderr, flush=True)
    sys.exit(code)


def _printable(text):
    """Text from data cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


class Interrupted(KeyboardInterrupt):
    """A signal to end."""

    def __init__(self, number):
        self.code = 128 + number
        super().__init__("interrupted" if number == signal.SIGINT else "told to end")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the first signal to end into `Interrupted`; while that is on its way, interrupts are ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who insists is obeyed
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """A line about what the stage did."""
    print(f"  {_printable(text)}", flush=True)


def warn(text: str) -> None:
    """A line that must not be overlooked."""
    print(f"  WARNING: {_printable(text)}", file=sys.stderr, flush=True)
