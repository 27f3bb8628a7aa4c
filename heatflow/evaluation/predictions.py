"""Out-of-fold predictions: class probabilities of every tile from the networks that were trained without its fold."""

from collections.abc import Callable
from dataclasses import dataclass, field

import geopandas
import numpy as np
import torch

from heatflow.geo.sites import kept_sites
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import COMPARED
from heatflow.learning.network import NetworkInNetwork, fused
from heatflow.learning.training import predict, reproducible

BATCH = 20  # tiles at a time


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold class probabilities of all tiles and, where networks have maps of sites, of all their sites.

    Parameters
    ----------
    by_network : dict of (str, int) to float64 array, shape (n, classes)
        Of each repeat of the split and each seed by its number.
    sites : dict of (str, int) to float64 array, shape (m, classes)
        The same of sites; empty where networks have no maps of them.

    Examples
    --------
    >>> first, second = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> Predictions({("0", 0): first, ("0", 1): second}).mean()
    array([[0.75, 0.25]])
    """

    by_network: dict[tuple[str, int], np.ndarray]
    sites: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def members(self, random: bool = False) -> np.ndarray:
        """Of each repeat and seed, of the blocks or of the random split; float64 (members, n, classes)."""
        return np.array([p for (repeat, _), p in self.by_network.items() if (repeat == COMPARED) == random])

    def site_members(self) -> np.ndarray | None:
        """Sites by each repeat and seed of the blocks, float64 (members, m, classes); None where there are none."""
        members = [p for (repeat, _), p in self.sites.items() if repeat != COMPARED]
        return np.array(members) if members else None

    def mean(self, random: bool = False) -> np.ndarray:
        """Mean over repeats and seeds, of the blocks or of the random split; float64 (n, classes)."""
        return self.members(random).mean(axis=0)


def class_probabilities(network: NetworkInNetwork, tiles: torch.Tensor, batch_size: int, engine: Engine) -> np.ndarray:
    """Class probabilities of tiles by one network.

    Parameters
    ----------
    network : NetworkInNetwork
        On the device of the engine.
    tiles : Tensor, shape (m, channels, size, size)
        Normalised, on the device.
    batch_size : int
        Tiles at a time.
    engine : Engine

    Returns
    -------
    float64 array, shape (m, classes)
    """
    return predict(network, tiles, batch_size, engine).double().softmax(dim=1).cpu().numpy()


@dataclass(frozen=True)
class SitePlaces:
    """Where sites lie in their tiles.

    Parameters
    ----------
    tile : int array, shape (m,)
        Row of the tile of each site among the kept tiles.
    place : float64 array, shape (m, 2)
        Row and column, pixels from the upper-left corner of the tile.
    """

    tile: np.ndarray
    place: np.ndarray

    @classmethod
    def from_tables(cls, sites: geopandas.GeoDataFrame, tiles: geopandas.GeoDataFrame, size: int) -> "SitePlaces":
        """Sites of the tile stage, without those of tiles that are not kept; `size` is a tile's edge in pixels."""
        there, tile = kept_sites(sites, tiles["tile"].to_numpy())
        left, _, right, top = tiles.bounds.to_numpy()[tile].T
        down, across = top - there.geometry.y.to_numpy(), there.geometry.x.to_numpy() - left
        return cls(tile, np.column_stack([down, across]) * (size / (right - left))[:, None])


NO_SITES = SitePlaces(np.zeros(0, dtype=np.int64), np.zeros((0, 2)))


def predict_out_of_fold(
    data: FoldData, load: Callable[[int], list[NetworkInNetwork]], engine: Engine, places: SitePlaces = NO_SITES,
    on_fold: Callable[[], object] = lambda: None,
) -> Predictions:  # fmt: skip
    """Predict every tile, and every site in it, by the networks of the folds that test it.

    Parameters
    ----------
    data : FoldData
    load : callable
        Gives the networks of a fold, one for each seed, by its number.
    engine : Engine
    places : SitePlaces, optional
    on_fold : callable
        Called after each fold.

    Returns
    -------
    Predictions

    Examples
    --------
    >>> from functools import partial
    >>> from heatflow.learning.models import load_networks
    >>> predict_out_of_fold(data, partial(load_networks, Path("data/models")), engine, places)  # doctest: +SKIP
    """
    found = Predictions({})
    with reproducible(0), torch.no_grad():
        for fold in range(data.folds):
            networks = [engine.place(fused(network)) for network in load(fold)]
            for index in np.array_split(members := data.members(fold, "test"), -(-len(members) // BATCH)):
                tiles = data.inputs(fold, index, engine.device)
                here = np.flatnonzero(np.isin(places.tile, index))
                row = torch.from_numpy(np.searchsorted(index, places.tile[here])).to(engine.device)
                place = torch.from_numpy(places.place[here]).to(engine.device)
                for seed, network in enumerate(networks):
                    maps, key = engine.class_maps(network, tiles), (str(data.split.repeat[fold]), seed)
                    scored = [(found.by_network, network.tile_scores(maps), index, len(data.table))]
                    if network.sites:
                        of_sites = network.site_scores(maps, row, place.to(maps.dtype))
                        scored.append((found.sites, of_sites, here, len(places.tile)))
                    for results, scores, which, number in scored:
                        p = results.setdefault(key, np.empty((number, network.classes)))
                        p[which] = scores.double().softmax(dim=1).cpu().numpy()
            on_fold()
    return found
