"""The campaign of coverage: cases without signal, each of its own, summed up by the number of networks."""

import numpy as np
import pandas as pd

from benchmarks import coverage


def test_labels_of_a_case_are_those_of_no_terrain_and_its_own():
    one, again, other = (coverage.region(case) for case in (1, 1, 2))
    assert (one.table["label"] == again.table["label"]).all()
    assert (one.table["label"] != other.table["label"]).any()
    assert one.table["label"].mean() == 0.5
    relief = one.tiles.pixels.std(axis=(1, 2))
    assert abs(np.corrcoef(relief, one.table["label"])[0, 1]) < 0.15
    level = one.tiles.pixels.mean(axis=(1, 2)).reshape(coverage.SIDE, -1)
    assert np.corrcoef(level[:, 1:].ravel(), level[:, :-1].ravel())[0, 1] > 0.5  # tiles are alike where they are near


def test_a_case_has_an_interval(monkeypatch):
    train = coverage.PARAMS.train.model_copy(update={"epochs": 1})
    monkeypatch.setattr(coverage, "PARAMS", coverage.PARAMS.model_copy(update={"train": train}))
    row = coverage.measure(3, networks=2)
    assert 0 < row["low"] < row["auc"] < row["high"] < 1
    assert row["holds"] == (row["low"] <= 0.5 <= row["high"])


def test_cases_are_counted():
    table = pd.DataFrame({"networks": [1, 1, 3], "holds": [1, 0, 1], "width": [0.1, 0.2, 0.3]})
    assert coverage.summary(table).splitlines() == [
        "1 networks a fold: 1 of 2 intervals hold 0.5; median width 0.150",
        "3 networks a fold: 1 of 1 intervals hold 0.5; median width 0.300",
    ]
