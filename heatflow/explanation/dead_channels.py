"""Dead channels: those that a ReLU keeps at 0 on every tile. No gradient flows back through them."""

from typing import Any

import numpy as np
import torch
from torch import nn

from heatflow.explanation.explained_tiles import ExplainedTiles


def dead_channels(network: nn.Module, tiles: torch.Tensor, batch_size: int = 20) -> list[float]:
    """Share of the channels of each ReLU, in the order of the network, that are 0 everywhere on every tile.

    Where all channels are dead, every map is zero.

    Parameters
    ----------
    network : Module
        In evaluation mode. It is left without hooks.
    tiles : float tensor, shape (n, channels, size, size)
        Normalised elevation.
    batch_size : int, optional
        Tiles at a time.
    """
    alive: dict[nn.Module, torch.Tensor] = {}

    def watch(module: nn.Module, given: Any, out: torch.Tensor) -> None:
        active = (out > 0).any(dim=0).flatten(1).any(dim=1)
        alive[module] = alive.get(module, torch.zeros_like(active)) | active

    handles = [m.register_forward_hook(watch) for m in network.modules() if isinstance(m, nn.ReLU)]
    try:
        with torch.no_grad():
            for batch in tiles.split(batch_size):
                network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return [1 - float(active.float().mean()) for active in alive.values()]


def dead_channels_of(tiles: ExplainedTiles, fold: int) -> list[float]:
    """`dead_channels` of the first network of a fold, on the tiles that it tests."""
    networks = tiles.networks
    here = np.flatnonzero(networks.data.test_fold == fold)
    ((_, _, (network, *_)),) = networks.folds(here)
    return dead_channels(network, networks.inputs(fold, here))
