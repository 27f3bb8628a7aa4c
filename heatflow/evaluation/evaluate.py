"""Evaluation of out-of-fold predictions: headline metrics beside those of baselines, and the tables behind them."""

from dataclasses import dataclass, replace
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from heatflow.config.schema import Split, Tile
from heatflow.evaluation.baselines import Probabilities, constant_guess
from heatflow.evaluation.by_sites import by_sites, headline_by_sites
from heatflow.evaluation.drilling import replay
from heatflow.evaluation.intervals import CEILING, Prediction, Target, auc_table, compare
from heatflow.evaluation.predictions import Predictions
from heatflow.evaluation.skill import auc, recall, reliability, scores, success_rate
from heatflow.geo.distances import to_other_groups
from heatflow.geo.labels import STATISTICS, classify
from heatflow.geo.sites import CELL, each_once, kept_sites
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import COMPARED, block_of

SEED_METRICS = ("accuracy", "quadratic_kappa", "auc_high", "loss")
WITH_INTERVAL = ("accuracy", "quadratic_kappa", "auc_high", "site_auc")
ALONE = ("loss", "area_for_half")
RANKED = ("auc_high", "site_auc")  # of each baseline, and their differences
BASE, MORE = "count_position", "count_position_network"  # nested fits
EXTREME = 1e-3  # probabilities are kept this far from 0 and 1 before log-odds are taken


@dataclass(frozen=True)
class Evaluation:
    """Skill of out-of-fold predictions.

    Parameters
    ----------
    tiles : GeoDataFrame
        The kept tiles with ``fold`` (the first that tests them), ``predicted`` and ``p0`` and so on.
    sites : GeoDataFrame
        The sites of the kept tiles, with ``fold`` and, where the networks have maps of sites, ``p0`` and so on.
    metrics : dict
        Headline metrics with their intervals, and those of the baselines: see `headline`.
    curves : dict of DataFrame
        ``success_rate`` of every prediction; ``reliability`` of the network's probability of being high; ``confusion``,
        the ``actual`` and ``predicted`` class of each tile, by name.
    tables : dict of DataFrame
        ``baselines``: every metric of every prediction (`heatflow.evaluation.intervals.compare`); ``by_sites``: the
        same of tiles by their sites (`heatflow.evaluation.by_sites`); ``strata``: AUC by the number of wells
        (`heatflow.evaluation.intervals.auc_table`); ``statistics``: AUC over all strata, by the statistic of a tile's
        residuals that sets its class; ``seeds``: metrics of each repeat and seed alone; ``recall``: how many tiles of
        each class are called by it (`heatflow.evaluation.skill.recall`); ``drilling``: hits of rules that pick sites
        (`heatflow.evaluation.drilling.replay`).
    matrix : int array, shape (classes, classes)
        Counts of tiles; rows true class, columns predicted class.
    """

    tiles: geopandas.GeoDataFrame
    sites: geopandas.GeoDataFrame
    metrics: dict[str, Any]
    curves: dict[str, pd.DataFrame]
    tables: dict[str, pd.DataFrame]
    matrix: np.ndarray


