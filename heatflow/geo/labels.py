"""The class of a square of terrain: one rule for the tiles of the grid and for patches cut anywhere."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from heatflow.config.schema import Tile

STATISTICS: dict[str, Callable[[SeriesGroupBy], pd.Series]] = {
    "max": SeriesGroupBy.max, "p90": lambda groups: groups.quantile(0.9), "median": SeriesGroupBy.median,
    "mean": SeriesGroupBy.mean,
}  # fmt: skip


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


def label_squares(square: np.ndarray, residual: np.ndarray, tile: Tile = Tile()) -> pd.DataFrame:
    """Class of each square by the residuals of the wells inside it.

    Parameters
    ----------
    square : int array, shape (n,)
        The square that holds each well.
    residual : float array, shape (n,), mW/m2
    tile : Tile
        Which statistic of the residuals sets the class, the edges of the classes, and the least number of wells:
        squares with fewer are left out.

    Returns
    -------
    DataFrame, indexed by square, ascending
        ``n_wells``, ``residual`` (the statistic, mW/m2), ``label``.

    Examples
    --------
    >>> table = label_squares(np.array([7, 7, 3]), np.array([10.0, 60.0, 30.0]), Tile(statistic="max"))
    >>> table.index.tolist(), table.to_dict("list")
    ([3, 7], {'n_wells': [1, 2], 'residual': [30.0, 60.0], 'label': [1, 2]})
    """
    groups = pd.Series(residual, dtype=np.float64).groupby(np.asarray(square))
    wells = groups.size()  # in numpy from here: this runs for every round of training patches
    enough = (wells >= tile.min_wells).to_numpy()
    value = STATISTICS[tile.statistic](groups).to_numpy()[enough]
    columns = {"n_wells": wells.to_numpy()[enough], "residual": value, "label": classify(value, tile.edges)}
    return pd.DataFrame(columns, index=wells.index[enough].rename("square"), copy=False)
