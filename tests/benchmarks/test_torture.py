"""A share of the torture finds no fault."""

import subprocess
import sys

from tests.helpers import ROOT


def test_a_share_of_the_torture_finds_no_fault():
    # in a process of its own: it forks, and a process with the threads of torch and GDAL cannot be forked safely
    kinds = ["rasters", "tables", "vectors", "params"]
    command = [sys.executable, "-m", "benchmarks.torture", "--quick", "--seed", "3", "--only", *kinds]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert not done.returncode, done.stdout + done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    counts = {row[0].strip(): dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}
    counts = {kind: {k.strip(): int(v) for k, v in row.items()} for kind, row in counts.items()}
    assert counts["all"]["cases"] > 70
    assert counts["tables"]["correct"]
    assert counts["rasters"]["refused"]
