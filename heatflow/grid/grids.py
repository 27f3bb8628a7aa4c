"""The pixel grid, the tile grid and the window grid: where every pixel, tile and well is.

They are small immutable values, and the only place where map coordinates turn into pixels, tiles or windows.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from rasterio import CRS, Affine, DatasetReader

FINENESS = 4  # pixels of a prediction map, at least, from one window to the next


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
    def from_dataset(cls, dataset: DatasetReader) -> "Grid":
        """Grid of an open rasterio dataset.

        Raises
        ------
        ValueError
            The dataset is not north-up with square pixels.
        """
        t = dataset.transform
        if t.b or t.d or t.a <= 0 or t.e >= 0 or not math.isclose(t.a, -t.e, rel_tol=1e-9):
            raise ValueError(f"{dataset.name}: the grid is not north-up with square pixels (transform {tuple(t)[:6]})")
        return cls(t.c, t.f, t.a, dataset.width, dataset.height, dataset.crs)

    @property
    def transform(self) -> Affine:
        """Affine transform from (column, row) to map coordinates."""
        return Affine(self.resolution, 0, self.left, 0, -self.resolution, self.top)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), the shape of an array on this grid."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in map units."""
        right, bottom = self.left + self.width * self.resolution, self.top - self.height * self.resolution
        return self.left, bottom, right, self.top

    def position(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of points as fractions of pixels from the outer corner of the upper-left pixel.

        The offset is divided by the resolution rather than multiplied by its inverse: 1/200 has no exact binary form,
        and a point on the edge of a pixel would fall to either side.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Map coordinates.

        Returns
        -------
        row, column : float64 arrays, shape (n,)
        """
        row = (self.top - np.asarray(y, dtype=np.float64)) / self.resolution
        return row, (np.asarray(x, dtype=np.float64) - self.left) / self.resolution

    def pixel(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the half-open pixels that hold the points, also where those lie outside the grid.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Finite map coordinates.

        Returns
        -------
        row, column : int64 arrays, shape (n,)
        """
        row, column = (np.floor(place).astype(np.int64) for place in self.position(x, y))
        return row, column

    def contains(self, row: ArrayLike, column: ArrayLike) -> np.ndarray:
        """Whether pixels lie on the grid.

        Parameters
        ----------
        row, column : array_like of int, shape (n,)

        Returns
        -------
        bool array, shape (n,)
        """
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

    def __post_init__(self) -> None:
        if self.size < 1 or self.stride < 1:
            raise ValueError(f"tile size ({self.size}) and stride ({self.stride}) must be at least one pixel")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of (rows, columns) of tiles."""
        rows, columns = (max(0, (n - self.size) // self.stride + 1) for n in self.grid.shape)
        return rows, columns

    def bounds(self, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, ...]:
        """(left, bottom, right, top) of tile(s) (row, col) in map units."""
        res = self.grid.resolution
        left = self.grid.left + col * (self.stride * res)
        top = self.grid.top - row * (self.stride * res)
        return left, top - self.size * res, left + self.size * res, top

    def ids(self, row: np.ndarray, col: np.ndarray) -> np.ndarray:
        """Number of each tile: its row times the number of columns, plus its column; int array (n,)."""
        return row * self.shape[1] + col

    def rows_and_columns(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of tiles by their numbers, the inverse of `ids`; int arrays (n,).

        >>> TileGrid(Grid(0, 100, 1, 100, 100, CRS.from_epsg(32611)), size=40, stride=40).rows_and_columns(3)
        (1, 1)
        """
        return ids // self.shape[1], ids % self.shape[1]

    def corners(self, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the upper-left pixels of tiles; int arrays (n,)."""
        return row * self.stride, col * self.stride

    def centres(self, row: ArrayLike, col: ArrayLike) -> np.ndarray:
        """Row and column of the centres of tiles, pixels from the corner of the grid; float64 (n, 2).

        >>> TileGrid(Grid(0, 100, 1, 100, 100, CRS.from_epsg(32611)), size=40, stride=40).centres([0, 1], [0, 0])
        array([[20., 20.],
               [60., 20.]])
        """
        return np.column_stack([row, col]) * self.stride + self.size / 2

    def tiles_of(self, pixel_row: ArrayLike, pixel_col: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        (rows, row_holds), (cols, col_holds) = (
            self._along(np.asarray(pixel, dtype=np.int64), count)
            for pixel, count in zip((pixel_row, pixel_col), self.shape, strict=True)
        )
        index, up, left = np.nonzero(row_holds[:, :, None] & col_holds[:, None])
        return index, rows[index, up], cols[index, left]

    def _along(self, pixel: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Along one axis, the tiles that may hold each pixel, ascending, and which of them do; arrays (n, tiles)."""
        reach = -(-self.size // self.stride)  # 1 where tiles do not overlap
        tile = pixel[:, None] // self.stride - np.arange(reach)[::-1]
        return tile, (tile >= 0) & (tile < count) & (pixel[:, None] - tile * self.stride < self.size)


@dataclass(frozen=True)
class WindowGrid:
    """Windows of `size` pixels every `stride` pixels of a grid, and the coarser grid of the map that they make.

    A window of 40 km shows no detail of 200 m. A pixel of the map has `cell` pixels of the grid along its edge: a
    quarter of the stride or less, where that divides both size and stride. Up to `cell` - 1 pixels along the right and
    the lower edge of the grid, which fill no pixel of the map, are left out.

    Parameters
    ----------
    grid : Grid
    size : int
        Edge of a window in pixels.
    stride : int
        Distance between the corners of neighbouring windows in pixels.

    Examples
    --------
    >>> windows = WindowGrid(Grid(0, 0, 1, 100, 100, CRS.from_epsg(32611)), size=40, stride=20)
    >>> windows.cell
    5
    >>> windows.starts(93).tolist()
    [0, 20, 40, 50]
    """

    grid: Grid
    size: int
    stride: int

    @property
    def cell(self) -> int:
        """Edge of a pixel of the map, pixels of the grid."""
        cell = math.gcd(self.size, self.stride)
        while cell * FINENESS > self.stride and cell % 2 == 0:
            cell //= 2
        return cell

    @property
    def cells(self) -> int:
        """Edge of a window, pixels of the map."""
        return self.size // self.cell

    @property
    def map_grid(self) -> Grid:
        """Grid of the map, with the corner of `grid`."""
        g, cell = self.grid, self.cell
        return Grid(g.left, g.top, g.resolution * cell, g.width // cell, g.height // cell, g.crs)

    def starts(self, length: int) -> np.ndarray:
        """First pixels of the windows along an axis of `length` pixels; the last window ends with the map."""
        last = (length // self.cell) * self.cell - self.size
        if last < 0:
            return np.array([], dtype=int)
        return np.unique(np.append(np.arange(0, last + 1, self.stride), last))
