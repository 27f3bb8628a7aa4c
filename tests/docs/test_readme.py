"""The commands of the README and of the pages do what they say: every one is run, in a clone with tiny params."""

import re
import shlex
import shutil

import pandas as pd
import pyogrio
import pytest

from tests.helpers import ROOT, call

README = (ROOT / "README.md").read_text()
# Those that cannot be run inside a test, and what stands for them.
ELSEWHERE = {
    "make run": "make -n run",  # the pipeline itself is what the clone begins with
    "make test": "make -n test",  # this very run
    "source .venv/bin/activate": "true",  # the commands run in that environment
    "heatflow fetch usgs-wells": "heatflow fetch",  # no network in tests: tests/test_sources.py
    # no remote in this test: tests/stages/test_remotes.py
    "dvc remote add -d store s3://bucket/heatflow": "dvc remote add -f -d store s3://bucket/heatflow",
    "dvc remote add -d store gs://bucket/heatflow": "dvc remote add -f -d store gs://bucket/heatflow",
    "dvc remote add -d store azure://container/heatflow": "dvc remote add -f -d store azure://container/heatflow",
    "dvc remote add -d store ssh://user@host/path/heatflow": "dvc remote add -f -d store ssh://user@host/path/heatflow",
    "dvc push --run-cache": "dvc push --help",
    "dvc pull --run-cache": "dvc pull --help",
    "dvc exp push origin my-experiment": "dvc exp push --help",
    "dvc exp pull origin my-experiment": "dvc exp pull --help",
    "dvc exp apply my-experiment": "dvc exp apply --help",
    # the clone is no repository of a finished run
    "dvc get /path/heatflow data/bundle -o bundle": "dvc get --help",
    "dvc import /path/heatflow data/bundle -o bundle": "dvc import --help",
    # no cluster in this test: tests/compute/test_cluster.py
    "dask scheduler --protocol tls --interface eth0 --dashboard-address 127.0.0.1:8787": "dask scheduler --version",
    "dask worker tls://node1:8786 --nthreads 1 --nworkers 8 --interface eth0 --dashboard-address 127.0.0.1:0":
        "dask worker --version",
    "HEATFLOW_SCHEDULER=tls://node1:8786 dvc repro": "true",
    "mkdir -m 700 -p ~/.config/dask": "true",  # this writes to the home folder
    "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=heatflow -keyout ~/.config/dask/key.pem "
    "-out ~/.config/dask/cert.pem": "true",
}  # fmt: skip
# Made-up paths, and the report's width and length, which take minutes.
SMALL = {
    "/path/shared/": "shared/", "/path/elevation_30s.tif": "data/demo/elevation.tif",
    "/path/heatflow_ghfdb2024.csv": "heatflow.csv", "/path/dem.tif": "data/demo/elevation.tif",
    "/path/wells.csv": "heatflow.csv",
    " --at -111.5,38.9": "", "[96,256,384]": "[4,4,4]", "epochs=100": "epochs=2",
}  # fmt: skip


def commands(text):
    """The lines of a page's blocks of commands, without their comments."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)  # those of a language are files
    blocks = [block.replace("\\\n", " ") for language, block in found if not language]
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def copy(clone, experiment, tmp_path):
    """The clone after its experiment, once more, with its Makefile, and data under the README's made-up paths."""
    folder = tmp_path / "clone"
    shutil.copytree(clone, folder, symlinks=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "data/sources.yaml"):
        shutil.copy(ROOT / name, folder / name)
    wells = pyogrio.read_dataframe(folder / "data/demo/wells.fgb").to_crs(4326)
    pd.DataFrame({"q": wells["heat_flow"], "lat_NS": wells.geometry.y, "long_EW": wells.geometry.x}).to_csv(
        folder / "heatflow.csv", index=False
    )  # named and written as the Global Heat Flow Database does
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/installed").touch()
    return folder


def run(folder, command):
    """Run a command of a page in a clone; returns what it printed."""
    command = ELSEWHERE.get(command, command)
    for long, short in SMALL.items():
        command = command.replace(long, short)
    words = shlex.split(command)
    printed = call(folder, *words, *(["-o", "out_plots"] if words[:2] == ["dvc", "plots"] else []))
    assert "Traceback" not in printed, command
    if words[:3] == ["dvc", "remote", "add"]:  # else the next experiment asks for it, and for an extra to reach it
        call(folder, "dvc", "remote", "remove", "store")
    return printed


def test_every_short_command_of_the_readme_runs(copy):
    shown = [command for command in commands(README) if "/path/" not in command]
    assert len(shown) >= 10
    printed = {command: run(copy, command) for command in shown}
    assert "metrics/train.json" in printed["dvc metrics diff"]
    assert "auc_high" in printed["make compare"]
    assert "train.dropout" in printed["make compare"]


@pytest.mark.slow
def test_a_region_from_raw_files_and_every_other_command_of_the_pages_run(copy):
    pages = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
    shown = dict.fromkeys(command for page in pages for command in commands(page))
    left = [command for command in shown if "/path/" in command or command not in commands(README)]
    assert len(left) >= 6
    for command in left:
        run(copy, command)


def test_the_readme_fits_in_180_lines():
    assert len(README.splitlines()) <= 180
