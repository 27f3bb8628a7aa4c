"""Predict every tile with the network that has not seen it, and say what the predictions are worth."""

import numpy as np
import pandas as pd
import torch

from heatflow.analysis.intervals import compare
from heatflow.analysis.skill import (
    area_for_half,
    calibration_error,
    confusion,
    constant_guess,
    per_class,
    reliability,
    score,
    success_rate,
)
from heatflow.files import write_csv, write_json
from heatflow.geo.tiles import class_names, class_ranges
from heatflow.geo.vector import write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of
from heatflow.learning.models import load_network
from heatflow.learning.training import predict, reproducible
from heatflow.present.figures import confusion_figure, curves_figure, save
from stages._stage import (
    BASELINES,
    CURVES,
    FOLDS,
    KEPT,
    METRICS,
    MODELS,
    PREDICTIONS,
    SCALING,
    TILE_TABLE,
    TILES,
    progress,
    read_params,
    run,
    say,
)

PARAMS = (
    "tile.edges", "tile.binary_edge", "tile.size", "tile.stride", "split.block_size", "split.seed", "train.device",
)  # fmt: skip
BATCH = 20
INPUTS = (TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, CURVES, BASELINES)


def main():
    params = read_params(PARAMS)
    p, engine = params.tile, Engine.choose(params.train.device, "float32", compile=False)
    names = class_names(p.edges)
    classes, first_high = len(names), p.edges.index(p.binary_edge) + 1
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    label, fold = data.table["label"].to_numpy(), data.test_fold
    probability = np.empty((len(label), classes))
    with progress(data.folds, "evaluate", "fold") as bar, reproducible(0):
        for k in range(data.folds):
            index = data.members(k, "test")
            tiles = torch.from_numpy(data.normalised(k, index))[:, None].to(engine.device)
            scores = predict(engine.place(load_network(MODELS, k)), tiles, BATCH, engine)
            probability[index] = scores.cpu().double().softmax(dim=1).numpy()
            bar.update()
    predicted = probability.argmax(axis=1)
    table = data.table.assign(fold=fold, predicted=predicted)
    for k in range(classes):
        table[f"p{k}"] = probability[:, k]
    write_features(PREDICTIONS, table, "predictions")
    train_label = [label[data.members(k, "train")] for k in range(data.folds)]
    baselines = {"constant": constant_guess(fold, train_label, classes)} | _read_baselines(table["tile"], classes)
    size, stride = p.size, p.stride or p.size
    block = block_of(table["row"].to_numpy(), table["col"].to_numpy(), params.split.block_size, size, stride)
    skill = compare(label, probability, baselines, first_high, block, params.split.seed)
    high, p_high = label >= first_high, probability[:, first_high:].sum(axis=1)
    of_class = per_class(label, predicted, classes)
    matrix = confusion(label, predicted, classes)
    write_json(
        METRICS / "evaluation.json",
        {
            **{key: value for key, value in skill.items() if not isinstance(value, dict)},
            "off_by_one": score(label, probability, first_high)["off_by_one"],
            "calibration_error": calibration_error(high, p_high),
            "area_for_half": area_for_half(high, p_high),
            "tiles": len(label),
            "recall": {k: values["recall"] for k, values in of_class.items()},
            "tiles_of_class": {k: values["tiles"] for k, values in of_class.items()},
            "baseline": skill["baseline"],
            "skill": skill["skill"],
        },
    )
    curves = {"network": p_high} | {name: q[:, first_high:].sum(axis=1) for name, q in baselines.items()}
    found = [success_rate(high, q).assign(prediction=name) for name, q in curves.items()]
    write_csv(METRICS / "success_rate.csv", pd.concat(found))
    write_csv(METRICS / "reliability.csv", reliability(high, p_high))
    pairs = pd.DataFrame({"actual": [names[k] for k in label], "predicted": [names[k] for k in predicted]})
    write_csv(METRICS / "confusion.csv", pairs)
    title = (
        f"{len(label)} tiles, out of fold\naccuracy {skill['accuracy']:.1%} "
        f"(constant guess {skill['baseline']['constant']['accuracy']:.1%})"
    )
    save(confusion_figure(matrix, class_ranges(p.edges), title), METRICS / "confusion.png")
    save(curves_figure(pd.read_csv(CURVES), classes), METRICS / "curves.png")
    constant = skill["baseline"]["constant"]
    say(
        f"accuracy {skill['accuracy']:.1%} (constant guess {constant['accuracy']:.1%}), "
        f"above {p.binary_edge:g} mW/m2 or not {skill['binary_accuracy']:.1%} ({constant['binary_accuracy']:.1%}), "
        f"AUC {skill['auc_high']:.3f} -> {METRICS / 'evaluation.json'}"
    )
    for name, against in skill["skill"].items():
        say(
            f"AUC {against['verdict']} {name} ({skill['baseline'][name]['auc_high']:.3f}): difference "
            f"{against['auc_high']:+.3f} ({against['auc_high_low']:+.3f} to {against['auc_high_high']:+.3f})"
        )


def _read_baselines(tile, classes):
    """Probabilities (n, classes) of each baseline, in the order of the tiles."""
    table = pd.read_csv(BASELINES)
    columns = [f"p{k}" for k in range(classes)]
    return {
        name: group.set_index("tile")[columns].loc[tile].to_numpy()
        for name, group in table.groupby("baseline", sort=False)
    }


if __name__ == "__main__":
    run(main, INPUTS)
