"""The pixel grid and the tile grid: where every pixel, tile and well is.

Both are small immutable values. They are the only place where map coordinates turn into pixels or tiles,
so there is no second opinion on which tile a well belongs to.
"""

import math
from dataclasses import dataclass

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine


@dataclass(frozen=True)
class Grid:
    """A north-up raster grid of square pixels.

    Parameters
    ----------
    left, top : float
        Map coordinates of the outer corner of the upper-left pixel, in the unit of `crs`.
    resolution : float
        Edge of a pixel, in the unit of `crs`.
    width, height : int
        Size in pixels.
    crs : rasterio.crs.CRS
        Projected coordinate reference system.

    Examples
    --------
    >>> grid = Grid(left=1000, top=5000, resolution=200, width=10, height=5, crs=CRS.from_epsg(32611))
    >>> grid.bounds
    (1000, 4000, 3000, 5000)
    >>> grid.pixel([1000, 1399.9], [5000, 4600])
    (array([0, 2]), array([0, 1]))
    """

    left: float
    top: float
    resolution: float
    width: int
    height: int
    crs: CRS

    @classmethod
    def of(cls, dataset):
        """The grid of an open rasterio dataset, which must be north-up with square pixels."""
        t = dataset.transform
        if t.b or t.d or t.a <= 0 or t.e >= 0 or not math.isclose(t.a, -t.e, rel_tol=1e-9):
            raise ValueError(f"{dataset.name}: the grid is not north-up with square pixels (transform {tuple(t)[:6]})")
        return cls(t.c, t.f, t.a, dataset.width, dataset.height, dataset.crs)

    @property
    def transform(self) -> Affine:
        return Affine(self.resolution, 0, self.left, 0, -self.resolution, self.top)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), the shape of an array on this grid."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in map units."""
        return (
            self.left,
            self.top - self.height * self.resolution,
            self.left + self.width * self.resolution,
            self.top,
        )

    def pixel(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the half-open pixels that hold the points, also where those lie outside the grid.

        The offset is divided by the resolution rather than multiplied by its inverse: 1/200 has no exact binary
        form, and a point on an edge would fall to either side.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Finite map coordinates.

        Returns
        -------
        row, column : int64 arrays, shape (n,)
        """
        column = np.floor((np.asarray(x, dtype=np.float64) - self.left) / self.resolution)
        row = np.floor((self.top - np.asarray(y, dtype=np.float64)) / self.resolution)
        return row.astype(np.int64), column.astype(np.int64)

    def contains(self, row, column) -> np.ndarray:
        """Whether pixels (row, column) lie on the grid; boolean array."""
        row, column = np.asarray(row), np.asarray(column)
        return (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)


@dataclass(frozen=True)
class TileGrid:
    """Square tiles on a pixel grid, the first at its upper-left corner.

    Tiles that would reach past the right or bottom edge of the grid do not exist.

    Parameters
    ----------
    grid : Grid
    size : int
        Edge of a tile in pixels.
    stride : int
        Distance between the corners of neighbouring tiles in pixels. Smaller than `size`: tiles overlap;
        larger: there are gaps.

    Examples
    --------
    >>> grid = Grid(left=0, top=100, resolution=1, width=100, height=100, crs=CRS.from_epsg(32611))
    >>> tiles = TileGrid(grid, size=40, stride=40)
    >>> tiles.shape
    (2, 2)
    >>> tiles.bounds(1, 0)
    (0, 20, 40, 60)
    """

    grid: Grid
    size: int
    stride: int

    def __post_init__(self):
        if self.size < 1 or self.stride < 1:
            raise ValueError(f"tile size ({self.size}) and stride ({self.stride}) must be at least one pixel")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of (rows, columns) of tiles."""
        rows, columns = (max(0, (n - self.size) // self.stride + 1) for n in self.grid.shape)
        return rows, columns

    def bounds(self, row, col):
        """(left, bottom, right, top) of tile(s) (row, col) in map units."""
        res = self.grid.resolution
        left = self.grid.left + col * (self.stride * res)
        top = self.grid.top - row * (self.stride * res)
        return left, top - self.size * res, left + self.size * res, top

    def centres(self, row, col) -> np.ndarray:
        """Row and column of the centres of tiles, pixels from the corner of the grid; float64 (n, 2).

        >>> TileGrid(Grid(0, 100, 1, 100, 100, CRS.from_epsg(32611)), size=40, stride=40).centres([0, 1], [0, 0])
        array([[20., 20.],
               [60., 20.]])
        """
        return np.column_stack([row, col]) * self.stride + self.size / 2

    def tiles_of(self, pixel_row, pixel_col) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The tiles that hold each pixel: exactly one where stride equals size, several where tiles overlap.

        Parameters
        ----------
        pixel_row, pixel_col : int arrays, shape (n,)

        Returns
        -------
        index, row, col : int64 arrays, shape (m,)
            One entry for every (pixel, tile) pair, `index` pointing into the input. A pixel in no tile
            (a gap, the margin past the last whole tile) has no entry.
        """
        pixel_row = np.asarray(pixel_row, dtype=np.int64)
        pixel_col = np.asarray(pixel_col, dtype=np.int64)
        rows, cols = self.shape
        last_row, last_col = pixel_row // self.stride, pixel_col // self.stride
        reach = range(-(-self.size // self.stride))  # one where tiles do not overlap
        found = []
        for up in reach:
            for back in reach:
                row, col = last_row - up, last_col - back
                inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
                if self.size != self.stride:
                    inside &= pixel_row - row * self.stride < self.size
                    inside &= pixel_col - col * self.stride < self.size
                index = np.flatnonzero(inside)
                found.append((index, row[index], col[index]))
        if len(found) == 1:
            return found[0]
        index, row, col = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((col, row, index))
        return index[order], row[order], col[order]
