"""Scores of the predictions of a region on its wells, as the evaluation scores out-of-fold predictions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely

from heatflow.config.schema import Filter, Tile
from heatflow.errors import InputError
from heatflow.evaluation.intervals import Prediction, Target, compare
from heatflow.evaluation.near_wells import corrected
from heatflow.evaluation.prediction_sets import PredictionSets, coverage
from heatflow.geo.kriging import Covariance
from heatflow.geo.labels import classify
from heatflow.geo.low_data import data_statistics, low_data
from heatflow.geo.sites import group_sites, kept_sites, site_weight
from heatflow.geo.tiles import LabelledTiles
from heatflow.grid.grids import TileGrid
from heatflow.io.rasters import open_written, read_around
from heatflow.learning.folds import block_of
from heatflow.prediction.places import PlaceTask, Squares, place_table, predict_squares
from heatflow.prediction.prediction_map import Region

SCORED = ("auc_high", "site_auc", "site_calibration_error", "accuracy", "loss")
ENDS = {"": "value", "_low": "low", "_high": "high"}  # of a score and its interval, and their columns
SETS = {"set_coverage": "coverage", "set_size": "mean_size"}  # scores of prediction sets, and their columns
NEAR = ("near_wells_auc", "wells_alone_auc")  # of sites, all others known: by networks and known sites, by these alone


@dataclass(frozen=True)
class WellScores:
    """How well the wells of a region are predicted.

    Parameters
    ----------
    sites : GeoDataFrame
        Sites with ``residual``, the columns of `heatflow.prediction.places.place_table`, and ``scored``: 1 where a
        network predicts them that was trained on nothing of their tile.
    metrics : dict
        Of the sites: their number in ``tiles`` and ``sites`` that are scored, ``sites_in_training_area`` (of any
        network), ``sites_not_scored``, and scores with their intervals, None where nothing can be scored: those of
        SCORED, ``set_coverage`` (share of sites whose class is in their prediction set) and ``set_size`` (classes);
        with `near_wells` also NEAR and ``near_wells_gain``, what the first of them has more than the network.
    """

    sites: geopandas.GeoDataFrame
    metrics: dict[str, Any]


@dataclass(frozen=True)
class WellTiles:
    """Tiles and sites of a region, made of wells as in training.

    Parameters
    ----------
    tiles : TileGrid
    table : DataFrame
        The n tiles that hold enough terrain, with ``row``, ``col``, ``n_wells`` and ``label``.
    sites : GeoDataFrame
        Their m sites.
    of_tile : int array, shape (m,)
        Row of the tile of each site.
    """

    tiles: TileGrid
    table: pd.DataFrame
    sites: geopandas.GeoDataFrame
    of_tile: np.ndarray

    @classmethod
    def from_wells(cls, wells: geopandas.GeoDataFrame, region: Region, tile: Tile, rules: Filter) -> "WellTiles":
        """Lay tiles over the wells, side by side, so that each site is in one.

        Raises
        ------
        InputError
            No tile holds wells, or none that does has enough terrain.
        """
        tile = tile.model_copy(update={"stride": None})
        labelled = LabelledTiles.from_wells(wells, region.windows.grid, tile)
        tiles, table = labelled.tiles, labelled.table
        tops, lefts = tiles.corners(table["row"].to_numpy(), table["col"].to_numpy())
        with open_written(region.terrain) as terrain:
            pixels = (read_around(terrain, *corner, tile.size, 0)[0] for corner in zip(tops, lefts, strict=True))
            described = pd.concat([data_statistics(each.reshape(1, -1)) for each in pixels], ignore_index=True)
        kept = table[(low_data(described, rules) == "").to_numpy()].reset_index(drop=True)
        if kept.empty:
            raise InputError("data.wells: no tile that holds wells has enough terrain to be predicted")
        return cls(
            tiles, kept, *kept_sites(group_sites(wells, tiles, kept["tile"].to_numpy()), kept["tile"].to_numpy())
        )

    def squares(self) -> tuple[Squares, Squares]:
        """The tiles, and the squares around sites."""
        corners = self.tiles.corners(self.table["row"].to_numpy(), self.table["col"].to_numpy())
        middle = np.full((len(self.table), 2), self.tiles.size / 2)
        place = self.tiles.grid.position(self.sites.geometry.x, self.sites.geometry.y)
        return Squares(*corners, middle), Squares.around(*place, self.tiles.grid, self.tiles.size)


def score_wells(task: PlaceTask, found: WellTiles, block_size: int, sets: PredictionSets, near_wells: bool = False,
                on_done: Callable[[], object] = lambda: None) -> WellScores:  # fmt: skip
    """Score predictions on wells.

    The sites of a tile are scored by the networks that were trained on nothing of it and of the squares around them,
    and compared with sites that the same networks score.

    Parameters
    ----------
    task : PlaceTask
    found : WellTiles
        Of the wells.
    block_size : int
        Edge of the blocks that intervals are drawn from, tiles.
    sets : PredictionSets
    near_wells : bool
        Whether to score also what each site is predicted to be with all other sites known.
    on_done : callable
        Called after every `heatflow.prediction.places.TOGETHER` squares.

    Returns
    -------
    WellScores
    """
    region: Region = task.opened
    tile = region.ensemble.tile.model_copy(update={"stride": None})
    of_tiles, of_sites = (predict_squares(task, squares, on_done) for squares in found.squares())
    able = np.isfinite(of_sites.sites[:, :, 0])
    enough = of_sites.valid >= task.min_valid
    may = np.isfinite(of_tiles.tiles[:, :, 0])  # networks by tiles
    np.logical_and.at(may.T, found.of_tile[enough], able.T[enough])
    scored = may.any(axis=0)[found.of_tile] & enough
    table = place_table(of_sites, tile, region.ensemble.applicability.threshold, task.min_valid, sets)
    counts = {
        "tiles": len(np.unique(found.of_tile[scored])), "sites": int(scored.sum()),
        "sites_in_training_area": int((enough & ~able.all(axis=0)).sum()), "sites_not_scored": int((~scored).sum()),
    }  # fmt: skip
    seeds = len(region.ensemble.networks[0])
    p_tiles = _by_seed(np.where(may[:, :, None], of_tiles.tiles, np.nan), seeds)
    p_sites = _by_seed(np.where(may[:, found.of_tile, None], of_sites.sites, np.nan), seeds)
    scores = _scores(found, may, scored, p_tiles, p_sites, tile, block_size, sets, near_wells)
    return WellScores(found.sites.join(table).assign(scored=scored.astype(int)), counts | scores)


def _by_seed(p: np.ndarray, seeds: int) -> np.ndarray:
    """Mean over the folds that may predict, for each seed: (networks, m, classes) to (seeds, m, classes)."""
    by_fold = p.reshape(-1, seeds, *p.shape[1:])
    number = np.isfinite(by_fold).sum(axis=0)
    return np.where(number > 0, np.nansum(by_fold, axis=0) / np.maximum(number, 1), np.nan)


def _scores(found: WellTiles, may: np.ndarray, scored: np.ndarray, p_tiles: np.ndarray, p_sites: np.ndarray, tile: Tile,
            block_size: int, sets: PredictionSets, near_wells: bool) -> dict[str, float | None]:  # fmt: skip
    """Scores of tiles and sites with their intervals, each under its name, with ``_low`` and ``_high``."""
    kept = np.unique(found.of_tile[scored])
    if not len(kept):
        return dict.fromkeys([*SCORED, *SETS, *NEAR] if near_wells else [*SCORED, *SETS])
    table = found.table.iloc[kept]
    group = np.unique(may.T[kept], axis=0, return_inverse=True)[1].ravel()  # by the same networks
    row, col = (table[name].to_numpy() for name in ("row", "col"))
    block = block_of(row, col, block_size, tile.size, tile.step)
    of_tile, residual = np.searchsorted(kept, found.of_tile[scored]), found.sites["residual"].to_numpy()[scored]
    wells, label = table["n_wells"].to_numpy(), table["label"].to_numpy()
    target = Target(label, tile.first_high, wells, group, block, of_tile, residual, tile.binary_edge)
    p = p_sites[:, scored]
    p_high, of_tiles = p[:, :, tile.first_high :].sum(axis=2), p_tiles[:, kept]
    predictions = {"network": Prediction(of_tiles, p_high)}
    if near_wells:
        place = shapely.get_coordinates(found.sites.geometry.array)[scored]
        predictions |= with_other_sites(target, of_tiles, p_high, place)
    rows = {(row["prediction"], row["metric"]): row for row in compare(target, predictions, seed=0).to_dict("records")}
    wanted = {name: ("network", name) for name in SCORED}
    wanted |= {name: (name, "site_auc") for name in predictions if name in NEAR}
    scores: dict[str, float | None]
    scores = {f"{name}{end}": float(rows[row][key]) for name, row in wanted.items() for end, key in ENDS.items()}
    if near_wells:
        less = rows[NEAR[0], "site_auc"]
        ends = {"": "difference", "_low": "difference_high", "_high": "difference_low"}
        scores |= {f"near_wells_gain{end}": -float(less[key]) for end, key in ends.items()}
    members, true = sets.members(p.mean(axis=0)), classify(residual, tile.edges)
    held = coverage(members, true, of_tile, block[of_tile], {}, seed=0).iloc[0]
    return scores | {f"{name}{end}": float(held[f"{key}{end}"]) for name, key in SETS.items() for end in ENDS}


def with_other_sites(
    target: Target, p_tiles: np.ndarray, p_high: np.ndarray, place: np.ndarray
) -> dict[str, Prediction]:
    """Predictions of each site with all other sites known: by the networks and them, and by them alone.

    Parameters
    ----------
    target : Target
    p_tiles : float array, shape (members, n, classes)
        Class probabilities of tiles by the networks, which are returned as they are.
    p_high : float array, shape (members, m)
        Probability of each site that it is high, by the networks.
    place : float array, shape (m, 2)
        Of the sites, metres.

    Returns
    -------
    dict of Prediction
        By NEAR.

    Examples
    --------
    >>> high, tile = np.repeat([True, False], 20), np.repeat(np.arange(4), 10)
    >>> ones = np.ones(4, dtype=int)
    >>> target = Target(ones, 1, ones, ones, ones, tile, 100.0 * high, 50.0)
    >>> place = np.column_stack([np.arange(40) * 1e3, np.zeros(40)])
    >>> near = with_other_sites(target, np.full((1, 4, 2), 0.5), np.full((1, 40), 0.5), place)["near_wells_auc"]
    >>> bool(((near.sites[0] > 0.5) == high).mean() > 0.9)
    True
    """
    high = target.site_residual > target.edge
    share = np.full((1, len(high)), np.average(high, weights=site_weight(target.site_tile)))
    found = {}
    for name, before in zip(NEAR, (p_high, share), strict=True):
        covariance = Covariance.fit(place, high - before.mean(axis=0))
        near = [corrected(p, covariance.predict_others(place, high - p)) for p in before]
        found[name] = Prediction(p_tiles[: len(near)], np.stack(near))
    return found
