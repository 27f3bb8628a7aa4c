"""Can a saliency map be trusted: does it depend on what was learnt, does it come out again, does it name what matters?

Randomisation of parameters and of labels: Adebayo et al. (2018), arXiv:1810.03292. Deletion and insertion: Petsiuk, Das
and Saenko (2018), arXiv:1806.07421.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from torch import nn

from heatflow.learning.augment import pipeline
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import Part, Recipe, TileSource, train_network

CLASSIFIERS = 8  # drawn one after the other in the randomisation test
SHUFFLED_EPOCHS = 8  # of a network on labels dealt out at random
CELLS = 20  # squares along each edge of a tile that are taken away or brought back as a whole
STEPS = np.linspace(0, 1, 11)  # shares of the terrain
EVERY = 4  # pixels along each axis between those that ranks are taken of


def randomised(network: NetworkInNetwork, tiles: torch.Tensor) -> Iterator[tuple[str, NetworkInNetwork]]:
    """Copies of a network whose parameters are drawn anew from the top down, each with all above it drawn anew too.

    Cascading randomisation (Adebayo et al., 2018, arXiv:1810.03292). Batch normalisation that was drawn anew gathers
    its statistics from `tiles`, so that maps differ by what was learnt and not by activations of the wrong size; that
    of the layers below keeps what it has.

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
    the same everywhere. The classifier has a dozen or so parameters, and much depends on how they fall: its number is
    the mean over CLASSIFIERS draws, those that leave nothing of a map not among them.
    """
    trained = explain(network)
    first = [likeness(trained, explain(next(randomised(network, tiles))[1])) for _ in range(CLASSIFIERS - 1)]
    found = {name: likeness(trained, explain(other)) for name, other in randomised(network, tiles)}
    drawn = np.array([*first, found["classifier"]])
    there = np.isfinite(drawn)
    return found | {"classifier": float(drawn[there].mean()) if there.any() else float("nan")}


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over the tiles of Spearman's rank correlation of the sizes of two sets of maps, (n, size, size).

    NaN where every map is the same everywhere.
    """
    found = []
    for a, b in zip(np.abs(one[:, ::EVERY, ::EVERY]), np.abs(other[:, ::EVERY, ::EVERY]), strict=True):
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            found.append(spearmanr(a.ravel(), b.ravel()).statistic)
    return float(np.mean(found)) if found else float("nan")


def of_shuffled_labels(network: NetworkInNetwork, part: Part, batch_size: int, engine: Engine) -> NetworkInNetwork:
    """A network of the same make, fitted to the same tiles with their labels dealt out at random.

    It has learnt terrain, but nothing of heat.

    Parameters
    ----------
    part : the training tiles of a fold with their true labels
    """
    other = NetworkInNetwork(**network.settings)
    shuffled = Part(part.tiles, part.labels[torch.randperm(len(part.labels))])
    recipe = Recipe(
        epochs=SHUFFLED_EPOCHS, batch_size=batch_size, lr=0.005, optimizer="adamw", momentum=0, weight_decay=0,
        schedule="one_cycle", class_weights=False, early_stopping=None,
    )  # fmt: skip
    source = TileSource(shuffled, pipeline(flip=False, rotation=0, noise=0))
    train_network(other, source, Part(part.tiles[:1], part.labels[:1]), recipe, engine)
    return other.eval()


def removal_curves(
    probability: Callable[[np.ndarray], np.ndarray],
    elevation: np.ndarray,
    background: np.ndarray,
    importance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Probability while terrain is taken away, the most important first, and while it is brought back.

    Parameters
    ----------
    probability : of the class explained, (n,), for terrain (n, size, size)
    elevation : float32 array, shape (n, size, size), metres
    background : the same terrain without its detail
    importance : float array, shape (n, size, size): squares of the tile go in the order of its mean over each

    Returns
    -------
    deletion, insertion : float arrays, shape (n, len(STEPS)); a low deletion and a high insertion curve are better
    """
    if not len(elevation):
        return np.empty((0, len(STEPS))), np.empty((0, len(STEPS)))
    size = elevation.shape[-1]
    cell = np.arange(size) * CELLS // size
    number = (cell[:, None] * CELLS + cell).ravel()
    cells = np.bincount(number, minlength=CELLS**2)
    per_cell = np.stack(
        [np.bincount(number, np.nan_to_num(m).ravel(), CELLS**2) / np.maximum(cells, 1) for m in importance]
    )
    rank = np.argsort(np.argsort(-per_cell, axis=1, kind="stable"), axis=1)[:, number].reshape(elevation.shape)
    curves = []
    for share in STEPS:
        # soft edges: a cliff around each square would be terrain of its own
        taken = gaussian_filter((rank < share * CELLS**2).astype(np.float32), (0, size / CELLS / 4, size / CELLS / 4))
        without = elevation * (1 - taken) + background * taken
        alone = elevation * taken + background * (1 - taken)
        curves.append((probability(without), probability(alone)))
    deletion, insertion = np.moveaxis(np.array(curves), 0, -1)
    return deletion, insertion


def area(curve: np.ndarray) -> np.ndarray:
    """Mean height of curves (n, len(STEPS)) over the share of terrain, (n,)."""
    return np.trapezoid(curve, STEPS, axis=-1)


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
