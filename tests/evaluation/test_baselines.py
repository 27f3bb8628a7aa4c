"""Baselines out of fold: they learn what columns tell, and nothing of the tiles that they predict."""

import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Tile
from heatflow.errors import InputError
from heatflow.evaluation.baselines import (
    OF_SITES,
    TERRAIN,
    Predictors,
    baselines_out_of_fold,
    constant_guess,
    linear,
    out_of_fold,
    planned_fits,
    read_baselines,
    read_site_baselines,
    shrunk,
    trees,
)
from heatflow.evaluation.site_models import Places
from heatflow.geo.labels import STATISTICS
from heatflow.io.text import write_csv
from heatflow.learning.folds import Folds


@pytest.mark.parametrize("model", [linear, shrunk, trees])
def test_baselines_learn_what_columns_tell_and_nothing_of_their_own_fold(model, monkeypatch):
    monkeypatch.setattr("heatflow.evaluation.baselines.TREES", 30)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 150)
    fold = np.arange(150) % 3
    roles = np.array([np.where(fold == k, "test", "train") for k in range(3)], dtype=object)
    telling = label[:, None] + rng.normal(0, 0.1, (150, 2))
    p = out_of_fold(telling, label, roles, 4, model, 0)
    assert np.mean(p.argmax(axis=1) == label) > 0.95
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p[:, 3] > 0).all()
    assert (p[:, 3] < 0.01).all()  # in no training tile, and yet possible
    nothing = out_of_fold(rng.normal(size=(150, 5)), label, roles, 4, model, 0)
    assert np.mean(nothing.argmax(axis=1) == label) < 0.5
    leak = telling.copy()
    leak[fold == 0] = 99.0  # what the model knew of fold 0 beforehand would still show
    assert np.mean(out_of_fold(leak, label, roles, 4, model, 0)[fold == 0].argmax(axis=1) == label[fold == 0]) < 0.6


def test_a_fold_whose_training_tiles_have_one_class_predicts_it():
    roles = np.array([["train", "train", "test"], ["test", "test", "train"]])
    p = out_of_fold(np.zeros((3, 1)), np.array([0, 0, 1]), roles, 2, linear, 0)
    np.testing.assert_allclose(p[2], [0.95 + 0.05 * 2.5 / 3, 0.05 * 0.5 / 3])


def test_constant_guess_is_the_class_shares_of_the_training_tiles():
    label = np.array([0, 0, 1, 3])
    roles = np.array([["test", "test", "train", "train"], ["train", "buffer", "test", "test"]])
    guess = constant_guess(roles, label, 4)
    np.testing.assert_allclose(guess[0], np.array([0.5, 1.5, 0.5, 1.5]) / 4)
    np.testing.assert_allclose(guess[2], np.array([1.5, 0.5, 0.5, 0.5]) / 3)
    repeated = constant_guess(np.concatenate([roles, roles[:, ::-1]]), label, 4)
    np.testing.assert_allclose(repeated.sum(axis=1), 1)


KEPT = pd.DataFrame({"tile": [7, 3, 5, 1], "row": [0, 0, 1, 1], "col": [0, 1, 0, 1], "n_wells": [1, 2, 3, 4]})
KEPT = KEPT.assign(**{f"residual_{name}": [10.0, 60.0, 10.0, 60.0] for name in STATISTICS})
TILE = Tile(edges=[50], binary_edge=50)


def predictors(trend=True):
    """Of four tiles with two sites each."""
    rng = np.random.default_rng(0)
    of_tile, high = np.repeat(np.arange(4), 2), np.array([0, 0, 1, 1, 0, 1, 1, 0], dtype=bool)
    places = Places(of_tile, high, rng.normal(size=(8, 2)), rng.normal(size=(4, 16, 2)))
    of_trend = np.arange(4.0) if trend else np.full(4, np.nan)
    return Predictors(
        np.arange(8.0).reshape(4, 2), of_trend, rng.normal(size=(4, 12, 12)), places, places, np.arange(4)
    )


@pytest.mark.parametrize("random", [False, True])
def test_every_baseline_is_fitted_on_the_folds_and_statistics_that_it_is_compared_on(tmp_path, monkeypatch, random):
    monkeypatch.setattr("heatflow.evaluation.baselines.TREES", 3)
    blocks = np.array([["train", "train", "test", "test"], ["test", "test", "train", "train"]])
    split = Folds(np.concatenate([blocks, blocks]), np.array(["0", "0", "random", "random"]))
    split = split if random else Folds(blocks, np.array(["0", "0"]))
    fits = []
    table, sites = baselines_out_of_fold(KEPT, predictors(), split, TILE, 0, lambda: fits.append(1))
    assert list(table.columns) == ["tile", "baseline", "statistic", "random", "p0", "p1"]
    assert len(table) == 2 * len(fits) == 4 * (20 if random else 18)
    own = table[(table["statistic"] == "max") & (table["random"] == "no")]
    assert set(own["baseline"]) == {*TERRAIN, *OF_SITES, "count", "position"}
    np.testing.assert_allclose(own[["p0", "p1"]].sum(axis=1), 1)
    write_csv(tmp_path / "baselines.csv", table)
    write_csv(tmp_path / "sites.csv", sites)
    ids = np.array([1, 3, 5, 7])
    fitted = read_baselines(tmp_path / "baselines.csv", ids, TILE.class_columns)
    assert list(fitted) == list(dict.fromkeys(fit[:2] + fit[3:] for fit in planned_fits(split, TILE, trend=True)))
    assert {name for name, statistic, _ in fitted if statistic == "median"} == {"terrain", "count", "position"}
    own = table[(table["baseline"] == "count") & (table["statistic"] == "max")].set_index("tile")
    np.testing.assert_allclose(fitted["count", "max", "no"], own.loc[ids, ["p0", "p1"]], rtol=1e-5)
    p_high = read_site_baselines(tmp_path / "sites.csv")
    assert list(p_high) == list(OF_SITES)
    assert all(values.shape == (8,) and (values > 0).all() and (values < 1).all() for values in p_high.values())
    with pytest.raises(InputError, match=r"baselines\.csv: damaged"):
        read_baselines(tmp_path / "baselines.csv", np.array([2]), TILE.class_columns)


def test_without_a_trend_its_baselines_are_left_out():
    split = Folds(np.array([["train", "test"], ["test", "train"]]), np.array(["0", "0"]))
    names = {name for name, *_ in planned_fits(split, TILE, trend=False)}
    assert names == {"terrain", "terrain_linear", "random_features", *OF_SITES, "count", "position"}
    assert not predictors(trend=False).has_trend


def test_columns_are_those_that_the_name_says():
    known, given = np.array([True, True, False, False]), predictors()
    assert given.columns("count", KEPT, known, 0).tolist() == [[1], [2], [3], [4]]
    assert given.columns("position", KEPT, known, 0).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert given.columns("terrain_linear", KEPT, known, 0).shape == (4, 2)
    given.trend[1] = np.nan  # a tile where nothing was subtracted has the mean of the others
    assert given.columns("terrain_trend", KEPT, known, 0)[:, 2].tolist() == [0, 5 / 3, 2, 3]
