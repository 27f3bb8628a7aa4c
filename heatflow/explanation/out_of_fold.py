"""Tiles beside the networks that did not train on them: whatever is measured on a tile comes from those."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from heatflow.explanation.attribution import PER_ELEVATION, HighLogOdds, attribute
from heatflow.explanation.lattice import over_shifts
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.inputs import network_inputs
from heatflow.learning.network import NetworkInNetwork, fused
from heatflow.learning.scaling import numbers
from heatflow.learning.training import predict, reproducible

LEAST_SCALE = 1e-6  # log-odds: of a network that scores all tiles alike nothing is lost, and that stays so


@dataclass(frozen=True)
class OutOfFoldNetworks:
    """The networks of all folds; each tile is explained by those of the fold that tests it.

    Parameters
    ----------
    data : FoldData
        The kept tiles. An `index` below is one of these tiles, int array of shape (m,).
    networks : list of list of NetworkInNetwork
        For each fold those of its seeds, in evaluation mode.
    engine : Engine
    first_high : int
        Lowest class above the binary edge.
    batch_size : int, optional
        Tiles at a time.
    """

    data: FoldData
    networks: list[list[NetworkInNetwork]]
    engine: Engine
    first_high: int
    batch_size: int = 20

    @property
    def stride(self) -> int:
        """Of the networks, which have one architecture: pixels."""
        return self.networks[0][0].stride

    @property
    def on_gpu(self) -> bool:
        """Whether they compute on a GPU, which processes do not share."""
        return self.engine.device.type != "cpu"

    @cached_property
    def _fused(self) -> list[list[NetworkInNetwork]]:
        """The networks as they predict fastest, on the device."""
        return [[self.engine.place(fused(network)) for network in of_fold] for of_fold in self.networks]

    def folds(self, index: np.ndarray) -> Iterator[tuple[int, np.ndarray, list[NetworkInNetwork]]]:
        """For each fold its number, the positions in `index` that it tests and its `fused` networks, on the device."""
        fold = self.data.test_fold[index]
        for k in np.unique(fold).tolist():
            yield k, np.flatnonzero(fold == k), self._fused[k]

    @property
    def inner(self) -> slice:
        """Rows or columns of what a network sees that are the tile's own, without its margin."""
        return self.data.tiles.inner

    def inputs(self, fold: int, index: np.ndarray, elevation: np.ndarray | None = None) -> torch.Tensor:
        """Tiles as the networks of a fold see them, with their margins, (m, channels, edge, edge).

        Parameters
        ----------
        fold : int
        index : int array, shape (m,)
        elevation : float array, shape (m, size, size), optional
            Metres; takes the place of the tiles' own terrain. What networks see beside it stays as it is.
        """
        seen = self.data.surroundings(index)
        if elevation is not None:
            seen = seen.copy()
            seen[:, 0, self.inner, self.inner] = elevation
        return network_inputs(seen, self.data.scalings[fold], self.engine.device)

    def maps(
        self, method: str, index: np.ndarray, target: np.ndarray | None, shifts: int = 1, channel: int = 0
    ) -> np.ndarray:
        """Saliency of tiles, the mean over the networks of each tile's fold.

        Parameters
        ----------
        method : str
            See `attribute`.
        index : int array, shape (m,)
        target : int array, shape (m,), or None
            The class explained; None is the log-odds of the high classes.
        shifts : int, optional
            See `over_shifts`.
        channel : int, optional
            What networks see that the maps are of; the first is elevation.

        Returns
        -------
        float32 array, shape (m, size, size)
            In score per km of elevation, or per unit of another channel, where the method gives a change per input, so
            that folds with different scalings can share one map; otherwise in units of the score.
        """
        per, first = 1 if channel else 1000, self.networks[0][0].first_stride  # 1000 m of elevation are a km
        mean = np.empty((len(index), *self.data.tiles.pixels.shape[1:]), dtype=np.float32)
        with reproducible(int(index.sum())):  # SmoothGrad's noise depends on nothing but the tiles
            for fold, here, networks in self.folds(index):
                tiles, classes = self.inputs(fold, index[here]), None if target is None else target[here]
                of, lattice = (method, classes, len(here), len(networks), channel), (self.stride, first)
                explainers = [self.explainer(network, *of) for network in networks]
                maps = [over_shifts(explain, tiles, shifts, *lattice) for explain in explainers]
                unit = numbers(self.data.scalings[fold], "scale")[channel] / per if method in PER_ELEVATION else 1
                mean[here] = np.mean(maps, axis=0)[:, self.inner, self.inner] / unit
        return mean

    def explainer(
        self, network: NetworkInNetwork, method: str, target: np.ndarray | None, count: int, networks: int = 1,
        channel: int = 0,
    ) -> Callable[[torch.Tensor], np.ndarray]:  # fmt: skip
        """A function from `count` tiles to maps by one network, of `networks` in the mean; the rest as in `maps`."""
        explained: nn.Module = HighLogOdds(network, self.first_high) if target is None else network
        classes = torch.from_numpy(np.zeros(count, dtype=np.int64) if target is None else target.astype(np.int64))
        of = method, self.batch_size, networks, channel
        return lambda tiles: attribute(explained, tiles, classes.to(tiles.device), *of)

    def probability(self, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Class probabilities of tiles whose terrain is replaced.

        Parameters
        ----------
        index : int array, shape (m,)
            At least one tile; they choose the networks.
        elevation : float32 array, shape (m, size, size)
            Metres, NaN for no data.

        Returns
        -------
        float64 array, shape (m, classes)
        """
        parts: dict[int, np.ndarray] = {}
        for fold, here, networks in self.folds(index):
            tiles = self.inputs(fold, index[here], elevation[here])
            scores = [predict(network, tiles, self.batch_size, self.engine).double() for network in networks]
            parts |= zip(here.tolist(), torch.stack(scores).softmax(dim=2).mean(dim=0).cpu().numpy(), strict=True)
        return np.stack([parts[k] for k in range(len(index))])

    def standard_log_odds(self, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Log-odds of the high classes by each network, in standard deviations of its own over the tiles it tests.

        Arguments as in `probability`. Terrain is not standardised by the terrain given: a network has one scale.

        Returns
        -------
        float64 array, shape (networks of a fold, m)
        """
        log_odds = np.empty((len(self.networks[0]), len(index)))
        for fold, here, _ in self.folds(index):
            log_odds[:, here] = self._log_odds(fold, index[here], elevation[here]) / self._scales[fold][:, None]
        return log_odds

    @cached_property
    def _scales(self) -> dict[int, np.ndarray]:
        """Standard deviation of the log-odds of each network of each fold over the tiles that it tests."""
        members = {int(k): np.flatnonzero(self.data.test_fold == k) for k in np.unique(self.data.test_fold)}
        every = {k: self._log_odds(k, here) for k, here in members.items()}
        return {k: np.maximum(log_odds.std(axis=1), LEAST_SCALE) for k, log_odds in every.items()}

    def _log_odds(self, fold: int, index: np.ndarray, elevation: np.ndarray | None = None) -> np.ndarray:
        """Log-odds of the high classes by each network of a fold, float64 (networks, m); arguments as in `inputs`."""
        tiles, found = self.inputs(fold, index, elevation), []
        for network in self._fused[fold]:
            scores = predict(network, tiles, self.batch_size, self.engine).double()
            high, low = scores[:, self.first_high :], scores[:, : self.first_high]
            found.append((high.logsumexp(dim=1) - low.logsumexp(dim=1)).cpu().numpy())
        return np.array(found)

    def without_gaps(self, index: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Elevation of tiles in metres, with `background`, (m, size, size), where there is no data."""
        elevation = self.data.elevation(index)
        return np.where(np.isfinite(elevation), elevation, background)


def spread(index: np.ndarray, most: int) -> np.ndarray:
    """At most so many of an index, evenly spread over it.

    >>> spread(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    return index[np.unique(np.linspace(0, len(index) - 1, min(most, len(index))).round().astype(int))]
