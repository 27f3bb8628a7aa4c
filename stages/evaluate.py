"""Predict every tile with the network that has not seen it, and say what the predictions are worth."""

import numpy as np
import pandas as pd

from heatflow.errors import reading
from heatflow.evaluation.intervals import auc_table, compare
from heatflow.evaluation.skill import (
    area_for_half,
    calibration_error,
    confusion,
    constant_guess,
    reliability,
    score,
    success_rate,
)
from heatflow.geo.labels import STATISTICS, classify
from heatflow.io.text import read_csv, write_csv, write_json
from heatflow.io.vectors import write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import COMPARED, block_of
from heatflow.learning.models import load_networks
from heatflow.learning.training import predict, reproducible
from heatflow.present.figures import confusion_figure, curves_figure, save
from stages._paths import (
    BASELINES,
    CURVES,
    FOLDS,
    KEPT,
    METRICS,
    MODELS,
    PREDICTIONS,
    SCALING,
    TABLES,
    TILE_TABLE,
    TILES,
)
from stages._runner import progress, read_params, run, say

PARAMS = (
    "tile.edges", "tile.binary_edge", "tile.size", "tile.stride", "tile.statistic", "split.block_size", "split.seed",
    "train.device",
)  # fmt: skip
BATCH = 20
CURVE_COLUMNS = (
    "fold",
    "epoch",
    *(f"{part}_{name}" for part in ("train", "validation") for name in ("loss", "accuracy")),
)
INPUTS = (TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, CURVES, BASELINES)


def main():
    params = read_params(PARAMS)
    p, engine = params.tile, Engine.choose(params.train.device, "float32", compile=False)
    names = p.class_names
    classes, first_high = len(names), p.first_high
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    label, n_wells = data.table["label"].to_numpy(), data.table["n_wells"].to_numpy()
    high, tile = label >= first_high, data.table["tile"].to_numpy()
    every = _predict_all(data, engine, classes)  # (repeat, seed) -> probability of each class for each tile
    probability = np.mean([q for (repeat, _), q in every.items() if repeat != COMPARED], axis=0)
    predicted, p_high = probability.argmax(axis=1), probability[:, first_high:].sum(axis=1)
    table = data.table.assign(fold=data.test_fold, predicted=predicted)
    for k in range(classes):
        table[f"p{k}"] = probability[:, k]
    write_features(PREDICTIONS, table, "predictions")

    scored = data.split.scored
    train_label = [label[data.members(k, "train")] for k in scored]
    constant = constant_guess(data.roles[scored] == "test", train_label, classes)
    fitted = _read_baselines(tile, classes)
    own = {name: q for (name, statistic, random), q in fitted.items() if statistic == p.statistic and random == "no"}
    baselines = {"constant": constant} | own
    size, stride = p.size, p.step
    block = block_of(table["row"].to_numpy(), table["col"].to_numpy(), params.split.block_size, size, stride)
    seed = params.split.seed
    skill = compare(label, probability, baselines, first_high, n_wells, block, seed)
    at_random = {"terrain": fitted.get(("terrain", p.statistic, "yes"))}
    at_random["network"] = np.mean([q for (repeat, _), q in every.items() if repeat == COMPARED] or [[np.nan]], axis=0)
    write_json(
        METRICS / "evaluation.json",
        {
            **{key: value for key, value in skill.items() if not isinstance(value, dict)},
            "off_by_one": score(label, probability, first_high)["off_by_one"],
            "calibration_error": calibration_error(high, p_high),
            "area_for_half": area_for_half(high, p_high),
            "tiles": len(label),
            **_optimism(label, probability, baselines["terrain"], at_random, first_high),
            "baseline": skill["baseline"],
            "skill": skill["skill"],
        },
    )
    curves = {"network": p_high} | {name: q[:, first_high:].sum(axis=1) for name, q in baselines.items()}
    found = [success_rate(high, q).assign(prediction=name) for name, q in curves.items()]
    write_csv(METRICS / "success_rate.csv", pd.concat(found))
    write_csv(METRICS / "reliability.csv", reliability(high, p_high))
    ranked = {name: q for name, q in curves.items() if name != "constant"}
    write_csv(TABLES / "strata.csv", auc_table(high, ranked, n_wells, block, seed))
    of_statistic = []
    for statistic in STATISTICS:
        target = classify(data.table[f"residual_{statistic}"].to_numpy(), p.edges) >= first_high
        others = {n: q[:, first_high:].sum(axis=1) for (n, s, r), q in fitted.items() if s == statistic and r == "no"}
        against = auc_table(target, {"network": p_high} | others, n_wells, block, seed)
        of_statistic.append(against[against["wells"].isin(["equal", "all"])].assign(statistic=statistic))
    write_csv(TABLES / "statistics.csv", pd.concat(of_statistic))
    keys = ("accuracy", "quadratic_kappa", "auc_high", "loss")
    spread = [
        {"repeat": repeat, "seed": number, **{key: score(label, q, first_high)[key] for key in keys}}
        for (repeat, number), q in every.items()
    ]
    write_csv(TABLES / "seeds.csv", pd.DataFrame(spread))
    pairs = pd.DataFrame({"actual": [names[k] for k in label], "predicted": [names[k] for k in predicted]})
    write_csv(METRICS / "confusion.csv", pairs)
    guess = skill["baseline"]["constant"]
    title = (
        f"{len(label)} tiles, out of fold\naccuracy {skill['accuracy']:.1%} (constant guess {guess['accuracy']:.1%})"
    )
    save(confusion_figure(confusion(label, predicted, classes), p.class_ranges, title), METRICS / "confusion.png")
    save(curves_figure(read_csv(CURVES, CURVE_COLUMNS, dtype={"fold": str}), classes), METRICS / "curves.png")
    say(
        f"accuracy {skill['accuracy']:.1%} (constant guess {guess['accuracy']:.1%}), "
        f"above {p.binary_edge:g} mW/m2 or not {skill['binary_accuracy']:.1%} ({guess['binary_accuracy']:.1%}) "
        f"-> {METRICS / 'evaluation.json'}"
    )
    against = [
        f"{one['verdict']} {name} {skill['baseline'][name]['auc_high']:.3f}" for name, one in skill["skill"].items()
    ]
    say(f"AUC {skill['auc_high']:.3f}: {', '.join(against)}")
    say(f"AUC among tiles with a like number of wells: {skill['auc_equal_count']:.3f} -> {METRICS / 'strata.csv'}")


