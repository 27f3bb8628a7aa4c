"""Tiles with too little data are named, left out and counted."""

import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Filter
from heatflow.errors import InputError
from heatflow.geo.low_data import filter_tiles, low_data


def test_low_data_tiles_are_named_with_the_first_reason_that_applies():
    table = pd.DataFrame(
        {
            "valid": [0.0, 0.49, 0.5, 1.0, 1.0, 1.0],
            "constant": [np.nan, 0.1, 0.1, 0.51, 0.5, 0.1],
            "relief": [np.nan, 900.0, 900.0, 900.0, 900.0, 5.0],
        }
    )
    reasons = low_data(table, Filter(min_valid=0.5, min_relief=20.0, max_constant=0.5)).tolist()
    assert reasons == ["too few pixels with data"] * 2 + ["", "constant fill", "", "no relief"]
    off = low_data(table, Filter(min_valid=0.0, min_relief=None, max_constant=None)).tolist()
    assert off == ["too few pixels with data"] + [""] * 5


def test_filter_keeps_account_of_every_tile():
    table = pd.DataFrame(
        {"tile": [4, 5, 9], "label": [0, 3, 0], "valid": [1.0, 0.1, 1.0], "relief": [90.0, 90.0, 5.0], "constant": 0.1}
    )
    filtered = filter_tiles(table)
    assert filtered.kept["tile"].tolist() == [4]
    assert filtered.kept.index.tolist() == [0]
    assert filtered.dropped[["tile", "reason"]].to_numpy().tolist() == [
        [5, "too few pixels with data"],
        [9, "no relief"],
    ]
    assert filtered.metrics == {
        "tiles": 3, "kept": 1, "dropped": {"no_relief": 1, "too_few_pixels_with_data": 1}, "classes": {"0": 1},
    }  # fmt: skip
    with pytest.raises(InputError, match=r"none of the 3 tiles is left \(3 no relief\)"):
        filter_tiles(table, Filter(min_valid=0, min_relief=100))
