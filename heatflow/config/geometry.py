"""Geometry of the Network-in-Network: one table, by which params are checked and the network is built."""

from typing import NamedTuple


class Convolution(NamedTuple):
    """First convolution of a block, pixels."""

    kernel: int
    stride: int
    padding: int


FIRST, SECOND, LATER = Convolution(5, 3, 0), Convolution(3, 1, 2), Convolution(3, 1, 1)
POOL = Convolution(3, 2, 0)  # max-pool after every block


def convolutions(blocks: int) -> list[Convolution]:
    """First convolution of each block of a network.

    >>> convolutions(3)[0]
    Convolution(kernel=5, stride=3, padding=0)
    """
    return [FIRST, SECOND, *[LATER] * max(0, blocks - 2)][:blocks]


def min_size(blocks: int) -> int:
    """Smallest tile that a network of so many blocks can take, pixels.

    >>> min_size(3)
    35
    """
    size = 1
    for conv in reversed(convolutions(blocks)):
        size = (size - 1) * POOL.stride + POOL.kernel
        size = (size - 1) * conv.stride + conv.kernel - 2 * conv.padding
    return size


def stride(blocks: int) -> int:
    """Pixels of the tile from one pixel of the class maps to the next.

    >>> stride(3)
    24
    """
    pixels = 1
    for conv in convolutions(blocks):
        pixels *= conv.stride * POOL.stride
    return pixels
