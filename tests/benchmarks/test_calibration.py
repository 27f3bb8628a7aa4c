"""The table of verdicts: exact intervals, kinds, and rows that are kept."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import calibration
from benchmarks.calibration import KINDS, page, share
from heatflow.config.schema import Params
from heatflow.explanation.verdict import OPEN, RELIEF, USES

NUMBERS = {
    USES: {"excess": (0.2, 0.15, 0.25), "effect": (0.3, 0.2, 0.4)},
    RELIEF: {"excess": (0.2, 0.15, 0.25), "effect": (0, -0.05, 0.05)},
    OPEN: {"excess": (0.2, -0.2, 0.6), "effect": (0.2, -0.2, 0.6)},
}


def numbers(verdict):
    """Numbers of a region that lead to a verdict, and to none where look-alikes are not known."""
    of = NUMBERS[verdict] | {"beyond_relief": NUMBERS[OPEN]["effect"]}
    ends = {name + end: of[name][k] for name in of for k, end in enumerate(("", "_low", "_high"))}
    return {"auc": 0.8, "auc_low": 0.7, "p": 0.001, "p_without_lookalikes": 0.5} | ends


def row(kind, seed, verdict):
    return {"kind": kind, "seed": seed} | numbers(verdict)


def table(*rows):
    of_rows = pd.DataFrame(rows)
    of_rows[calibration.VERDICTS] = of_rows.apply(calibration.verdicts, axis=1)
    return of_rows


def test_intervals_are_exact():
    assert share(0, 20) == "0 of 20 (0.0 % to 16.8 %)"
    assert share(16, 20) == "16 of 20 (56.3 % to 94.3 %)"


def test_answers_are_counted_by_kind():
    text = page(
        table(row("structure", 1, USES), row("structure", 2, OPEN), row("relief", 1, RELIEF), row("relief", 2, USES))
    )
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
    rows = pd.read_csv(results, keep_default_na=False)
    assert rows["kind"].tolist() == ["null", "null", "relief", "relief"]
    assert rows["seed"].tolist() == [1, 2, 1, 2]
    assert set(rows["verdict"]) == {USES}
    assert "2 of 2" in (tmp_path / "CALIBRATION.md").read_text()
    monkeypatch.setattr(calibration, "key_of_regions", lambda params: "other code")
    measured.clear()
    calibration.main()
    assert len(measured) == 4


def test_no_share_is_of_nothing():
    assert np.all([len(page(table(row(kind, 1, OPEN)))) > 0 for kind in KINDS])
