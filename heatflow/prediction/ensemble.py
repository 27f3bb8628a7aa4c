"""The networks of all folds as one predictor: each place is predicted by those that were not trained on it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from heatflow.config.schema import Tile
from heatflow.evaluation.predictions import BATCH, class_probabilities
from heatflow.geo.terrain_statistics import statistics_of_tiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.inputs import network_inputs
from heatflow.learning.network import NetworkInNetwork, fused
from heatflow.learning.scaling import Scaling
from heatflow.prediction.area_of_applicability import AreaOfApplicability
from heatflow.prediction.training_area import TrainingArea


@dataclass(frozen=True)
class Ensemble:
    """Networks of several folds, and the terrain that they may predict.

    Parameters
    ----------
    networks : list of list of NetworkInNetwork
        Of each fold; on the device of the engine.
    scalings : list of dict
        Of each fold, see `heatflow.learning.scaling.fit_scaling`.
    areas : list of TrainingArea
        Of each fold.
    applicability : AreaOfApplicability
    tile : Tile
    engine : Engine
    """

    networks: list[list[NetworkInNetwork]]
    scalings: list[Scaling]
    areas: list[TrainingArea]
    applicability: AreaOfApplicability
    tile: Tile
    engine: Engine

    @classmethod
    def from_folds(cls, data: FoldData, load: Callable[[int], list[NetworkInNetwork]], grid: Grid, tile: Tile,
                   engine: Engine, wells: tuple[np.ndarray, np.ndarray], buffer: float | None,
                   statistics: np.ndarray) -> "Ensemble":  # fmt: skip
        """Networks of the folds that are scored.

        Parameters
        ----------
        data : FoldData
        load : callable
            Gives the networks of a fold, by its number.
        grid : Grid
            Of the terrain.
        tile : Tile
        engine : Engine
        wells : tuple of int array, shape (n,)
            Rows and columns of the pixels that hold wells.
        buffer : float or None
            Tiles around test tiles that are closed to training patches; None where there were no patches.
        statistics : float64 array, shape (tiles, 16 + channels)
            As `tile_statistics` gives them.
        """
        folds, tiles = data.split.scored.tolist(), TileGrid(grid, tile.size, tile.step)
        applicability = AreaOfApplicability.fit(statistics, data.roles[folds])
        areas = [TrainingArea.from_fold(data, fold, tiles, wells, buffer) for fold in folds]
        networks = [[engine.place(fused(network)) for network in load(fold)] for fold in folds]
        return cls(networks, [data.scalings[fold] for fold in folds], areas, applicability, tile, engine)

    @property
    def has_sites(self) -> bool:
        """Whether the networks have maps of sites."""
        return bool(self.networks[0][0].sites)

    def eligible(self, top: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Whether each fold was trained on nothing of each window, by their first pixels; bool array (folds, m)."""
        return np.array([~area.overlaps(top, left, self.tile.size) for area in self.areas])

    def predict(self, windows: np.ndarray, eligible: np.ndarray) -> pd.DataFrame:
        """Predict windows, each by the networks of the eligible folds.

        Parameters
        ----------
        windows : float32 array, shape (m, channels, edge, edge)
            Tiles and the margin around them: elevation in metres, then what networks see beside it. NaN for no data.
        eligible : bool array, shape (folds, m)
            One fold or more for each window.

        Returns
        -------
        DataFrame, m rows
            ``p0`` and so on; ``disagreement``, standard deviation of the probability of being high, NaN for one network
            alone; ``networks``, their number.
        """
        return self.summary(self.members(windows, eligible)[0])

    def members(
        self, windows: np.ndarray, eligible: np.ndarray, place: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities by each network, and those of sites in the windows.

        Parameters
        ----------
        windows : float32 array, shape (m, channels, edge, edge)
            As `predict` takes them.
        eligible : bool array, shape (folds, m)
        place : float array, shape (m, k, 2), optional
            Row and column of k sites in each window, pixels from the upper-left corner of its tile.

        Returns
        -------
        tiles : float64 array, shape (networks, m, classes)
            The networks of the first fold first; NaN where their fold is not eligible.
        sites : float64 array, shape (networks, m, k, classes)
            Of no site (k = 0) where no place is given.
        """
        place = np.zeros((len(windows), 0, 2)) if place is None else place
        sizes = [len(networks) for networks in self.networks]
        of_tiles = np.full((sum(sizes), len(windows), self.tile.n_classes), np.nan)
        of_sites = np.full((*of_tiles.shape[:2], place.shape[1], self.tile.n_classes), np.nan)
        firsts = np.cumsum(sizes) - sizes
        for first, networks, scaling, may in zip(firsts, self.networks, self.scalings, eligible, strict=True):
            if not may.any():
                continue
            tiles = network_inputs(windows[may], scaling, self.engine.device)
            for k, network in enumerate(networks, start=first):
                if place.shape[1]:
                    of_tiles[k, may], of_sites[k, may] = _with_sites(network, tiles, place[may], self.engine)
                else:
                    of_tiles[k, may] = class_probabilities(network, tiles, BATCH, self.engine)
        return of_tiles, of_sites

    def statistics(self, windows: np.ndarray, resolution: float) -> np.ndarray:
        """`statistics_of_tiles` of windows, without their margins; float64 (m, 16 + channels)."""
        inner = slice(self.tile.margin, self.tile.margin + self.tile.size)
        return statistics_of_tiles(windows[..., inner, inner], resolution)

    def summary(self, p: np.ndarray) -> pd.DataFrame:
        """Mean over networks and their disagreement, as `predict` returns them, from the `members` of windows."""
        first_high = self.tile.first_high
        number = np.isfinite(p[:, :, 0]).sum(axis=0)
        mean = np.nansum(p, axis=0) / number[:, None]
        deviation = p[:, :, first_high:].sum(axis=2) - mean[:, first_high:].sum(axis=1)
        spread = np.sqrt(np.nansum(deviation**2, axis=0) / number)
        table = pd.DataFrame(mean, columns=self.tile.class_columns)
        return table.assign(disagreement=np.where(number > 1, spread, np.nan), networks=number.astype(float))


def exceedance(p: np.ndarray) -> np.ndarray:
    """Probability of being above each edge, from class probabilities along the last axis.

    >>> exceedance(np.array([0.5, 0.25, 0.25])).tolist()
    [0.5, 0.25]
    """
    return np.flip(np.cumsum(np.flip(p, axis=-1), axis=-1), axis=-1)[..., 1:]


def tile_statistics(data: FoldData, resolution: float) -> np.ndarray:
    """`statistics_of_tiles` of the kept tiles, for the area of applicability; float64 (n, 16 + channels)."""
    tiles = (data.tiles.stack[k] for k in data.tiles.rows(data.table["tile"].to_numpy()))
    return statistics_of_tiles(tiles, resolution)


def tested_inside(data: FoldData, resolution: float) -> np.ndarray:
    """Whether each kept tile lies in the area of applicability of the networks that test it, bool (n,)."""
    roles, statistics = data.roles[data.split.scored], tile_statistics(data, resolution)
    area = AreaOfApplicability.fit(statistics, roles)
    return area.dissimilarity(statistics, roles == "test") <= area.threshold


@torch.no_grad()
def _with_sites(network: NetworkInNetwork, tiles: torch.Tensor, place: np.ndarray,
                engine: Engine) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Class probabilities of tiles (m, classes) and of the sites in them (m, k, classes), by one network."""
    network.eval()
    of_tiles, of_sites, (_, k, _) = [], [], place.shape
    for batch, there in zip(tiles.split(BATCH), torch.from_numpy(place).split(BATCH), strict=True):
        maps = engine.class_maps(network, batch.contiguous(memory_format=torch.channels_last))
        of_tiles.append(network.tile_scores(maps))
        which = torch.arange(len(batch), device=maps.device).repeat_interleave(k)
        of_sites.append(network.site_scores(maps, which, there.reshape(-1, 2).to(maps)))
    tile, site = (torch.cat(scores).double().softmax(dim=1).cpu().numpy() for scores in (of_tiles, of_sites))
    return tile, site.reshape(-1, k, site.shape[1])
