"""The tutorial runs from its first cell to its last on a finished run, and is kept without outputs."""

import json

import matplotlib
import matplotlib.pyplot as plt

from tests.helpers import ROOT

NOTEBOOK = json.loads((ROOT / "docs/tutorial.ipynb").read_text())
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_tutorial_has_no_outputs():
    assert len(CODE) >= 5
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_tutorial_runs(finished, monkeypatch):
    (finished.path / "docs").mkdir()
    monkeypatch.chdir(finished.path / "docs")
    matplotlib.use("Agg")
    names = {}
    try:
        for cell in CODE:
            exec(compile(cell, "tutorial", "exec"), names)
        assert len(plt.get_fignums()) == 3
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    finally:
        plt.close("all")
    assert set(names["surest"]["tile"]) <= set(names["run"].tiles["tile"])
