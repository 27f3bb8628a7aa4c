"""Regional trend of elevation: local linear regression with tricube weights (Cleveland, 1979, JASA 74:829).

At every pixel p the trend is the value at p of the plane that fits the pixels q with data best in the sense of

    sum over q of w(|q - p| / radius) (z(q) - a - b (q - p))^2,    w(d) = (1 - d^3)^3 for d < 1, else 0.

The sums that the fit consists of are correlations of the data with w times powers of the offset, and are taken by FFT.
A pixel without data has no part in them: beside missing data and at the edge of the raster the fit rests on what there
is.
"""

import math
from collections import deque
from collections.abc import Iterator

import numpy as np
from scipy import fft

from heatflow.geo.plane import height_of_plane

CELLS = 100  # least number of cells in a radius
BLOCK = 768  # columns of nodes at a time
BATCH = 1024  # rows of pixels, about, whose nodes are found at a time
NODES = 1_500_000  # of a batch, at most, where the raster is wide
WIDE = 8192  # pixels of a row whose cells are summed at a time
MOMENTS = 9  # sums that a plane is fitted to
BEYOND = 2  # nodes beyond the edge of the raster that interpolation needs
Strips = Iterator[tuple[int, np.ndarray]]  # first row and values of each strip of rows, top to bottom
Chunks = deque[tuple[int, np.ndarray]]  # first row of cells, and the sums of some rows: (9, rows, columns)