def evaluate(data: FoldData, sites: geopandas.GeoDataFrame, predictions: Predictions, baselines: Probabilities,
             of_sites: dict[str, np.ndarray], tile: Tile, split: Split) -> Evaluation:  # fmt: skip
    """Score out-of-fold predictions.

    With repeats of the split a prediction is a mean over networks of several folds. Pairs of tiles are then those of
    one fold of the first repeat: in the others the two may have been predicted by different networks, each by half of
    them or less.

    Parameters
    ----------
    data : FoldData
    sites : GeoDataFrame
        As `heatflow.geo.sites.group_sites` gives them.
    predictions : Predictions
    baselines : dict
        Out-of-fold probabilities of the baselines, as `heatflow.evaluation.baselines.read_baselines` gives them.
    of_sites : dict of float array, shape (sites of kept tiles,)
        Probability that each site is high, of baselines that predict sites.
    tile : Tile
    split : Split

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> evaluation = evaluate(data, sites, predictions, baselines, {}, Tile(), Split())  # doctest: +SKIP
    >>> evaluation.metrics["skill"]["constant"]["verdict"]  # doctest: +SKIP
    'above'
    """
    table, fold = data.table, data.test_fold
    label, n_wells, row, col = (table[name].to_numpy() for name in ("label", "n_wells", "row", "col"))
    block = block_of(row, col, split.block_size, tile.size, tile.step)
    there, of_tile = kept_sites(sites, table["tile"].to_numpy())
    residual = there["residual"].to_numpy()
    target = Target(label, tile.first_high, n_wells, fold, block, of_tile, residual, tile.binary_edge)
    own = {"constant": constant_guess(data.split.first, label, tile.n_classes)}
    own |= _on_statistic(baselines, tile.statistic)
    compared = {"network": network_prediction(predictions, tile.first_high)}
    compared |= {k: Prediction(p[None], of_sites[k][None] if k in of_sites else None) for k, p in own.items()}
    skill, added = compare(target, compared, split.seed), nested(target, compared, split.seed)
    told = by_sites(target, compared, predictions.site_members(), tile, split.seed)
    more = {"tiles": len(label), "sites": len(residual)} | _optimism(label, data, predictions, baselines, tile)
    metrics = headline(skill, added, more | headline_by_sites(told))
    probability = predictions.mean()
    predicted, curves = probability.argmax(axis=1), _curves(target, {"network": probability} | own, tile)
    tables = _by_statistic(table, probability, baselines, target, tile, split.seed)
    tables |= {
        "baselines": pd.concat([skill, added]),
        "by_sites": told,
        "recall": recall(label, probability, tile.class_names),
    }
    drilling = _drilling(target, compared, there, tile, split.seed)
    tables |= {"seeds": _seeds(target, data, predictions), "drilling": drilling}
    tiles = table.assign(fold=fold, predicted=predicted, **dict(zip(tile.class_columns, probability.T, strict=True)))
    scored = there.assign(fold=fold[of_tile], **_site_columns(predictions, tile))
    matrix = confusion_matrix(label, predicted, labels=range(tile.n_classes))
    return Evaluation(tiles, scored, metrics, curves, tables, matrix)


def _curves(target: Target, probability: dict[str, np.ndarray], tile: Tile) -> dict[str, pd.DataFrame]:
    """``curves`` of an `Evaluation`, from the class probabilities of each prediction, the network's first."""
    high, p_high = target.label >= target.first_high, _p_high(probability, tile)
    names = np.array(tile.class_names, dtype=object)
    called = names[probability["network"].argmax(axis=1)]
    found = [success_rate(high, p, target.fold).assign(prediction=name) for name, p in p_high.items()]
    return {
        "success_rate": pd.concat(found),
        "reliability": reliability(high, p_high["network"]),
        "confusion": pd.DataFrame({"actual": names[target.label], "predicted": called}),
    }


def _drilling(target: Target, compared: dict[str, Prediction], sites: geopandas.GeoDataFrame, tile: Tile,
              seed: int) -> pd.DataFrame:  # fmt: skip
    """`replay` of the network, of the number of wells, and of the distance to hot sites of other blocks."""
    network = compared["network"]
    high, block = target.site_residual > target.edge, target.block[target.site_tile]
    of_tiles = network.tiles[:, :, target.first_high :].sum(axis=2)[:, target.site_tile]
    p = (of_tiles if network.sites is None else network.sites).mean(axis=0)
    place = sites[["row", "col"]].to_numpy() * CELL
    wells = sites["n_wells"].to_numpy(dtype=np.float64)
    once = each_once(sites, tile)
    nearest = to_other_groups(place, block, known=high & once)
    rules = {"network": p, "number of wells": wells, "distance to hot sites": -nearest}
    return replay(high[once], block[once], {name: value[once] for name, value in rules.items()}, seed)


