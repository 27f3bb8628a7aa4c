"""The class of a square of terrain: one rule for the tiles of the grid and for patches cut anywhere."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from pandas.core.groupby import SeriesGroupBy

STATISTICS: dict[str, Callable[[SeriesGroupBy], pd.Series]] = {
    "max": lambda groups: groups.max(),
    "p90": lambda groups: groups.quantile(0.9),
    "median": lambda groups: groups.median(),
    "mean": lambda groups: groups.mean(),
}


def classify(residual: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Class of each residual: the number of edges below it. Classes are right-closed, so an edge is in the lower one.

    Parameters
    ----------
    residual : float array, shape (n,), mW/m2
    edges : sequence of float, mW/m2, ascending

    Returns
    -------
    int array, shape (n,)

    Examples
    --------
    >>> classify(np.array([-5.0, 25.0, 25.1, 200.0, 9000.0]), [25, 50, 200])
    array([0, 0, 1, 2, 3])
    """
    return np.searchsorted(np.asarray(edges, dtype=np.float64), residual, side="left")


def label_squares(
    square: np.ndarray, residual: np.ndarray, *, statistic: str, min_wells: int, edges: Sequence[float]
) -> pd.DataFrame:
    """Class of each square by the residuals of the wells inside it.

    Parameters
    ----------
    square : int array, shape (n,)
        The square that holds each well.
    residual : float array, shape (n,), mW/m2
    statistic : str
        One of STATISTICS: what of the residuals sets the class.
    min_wells : int
        Squares with fewer wells are left out.
    edges : sequence of float, mW/m2, ascending

    Returns
    -------
    DataFrame, indexed by square, ascending
        ``n_wells``, ``residual`` (the statistic, mW/m2), ``label``.

    Examples
    --------
    >>> wells = np.array([7, 7, 3]), np.array([10.0, 60.0, 30.0])
    >>> label_squares(*wells, statistic="max", min_wells=1, edges=[25, 50])
            n_wells  residual  label
    square
    3             1      30.0      1
    7             2      60.0      2
    """
    groups = pd.Series(residual, dtype=np.float64).groupby(pd.Series(square, name="square").to_numpy())
    table = pd.DataFrame({"n_wells": groups.size(), "residual": STATISTICS[statistic](groups)}).rename_axis("square")
    table = table[table["n_wells"] >= min_wells]
    return table.assign(label=classify(table["residual"].to_numpy(), edges))