def detrend(strips: Strips, shape: tuple[int, int], radius: float) -> Strips:
    """Subtract the regional trend from a raster that comes in strips of rows, and pass the strips on.

    Where the radius is 200 pixels or more, pixels are gathered in square cells of at most radius / 100. Each keeps the
    sums that a plane is fitted to, so that a plane is still removed exactly; only the weight is that of the cell's
    centre, and the trend, found at the centres, is interpolated by cubic convolution. On rough terrain that moves the
    trend by less than 0.03 % of the standard deviation of elevation (tests/geo/test_trend.py).

    Parameters
    ----------
    strips : iterator of (int, float array of shape (rows, width))
        First row and elevation of each, top to bottom; metres, NaN for no data.
    shape : (int, int)
        Height and width of the raster.
    radius : float
        Pixels, at least 1.

    Yields
    ------
    row, strip : int, float32 array of shape (rows, width)
        Metres above the trend, NaN where there was no data. Memory holds the rows within a radius of it.

    Examples
    --------
    >>> plane = np.add.outer(100 + 3.0 * np.arange(4), 5.0 * np.arange(6))
    >>> ((row, residual),) = detrend(iter([(0, plane)]), plane.shape, radius=3)
    >>> bool(np.abs(residual).max() < 1e-6)
    True
    """
    (height, width), cell = shape, max(1, int(radius // CELLS))
    fit, cell_rows = _Fit(radius, cell, math.ceil(width / cell)), math.ceil(height / cell)
    batch = min(256, max(16, BATCH // cell), max(16, NODES // fit.columns))  # rows of nodes
    sums: Chunks = deque()  # of whole rows of cells
    begun = np.zeros((MOMENTS, 1, fit.columns))  # the row of cells that the strips have not filled yet
    nodes, first_node, next_node = np.empty((0, fit.columns + 2 * BEYOND)), -BEYOND, -BEYOND
    held: deque[tuple[int, np.ndarray]] = deque()
    for row, strip in strips:
        held.append((row, strip))
        last = (seen := row + len(strip)) == height
        added = _cell_sums(strip, row % cell, cell, radius)
        added[:, :1] += begun
        whole = cell_rows if last else seen // cell
        begun = added[:, whole - row // cell :] if seen % cell else np.zeros_like(begun)
        sums.append((row // cell, added[:, : whole - row // cell]))
        ready = cell_rows + BEYOND if last else whole - fit.reach
        while next_node < ready and (last or ready - next_node >= batch):
            stop = min(next_node + batch, ready)
            nodes = np.concatenate([nodes, fit.nodes(sums, next_node, stop)])
            next_node = stop
            while sums and sums[0][0] + sums[0][1].shape[1] <= next_node - fit.reach:
                sums.popleft()
        while held and (last or (held[0][0] + len(held[0][1])) / cell + 2 <= next_node):
            top, values = held.popleft()
            trend = _interpolate(nodes, first_node, top, len(values), cell)[:, :width]
            yield top, (values - trend).astype(np.float32)
            spent = max(0, (top + len(values)) // cell - 3 - first_node)
            nodes, first_node = nodes[spent:], first_node + spent


def _cell_sums(strip: np.ndarray, skipped: int, cell: int, radius: float) -> np.ndarray:
    """Sums over the cells of a strip of rows, of which the first is row `skipped` of its cell.

    Array (9, rows of cells, columns of cells): the number of pixels with data, sums of their offsets x, y from the
    centre of the cell (in radii), of xx, xy, yy, and the sums of elevation, of x and of y times elevation.
    """
    rows, width = strip.shape
    if width > (part := WIDE // cell * cell):
        parts = (strip[:, left : left + part] for left in range(0, width, part))
        return np.concatenate([_cell_sums(each, skipped, cell, radius) for each in parts], axis=2)
    below, right = -(skipped + rows) % cell, -width % cell
    valid = np.isfinite(strip)
    padded = np.zeros((2, skipped + rows + below, width + right))
    padded[0, skipped : skipped + rows, :width] = valid
    padded[1, skipped : skipped + rows, :width] = np.where(valid, strip, 0)
    offset = (np.arange(cell) - (cell - 1) / 2) / radius
    powers = np.stack([np.ones(cell), offset, offset**2])
    across = padded.reshape(2, -1, (width + right) // cell, cell) @ powers.T
    m, z = np.einsum("aikjp,qk->aqpij", across.reshape(2, -1, cell, *across.shape[2:]), powers, optimize=True)
    return np.stack([m[0, 0], m[0, 1], m[1, 0], m[0, 2], m[1, 1], m[2, 0], z[0, 0], z[0, 1], z[1, 0]])


class _Fit:
    """Local linear fits at the centres of cells (nodes). `radius` and `cell` in pixels, `columns` of cells."""

    def __init__(self, radius: float, cell: int, columns: int) -> None:
        self.columns, self.reach = columns, math.ceil(radius / cell)
        offset = np.arange(-self.reach, self.reach + 1) * (cell / radius)
        y, x = offset[:, None], offset[None]
        w = np.clip(1 - np.hypot(x, y) ** 3, 0, None) ** 3
        self.kernels = np.stack([w, w * x, w * y, w * x * x, w * x * y, w * y * y])
        self.transforms: dict[tuple[int, int], np.ndarray] = {}

    def nodes(self, sums: Chunks, start: int, stop: int) -> np.ndarray:
        """Trend at rows of nodes start to stop, at columns -BEYOND to columns + BEYOND; NaN where there is no data.

        `sums` holds all rows of cells that are within reach.
        """
        out = np.empty((stop - start, self.columns + 2 * BEYOND))
        for left in range(-BEYOND, self.columns + BEYOND, BLOCK):
            right = min(left + BLOCK, self.columns + BEYOND)
            west, east = max(0, left - self.reach), min(self.columns, right + self.reach)
            block = np.zeros((MOMENTS, stop - start + 2 * self.reach, right - left + 2 * self.reach))
            within = block[:, :, west - left + self.reach :][:, :, : east - west]
            for first, chunk in sums:
                top, bottom = max(first, start - self.reach), min(first + chunk.shape[1], stop + self.reach)
                if top < bottom:
                    rows = slice(top - start + self.reach, bottom - start + self.reach)
                    within[:, rows] = chunk[:, top - first : bottom - first, west:east]
            out[:, left + BEYOND : right + BEYOND] = self._block(block, (stop - start, right - left))
        return out

    def _block(self, sums: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Trend at the nodes of a block, from the sums of its cells and of those within reach of it."""
        count = sums[0].sum()
        if not count:
            return np.full(shape, np.nan)
        datum = sums[6].sum() / count  # taken off, so that rounding is that of relief, not of height
        sums[6:] -= datum * sums[:3]
        size = tuple(fft.next_fast_len(n, real=True) for n in sums.shape[1:])
        if size not in self.transforms:
            self.transforms[size] = fft.rfft2(self.kernels, size, workers=-1).conj()
        k, kx, ky, kxx, kxy, kyy = self.transforms[size]
        m, mx, my, mxx, mxy, myy, z, zx, zy = fft.rfft2(sums, size, workers=-1)
        moments = [
            k * m, kx * m + k * mx, ky * m + k * my, kxx * m + 2 * kx * mx + k * mxx,
            kxy * m + kx * my + ky * mx + k * mxy, kyy * m + 2 * ky * my + k * myy,
            k * z, kx * z + k * zx, ky * z + k * zy,
        ]  # fmt: skip
        around = (fft.irfft2(moment, size, workers=-1)[: shape[0], : shape[1]] for moment in moments)
        return datum + height_of_plane(around, least=0.5)  # pixels


def _interpolate(nodes: np.ndarray, first_node: int, row: int, rows: int, cell: int) -> np.ndarray:
    """Cubic convolution (Keys, 1981) of nodes at rows of pixels; columns of pixels from the first cell on."""
    inner = nodes[:, BEYOND:-BEYOND]
    if cell == 1:
        return inner[row - first_node : row - first_node + rows]
    phase = (np.arange(cell) + 0.5) / cell - 0.5  # of each pixel of a cell from the cell's centre, in cells
    taps = _keys(phase[:, None] - np.arange(-2, 3))
    windows = np.lib.stride_tricks.sliding_window_view(nodes, 5, axis=1)
    top, bottom = row // cell, (row + rows - 1) // cell + 1
    across = (windows[top - 2 - first_node : bottom + 2 - first_node] @ taps.T).reshape(bottom - top + 4, -1)
    down = np.lib.stride_tricks.sliding_window_view(across, 5, axis=0) @ taps.T
    return down.transpose(0, 2, 1).reshape(-1, across.shape[1])[row - top * cell :][:rows]


def _keys(distance: np.ndarray) -> np.ndarray:
    """Weight of a node at a distance in cells: cubic convolution with a = -1/2, which reproduces parabolas."""
    d = np.abs(distance)
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
