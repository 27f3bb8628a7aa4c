"""Parameter and label randomisation: does a map depend on what the network has learnt?

Adebayo et al. (2018), arXiv:1810.03292.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from heatflow.config.schema import Recipe
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import Part, TileSource, train_network

CLASSIFIERS = 8  # random classifiers, one after the other, in the randomisation test
EVERY = 4  # pixels along each axis between those that are ranked


def randomised(network: NetworkInNetwork, tiles: torch.Tensor) -> Iterator[tuple[str, NetworkInNetwork]]:
    """Networks whose parameters are randomised from the top down, each with all layers above it randomised too.

    Cascading randomisation (Adebayo et al., 2018). Batch normalisation that was randomised gathers its statistics from
    `tiles`, so that maps differ by what was learnt and not by activations of the wrong size. The layers below keep
    their statistics.

    Yields
    ------
    name : str
        "classifier" (the last convolution), "head" (its whole block), then "block 3" and so on down to "block 1".
    network : NetworkInNetwork
        In evaluation mode: one copy of the network given, randomised further at each step.
    """
    network = copy.deepcopy(network)
    blocks = [m for m in network.body if isinstance(m, nn.Sequential)]
    last = [m for m in network.head if isinstance(m, nn.Conv2d)][-1:]
    parts: list[tuple[str, list[nn.Module]]] = [("classifier", [*last]), ("head", [*network.head.modules()])]
    parts += [(f"block {k + 1}", [*block.modules()]) for k, block in reversed(list(enumerate(blocks)))]
    norms: list[nn.BatchNorm2d] = []
    for name, modules in parts:
        for module in modules:
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
                module.reset_parameters()
        norms += [m for m in modules if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # the plain mean over batches
        if norms:
            with torch.no_grad():
                network(tiles)
        yield name, network.eval()


def randomisation_test(
    network: NetworkInNetwork, tiles: torch.Tensor, explain: Callable[[NetworkInNetwork], np.ndarray]
) -> dict[str, float]:
    """Rank correlation of |saliency| of a network with that of its `randomised` copies, from the top down.

    A map that shows what the network has learnt loses its correlation. A map that keeps it shows the edges of the
    terrain, or the architecture. Lower is better.

    Parameters
    ----------
    network : NetworkInNetwork
        In evaluation mode.
    tiles : float tensor, shape (n, 1, size, size)
        Normalised elevation.
    explain : callable
        Maps (n, size, size) of the tiles for a network.

    Returns
    -------
    dict of str to float
        For each name of `randomised` the `rank_correlation`. The classifier has few parameters, so that its draws
        differ: its number is the mean over CLASSIFIERS draws, without those that leave every map constant.
    """
    trained = explain(network)
    draws = [rank_correlation(trained, explain(next(randomised(network, tiles))[1])) for _ in range(CLASSIFIERS - 1)]
    scores = {name: rank_correlation(trained, explain(other)) for name, other in randomised(network, tiles)}
    finite = [value for value in (*draws, scores["classifier"]) if np.isfinite(value)]
    return scores | {"classifier": float(np.mean(finite)) if finite else float("nan")}


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over the tiles of Spearman's rank correlation of the absolute values of two sets of maps.

    Parameters
    ----------
    one, other : float arrays, shape (n, size, size)

    Returns
    -------
    float
        Tiles where one of the maps is constant are left out; NaN where no tile is left.
    """
    values = [
        spearmanr(a.ravel(), b.ravel()).statistic
        for a, b in zip(np.abs(one[:, ::EVERY, ::EVERY]), np.abs(other[:, ::EVERY, ::EVERY]), strict=True)
        if np.ptp(a) > 0 and np.ptp(b) > 0
    ]
    return float(np.mean(values)) if values else float("nan")


def fit_shuffled_labels(network: NetworkInNetwork, part: Part, recipe: Recipe, engine: Engine) -> NetworkInNetwork:
    """A network of the same architecture, fitted to the same tiles with shuffled labels.

    It has learnt terrain, but nothing of heat flow.

    Parameters
    ----------
    network : NetworkInNetwork
        Its settings are used, its weights are not.
    part : Part
        The training tiles of a fold with their true labels.
    recipe : Recipe
        That of the network given: a shorter training would leave other maps by itself. It is not stopped early, as
        nothing is to be learnt for other tiles.
    engine : Engine
    """
    other = NetworkInNetwork(**network.settings)
    shuffled = Part(part.tiles, part.labels[torch.randperm(len(part.labels))])
    recipe = recipe.model_copy(update={"early_stopping": None})
    train_network(other, TileSource(shuffled, nn.Identity()), None, recipe, engine)
    return other.eval()
