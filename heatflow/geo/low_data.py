"""Whether a square of terrain holds enough data to learn from: one rule for tiles of the grid and for patches."""

from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import pandas as pd

from heatflow.config.schema import Filter
from heatflow.errors import InputError
from heatflow.geo.ledger import as_metrics, as_text, count_reasons


def data_statistics(values: np.ndarray) -> pd.DataFrame:
    """What the low-data rule looks at.

    Parameters
    ----------
    values : float array, shape (n, k)
        Detrended elevation (metres) of the pixels of each square, or of a sample of them; NaN where there is no data.

    Returns
    -------
    DataFrame, n rows
        ``valid`` (share of pixels with data), ``relief`` (highest minus lowest pixel, metres) and ``constant`` (share
        of the pixels with data that hold the commonest value); the last two are NaN where there is no data.

    Examples
    --------
    >>> data_statistics(np.array([[1.0, 1.0, 4.0, np.nan]])).round(2)
       valid  relief  constant
    0   0.75     3.0      0.67
    """
    return pd.DataFrame([_statistics(row) for row in values], columns=["valid", "relief", "constant"])


def _statistics(pixels: np.ndarray) -> tuple[float, float, float]:
    values = np.sort(pixels, axis=None)  # NaN comes last
    n = int(values.searchsorted(np.nan))
    if not n:
        return 0.0, np.nan, np.nan
    values = values[:n]
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    commonest = np.diff(starts, prepend=0, append=n).max()
    return n / pixels.size, float(values[-1] - values[0]), commonest / n


def low_data(table: pd.DataFrame, rules: Filter = Filter()) -> pd.Series:
    """Why each tile holds too little data to learn from.

    Parameters
    ----------
    table : DataFrame
        With ``valid``, ``relief`` and ``constant``, as `data_statistics` gives them.
    rules : Filter

    Returns
    -------
    Series of str
        The first reason that applies, "" where a tile holds enough.

    Examples
    --------
    >>> table = pd.DataFrame({"valid": [1.0, 0.2], "relief": [300.0, 5.0], "constant": [0.1, 0.1]})
    >>> low_data(table, Filter(min_valid=0.5)).tolist()
    ['', 'too few pixels with data']
    """
    tests = {
        "too few pixels with data": (table["valid"] < rules.min_valid) | (table["valid"] == 0),
        "constant fill": table["constant"] > (np.inf if rules.max_constant is None else rules.max_constant),
        "no relief": table["relief"] < (-np.inf if rules.min_relief is None else rules.min_relief),
    }
    return pd.Series(np.select(list(tests.values()), list(tests), default=""), index=table.index, dtype=object)


@dataclass(frozen=True)
class FilteredTiles:
    """The tiles to learn from, and the ledger of the others.

    Parameters
    ----------
    kept : GeoDataFrame
    dropped : GeoDataFrame
        With ``reason``.
    counts : dict of int
        Number of tiles for each reason, the commonest first.
    """

    kept: geopandas.GeoDataFrame
    dropped: geopandas.GeoDataFrame
    counts: dict[str, int]

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/filter.json``."""
        classes = self.kept["label"].value_counts().sort_index()
        return {
            "tiles": len(self.kept) + len(self.dropped), "kept": len(self.kept), "dropped": as_metrics(self.counts),
            "classes": {str(k): int(n) for k, n in classes.items()},
        }  # fmt: skip


def filter_tiles(table: geopandas.GeoDataFrame, rules: Filter = Filter()) -> FilteredTiles:
    """Leave out tiles that hold too little data to learn from.

    Parameters
    ----------
    table : GeoDataFrame
        Tiles, with the columns that `low_data` looks at and ``label``.
    rules : Filter

    Returns
    -------
    FilteredTiles

    Raises
    ------
    InputError
        No tile is left.
    """
    reason = low_data(table, rules)
    kept, dropped = table[reason == ""], table[reason != ""].assign(reason=reason[reason != ""])
    counts = count_reasons(reason)
    if kept.empty:
        why = as_text(counts)
        raise InputError(f"filter: none of the {len(table)} tiles is left ({why}); relax filter.min_valid and the rest")
    return FilteredTiles(kept.reset_index(drop=True), dropped, counts)
