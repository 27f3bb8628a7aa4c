"""The site has every page, and builds without a warning where MkDocs is installed (make docs does it)."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.helpers import ROOT

ELSEWHERE = ("docs/tutorial.md",)  # made of the notebook


def module(name):
    """A module of docs/site, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/site/{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def listed(nav):
    """Paths of the pages in a navigation, at any depth."""
    for part in nav:
        for entry in part.values() if isinstance(part, dict) else [part]:
            yield from [entry] if isinstance(entry, str) else listed(entry)


def test_every_page_is_in_the_navigation():
    nav = [*listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])]
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    pages = {str(path.relative_to(ROOT)) for path in found} | {"data/README.md", "metrics/README.md"}
    assert sorted(nav) == sorted(pages | set(ELSEWHERE)), "mkdocs.yml, nav"


def test_the_notebook_becomes_a_page():
    pytest.importorskip("mkdocs")
    page = module("hooks").as_page(json.loads((ROOT / "docs/tutorial.ipynb").read_text()))
    assert page.startswith("# A finished run in a notebook\n")
    assert "```python\nimport matplotlib" in page
    assert page.count("```") % 2 == 0


def test_every_room_of_the_library_has_a_page():
    pytest.importorskip("mkdocs")
    rooms = {path.parent.name for path in (ROOT / "heatflow").glob("*/__init__.py")}
    assert set(module("hooks").ROOMS.values()) == rooms


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("One.", "One."),
        ("One.\n\n>>> 1\n1", "One.\n\nExamples\n--------\n>>> 1\n1"),
        ("One.\n\n>>> 1\n1\n\nTwo.", "One.\n\nTwo.\n\nExamples\n--------\n>>> 1\n1"),
        ("One.\n\nExamples\n--------\n>>> 1\n1", "One.\n\nExamples\n--------\n>>> 1\n1"),
    ],
)
def test_a_doctest_without_a_heading_gets_one(text, read):
    pytest.importorskip("griffe")
    assert module("docstrings").with_heading(text) == read


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path], cwd=ROOT, capture_output=True,
        text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "reference/grid.html").read_text()
    assert "heatflow.grid.grids.TileGrid" in page
    everything = [path.read_text() for path in tmp_path.rglob("*.html")]
    assert len(everything) > 30
    assert not any('src="http' in page for page in everything)  # it needs no network
