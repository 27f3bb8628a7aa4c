"""Tiles beside the networks that have not seen them: everything that is said of a tile comes from those."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from heatflow.explanation.attribution import PER_ELEVATION, Evidence, attribute, over_shifts
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.inputs import network_inputs
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import predict, reproducible


@dataclass(frozen=True)
class Unseen:
    """`networks` are those of each fold, in evaluation mode; `first_high` is the lowest class above the binary edge."""

    data: FoldData
    networks: list[list[NetworkInNetwork]]
    engine: Engine
    first_high: int
    batch_size: int

    def folds(self, index: np.ndarray) -> Iterator[tuple[int, np.ndarray, list[NetworkInNetwork]]]:
        """For each fold its number, which of `index` it tests (positions in it) and its networks, on the device."""
        fold = self.data.test_fold[index]
        for k in np.unique(fold).tolist():
            for network in self.networks[k]:
                self.engine.place(network)
            yield k, np.flatnonzero(fold == k), self.networks[k]

    def inputs(self, fold: int, elevation: np.ndarray) -> torch.Tensor:
        """Terrain (m, size, size) in metres as the networks of a fold see it, (m, 1, size, size)."""
        return network_inputs(elevation, self.data.scalings[fold], self.engine.device)

    def maps(
        self,
        method: str,
        index: np.ndarray,
        target: np.ndarray | None,
        shifts: int = 1,
        on_tiles: Callable[[int], None] = lambda n: None,
    ) -> np.ndarray:
        """Saliency of tiles, the mean over the networks of each tile's fold.

        Parameters
        ----------
        index : int array, shape (m,), of kept tiles
        target : int array, shape (m,), the class explained; None: the log-odds of being high
        shifts : see `over_shifts`

        Returns
        -------
        float32 array, shape (m, size, size)
            In score per km of elevation where the method gives a change per elevation, so that folds with different
            scalings can share one map; otherwise in units of the score.
        """
        elevation = self.data.elevation(index)
        found = np.empty(elevation.shape, dtype=np.float32)
        with reproducible(0):
            for fold, here, networks in self.folds(index):
                tiles = self.inputs(fold, elevation[here])
                maps = [
                    over_shifts(self.explainer(network, method, target, here), tiles, shifts) for network in networks
                ]
                unit = self.data.scalings[fold]["scale"] / 1000 if method in PER_ELEVATION else 1
                found[here] = np.mean(maps, axis=0) / unit
                on_tiles(len(here))
        return found

    def explainer(
        self, network: NetworkInNetwork, method: str, target: np.ndarray | None, here: np.ndarray
    ) -> Callable[[torch.Tensor], np.ndarray]:
        """Maps of tiles by one network; `target` as in `maps`, of which `here` are meant."""
        if target is None:
            explained: nn.Module = Evidence(network, self.first_high)
            classes = torch.zeros(len(here), dtype=torch.int64)
        else:
            explained, classes = network, torch.from_numpy(target[here].astype(np.int64))
        classes = classes.to(self.engine.device)
        return lambda tiles: attribute(explained, tiles, classes, method, self.batch_size, network.cam_layer)

    def probability(self, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Class probabilities of tiles whose terrain is replaced, float64 (m, classes).

        Parameters
        ----------
        index : int array, shape (m,), of kept tiles: they choose the networks
        elevation : float32 array, shape (m, size, size), metres, NaN for no data
        """
        found = None
        for fold, here, networks in self.folds(index):
            tiles = self.inputs(fold, elevation[here])
            scores = [predict(network, tiles, self.batch_size, self.engine).double() for network in networks]
            mean = torch.stack(scores).softmax(dim=2).mean(dim=0).cpu().numpy()
            found = np.empty((len(index), mean.shape[1])) if found is None else found
            found[here] = mean
        assert found is not None, "no tiles"
        return found

    def evidence(self, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Log-odds of being high, natural logarithm, float64 (m,); arguments as in `probability`."""
        p = np.clip(self.probability(index, elevation)[:, self.first_high :].sum(axis=1), 1e-9, 1 - 1e-9)
        return np.log(p / (1 - p))


def spread(index: np.ndarray, most: int) -> np.ndarray:
    """At most so many of an index, evenly spread over it.

    >>> spread(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    return index[np.unique(np.linspace(0, len(index) - 1, min(most, len(index))).round().astype(int))]