def _predict_all(data, engine, classes):
    """Out-of-fold probabilities (n, classes) for each repeat of the split and each seed."""
    every = {}
    with progress(data.folds, "evaluate", "fold") as bar, reproducible(0):
        for k in range(data.folds):
            index = data.members(k, "test")
            tiles = data.inputs(k, index, engine.device)
            for number, network in enumerate(load_networks(MODELS, k)):
                scores = predict(engine.place(network), tiles, BATCH, engine).cpu().double()
                key = str(data.split.repeat[k]), number
                every.setdefault(key, np.empty((len(data.table), classes)))[index] = scores.softmax(dim=1).numpy()
            bar.update()
    return every


def _optimism(label, probability, terrain, at_random, first_high):
    """How much higher the AUC is when tiles are dealt to folds at random; nothing where that was not asked for."""
    if at_random["terrain"] is None:
        return {}
    gaps = {}
    for name, blocked in (("network", probability), ("terrain", terrain)):
        gaps[name] = (
            score(label, at_random[name], first_high)["auc_high"] - score(label, blocked, first_high)["auc_high"]
        )
    return {"optimism_gap": gaps}


def _read_baselines(tile, classes):
    """Probabilities (n, classes) in the order of the tiles for each (baseline, statistic, random split or not)."""
    table = read_csv(BASELINES)
    columns = [f"p{k}" for k in range(classes)]
    with reading(BASELINES):
        groups = table.groupby(["baseline", "statistic", "random"], sort=False)
        return {key: group.set_index("tile")[columns].loc[tile].to_numpy() for key, group in groups}


if __name__ == "__main__":
    run(main, INPUTS)