def _site_columns(predictions: Predictions, tile: Tile) -> dict[str, np.ndarray]:
    members = predictions.site_members()
    return {} if members is None else dict(zip(tile.class_columns, members.mean(axis=0).T, strict=True))


def network_prediction(predictions: Predictions, first_high: int) -> Prediction:
    """Tiles and sites by each of the networks; without maps of sites, the score of a tile is that of its sites."""
    members = predictions.site_members()
    return Prediction(predictions.members(), None if members is None else members[:, :, first_high:].sum(axis=2))


def headline(skill: pd.DataFrame, added: pd.DataFrame, more: dict[str, Any]) -> dict[str, Any]:
    """The numbers of ``metrics/evaluation.json``, from the tables of `compare` and of `nested`, and some more.

    Returns
    -------
    dict
        The network's metrics, some with ``_low`` and ``_high``; ``site_ceiling``, the AUC of sites by the other sites
        of their tile; ``detectable``, the true difference in ``auc_high`` to any baseline that the data would show with
        a chance of 80 %; those of `more`; ``added``, what the network changes in the log loss of count and position
        together; ``baseline``, the AUC of tiles and sites of each; ``skill``, the network's minus that, with the
        ``verdict`` on tiles.
    """
    rows = {(row["prediction"], row["metric"]): row for row in skill.to_dict("records")}
    network = {name: row for (prediction, name), row in rows.items() if prediction == "network"}
    metrics: dict[str, Any] = {}
    for name in WITH_INTERVAL:
        value, low, high = (network[name][key] for key in ("value", "low", "high"))
        metrics |= {name: value, f"{name}_low": low, f"{name}_high": high}
    metrics |= {name: network[name]["value"] for name in ALONE} | {"site_ceiling": rows[CEILING, "site_auc"]["value"]}
    baseline, gained = {}, {}
    for prediction in dict.fromkeys(name for name, _ in rows if name not in ("network", CEILING)):
        tile, site = (rows[prediction, name] for name in RANKED)
        baseline[prediction] = {"auc_high": tile["value"], "site_auc": site["value"]}
        if prediction == "constant":
            baseline[prediction] = {"accuracy": rows[prediction, "accuracy"]["value"]} | baseline[prediction]
        ends = ("", "_low", "_high")
        gained[prediction] = {f"auc_high{end}": tile[f"difference{end}"] for end in ends}
        gained[prediction] |= {f"site_auc{end}": site[f"difference{end}"] for end in ends}
        gained[prediction] |= {"verdict": tile["verdict"]}
    metrics["detectable"] = max((rows[name, "auc_high"]["detectable"] for name in gained), default=float("nan"))
    (loss,) = added[(added["prediction"] == BASE) & (added["metric"] == "loss")].to_dict("records")
    change = {f"loss{end}": loss[f"difference{end}"] for end in ("", "_low", "_high")}
    return metrics | more | {"added": change, "baseline": baseline, "skill": gained}


def nested(target: Target, compared: dict[str, Prediction], seed: int) -> pd.DataFrame:
    """What the network adds to the number of wells and the position together: two nested logistic fits, out of fold.

    One predicts whether a tile is high from the log-odds of the baselines count and position, the other also from those
    of the network. Each fold is predicted by a fit to the other folds.

    Returns
    -------
    DataFrame
        As `compare` gives it, for the predictions MORE and BASE.
    """
    high = (target.label >= target.first_high).astype(int)
    members = [compared[name].tiles for name in ("network", "count", "position") if name in compared]
    network, *base = (_log_odds(p[:, :, target.first_high :].sum(axis=2)) for p in members)
    columns = np.column_stack([np.zeros(len(high)), *(part[0] for part in base)])

    def fit(x: np.ndarray) -> np.ndarray:
        p = np.empty(len(high))
        for fold in np.unique(target.fold):
            test = target.fold == fold
            if len(np.unique(high[~test])) < 2:
                p[test] = high[~test].mean()
            else:
                p[test] = LogisticRegression(C=1e3).fit(x[~test], high[~test]).predict_proba(x[test])[:, 1]
        return np.column_stack([1 - p, p])

    more = np.array([fit(np.column_stack([columns, member])) for member in network])
    both = {MORE: Prediction(more), BASE: Prediction(fit(columns)[None])}
    table = compare(replace(target, label=high, first_high=1), both, seed)
    return table[table["prediction"] != CEILING]


