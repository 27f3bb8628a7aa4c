"""Out-of-fold predictions: class probabilities of every tile from the networks that were trained without its fold."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import COMPARED
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import predict, reproducible

BATCH = 20  # tiles at a time


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold class probabilities of all tiles.

    Parameters
    ----------
    by_network : dict of (str, int) to float64 array, shape (n, classes)
        Of each repeat of the split and each seed by its number.

    Examples
    --------
    >>> first, second = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> Predictions({("0", 0): first, ("0", 1): second}).mean()
    array([[0.75, 0.25]])
    """

    by_network: dict[tuple[str, int], np.ndarray]

    def members(self, random: bool = False) -> np.ndarray:
        """Of each repeat and seed, of the blocks or of the random split; float64 (members, n, classes)."""
        return np.array([p for (repeat, _), p in self.by_network.items() if (repeat == COMPARED) == random])

    def mean(self, random: bool = False) -> np.ndarray:
        """Mean over repeats and seeds, of the blocks or of the random split; float64 (n, classes)."""
        return self.members(random).mean(axis=0)


def class_probabilities(network: NetworkInNetwork, tiles: torch.Tensor, batch_size: int, engine: Engine) -> np.ndarray:
    """Class probabilities of tiles by one network.

    Parameters
    ----------
    network : NetworkInNetwork
        On the device of the engine.
    tiles : Tensor, shape (m, 1, size, size)
        Normalised, on the device.
    batch_size : int
        Tiles at a time.
    engine : Engine

    Returns
    -------
    float64 array, shape (m, classes)
    """
    return predict(network, tiles, batch_size, engine).double().softmax(dim=1).cpu().numpy()


def predict_out_of_fold(data: FoldData, load: Callable[[int], list[NetworkInNetwork]], engine: Engine,
                        on_fold: Callable[[], object] = lambda: None) -> Predictions:  # fmt: skip
    """Predict every tile by the networks of the folds that test it.

    Parameters
    ----------
    data : FoldData
    load : callable
        Gives the networks of a fold, one for each seed, by its number.
    engine : Engine
    on_fold : callable
        Called after each fold.

    Returns
    -------
    Predictions

    Examples
    --------
    >>> from functools import partial
    >>> from heatflow.learning.models import load_networks
    >>> predict_out_of_fold(data, partial(load_networks, Path("data/models")), engine)  # doctest: +SKIP
    """
    by_network: dict[tuple[str, int], np.ndarray] = {}
    with reproducible(0):
        for fold in range(data.folds):
            index = data.members(fold, "test")
            tiles = data.inputs(fold, index, engine.device)
            for seed, network in enumerate(load(fold)):
                engine.place(network)
                probability = class_probabilities(network, tiles, BATCH, engine)
                key, shape = (str(data.split.repeat[fold]), seed), (len(data.table), probability.shape[1])
                by_network.setdefault(key, np.empty(shape))[index] = probability
            on_fold()
    return Predictions(by_network)
