"""Geometry of the Network-in-Network: one table, by which params are checked and the network is built."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Window(NamedTuple):
    """Of a convolution or a max-pool, pixels."""

    kernel: int
    stride: int
    padding: int


POOL = Window(3, 2, 0)
HEAD = Window(3, 1, 1)


class Layout(NamedTuple):
    """Shapes of the blocks of a network.

    Parameters
    ----------
    first, second, later : Window
        First convolution of the first block, of the second, and of those after it.
    pools : int
        Number of blocks, from the first on, that have a max-pool.
    early : bool
        Each block pools and normalises once, after its first convolution, so that its 1x1 convolutions have a quarter
        of the pixels; otherwise it normalises after each convolution and pools at its end, as in the report.
    """

    first: Window
    second: Window
    later: Window
    pools: int
    early: bool


LAYOUTS = {
    "compact": Layout(Window(7, 5, 0), Window(3, 1, 1), Window(3, 1, 1), pools=2, early=True),
    "report": Layout(Window(5, 3, 0), Window(3, 1, 2), Window(3, 1, 1), pools=6, early=False),
}


def convolutions(blocks: int, layout: str) -> list[Window]:
    """First convolution of each block of a network.

    >>> convolutions(3, "report")[0]
    Window(kernel=5, stride=3, padding=0)
    """
    shapes = LAYOUTS[layout]
    return [shapes.first, shapes.second, *[shapes.later] * max(0, blocks - 2)][:blocks]


def _windows(blocks: int, layout: str) -> Iterator[Window]:
    """All that moves over pixels, from the tile to the class maps."""
    for number, convolution in enumerate(convolutions(blocks, layout)):
        yield convolution
        if number < LAYOUTS[layout].pools:
            yield POOL
    yield HEAD


def min_size(blocks: int, layout: str) -> int:
    """Smallest tile that a network of so many blocks can take, pixels.

    >>> min_size(3, "report"), min_size(3, "compact")
    (35, 37)
    """
    size = 1
    for kernel, stride, padding in reversed([*_windows(blocks, layout)]):
        size = (size - 1) * stride + kernel - 2 * padding
    return size


def shares(cells: int, blocks: int, layout: str, margin: int, size: int) -> list[float]:
    """How much of a tile's edge each pixel of the class maps stands for, where the tile has a margin around it.

    Parameters
    ----------
    cells : int
        Pixels along the edge of the maps.
    blocks, layout
        Of the network.
    margin, size : int
        Pixels of terrain on each side of the tile, and along its edge.

    Returns
    -------
    list of float
        They add up to 1. What the first and the last pixel leave over at the ends of the tile falls to them.

    Examples
    --------
    >>> [round(share, 2) for share in shares(11, 3, "compact", 20, 200)]
    [0.04, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.06]
    """
    stride, centre = lattice(blocks, layout)
    edges = [-math.inf, *(centre + (k + 0.5) * stride for k in range(cells - 1)), math.inf]
    inside = [min(max(edge, margin), margin + size) for edge in edges]
    return [(end - begin) / size for begin, end in pairwise(inside)]


def lattice(blocks: int, layout: str) -> tuple[int, float]:
    """Where the pixels of the class maps lie on a tile.

    Returns
    -------
    stride : int
        Pixels of the tile from one pixel of the maps to the next.
    centre : float
        Place of the centre of the first, pixels from the edge of the tile.

    Examples
    --------
    >>> lattice(3, "report"), lattice(3, "compact")
    ((24, 17.5), (20, 18.5))
    """
    step, centre = 1, 0.5
    for kernel, stride, padding in _windows(blocks, layout):
        centre += ((kernel - 1) / 2 - padding) * step
        step *= stride
    return step, centre
