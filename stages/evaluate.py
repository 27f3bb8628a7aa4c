"""Predict every tile with the network that has not seen it, and say what the predictions are worth."""

import numpy as np
import pandas as pd
import torch

from heatflow.analysis.skill import confusion, per_class, score, score_constant
from heatflow.files import write_csv, write_json
from heatflow.geo.tiles import class_names, class_ranges
from heatflow.geo.vector import write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_network
from heatflow.learning.training import predict, reproducible
from heatflow.present.figures import confusion_figure, curves_figure, save
from stages._stage import (
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

PARAMS = ("tile.edges", "tile.binary_edge", "train.device")
BATCH = 20
INPUTS = (TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, CURVES)


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
    skill = score(label, probability, first_high)
    constant = score_constant(label, fold, train_label, classes, first_high)
    matrix = confusion(label, predicted, classes)
    write_json(
        METRICS / "evaluation.json",
        {
            **skill,
            "tiles": len(label),
            "class": per_class(label, predicted, classes),
            "baseline": {"constant": constant},
        },
    )
    pairs = pd.DataFrame({"actual": [names[k] for k in label], "predicted": [names[k] for k in predicted]})
    write_csv(METRICS / "confusion.csv", pairs)
    title = (
        f"{len(label)} tiles, out of fold\naccuracy {skill['accuracy']:.1%} (constant guess {constant['accuracy']:.1%})"
    )
    save(confusion_figure(matrix, class_ranges(p.edges), title), METRICS / "confusion.png")
    save(curves_figure(pd.read_csv(CURVES), classes), METRICS / "curves.png")
    say(
        f"accuracy {skill['accuracy']:.1%} (constant guess {constant['accuracy']:.1%}), "
        f"above {p.binary_edge:g} mW/m2 or not {skill['binary_accuracy']:.1%} ({constant['binary_accuracy']:.1%}), "
        f"AUC {skill['auc_high']:.3f} -> {METRICS / 'evaluation.json'}"
    )


if __name__ == "__main__":
    run(main, INPUTS)
