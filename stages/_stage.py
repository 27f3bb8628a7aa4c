"""What every stage shares: where files are, reading params, and how it ends."""

import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from heatflow import params
from heatflow.errors import InputError

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


def run(main: Callable[[], None], inputs: tuple[Path, ...] = ()) -> None:
    """Run a stage: exit code 2 and one message for bad input, 130 and one line when interrupted.

    `inputs` are the files of earlier stages that it reads.
    """
    name = Path(sys.argv[0]).stem
    try:
        if missing := [str(path) for path in inputs if not path.exists()]:
            raise InputError(f"{', '.join(missing)}: not there yet; run the stages that make it with: dvc repro {name}")
        main()
    except InputError as error:
        print(f"{name}: cannot go on:\n" + "\n".join(f"  {line}" for line in str(error).splitlines()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)


def say(text: str) -> None:
    """A line about what the stage did."""
    print(f"  {text}", flush=True)


def warn(text: str) -> None:
    """A line that must not be overlooked."""
    print(f"  WARNING: {text}", file=sys.stderr, flush=True)
