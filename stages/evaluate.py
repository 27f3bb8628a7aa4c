"""Predict every tile by the networks that were trained without its fold, and score the predictions."""

from functools import partial

from heatflow.evaluation import baselines, evaluate, evaluate_sites, predictions
from heatflow.io import text, vectors
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.prediction.ensemble import tested_inside
from heatflow.present import figures
from heatflow.present.messages import evaluation as messages
from stages import _paths as at
from stages._runner import progress, read_params, run, say, warn

PARAMS = (
    "tile.edges", "tile.binary_edge", "tile.size", "tile.stride", "tile.margin", "tile.statistic", "split.block_size",
    "split.seed", "train.device",
)  # fmt: skip
INPUTS = (*at.FOLD_DATA, at.SITES, at.MODELS, at.CURVES, at.BASELINES, at.SITE_BASELINES)
CURVE_COLUMNS = ("fold", "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def main() -> None:
    p = read_params(PARAMS)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    data = FoldData.load(at.FOLD_DATA, p.tile.margin)
    sites = vectors.read_features(at.SITES)
    of_sites = baselines.read_site_baselines(at.SITE_BASELINES)
    compared = baselines.read_baselines(at.BASELINES, data.table["tile"].to_numpy(), p.tile.class_columns)
    curves = text.read_csv(at.CURVES, CURVE_COLUMNS, dtype={"fold": str})
    places = predictions.SitePlaces.from_tables(sites, data.table, p.tile.size)
    with progress(data.folds, "evaluate", "fold") as bar:
        load = partial(load_networks, at.MODELS)
        predicted = predictions.predict_out_of_fold(data, load, engine, places, bar.update)
    evaluation = evaluate.evaluate(data, sites, predicted, compared, of_sites, p.tile, p.split)
    west, _, east, _ = data.table.geometry.iloc[0].bounds
    inside = tested_inside(data, resolution=(east - west) / p.tile.size)
    of_places = evaluate_sites.evaluate_sites(data, sites, predicted, inside, p.tile, p.split)
    vectors.write_features(at.PREDICTIONS, evaluation.tiles, "predictions")
    vectors.write_features(at.SITE_PREDICTIONS, evaluation.sites, "site_predictions")
    text.write_json(at.EVALUATION, evaluation.metrics)
    text.write_json(at.PREDICTION_SETS, of_places.rule.model_dump(), digits=12)
    for folder, tables in ((at.METRICS, evaluation.curves), (at.TABLES, evaluation.tables | of_places.tables)):
        for name, table in tables.items():
            text.write_csv(folder / f"{name}.csv", table)
    confusion = evaluation.matrix, p.tile.class_ranges, messages.confusion_title(evaluation.metrics)
    figures.save(figures.confusion_figure(*confusion), at.METRICS / "confusion.png")
    figures.save(figures.curves_figure(curves, p.tile.n_classes), at.METRICS / "curves.png")
    table = evaluation.tables["baselines"]
    where = at.EVALUATION, at.TABLES / "baselines.csv"
    say(messages.evaluation_lines(evaluation.metrics, table, evaluation.tables["recall"], p.tile.binary_edge, *where))
    say(messages.set_lines(of_places.rule, of_places.tables["prediction_sets"], at.TABLES / "prediction_sets.csv"))
    say(messages.near_lines(of_places.tables["near_wells"], at.TABLES / "near_wells.csv"))
    warn(messages.evaluation_warnings(len(predicted.members())))


if __name__ == "__main__":
    run(main, INPUTS)
