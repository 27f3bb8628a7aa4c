"""Predict every tile by the networks that were trained without its fold, and score the predictions."""

from functools import partial

from heatflow.evaluation.baselines import read_baselines
from heatflow.evaluation.evaluate import evaluate
from heatflow.evaluation.predictions import predict_out_of_fold
from heatflow.io.text import read_csv, write_csv, write_json
from heatflow.io.vectors import write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.present.figures import confusion_figure, curves_figure, save
from heatflow.present.messages.evaluation import confusion_title, evaluation_lines
from stages._paths import BASELINES, CURVES, EVALUATION, FOLD_DATA, METRICS, MODELS, PREDICTIONS, TABLES
from stages._runner import progress, read_params, run, say

PARAMS = (
    "tile.edges", "tile.binary_edge", "tile.size", "tile.stride", "tile.statistic", "split.block_size", "split.seed",
    "train.device",
)  # fmt: skip
INPUTS = (*FOLD_DATA, MODELS, CURVES, BASELINES)
CURVE_COLUMNS = ("fold", "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def main() -> None:
    p = read_params(PARAMS)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    data = FoldData.load(*FOLD_DATA)
    baselines = read_baselines(BASELINES, data.table["tile"].to_numpy(), p.tile.class_columns)
    curves = read_csv(CURVES, CURVE_COLUMNS, dtype={"fold": str})
    with progress(data.folds, "evaluate", "fold") as bar:
        predictions = predict_out_of_fold(data, partial(load_networks, MODELS), engine, bar.update)
    evaluation = evaluate(data, predictions, baselines, p.tile, p.split)
    write_features(PREDICTIONS, evaluation.tiles, "predictions")
    write_json(EVALUATION, evaluation.metrics)
    for folder, tables in ((METRICS, evaluation.curves), (TABLES, evaluation.tables)):
        for name, table in tables.items():
            write_csv(folder / f"{name}.csv", table)
    title = confusion_title(evaluation.metrics)
    save(confusion_figure(evaluation.matrix, p.tile.class_ranges, title), METRICS / "confusion.png")
    save(curves_figure(curves, p.tile.n_classes), METRICS / "curves.png")
    say(evaluation_lines(evaluation.metrics, p.tile.binary_edge, EVALUATION, TABLES / "strata.csv"))


if __name__ == "__main__":
    run(main, INPUTS)
