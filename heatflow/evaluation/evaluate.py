"""Evaluation of out-of-fold predictions: headline metrics beside those of baselines, and the tables behind them."""

from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from heatflow.config.schema import Split, Tile
from heatflow.evaluation.baselines import Probabilities, constant_guess
from heatflow.evaluation.intervals import auc_table, compare
from heatflow.evaluation.predictions import Predictions
from heatflow.evaluation.skill import area_for_half, calibration_error, reliability, score, success_rate
from heatflow.geo.labels import STATISTICS, classify
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of

SEED_METRICS = ("accuracy", "quadratic_kappa", "auc_high", "loss")


@dataclass(frozen=True)
class Evaluation:
    """Skill of out-of-fold predictions.

    Parameters
    ----------
    tiles : GeoDataFrame
        The kept tiles with ``fold`` (the first that tests them), ``predicted`` and ``p0`` and so on.
    metrics : dict
        Headline metrics with their intervals, and those of the baselines: see `heatflow.evaluation.intervals.compare`.
    curves : dict of DataFrame
        ``success_rate`` of every prediction; ``reliability`` of the network's probability of being high; ``confusion``,
        the ``actual`` and ``predicted`` class of each tile, by name.
    tables : dict of DataFrame
        ``strata``: AUC by the number of wells (see `heatflow.evaluation.intervals.auc_table`); ``statistics``: AUC over
        all strata, by the statistic of a tile's residuals that sets its class; ``seeds``: metrics of each repeat and
        seed alone.
    matrix : int array, shape (classes, classes)
        Counts of tiles; rows true class, columns predicted class.
    """

    tiles: geopandas.GeoDataFrame
    metrics: dict[str, Any]
    curves: dict[str, pd.DataFrame]
    tables: dict[str, pd.DataFrame]
    matrix: np.ndarray


def evaluate(data: FoldData, predictions: Predictions, baselines: Probabilities, tile: Tile,
             split: Split) -> Evaluation:  # fmt: skip
    """Score out-of-fold predictions.

    Parameters
    ----------
    data : FoldData
    predictions : Predictions
    baselines : dict
        Out-of-fold probabilities of the baselines, as `heatflow.evaluation.baselines.read_baselines` gives them.
    tile : Tile
    split : Split

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> evaluation = evaluate(data, predictions, baselines, Tile(), Split())  # doctest: +SKIP
    >>> evaluation.metrics["skill"]["constant"]["verdict"]  # doctest: +SKIP
    'above'
    """
    table, probability, first_high = data.table, predictions.mean(), tile.first_high
    label, n_wells, row, col = (table[name].to_numpy() for name in ("label", "n_wells", "row", "col"))
    high, predicted, roles = label >= first_high, probability.argmax(axis=1), data.roles[data.split.scored]
    own = {"constant": constant_guess(roles, label, tile.n_classes)} | _on_statistic(baselines, tile.statistic)
    block = block_of(row, col, split.block_size, tile.size, tile.step)
    skill = compare(label, probability, own, first_high, n_wells, block, split.seed)
    p_high = _p_high({"network": probability} | own, tile)
    metrics = {
        **{name: value for name, value in skill.items() if not isinstance(value, dict)},
        "off_by_one": score(label, probability, first_high)["off_by_one"],
        "calibration_error": calibration_error(high, p_high["network"]),
        "area_for_half": area_for_half(high, p_high["network"]), "tiles": len(label),
        **_optimism(label, predictions, baselines, tile), "baseline": skill["baseline"], "skill": skill["skill"],
    }  # fmt: skip
    names = np.array(tile.class_names, dtype=object)
    curves = {
        "success_rate": pd.concat([success_rate(high, p).assign(prediction=name) for name, p in p_high.items()]),
        "reliability": reliability(high, p_high["network"]),
        "confusion": pd.DataFrame({"actual": names[label], "predicted": names[predicted]}),
    }
    aucs = {}
    for statistic in STATISTICS:  # also others than the one whose classes the network was trained on
        target = classify(table[f"residual_{statistic}"].to_numpy(), tile.edges) >= first_high
        ranking = _p_high({"network": probability} | _on_statistic(baselines, statistic), tile)
        aucs[statistic] = auc_table(target, ranking, n_wells, block, split.seed)
    over_all = [t[t["wells"].isin(["equal", "all"])].assign(statistic=name) for name, t in aucs.items()]
    tables = {"strata": aucs[tile.statistic], "statistics": pd.concat(over_all)}
    tables["seeds"] = _seeds(label, predictions, first_high)
    by_class = dict(zip(tile.class_columns, probability.T, strict=True))
    tiles = table.assign(fold=data.test_fold, predicted=predicted, **by_class)
    matrix = confusion_matrix(label, predicted, labels=range(tile.n_classes))
    return Evaluation(tiles, metrics, curves, tables, matrix)


def _p_high(probability: dict[str, np.ndarray], tile: Tile) -> dict[str, np.ndarray]:
    """Of each prediction the probability of being above the binary edge."""
    return {name: p[:, tile.first_high :].sum(axis=1) for name, p in probability.items()}


def _on_statistic(baselines: Probabilities, statistic: str) -> dict[str, np.ndarray]:
    """Baselines that were fitted to the classes by one statistic, on the folds that are scored."""
    return {name: q for (name, fitted, random), q in baselines.items() if fitted == statistic and random == "no"}


def _seeds(label: np.ndarray, predictions: Predictions, first_high: int) -> pd.DataFrame:
    networks = predictions.by_network.items()
    rows = [{"repeat": repeat, "seed": seed} | score(label, p, first_high) for (repeat, seed), p in networks]
    return pd.DataFrame(rows)[["repeat", "seed", *SEED_METRICS]]


def _optimism(label: np.ndarray, predictions: Predictions, baselines: Probabilities,
              tile: Tile) -> dict[str, dict[str, float]]:  # fmt: skip
    """How much higher the AUC is on a random split than on blocks; empty where there is no random split."""
    if ("terrain", tile.statistic, "yes") not in baselines:
        return {}
    pairs = {
        "network": [predictions.mean(random) for random in (True, False)],
        "terrain": [baselines["terrain", tile.statistic, random] for random in ("yes", "no")],
    }
    aucs = {name: [score(label, q, tile.first_high)["auc_high"] for q in pair] for name, pair in pairs.items()}
    return {"optimism_gap": {name: random - blocked for name, (random, blocked) in aucs.items()}}
