"""What a user waits for when nothing has to be done."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import Rows, side_by_side

ROOT = Path(__file__).resolve().parent.parent
TORCH_FREE = ("demo", "terrain", "wells", "tile", "filter", "split", "normalize")


def start_up(rounds: int) -> Rows:
    """Wall time of a `dvc repro` that finds everything up to date, and of importing each stage that does not train."""
    if subprocess.run(["dvc", "status", "--quiet"], cwd=ROOT, capture_output=True, check=False).returncode:
        rows = [("no-op dvc repro", "not measured: the pipeline is not up to date")]
    else:
        repro = side_by_side({"repro": partial(_run, ["dvc", "repro", "--quiet"])}, rounds)
        rows = [("no-op dvc repro", f"{repro['repro']:.2f} s")]
    code = "import sys, stages.{0}; sys.exit('torch' in sys.modules)"
    commands = {stage: partial(_run, [sys.executable, "-c", code.format(stage)]) for stage in TORCH_FREE}
    seconds = side_by_side(commands, rounds)
    return rows + [(f"start Python, import stage {stage} (no torch)", f"{s:.2f} s") for stage, s in seconds.items()]


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
