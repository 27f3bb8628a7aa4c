"""Predictions of single places: each by the window around it, with the range of the networks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rasterio import Env

from heatflow.compute.mapping import map_in_order
from heatflow.compute.task import OpeningTask
from heatflow.config.schema import Tile
from heatflow.evaluation.prediction_sets import PredictionSets
from heatflow.grid.grids import Grid
from heatflow.io.rasters import open_written, read_around
from heatflow.learning.training import reproducible
from heatflow.prediction.ensemble import exceedance
from heatflow.prediction.prediction_map import CACHE, MEMORY, Region, site_summary

TOGETHER = 50  # places that a process predicts at a time
PREDICTED, OUTSIDE, LITTLE, LEARNT = (
    "", "outside the raster", "too little terrain around it", "in the training area of every network",
)  # fmt: skip
Item = tuple[tuple[int, int, float, float], ...]


@dataclass(frozen=True)
class Squares:
    """Squares of terrain of the size of a tile, and a place in each.

    Parameters
    ----------
    top, left : int array, shape (m,)
        First row and column of each square, which lies on the raster.
    place : float64 array, shape (m, 2)
        Row and column, pixels from the upper-left corner of its square.
    """

    top: np.ndarray
    left: np.ndarray
    place: np.ndarray

    @classmethod
    def around(cls, row: np.ndarray, column: np.ndarray, grid: Grid, size: int) -> "Squares":
        """Squares with a place in their middle, or as near to it as the edges of the raster allow.

        Parameters
        ----------
        row, column : float64 array, shape (m,)
            Places on the raster, as `Grid.position` gives them.
        grid : Grid
        size : int

        Examples
        --------
        >>> from rasterio.crs import CRS
        >>> grid = Grid(0, 0, 200, 100, 100, CRS.from_epsg(32611))
        >>> squares = Squares.around(np.array([50.0]), np.array([3.0]), grid, size=20)
        >>> squares.top, squares.left, squares.place
        (array([40]), array([0]), array([[10.,  3.]]))
        """
        top, left = (
            np.clip(np.round(at - size / 2), 0, length - size).astype(int)
            for at, length in zip((row, column), grid.shape, strict=True)
        )
        return cls(top, left, np.column_stack([row - top, column - left]))

    def items(self) -> list[Item]:
        """What `PlaceTask` takes, TOGETHER at a time."""
        rows = list(zip(*(v.tolist() for v in (self.top, self.left, *self.place.T)), strict=True))
        return [tuple(rows[k : k + TOGETHER]) for k in range(0, len(rows), TOGETHER)]


@dataclass(frozen=True)
class PlacePredictions:
    """Predictions of m squares and of the place in each, by each network.

    Parameters
    ----------
    tiles, sites : float64 array, shape (networks, m, classes)
        Class probabilities, NaN of networks that may not predict. Without maps of sites those of a place are those of
        its square.
    dissimilarity : float64 array, shape (m,)
    valid : float64 array, shape (m,)
        Share of the pixels of each square that are terrain.
    """

    tiles: np.ndarray
    sites: np.ndarray
    dissimilarity: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class PlaceTask(OpeningTask):
    """Prediction of some squares, in whatever process.

    Parameters
    ----------
    open : callable
        Gives the `Region`.
    min_valid : float
        Smallest share of pixels with data in a square.
    """

    open: Callable[[], Region]
    min_valid: float

    def __call__(self, item: Item) -> PlacePredictions:
        """Predict squares: first row and column, and row and column of the place in it."""
        region: Region = self.opened
        ensemble, size, margin = region.ensemble, region.windows.size, region.ensemble.tile.margin
        top, left = np.array([corner[:2] for corner in item]).T
        place = np.array([corner[2:] for corner in item])[:, None]
        with Env(GDAL_CACHEMAX=CACHE), open_written(region.terrain) as terrain:
            squares = np.stack([read_around(terrain, *corner[:2], size, margin) for corner in item])
        valid = np.isfinite(squares[:, 0, margin : margin + size, margin : margin + size]).mean(axis=(1, 2))
        eligible = ensemble.eligible(top, left) & (valid >= self.min_valid)
        statistics = ensemble.statistics(squares, region.windows.grid.resolution)
        unlike = ensemble.applicability.dissimilarity(statistics, eligible)
        with reproducible(0):
            tiles, sites = ensemble.members(squares, eligible, place if ensemble.has_sites else None)
        return PlacePredictions(tiles, sites[:, :, 0] if ensemble.has_sites else tiles, unlike, valid)


def predict_squares(
    task: PlaceTask, squares: Squares, on_done: Callable[[], object] = lambda: None
) -> PlacePredictions:
    """Predict squares, some at a time side by side.

    Parameters
    ----------
    task : PlaceTask
    squares : Squares
        At least one.
    on_done : callable
        Called after every TOGETHER of them.
    """
    alone = task.opened.ensemble.engine.device.type != "cpu"
    parts = list(map_in_order(task, squares.items(), memory=MEMORY, alone=alone, on_done=on_done))
    tiles, sites = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("tiles", "sites"))
    return PlacePredictions(
        tiles, sites, *(np.concatenate([getattr(part, name) for part in parts]) for name in ("dissimilarity", "valid"))
    )


def place_table(predicted: PlacePredictions, tile: Tile, threshold: float, min_valid: float,
                sets: PredictionSets) -> pd.DataFrame:  # fmt: skip
    """What is predicted of places, a row each.

    Parameters
    ----------
    predicted : PlacePredictions
    tile : Tile
    threshold : float
        Largest dissimilarity index in the area of applicability.
    min_valid : float
    sets : PredictionSets

    Returns
    -------
    DataFrame
        ``above_<edge>``, the probability of being above each edge; ``disagreement``, ``lowest`` and ``highest``:
        standard deviation and range between networks of that of the binary edge; ``set_low`` and ``set_high``:
        ends of the prediction set, mW/m2, NaN where it has none; ``networks``, their number; ``dissimilarity``;
        ``applicable``, 1 in the area of applicability; ``reason``, why nothing is predicted.
    """
    summary = site_summary(predicted.sites, tile)
    above = exceedance(predicted.sites)[..., tile.first_high - 1]
    networks = np.isfinite(above).sum(axis=0)
    there = np.isfinite(above)
    lowest = np.where(there, above, np.inf).min(axis=0)
    highest = np.where(there, above, -np.inf).max(axis=0)
    columns = {f"above_{edge:g}": summary[:, k] for k, edge in enumerate(tile.edges)}
    low, high = sets.ends(-np.diff(summary[:, :-1], axis=1, prepend=1, append=0), tile.edges)
    unlike = predicted.dissimilarity
    return pd.DataFrame(
        columns
        | {
            "disagreement": summary[:, -1], "lowest": np.where(networks > 0, lowest, np.nan),
            "highest": np.where(networks > 0, highest, np.nan), "set_low": low, "set_high": high, "networks": networks,
            "dissimilarity": unlike,
            "applicable": np.where(np.isnan(unlike), np.nan, unlike <= threshold),
            "reason": np.where(predicted.valid < min_valid, LITTLE, np.where(networks == 0, LEARNT, PREDICTED)),
        }
    )  # fmt: skip
