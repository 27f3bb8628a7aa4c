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
    values : float array, shape (n, k), at least one row
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
    values = np.sort(values, axis=1)  # NaN comes last
    valid = (~np.isnan(values)).sum(axis=1)
    starts = np.ones(values.shape, dtype=bool)  # of runs of one value; each NaN is a run of its own
    np.not_equal(values[:, 1:], values[:, :-1], out=starts[:, 1:])
    runs = starts.sum(axis=1)
    lengths = np.diff(np.flatnonzero(starts), append=values.size)
    commonest = np.maximum.reduceat(lengths, np.cumsum(runs) - runs)
    relief = (values[np.arange(len(values)), valid - 1] - values[:, 0]).astype(np.float64)
    constant = np.where(valid > 0, commonest / np.maximum(valid, 1), np.nan)
    return pd.DataFrame({"valid": valid / values.shape[1], "relief": relief, "constant": constant}, copy=False)


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
    valid, relief, constant = (table[name].to_numpy() for name in ("valid", "relief", "constant"))
    tests = {
        "too few pixels with data": (valid < rules.min_valid) | (valid == 0),
        "constant fill": constant > (np.inf if rules.max_constant is None else rules.max_constant),
        "no relief": relief < (-np.inf if rules.min_relief is None else rules.min_relief),
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
        counts = {"tiles": len(self.kept) + len(self.dropped), "kept": len(self.kept)}
        return {**counts, "dropped": as_metrics(self.counts), "classes": {str(k): int(n) for k, n in classes.items()}}


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
