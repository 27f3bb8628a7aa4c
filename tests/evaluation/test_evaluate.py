"""The evaluation of a small region whose answers are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Split, Tile
from heatflow.evaluation.by_sites import RANKS
from heatflow.evaluation.evaluate import evaluate
from heatflow.evaluation.predictions import Predictions
from heatflow.evaluation.skill import auc, recall
from heatflow.geo.labels import STATISTICS, classify
from heatflow.learning.folds import Folds
from heatflow.present.messages.evaluation import (
    baseline_lines,
    confusion_title,
    evaluation_lines,
    evaluation_warnings,
    recall_lines,
)

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
    fits = (
        [(name, "max", "no") for name in ("count", "position", "local")]
        + [("terrain", name, "no") for name in STATISTICS]
        + [("terrain", "max", flag) for flag in random]
    )
    return dict.fromkeys(fits, guess)


@pytest.fixture
def sites(data):
    """Two sites of each tile, of its class, and one of a tile that was not kept."""
    tile = np.append(np.repeat(data.table["tile"].to_numpy(), 2), 999)
    residual = np.append(np.repeat(data.table["residual_max"].to_numpy(), 2), 1e3)
    row, col = (np.append(np.repeat(data.table[name].to_numpy() * 20, 2), 0) for name in ("row", "col"))
    return pd.DataFrame({"tile": tile, "row": row, "col": col, "n_wells": 1, "residual": residual})


def run(data, sites, predictions, fits=None, of_sites=()):
    return evaluate(data, sites, predictions, fits or baselines(), dict(of_sites), TILE, SPLIT)


def test_metrics_and_tables_of_a_network_that_knows(data, sites, predictions):
    evaluation = run(data, sites, predictions)
    metrics = evaluation.metrics
    assert metrics["accuracy"] == metrics["auc_high"] == metrics["site_auc"] == metrics["site_ceiling"] == 1
    assert metrics["sites"] == 2 * SIDE**2
    assert metrics["tiles"] == SIDE**2
    drilled = evaluation.tables["drilling"].set_index(["rule", "places"])
    assert drilled.loc[("network", 1), "gain"] > 0
    assert drilled.loc[("number of wells", 1), "gain"] == pytest.approx(0)  # one at each site
    assert metrics["skill"]["terrain"]["verdict"] == metrics["skill"]["constant"]["verdict"] == "above"
    assert "optimism_gap" not in metrics
    counts = np.bincount(data.table["label"], minlength=3)
    assert evaluation.matrix.tolist() == np.diag(counts).tolist()
    assert evaluation.curves["confusion"].value_counts().sum() == SIDE**2
    assert set(evaluation.curves["confusion"]["actual"]) == {"0: <=0", "1: 0-50", "2: >50"}
    assert set(evaluation.curves["success_rate"]["prediction"]) == {
        "network", "constant", "count", "position", "local", "terrain",
    }  # fmt: skip
    assert list(evaluation.tiles.columns)[-5:] == ["fold", "predicted", "p0", "p1", "p2"]
    assert (evaluation.tiles["fold"] == (data.table["col"] >= SIDE // 2)).all()
    assert (evaluation.tiles["predicted"] == data.table["label"]).all()


def test_tables_by_wells_statistic_and_seed(data, sites, predictions):
    tables = run(data, sites, predictions).tables
    network = tables["statistics"].query("prediction == 'network' and wells == 'all'").set_index("statistic")["auc"]
    assert network["max"] == 1
    assert network["median"] < 0.5  # the classes of the residuals turned round
    strata = tables["strata"].query("prediction == 'network'").set_index("wells")
    assert strata.loc["all", "tiles"] == strata.drop(["all", "equal"])["tiles"].sum() == SIDE**2
    assert tables["seeds"]["auc_high"].tolist() == [1, 0.5]
    assert tables["recall"]["tiles"].sum() == 2 * SIDE**2
    assert tables["recall"].query("reading == 'most_probable'")["recall"].tolist() == [1, 1, 1]


def test_the_optimism_gap_is_that_of_the_random_split_over_the_blocks(data, sites, predictions):
    high = data.table["label"].to_numpy() >= 2
    upper = np.where(data.table["row"] < SIDE // 2, "test", "train").astype(object)
    lower = np.where(data.table["row"] < SIDE // 2, "train", "test").astype(object)
    data.split = Folds(np.array([*data.roles, upper, lower]), np.array(["0", "0", "random", "random"]))
    knows, nothing = predictions.by_network.values()
    both = Predictions({("0", 0): nothing, ("random", 0): knows})
    gap = run(data, sites, both, baselines(random=("yes",))).metrics["optimism_gap"]
    fold = (data.table["row"] >= SIDE // 2).to_numpy()
    assert gap == {"network": float(auc(high, knows[:, 2], fold)[0]) - 0.5, "terrain": 0}


def test_sites_of_a_baseline_have_scores_of_their_own(data, sites, predictions):
    p_high = (sites["residual"][:-1] > 50).to_numpy() * 0.8 + 0.1
    metrics = run(data, sites, predictions, of_sites={"local": p_high}).metrics
    assert metrics["baseline"]["local"] == {"auc_high": 0.5, "site_auc": 1.0}
    assert metrics["skill"]["local"]["site_auc"] == 0
    assert metrics["skill"]["terrain"]["site_auc"] == 0.5


def test_the_network_adds_to_count_and_position_what_they_do_not_know(data, sites, predictions):
    knows, knows_nothing = predictions.by_network.values()
    evaluation = run(data, sites, Predictions({("0", 0): knows}))
    assert evaluation.metrics["added"]["loss_high"] < 0
    nothing = Predictions({("0", 0): knows_nothing})
    assert run(data, sites, nothing).metrics["added"]["loss"] == pytest.approx(0, abs=1e-4)
    table = evaluation.tables["baselines"].set_index(["prediction", "metric"])
    assert table.loc[("count_position", "auc_high"), "value"] == 0.5
    assert table.loc[("count_position_network", "auc_high"), "value"] == 1


def test_tiles_are_also_predicted_by_what_is_said_of_their_sites(data, sites, predictions):
    """Of networks that know each site, and nothing of the tile as such."""
    label = classify(sites["residual"].to_numpy()[:-1], TILE.edges)
    of_sites = np.full((len(label), 3), 0.1)
    of_sites[np.arange(len(label)), label] = 0.8
    nothing = np.full((SIDE**2, 3), 1 / 3)
    knows = Predictions({("0", k): nothing for k in (0, 1)}, {("0", k): of_sites for k in (0, 1)})
    evaluation = run(data, sites, knows)
    found, table = evaluation.metrics["by_sites"], evaluation.tables["by_sites"].set_index(["prediction", "metric"])
    assert found["auc_high"] == found["accuracy"] == table.loc[("network_by_sites", "auc_high"), "value"] == 1
    ends = ("", "_low", "_high")
    assert [found[f"over_{other}{end}"] for other in ("network", "baseline") for end in ends] == [0.5] * 6
    assert [found[f"over_hottest_site{end}"] for end in ends] == [0] * 3
    assert (found["baseline"], found["baseline_auc_high"]) == ("constant", 0.5)
    assert set(table.index.unique("prediction")) == {
        "network_by_sites", "network", "network_hottest_site", "constant_by_sites", "terrain_by_sites",
        "local_by_sites",
    }  # fmt: skip
    assert {metric for name, metric in table.index if name == "terrain_by_sites"} == set(RANKS)
    without = run(data, sites, predictions)  # maps of sites
    assert "by_sites" not in without.metrics
    assert without.tables["by_sites"].empty
    lines = evaluation_lines(
        evaluation.metrics, evaluation.tables["baselines"], evaluation.tables["recall"], 50, "", ""
    )
    assert any(
        "their sites 1.000: +0.500 over its score of the tile, +0.500 over constant by" in line for line in lines
    )
    other = Tile(edges=TILE.edges, binary_edge=TILE.binary_edge, statistic="mean")
    fits = {key: p for key, p in baselines().items() if key[1] == "mean"}
    assert evaluate(data, sites, knows, fits, {}, other, SPLIT).tables["by_sites"].empty


def test_with_repeats_pairs_are_those_of_the_first(data, sites, predictions):
    own = run(data, sites, predictions).metrics
    data.split = Folds(np.array([*data.roles, *data.roles[:, ::-1]]), np.array(["0", "0", "1", "1"]))
    knows, nothing = predictions.by_network.values()
    repeated = run(data, sites, Predictions({("0", 0): knows, ("1", 0): nothing})).metrics
    assert repeated["auc_high"] == own["auc_high"]


def test_messages_say_what_came_out(data, sites, predictions, tmp_path):
    evaluation = run(data, sites, predictions)
    metrics, paths = evaluation.metrics, (tmp_path / "evaluation.json", tmp_path / "baselines.csv")
    lines = list(evaluation_lines(metrics, evaluation.tables["baselines"], evaluation.tables["recall"], 50, *paths))
    assert len(lines) == 4  # no class is silent
    assert lines[0].startswith("accuracy 100.0% (constant guess ")
    assert "AUC of tiles above 50 mW/m2 1.000: above constant 0.500, above count 0.500" in lines[1]
    assert "AUC of sites above 50 mW/m2 1.000: above constant 0.500" in lines[2]
    assert confusion_title(metrics).startswith("64 tiles, out of fold\naccuracy 100.0%")
    assert "do not contain the luck of training" in next(evaluation_warnings(1))
    assert not [*evaluation_warnings(2)]
    silent = recall(np.array([0, 1, 2]), np.array([[0.6, 0.2, 0.2], [0.4, 0.2, 0.4], [0.1, 0.2, 0.7]]), ["a", "b", "c"])
    assert [*recall_lines(silent)] == [
        "class b: never the most probable one, of 1 tiles; the median of the probabilities calls 1 by it, "
        "with a recall of 100%"
    ]
    table = pd.DataFrame(
        {"baseline": ["count"] * 3, "statistic": ["max", "max", "mean"], "random": "no"}
        | {"p0": [0.9, 0.2, 0.0], "p1": [0.1, 0.3, 0.0], "p2": [0.0, 0.5, 1.0]}
    )
    assert baseline_lines(table, np.array([0, 1]), TILE, trend=True) == ["count: right on 50.0% of 2 tiles"]
    assert "left out" in baseline_lines(table, np.array([0, 1]), TILE, trend=False)[-1]
