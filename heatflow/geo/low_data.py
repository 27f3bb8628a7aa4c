"""Whether a square of terrain holds enough data to learn from: one rule for tiles of the grid and for patches."""

import numpy as np
import pandas as pd


def data_statistics(values: np.ndarray) -> pd.DataFrame:
    """What the low-data rule looks at.

    Parameters
    ----------
    values : float array, shape (n, k)
        Elevation (metres) of the pixels of each square, or of a sample of them; NaN where there is no data.

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
    rows = [_statistics(row) for row in values]
    return pd.DataFrame(rows, columns=["valid", "relief", "constant"])


def _statistics(pixels: np.ndarray) -> tuple[float, float, float]:
    values = np.sort(pixels, axis=None)  # NaN comes last
    n = int(values.searchsorted(np.nan))
    if not n:
        return 0.0, np.nan, np.nan
    values = values[:n]
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    commonest = np.diff(starts, prepend=0, append=n).max()
    return n / pixels.size, float(values[-1] - values[0]), commonest / n


def low_data(
    table: pd.DataFrame, *, min_valid: float, min_relief: float | None, max_constant: float | None
) -> pd.Series:
    """Why each tile holds too little data to learn from; "" where it holds enough.

    Parameters
    ----------
    table : with ``valid``, ``relief`` and ``constant``, as `cut_tiles` gives them
    min_valid : smallest share of pixels with data
    min_relief : m; None: no test
    max_constant : largest share of pixels with one and the same value (a fill that is not marked); None: no test
    """
    tests = [((table["valid"] < min_valid) | (table["valid"] == 0), "too few pixels with data")]
    if max_constant is not None:
        tests.append((table["constant"] > max_constant, "constant fill"))
    if min_relief is not None:
        tests.append((table["relief"] < min_relief, "no relief"))
    conditions, reasons = zip(*tests, strict=True)
    return pd.Series(np.select(conditions, reasons, default=""), index=table.index, dtype=object)
