"""The README's commands do what it says: every one of them is run, in a clone with tiny params."""

import re
import shlex
import shutil

import pandas as pd
import pyogrio
import pytest
import yaml

from heatflow.config import schema as params
from heatflow.config.reference import page
from tests.helpers import ROOT, call, params_with

pytestmark = pytest.mark.xdist_group("clone")  # one process makes the clone once for all of them
README = (ROOT / "README.md").read_text()
BLOCKS = [block.replace("\\\n", " ") for block in re.findall(r"^```\w*\n(.*?)^```$", README, re.M | re.S)]
SHOWN = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
# Those that cannot be run inside a test, and what stands for them.
ELSEWHERE = {
    "make run": ["make", "-n", "run"],  # the pipeline itself is what the clone begins with
    "make test": ["make", "-n", "test"],  # this very run
    "source .venv/bin/activate": ["true"],  # the commands run in that environment
    "make fetch SOURCE=usgs-wells": [
        "make",
        "-n",
        "fetch",
        "SOURCE=usgs-wells",
    ],  # no network in tests: tests/test_sources.py
}


def test_the_readme_shows_commands():
    assert len(SHOWN) >= 14
    assert set(ELSEWHERE) <= set(SHOWN)


@pytest.fixture
def copy(clone, tmp_path):
    """The reproduced clone, once more, with its Makefile, and data under the README's made-up paths."""
    folder = tmp_path / "clone"
    shutil.copytree(clone, folder, symlinks=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "data",
        folder / "data",
        ignore=lambda _, names: {n for n in names if n != "sources.yaml"},
        dirs_exist_ok=True,
    )
    wells = pyogrio.read_dataframe(folder / "data/demo/wells.fgb").to_crs(4326)
    pd.DataFrame({"q": wells["heat_flow"], "lat_NS": wells.geometry.y, "long_EW": wells.geometry.x}).to_csv(
        folder / "heatflow.csv", index=False
    )  # named and written as the Global Heat Flow Database does
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/installed").touch()
    return folder


def test_every_command_of_the_readme_runs(copy):
    for command in SHOWN:
        words = ELSEWHERE.get(command) or shlex.split(command)
        # made-up paths and the recipe's width and length, which take minutes, become small ones
        words = [w.replace("/path/elevation_30s.tif", "data/demo/elevation.tif") for w in words]
        words = [w.replace("/path/heatflow_ghfdb2024.csv", "heatflow.csv") for w in words]
        words = [w.replace("[96,256,384]", "[4,4,4]").replace("epochs=100", "epochs=2") for w in words]
        if words[:2] == ["dvc", "plots"]:
            words += ["-o", "out_plots"]
        printed = call(copy, *words)
        assert "Traceback" not in printed, command
        if words[:3] == ["dvc", "metrics", "diff"]:
            assert "metrics/train.json" in printed
        if words == ["make", "compare"]:
            assert "auc_high" in printed
            assert "train.dropout" in printed


def test_settings_and_targets_named_in_the_text_exist(tmp_path):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    pages = [README, (ROOT / "CONTRIBUTING.md").read_text(), *(p.read_text() for p in (ROOT / "docs").glob("*.md"))]
    inline = [code for text in pages for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]
    settings = 0
    for code in inline:
        if target := re.match(r"make (\w+)", code):
            assert target[1] in targets, code
        for key, value in re.findall(r"\b([a-z]+\.[a-z_]+)=(\S+)", code):
            section, _, name = key.partition(".")
            content = params_with(**{section: {name: yaml.safe_load(value)}})
            (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
            params.load(tmp_path / "params.yaml", ())
            settings += 1
    assert settings >= 15


def test_the_page_of_params_is_up_to_date():
    assert (ROOT / "docs/params.md").read_text() == page(yaml.safe_load((ROOT / "params.yaml").read_text())), (
        "make docs"
    )


def test_every_output_is_described():
    described = {name: (ROOT / name / "README.md").read_text() for name in ("data", "metrics")}
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            top, _, name = (out if isinstance(out, str) else next(iter(out))).partition("/")
            assert f"`{name}" in described[top], f"{top}/{name}"


def test_links_of_the_documents_lead_somewhere():
    pages = [ROOT / folder / "README.md" for folder in (".", "data", "metrics")]
    for path in [*pages, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
            assert link.startswith("http") or (path.parent / link).exists(), f"{path.name}: {link}"
