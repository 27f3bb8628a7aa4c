"""Can a saliency map be trusted: does it depend on what the network has learnt?"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from heatflow.learning.network import NetworkInNetwork

BLIND = 0.9  # rank correlation above which a map hardly minds that the classifier was drawn anew
EVERY = 4  # pixels along each axis between those that ranks are taken of


def randomised(network: NetworkInNetwork, tiles: torch.Tensor) -> Iterator[tuple[str, NetworkInNetwork]]:
    """Copies of a network whose parameters are drawn anew from the top down, each with all above it drawn anew too.

    Cascading randomisation (Adebayo et al., 2018, arXiv:1810.03292). Batch normalisation gathers its statistics anew
    from `tiles`, so that maps differ by what was learnt and not by activations of the wrong size.

    Yields
    ------
    name : "classifier" (the last convolution), "head" (its whole block), then "block 3" and so on down to "block 1"
    network : in evaluation mode
    """
    network = copy.deepcopy(network)
    blocks = [m for m in network.body if isinstance(m, nn.Sequential)]
    last = [m for m in network.head if isinstance(m, nn.Conv2d)][-1:]
    parts: list[tuple[str, list[nn.Module]]] = [("classifier", [*last]), ("head", [*network.head.modules()])]
    parts += [(f"block {k + 1}", [*block.modules()]) for k, block in reversed(list(enumerate(blocks)))]
    for name, modules in parts:
        for module in modules:
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
                module.reset_parameters()
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # the plain mean over batches
        with torch.no_grad():
            network(tiles)
        yield name, network.eval()


def randomisation_test(
    network: NetworkInNetwork, tiles: torch.Tensor, explain: Callable[[nn.Module], np.ndarray]
) -> dict[str, float]:
    """Rank correlation of |saliency| of a network with that of copies of it that have forgotten, from the top down.

    A map that shows what the network has learnt loses its likeness; one that keeps it shows the terrain's edges, or the
    wiring. Lower is better.

    Parameters
    ----------
    network : in evaluation mode
    tiles : float tensor, shape (n, 1, size, size)
    explain : maps (n, size, size) of the tiles for a network

    Returns
    -------
    dict from the names of `randomised` to the mean over the tiles of Spearman's rank correlation; NaN where a map is
    the same everywhere
    """
    trained = explain(network)
    return {name: _likeness(trained, explain(other)) for name, other in randomised(network, tiles)}


def _likeness(one, other):
    found = []
    for a, b in zip(np.abs(one[:, ::EVERY, ::EVERY]), np.abs(other[:, ::EVERY, ::EVERY]), strict=True):
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            found.append(spearmanr(a.ravel(), b.ravel()).statistic)
    return float(np.mean(found)) if found else float("nan")


def dead_units(network: nn.Module, tiles: torch.Tensor, batch_size: int = 20) -> list[float]:
    """Share of the channels of each ReLU, in the order of the network, that are 0 everywhere on every tile.

    Nothing flows back through a dead channel: where all are dead, every map is zero.
    """
    alive: dict[nn.Module, torch.Tensor] = {}

    def watch(module, given, out):
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
