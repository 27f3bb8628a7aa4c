"""What a user waits for when nothing has to be done."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import side_by_side

ROOT = Path(__file__).resolve().parent.parent
TORCH_FREE = ("demo", "terrain", "wells", "tile", "filter", "split", "normalize")


def start_up(rounds: int) -> list[tuple[str, str]]:
    """Wall time of a `dvc repro` that finds everything up to date, and of importing each stage that does not train."""
    rows = []
    state = subprocess.run(["dvc", "status", "--quiet"], cwd=ROOT, capture_output=True, check=False)
    if state.returncode:
        rows.append(("no-op dvc repro", "not measured: the pipeline is not up to date"))
    else:
        repro = side_by_side({"repro": lambda: _run(["dvc", "repro", "--quiet"])}, rounds)
        rows.append(("no-op dvc repro", f"{repro['repro']:.2f} s"))
    seconds = side_by_side({stage: partial(_import, stage) for stage in TORCH_FREE}, rounds)
    rows += [(f"start Python, import stage {stage} (no torch)", f"{seconds[stage]:.2f} s") for stage in TORCH_FREE]
    return rows


def _import(stage):
    _run([sys.executable, "-c", f"import sys, stages.{stage}; sys.exit('torch' in sys.modules)"])


def _run(command):
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
