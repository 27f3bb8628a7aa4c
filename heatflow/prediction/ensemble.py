"""The networks of all folds as one predictor: each place is predicted by those that were not trained on it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from heatflow.config.schema import Tile
from heatflow.evaluation.predictions import BATCH, class_probabilities
from heatflow.geo.terrain_statistics import statistics_of_tiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.inputs import network_inputs
from heatflow.learning.network import NetworkInNetwork
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
        Of each fold.
    areas : list of TrainingArea
        Of each fold.
    applicability : AreaOfApplicability
    tile : Tile
    engine : Engine
    """

    networks: list[list[NetworkInNetwork]]
    scalings: list[dict[str, float]]
    areas: list[TrainingArea]
    applicability: AreaOfApplicability
    tile: Tile
    engine: Engine

    @classmethod
    def from_folds(cls, data: FoldData, load: Callable[[int], list[NetworkInNetwork]], grid: Grid, tile: Tile,
                   engine: Engine, wells: tuple[np.ndarray, np.ndarray],
                   buffer: float | None) -> "Ensemble":  # fmt: skip
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
        """
        folds, tiles = data.split.scored.tolist(), TileGrid(grid, tile.size, tile.step)
        networks = [load(fold) for fold in folds]
        for network in (network for members in networks for network in members):
            engine.place(network)
        pixels = (data.tiles.pixels[k] for k in data.tiles.rows(data.table["tile"].to_numpy()))
        applicability = AreaOfApplicability.fit(statistics_of_tiles(pixels, grid.resolution), data.roles[folds])
        areas = [TrainingArea.from_fold(data, fold, tiles, wells, buffer) for fold in folds]
        return cls(networks, [data.scalings[fold] for fold in folds], areas, applicability, tile, engine)

    def eligible(self, top: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Whether each fold was trained on nothing of each window, by their first pixels; bool array (folds, m)."""
        return np.array([~area.overlaps(top, left, self.tile.size) for area in self.areas])

    def predict(self, windows: np.ndarray, eligible: np.ndarray) -> pd.DataFrame:
        """Predict windows, each by the networks of the eligible folds.

        Parameters
        ----------
        windows : float32 array, shape (m, size, size)
            Elevation in metres, NaN for no data.
        eligible : bool array, shape (folds, m)
            One fold or more for each window.

        Returns
        -------
        DataFrame, m rows
            ``p0`` and so on; ``disagreement``, standard deviation of the probability of being high, NaN for one network
            alone; ``networks``, their number.
        """
        by_network = []
        for networks, scaling, may in zip(self.networks, self.scalings, eligible, strict=True):
            if not may.any():
                continue
            tiles = network_inputs(windows[may], scaling, self.engine.device)
            for network in networks:
                by_network.append(np.full((len(windows), self.tile.n_classes), np.nan))
                by_network[-1][may] = class_probabilities(network, tiles, BATCH, self.engine)
        p, first_high = np.array(by_network), self.tile.first_high
        number = np.isfinite(p[:, :, 0]).sum(axis=0)
        mean = np.nansum(p, axis=0) / number[:, None]
        deviation = p[:, :, first_high:].sum(axis=2) - mean[:, first_high:].sum(axis=1)
        spread = np.sqrt(np.nansum(deviation**2, axis=0) / number)
        table = pd.DataFrame(mean, columns=self.tile.class_columns)
        return table.assign(disagreement=np.where(number > 1, spread, np.nan), networks=number.astype(float))
