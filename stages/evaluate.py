"""Predict every tile by the networks that were trained without its fold, and score the predictions."""

from functools import partial

from heatflow.evaluation import baselines, evaluate, predictions
from heatflow.io import text, vectors
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.present import figures
from heatflow.present.messages import evaluation as messages
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
    compared = baselines.read_baselines(BASELINES, data.table["tile"].to_numpy(), p.tile.class_columns)
    curves = text.read_csv(CURVES, CURVE_COLUMNS, dtype={"fold": str})
    with progress(data.folds, "evaluate", "fold") as bar:
        predicted = predictions.predict_out_of_fold(data, partial(load_networks, MODELS), engine, bar.update)
    evaluation = evaluate.evaluate(data, predicted, compared, p.tile, p.split)
    vectors.write_features(PREDICTIONS, evaluation.tiles, "predictions")
    text.write_json(EVALUATION, evaluation.metrics)
    for folder, tables in ((METRICS, evaluation.curves), (TABLES, evaluation.tables)):
        for name, table in tables.items():
            text.write_csv(folder / f"{name}.csv", table)
    confusion = evaluation.matrix, p.tile.class_ranges, messages.confusion_title(evaluation.metrics)
    figures.save(figures.confusion_figure(*confusion), METRICS / "confusion.png")
    figures.save(figures.curves_figure(curves, p.tile.n_classes), METRICS / "curves.png")
    say(messages.evaluation_lines(evaluation.metrics, p.tile.binary_edge, EVALUATION, TABLES / "strata.csv"))


if __name__ == "__main__":
    run(main, INPUTS)