def _log_odds(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, EXTREME, 1 - EXTREME)
    return np.log(p / (1 - p))


def _by_statistic(table: pd.DataFrame, probability: np.ndarray, baselines: Probabilities, target: Target, tile: Tile,
                  seed: int) -> dict[str, pd.DataFrame]:  # fmt: skip
    """AUC by the number of wells, and over all strata where another statistic of the residuals sets the class."""
    aucs = {}
    for statistic in STATISTICS:  # also others than the one whose classes the network was trained on
        high = classify(table[f"residual_{statistic}"].to_numpy(), tile.edges) >= tile.first_high
        ranking = _p_high({"network": probability} | _on_statistic(baselines, statistic), tile)
        aucs[statistic] = auc_table(high, ranking, target.n_wells, target.fold, target.block, seed)
    over_all = [t[t["wells"].isin(["equal", "all"])].assign(statistic=name) for name, t in aucs.items()]
    return {"strata": aucs[tile.statistic], "statistics": pd.concat(over_all)}


def _p_high(probability: dict[str, np.ndarray], tile: Tile) -> dict[str, np.ndarray]:
    """Of each prediction the probability of being above the binary edge."""
    return {name: p[:, tile.first_high :].sum(axis=1) for name, p in probability.items()}


def _on_statistic(baselines: Probabilities, statistic: str) -> dict[str, np.ndarray]:
    """Baselines that were fitted to the classes by one statistic, on the folds that are scored."""
    return {name: q for (name, fitted, random), q in baselines.items() if fitted == statistic and random == "no"}


def _seeds(target: Target, data: FoldData, predictions: Predictions) -> pd.DataFrame:
    """Metrics of each network alone, on the folds of its own repeat."""
    rows = []
    for (repeat, seed), p in predictions.by_network.items():
        fold = _tested_by(data, repeat)
        found = scores(target.label, p, target.first_high, fold, target.n_wells)
        rows.append({"repeat": repeat, "seed": seed} | {name: float(found[name][0]) for name in SEED_METRICS})
    return pd.DataFrame(rows)


def _tested_by(data: FoldData, repeat: str) -> np.ndarray:
    """The fold of a repeat that tests each tile, int (n,)."""
    return (data.roles[data.split.repeat == repeat] == "test").argmax(axis=0)


def _optimism(label: np.ndarray, data: FoldData, predictions: Predictions, baselines: Probabilities,
              tile: Tile) -> dict[str, dict[str, float]]:  # fmt: skip
    """How much higher the AUC is on a random split than on blocks; empty where there is no random split."""
    if ("terrain", tile.statistic, "yes") not in baselines:
        return {}
    pairs = {
        "network": [predictions.mean(random) for random in (True, False)],
        "terrain": [baselines["terrain", tile.statistic, random] for random in ("yes", "no")],
    }
    high, folds = label >= tile.first_high, (_tested_by(data, COMPARED), data.test_fold)
    gap = {}
    for name, pair in pairs.items():
        p_high = (p[:, tile.first_high :].sum(axis=1) for p in pair)
        random, blocked = (float(auc(high, p, fold)[0]) for p, fold in zip(p_high, folds, strict=True))
        gap[name] = random - blocked
    return {"optimism_gap": gap}
