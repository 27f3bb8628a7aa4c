"""Evaluation of single sites: how often their prediction sets hold, and what known sites near them add."""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely

from heatflow.config.schema import Split, Tile
from heatflow.evaluation.near_wells import near_wells_table
from heatflow.evaluation.prediction_sets import PredictionSets, coverage, sets_out_of_fold
from heatflow.evaluation.predictions import Predictions
from heatflow.geo.distances import distance_class, to_other_tiles, to_training
from heatflow.geo.labels import classify
from heatflow.geo.sites import each_once, kept_sites
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of

DISTANCES = (5, 10, 20, 40, 80)  # km, between classes of distance to other sites


@dataclass(frozen=True)
class SiteEvaluation:
    """What is known of the predictions of sites.

    Parameters
    ----------
    rule : PredictionSets
        Of sites of a block that is none of those that were evaluated.
    tables : dict of DataFrame
        ``prediction_sets``: `heatflow.evaluation.prediction_sets.coverage`; ``near_wells``:
        `heatflow.evaluation.near_wells.near_wells_table`.
    """

    rule: PredictionSets
    tables: dict[str, pd.DataFrame]


def evaluate_sites(data: FoldData, sites: geopandas.GeoDataFrame, predictions: Predictions, inside: np.ndarray,
                   tile: Tile, split: Split) -> SiteEvaluation:  # fmt: skip
    """Evaluate out-of-fold predictions of sites.

    Networks without maps of sites give a site the probabilities of its tile.

    Parameters
    ----------
    data : FoldData
    sites : GeoDataFrame
        As `heatflow.geo.sites.group_sites` gives them.
    predictions : Predictions
    inside : bool array, shape (n,)
        Whether each kept tile lies in the area of applicability of the networks that test it.
    tile : Tile
    split : Split

    Examples
    --------
    >>> evaluate_sites(data, sites, predictions, inside, Tile(), Split()).rule.threshold  # doctest: +SKIP
    0.806
    """
    table, fold = data.table, data.test_fold
    there, of_tile = kept_sites(sites, table["tile"].to_numpy())
    row, col = (table[name].to_numpy() for name in ("row", "col"))
    block = block_of(row, col, split.block_size, tile.size, tile.step)[of_tile]
    residual, place = there["residual"].to_numpy(), shapely.get_coordinates(there.geometry.array)
    label, members = classify(residual, tile.edges), predictions.site_members()
    p = predictions.mean()[of_tile] if members is None else members.mean(axis=0)
    sets = sets_out_of_fold(p, label, of_tile, block)
    groups = {
        "class": _named(label, tile.class_names),
        "classes in the set": _named(sets.sum(axis=1) - 1, [str(k + 1) for k in range(tile.n_classes)]),
        "km to a site of another tile": distance_class(to_other_tiles(place, of_tile), DISTANCES),
        "km to a training site": distance_class(to_training(place, of_tile, data.roles), DISTANCES),
        "area of applicability": _named(np.where(inside[of_tile], 0, 1), ["inside", "outside"]),
    }
    p_high = p[:, tile.first_high :].sum(axis=1)
    once = each_once(there, tile)
    high, tile_of = (residual > tile.binary_edge)[once], of_tile[once]
    tables = {
        "prediction_sets": coverage(sets, label, of_tile, block, groups, split.seed),
        "near_wells": near_wells_table(
            high, p_high[once], place[once], tile_of, fold[tile_of], block[once], split.seed
        ),
    }
    return SiteEvaluation(PredictionSets.fit(p, label, of_tile, block), tables)


def _named(number: np.ndarray, names: list[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(number, pd.Index(names, dtype=object))
