"""The table of verdicts: exact intervals, kinds, and rows that are kept."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import calibration
from benchmarks.calibration import KINDS, page, share
from heatflow.config.schema import Params
from heatflow.explanation.verdict import OPEN, RELIEF, USES


def row(kind, seed, verdict):
    numbers = dict.fromkeys(("auc", *calibration.NUMBERS), 0.1)
    return {"kind": kind, "seed": seed, "verdict": verdict, "verdict_without_lookalikes": OPEN} | numbers


def test_intervals_are_exact():
    assert share(0, 20) == "0 of 20 (0.0 % to 16.8 %)"
    assert share(16, 20) == "16 of 20 (56.3 % to 94.3 %)"


def test_answers_are_counted_by_kind():
    table = pd.DataFrame(
        [row("structure", 1, USES), row("structure", 2, OPEN), row("relief", 1, RELIEF), row("relief", 2, USES)]
    )
    text = page(table)
    with_lookalikes, without = text.split("as if no look-alikes")
    assert "| structure | structures | 1 of 2 (1.3 % to 98.7 %) | 0 | 0 | 1 |" in with_lookalikes
    assert "| relief | structures and look-alikes alike | 1 of 2 (1.3 % to 98.7 %) | 1 | 0 | 0 |" in with_lookalikes
    assert "| structure | structures | 0 of 2 (0.0 % to 84.2 %) | 0 | 0 | 2 |" in without


def test_kinds_are_params_of_the_demo():
    demo = Params().demo
    for change in KINDS.values():
        changed = demo.model_copy(update=change(demo.model_dump()))
        assert type(changed).model_validate(changed.model_dump()) == changed
    assert KINDS["relief"](demo.model_dump()) == {"lookalike_heat": demo.active}


@pytest.fixture
def measured(monkeypatch):
    """Cases that were computed, in place of real ones; the second seed fails."""
    cases = []

    def measure(case, params):
        cases.append(case)
        if case[1] == 3:
            raise KeyboardInterrupt
        return row(*case, USES)

    monkeypatch.setattr(calibration, "measure", measure)
    monkeypatch.setattr(calibration, "map_in_order", lambda task, items, memory: map(task, items))
    return cases


def test_rows_that_are_there_are_not_computed_again(measured, monkeypatch, tmp_path):
    results = tmp_path / "rows.csv"
    command = ["calibration", "--results", str(results), "--kinds", "null", "relief"]
    monkeypatch.setattr("sys.argv", [*command, "--seeds", "2", "3"])
    with pytest.raises(KeyboardInterrupt):
        calibration.main()
    assert measured == [("null", 2), ("relief", 2), ("null", 3)]
    assert len(pd.read_csv(results)) == 2  # kept, though the run was cut off
    measured.clear()
    monkeypatch.setattr("sys.argv", [*command, "--seeds", "1", "2"])
    calibration.main()
    assert measured == [("null", 1), ("relief", 1)]
    table = pd.read_csv(results, keep_default_na=False)
    assert table["kind"].tolist() == ["null", "null", "relief", "relief"]
    assert table["seed"].tolist() == [1, 2, 1, 2]
    assert "2 of 2" in (tmp_path / "CALIBRATION.md").read_text()
    monkeypatch.setattr(calibration, "key_of_regions", lambda params: "other code")
    measured.clear()
    calibration.main()
    assert len(measured) == 4


def test_no_share_is_of_nothing():
    assert np.all([len(page(pd.DataFrame([row(kind, 1, OPEN)]))) > 0 for kind in KINDS])
