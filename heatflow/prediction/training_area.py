"""Where the terrain lies that the networks of a fold were trained on: they do not predict it."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from heatflow.grid.grids import TileGrid
from heatflow.learning.fold_data import FoldData


def overlap(top: np.ndarray, left: np.ndarray, size: int, rectangles: np.ndarray) -> np.ndarray:
    """Whether each window of `size` pixels shares a pixel, or a part of one, with any of some rectangles.

    Parameters
    ----------
    top, left : int array, shape (m,)
        First row and column of the windows.
    size : int
    rectangles : float array, shape (n, 4)
        Upper, left, lower and right edge of each, pixels.

    Returns
    -------
    bool array, shape (m,)

    Examples
    --------
    >>> overlap(np.array([0, 0]), np.array([10, 9]), 10, np.array([[0, 0, 10, 10]])).tolist()
    [False, True]
    """
    upper, west, lower, east = np.reshape(rectangles, (-1, 4)).T
    down = np.less.outer(top, lower) & np.greater.outer(top + size, upper)
    right = np.less.outer(left, east) & np.greater.outer(left + size, west)
    return (down & right).any(axis=1)


def squares(top: np.ndarray, left: np.ndarray, size: int) -> np.ndarray:
    """Rectangles, as `overlap` takes them, of squares of `size` pixels by their first row and column; (n, 4)."""
    return np.column_stack([top, left, np.add(top, size), np.add(left, size)])


def inside(row: np.ndarray, column: np.ndarray, top: np.ndarray, left: np.ndarray, size: int) -> np.ndarray:
    """Whether each of n pixels lies in each of m windows of `size` pixels, by their first pixels; bool array (n, m).

    >>> inside(np.array([9, 10]), np.array([0, 0]), np.array([0]), np.array([0]), 10).ravel().tolist()
    [True, False]
    """
    down, right = np.subtract.outer(row, top), np.subtract.outer(column, left)
    return (down >= 0) & (down < size) & (right >= 0) & (right < size)


@dataclass(frozen=True)
class TrainingArea:
    """Terrain and wells that the networks of a fold were trained on.

    Parameters
    ----------
    tiles : float array, shape (n, 4)
        Upper, left, lower and right edge of its tiles, pixels.
    rows, columns : int array, shape (m,)
        Pixels of wells outside those tiles that training patches may have held.
    """

    tiles: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def from_fold(cls, data: FoldData, fold: int, tiles: TileGrid, wells: tuple[np.ndarray, np.ndarray],
                  buffer: float | None) -> "TrainingArea":  # fmt: skip
        """Training and validation tiles of a fold, and the wells that its patches may have held.

        Patches (`heatflow.learning.patches`) lie within half a tile of a training tile, at any angle, and may hold
        wells of tiles that were dropped. They touch none of the squares that are closed to them.

        Parameters
        ----------
        data : FoldData
        fold : int
        tiles : TileGrid
        wells : tuple of int array, shape (m,)
            Rows and columns of the pixels that hold wells.
        buffer : float or None
            Tiles around test tiles that are closed to patches; None where networks were trained on tiles alone.
        """
        row, col = (data.table[name].to_numpy() for name in ("row", "col"))
        trained, train = np.isin(data.roles[fold], ("train", "validation")), data.members(fold, "train")
        held = np.zeros(len(wells[0]), dtype=bool)
        if buffer is not None and len(train):
            place = np.column_stack(wells) + 0.5
            reach = tiles.size * (0.5 + 0.5**0.5)  # centre half a tile away, and from there to a corner
            held = cKDTree(tiles.centres(row[train], col[train])).query(place, p=np.inf)[0] <= reach
            down, right, half = data.excluded(fold, tiles, buffer).T
            closed = np.maximum(np.abs(place[:, :1] - down), np.abs(place[:, 1:] - right)) < half
            held &= ~closed.any(axis=1)
        return cls(squares(*tiles.corners(row[trained], col[trained]), tiles.size), wells[0][held], wells[1][held])

    def overlaps(self, top: np.ndarray, left: np.ndarray, size: int) -> np.ndarray:
        """Whether each window of `size` pixels shares a pixel with such a tile, or holds such a well; bool (m,)."""
        held = inside(self.rows, self.columns, top, left, size).any(axis=0)
        return held | overlap(top, left, size, self.tiles)
