"""The evaluation of a small region whose answers are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Split, Tile
from heatflow.evaluation.evaluate import evaluate
from heatflow.evaluation.predictions import Predictions
from heatflow.evaluation.skill import score
from heatflow.geo.labels import STATISTICS, classify
from heatflow.learning.folds import Folds
from heatflow.present.messages.evaluation import baseline_lines, confusion_title, evaluation_lines

SIDE = 8
TILE, SPLIT = Tile(edges=[0, 50], binary_edge=50), Split(block_size=2)


@dataclass
class Data:
    """Tiles on a square, the left half tested by fold 0, the right half by fold 1."""

    table: pd.DataFrame
    split: Folds

    @property
    def roles(self):
        return self.split.roles

    @property
    def test_fold(self):
        return (self.roles == "test").argmax(axis=0)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    row, col = (place.ravel() for place in np.mgrid[:SIDE, :SIDE])
    residual = rng.normal(25, 60, SIDE**2)
    table = pd.DataFrame({"tile": np.arange(SIDE**2), "row": row, "col": col, "n_wells": rng.integers(1, 9, SIDE**2)})
    table = table.assign(label=classify(residual, TILE.edges), **{f"residual_{name}": residual for name in STATISTICS})
    table["residual_median"] = -residual
    left = np.where(col < SIDE // 2, "test", "train").astype(object)
    right = np.where(col < SIDE // 2, "train", "test").astype(object)
    return Data(table, Folds(np.array([left, right]), np.array(["0", "0"])))


@pytest.fixture
def predictions(data):
    """Two networks: one knows the class, one knows nothing."""
    knows = np.full((SIDE**2, 3), 0.1)
    knows[np.arange(SIDE**2), data.table["label"]] = 0.8
    return Predictions({("0", 0): knows, ("0", 1): np.full((SIDE**2, 3), 1 / 3)})


def baselines(random=()):
    guess = np.tile([0.2, 0.3, 0.5], (SIDE**2, 1))
    fits = [("terrain", name, "no") for name in STATISTICS] + [("terrain", "max", flag) for flag in random]
    return dict.fromkeys(fits, guess)


def test_metrics_and_tables_of_a_network_that_knows(data, predictions):
    evaluation = evaluate(data, predictions, baselines(), TILE, SPLIT)
    metrics = evaluation.metrics
    assert metrics["accuracy"] == metrics["auc_high"] == 1
    assert metrics["tiles"] == SIDE**2
    assert metrics["skill"]["terrain"]["verdict"] == metrics["skill"]["constant"]["verdict"] == "above"
    assert "optimism_gap" not in metrics
    counts = np.bincount(data.table["label"], minlength=3)
    assert evaluation.matrix.tolist() == np.diag(counts).tolist()
    assert evaluation.curves["confusion"].value_counts().sum() == SIDE**2
    assert set(evaluation.curves["confusion"]["actual"]) == {"0: <=0", "1: 0-50", "2: >50"}
    assert set(evaluation.curves["success_rate"]["prediction"]) == {"network", "constant", "terrain"}
    assert list(evaluation.tiles.columns)[-5:] == ["fold", "predicted", "p0", "p1", "p2"]
    assert (evaluation.tiles["fold"] == (data.table["col"] >= SIDE // 2)).all()
    assert (evaluation.tiles["predicted"] == data.table["label"]).all()


def test_tables_by_wells_statistic_and_seed(data, predictions):
    tables = evaluate(data, predictions, baselines(), TILE, SPLIT).tables
    network = tables["statistics"].query("prediction == 'network' and wells == 'all'").set_index("statistic")["auc"]
    assert network["max"] == 1
    assert network["median"] < 0.5  # the classes of the residuals turned round
    strata = tables["strata"].query("prediction == 'network'").set_index("wells")
    assert strata.loc["all", "tiles"] == strata.drop(["all", "equal"])["tiles"].sum() == SIDE**2
    assert tables["seeds"]["auc_high"].tolist() == [1, 0.5]


def test_the_optimism_gap_is_that_of_the_random_split_over_the_blocks(data, predictions):
    label = data.table["label"].to_numpy()
    knows, nothing = predictions.by_network.values()
    both = Predictions({("0", 0): nothing, ("random", 0): knows})
    gap = evaluate(data, both, baselines(random=("yes",)), TILE, SPLIT).metrics["optimism_gap"]
    assert gap == {"network": score(label, knows, 2)["auc_high"] - 0.5, "terrain": 0}


def test_messages_say_what_came_out(data, predictions, tmp_path):
    metrics = evaluate(data, predictions, baselines(), TILE, SPLIT).metrics
    lines = evaluation_lines(metrics, 50, tmp_path / "evaluation.json", tmp_path / "strata.csv")
    assert lines[0].startswith("accuracy 100.0% (constant guess ")
    assert "above constant 0.500, above terrain 0.500" in lines[1]
    assert confusion_title(metrics).startswith("64 tiles, out of fold\naccuracy 100.0%")
    table = pd.DataFrame(
        {"baseline": ["count"] * 3, "statistic": ["max", "max", "mean"], "random": "no"}
        | {"p0": [0.9, 0.2, 0.0], "p1": [0.1, 0.3, 0.0], "p2": [0.0, 0.5, 1.0]}
    )
    assert baseline_lines(table, np.array([0, 1]), TILE) == ["count: right on 50.0% of 2 tiles"]
