"""Saliency: which pixels of a tile move the score of its class, and the maps put back on the ground.

Gradient: Simonyan, Vedaldi and Zisserman (2014), arXiv:1312.6034. Guided backpropagation: Springenberg et al. (2015),
arXiv:1412.6806, a gradient that drops what is negative at each ReLU on its way back.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import GuidedBackprop, Saliency
from torch import nn

from heatflow.geo.grid import TileGrid

TITLES = {"gradient": "gradient", "guided_backprop": "guided backpropagation"}


def attribute(
    network: nn.Module,
    tiles: torch.Tensor,
    target: torch.Tensor,
    method: str,
    batch_size: int,
    on_tiles: Callable[[int], None] = lambda n: None,
) -> np.ndarray:
    """Signed saliency of one class for each tile.

    Parameters
    ----------
    network : in evaluation mode
    tiles : float tensor, shape (n, 1, size, size), normalised
    target : int64 tensor, shape (n,)
        The class whose score is explained, for each tile.
    method : "gradient" or "guided_backprop"

    Returns
    -------
    float32 array, shape (n, size, size)
        Change of the class score per unit of normalised elevation (for guided backpropagation: what is left of it).
    """
    method_of = {"gradient": Saliency, "guided_backprop": GuidedBackprop}[method](network)
    keywords = {"abs": False} if method == "gradient" else {}
    maps = []
    with warnings.catch_warnings():
        # captum says that it sets requires_grad on its input, and hooks on ReLUs: both are what is asked for
        warnings.filterwarnings("ignore", message="Input Tensor .* did not already require gradients")
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        for batch, classes in zip(tiles.split(batch_size), target.split(batch_size), strict=True):
            batch = batch.detach().clone(memory_format=torch.channels_last)
            gradient = method_of.attribute(batch, target=classes, **keywords)
            maps.append(gradient[:, 0].detach().cpu().float().numpy())
            on_tiles(len(batch))
    return np.concatenate(maps)


def surest_examples(label: np.ndarray, probability: np.ndarray) -> list[int | None]:
    """For each class the correct and then the incorrect tile that the network is surest of, None where there is none.

    Parameters
    ----------
    label : int array, shape (n,)
    probability : float array, shape (n, classes)

    Examples
    --------
    >>> surest_examples(np.array([0, 0, 1]), np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]]))
    [1, None, None, 2]
    """
    predicted, sureness = probability.argmax(axis=1), probability.max(axis=1)
    examples: list[int | None] = []
    for k in range(probability.shape[1]):
        for correct in (True, False):
            here = np.flatnonzero((label == k) & ((predicted == k) == correct))
            examples.append(int(here[sureness[here].argmax()]) if here.size else None)
    return examples


def mosaic(maps: np.ndarray, table, tiles: TileGrid, first: int, last: int) -> np.ndarray:
    """Rows `first` to `last` of the terrain's grid with the maps in their places; NaN where there is no tile.

    Where tiles overlap, the mean of their maps.

    Parameters
    ----------
    maps : float32 array, shape (n, size, size)
    table : ``row`` and ``col`` of each tile on the tile grid

    Returns
    -------
    float32 array, shape (last - first, grid.width)
    """
    total = np.zeros((last - first, tiles.grid.width))
    count = np.zeros(total.shape, dtype=np.int32)
    tops = table["row"].to_numpy() * tiles.stride
    lefts = table["col"].to_numpy() * tiles.stride
    for k in np.flatnonzero((tops < last) & (tops + tiles.size > first)):
        top, left = int(tops[k]), int(lefts[k])
        r0, r1 = max(first, top), min(last, top + tiles.size)
        part = maps[k, r0 - top : r1 - top]
        there = np.isfinite(part)
        place = slice(r0 - first, r1 - first), slice(left, left + tiles.size)
        total[place] += np.where(there, part, 0)
        count[place] += there
    with np.errstate(invalid="ignore"):
        return (total / np.where(count, count, np.nan)).astype(np.float32)
