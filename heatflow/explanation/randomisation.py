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

EVERY = 4  # pixels along each axis between those that are ranked
Explain = Callable[[NetworkInNetwork, np.ndarray], np.ndarray]  # maps of some of the tiles, by their number


def randomised(network: NetworkInNetwork, tiles: torch.Tensor) -> Iterator[tuple[str, NetworkInNetwork]]:
    """Networks whose parameters are randomised from the top down, each with all layers above it randomised too.

    Cascading randomisation (Adebayo et al., 2018). Batch normalisation that was randomised gathers its statistics from
    `tiles`, so that maps differ by what was learnt and not by activations of the wrong size. The layers below keep
    their statistics.

    Yields
    ------
    name : str
        "classifier" (the last convolution), "head" (all after the body), then "block 3" and so on down to "block 1".
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


def cascade(network: NetworkInNetwork, tiles: torch.Tensor, explain: Explain) -> dict[str, float]:
    """Mean rank correlation of the maps of a network with those of its `randomised` copies, from the top down.

    A map that shows what the network has learnt loses its correlation. A map that keeps it shows the edges of the
    terrain, or the architecture. Lower is better.

    Parameters
    ----------
    network : NetworkInNetwork
        In evaluation mode.
    tiles : float tensor, shape (n, channels, size, size)
        Normalised elevation, for the statistics of batch normalisation.
    explain : callable

    Returns
    -------
    dict of str to float
        For each name of `randomised`; NaN where all maps are constant.
    """
    every = np.arange(len(tiles))
    trained = explain(network, every)
    return {name: mean(rank_correlations(trained, explain(other, every))) for name, other in randomised(network, tiles)}


def agreement(
    network: NetworkInNetwork, other: NetworkInNetwork, tiles: torch.Tensor, explain: Explain
) -> dict[str, np.ndarray]:
    """Rank correlation of the map of each tile with that of another network, and of the network with a random head.

    Each tile has a random head of its own, so that the draws are independent.

    Parameters
    ----------
    network, other : NetworkInNetwork
        Trained alike, from other seeds.
    tiles : float tensor, shape (n, channels, size, size)
        Normalised elevation, for the statistics of batch normalisation.
    explain : callable

    Returns
    -------
    dict of str to float64 array, shape (n,)
        ``again``, with the other network, and ``head``, with the random head; NaN where a map is constant.
    """
    every = np.arange(len(tiles))
    trained = explain(network, every)
    heads = (next(copy for name, copy in randomised(network, tiles) if name == "head") for _ in every)
    random = np.concatenate([explain(head, every[k : k + 1]) for k, head in enumerate(heads)])
    again = rank_correlations(trained, explain(other, every))
    return {"again": again, "head": rank_correlations(trained, random)}


def rank_correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of the maps of each tile.

    Parameters
    ----------
    one, other : float arrays, shape (n, size, size)
        What pixels are ranked by (`heatflow.explanation.attribution.importance`).

    Returns
    -------
    float64 array, shape (n,)
        NaN where one of the maps is constant.
    """
    pairs = zip(one[:, ::EVERY, ::EVERY], other[:, ::EVERY, ::EVERY], strict=True)
    return np.array([
        spearmanr(a.ravel(), b.ravel()).statistic if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan for a, b in pairs
    ])  # fmt: skip


def mean(correlations: np.ndarray) -> float:
    """Mean of the correlations that have a value; NaN where none has."""
    finite = correlations[np.isfinite(correlations)]
    return float(finite.mean()) if finite.size else float("nan")


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
