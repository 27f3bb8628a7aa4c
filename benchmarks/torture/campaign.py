"""Run cases, each in a process and a folder of its own, and count how they end."""

import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from benchmarks.measure import ROOT
from heatflow.errors import InputError
from heatflow.io.text import markdown_table
from stages import _runner

os.environ["GDAL_NUM_THREADS"] = "1"  # a process that has threads cannot be forked safely
LIMIT = 120  # seconds, on a machine that may do much else
SHOWN = 40  # faults, whose last lines are kept
FAULTS = ("traceback", "hang", "silent", "stray")
VERDICTS = ("correct", "refused", *FAULTS)
Sections = dict[str, dict[str, Any]]
SPLIT = {"folds": 2, "block_size": 1, "buffer": 0, "validation": 0.3}
TINY: Sections = {  # params of the cases
    "terrain": {"detrend_radius": None, "resolution": 200}, "tile": {"size": 11, "edges": [0], "binary_edge": 0},
    "model": {"channels": [3], "layout": "report"}, "split": SPLIT, "train": {"epochs": 2, "seeds": 1},
}  # fmt: skip
Outcome = tuple[int | None, str]  # exit code of a process, None where it hangs, and what it printed
Check = Callable[[], str | None]  # says what is wrong with what a case left, or None


def isolated(task: Callable[[], object], folder: Path) -> Outcome:
    """Run a function in a forked process in a folder, LIMIT seconds at most."""
    with tempfile.TemporaryFile() as log:

        def run_in_folder() -> None:
            os.chdir(folder)
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
            sys.stdout, sys.stderr = (open(k, "w", closefd=False) for k in (1, 2))  # noqa: SIM115
            task()

        process = multiprocessing.get_context("fork").Process(target=run_in_folder)
        process.start()
        process.join(LIMIT)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        log.seek(0)
        return code, log.read().decode(errors="replace")


def run_stage(stage: ModuleType, folder: Path) -> Outcome:
    """What ``python -m stages.<name>`` does in a folder; its modules are loaded once, rather than in every case."""
    sys.argv = [str(stage.__file__)]
    return isolated(partial(_runner.run, stage.main, getattr(stage, "INPUTS", ())), folder)


def require(outcome: Outcome) -> None:
    """End the campaign where a run that nothing disturbs fails or hangs."""
    if outcome[0] != 0:
        raise InputError(f"a run that nothing disturbs {'hangs' if outcome[0] is None else 'fails'}: {outcome[1]}")


def nothing_left() -> None:
    """The check of what a refused case left where nothing has to be checked."""


class Campaign:
    """Runs cases and counts how they end; `faults` keeps the first few faults, with what they printed."""

    def __init__(self, seed: int, top: Path) -> None:
        self.seed, self.top, self.counts, self.faults = seed, top, Counter[tuple[str, str]](), list[str]()

    def folder(self, ready: Path | None = None) -> Path:
        """A new folder, with the data of one where stages have run."""
        path = Path(tempfile.mkdtemp(dir=self.top))
        if ready:
            shutil.copytree(ready / "data", path / "data")
        return path

    def case(self, kind: str, what: str, outcome: Outcome, folder: Path, check: Check,
             left: Check = nothing_left) -> None:  # fmt: skip
        """Judge a case by how it ended in its folder, and remove the folder.

        Parameters
        ----------
        kind, what : str
            Of the case, for the count and for the message.
        outcome : tuple
        folder : Path
        check : callable
            Of what a run leaves that ends well.
        left : callable
            Of what one leaves that is refused.
        """
        code, said = outcome
        if code is None:
            verdict = "hang"
        elif code not in (0, 2, 3) or "Traceback" in said or (code and not said.strip()):
            verdict = "traceback"
        else:
            ends = ("refused", "stray", left) if code else ("correct", "silent", check)
            wrong, why = isolated(lambda: sys.exit(ends[2]()), folder)  # a text is printed, and the code is 1
            verdict, said = ends[1] if wrong else ends[0], f"{said}\n{why}"
        self.count(kind, verdict, what, said)
        shutil.rmtree(folder, ignore_errors=True)

    def count(self, kind: str, verdict: str, what: str, said: str) -> None:
        """Count a case."""
        self.counts[kind, verdict] += 1
        if verdict in FAULTS and len(self.faults) < SHOWN:
            self.faults.append(f"{kind}: {verdict}: {what}\n" + "\n".join(said.splitlines()[-12:]))

    def rows(self) -> dict[str, list[int]]:
        """How many cases of each kind ended in each of VERDICTS."""
        return {kind: [self.counts[kind, verdict] for verdict in VERDICTS] for kind, _ in self.counts}


def table(rows: dict[str, list[int]]) -> list[str]:
    """Rows of counts by kind, and their sum, as lines of Markdown.

    >>> table({"rasters": [1, 2, 0, 0, 0, 0]})[-1]
    '| all | 3 | 1 | 2 | 0 | 0 | 0 | 0 |'
    """
    every = rows | {"all": [sum(column) for column in zip(*rows.values(), strict=True)]}
    return markdown_table(("kind", "cases", *VERDICTS), [(kind, sum(n), *n) for kind, n in every.items()])


def with_sections(*changes: Sections) -> dict[str, Any]:
    """The committed params with sections changed."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in (item for sections in changes for item in sections.items()):
        params[section] = params[section] | values
    return params


def write_params(folder: Path, base: Sections = TINY, **changes: dict[str, Any]) -> None:
    """Write the committed params with sections changed into a folder."""
    (folder / "params.yaml").write_text(yaml.safe_dump(with_sections(base, changes)))


def damaged(rng: random.Random, raw: bytes) -> tuple[str, bytes]:
    """Bytes as a bad disk, a broken download or an enemy leaves them, and what was done to them."""
    at, length = rng.randrange(len(raw)), rng.choice([1, 3, 17, 200, 4000])
    before, after, noise, flipped = raw[:at], raw[at + length :], rng.randbytes(length), bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 4, 16, 64])):
        flipped[rng.randrange(min(len(raw), rng.choice([400, len(raw)])))] ^= 1 << rng.randrange(8)
    return rng.choice([
        ("as it is", raw), ("bits flipped", bytes(flipped)), ("bits flipped", bytes(flipped)), ("cut short", before),
        ("cut short by a little", raw[: -rng.randrange(1, 64)]), ("bytes put in", before + noise + raw[at:]),
        ("bytes taken out", before + after), ("zeros", before + bytes(min(length, len(raw) - at)) + after),
        ("doubled", raw + raw), ("empty", b""), ("noise", noise),
    ])  # fmt: skip


def contents(folder: Path, tops: tuple[str, ...] = ("data", "metrics")) -> dict[str, str]:
    """Digest of every file below some folders, checkpoints left out."""
    files = [p for top in tops for p in sorted((folder / top).rglob("*")) if p.is_file()]
    kept = [p for p in files if ".checkpoints" not in p.parts]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}
