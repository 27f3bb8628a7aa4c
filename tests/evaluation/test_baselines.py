"""Baselines out of fold: they learn what columns tell, and nothing of the tiles that they predict."""

import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Tile
from heatflow.errors import InputError
from heatflow.evaluation.baselines import (
    baselines_out_of_fold,
    constant_guess,
    forest,
    linear,
    out_of_fold,
    planned_fits,
    read_baselines,
)
from heatflow.geo.labels import STATISTICS
from heatflow.io.text import write_csv
from heatflow.learning.folds import Folds


@pytest.mark.parametrize("model", [linear, forest])
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


@pytest.mark.parametrize("random", [False, True])
def test_every_baseline_is_fitted_on_the_folds_and_statistics_that_it_is_compared_on(tmp_path, monkeypatch, random):
    monkeypatch.setattr("heatflow.evaluation.baselines.TREES", 3)
    kept = pd.DataFrame({"tile": [7, 3, 5, 1], "row": [0, 0, 1, 1], "col": [0, 1, 0, 1], "n_wells": [1, 2, 3, 4]})
    kept = kept.assign(**{f"residual_{name}": [10.0, 60.0, 10.0, 60.0] for name in STATISTICS})
    blocks = np.array([["train", "train", "test", "test"], ["test", "test", "train", "train"]])
    split = Folds(np.concatenate([blocks, blocks]), np.array(["0", "0", "random", "random"]))
    split = split if random else Folds(blocks, np.array(["0", "0"]))
    tile, fits = Tile(edges=[50], binary_edge=50), []
    table = baselines_out_of_fold(kept, np.arange(8.0).reshape(4, 2), split, tile, 0, lambda: fits.append(1))
    assert list(table.columns) == ["tile", "baseline", "statistic", "random", "p0", "p1"]
    assert len(table) == 2 * len(fits) == 4 * (15 if random else 13)
    write_csv(tmp_path / "baselines.csv", table)
    ids = np.array([1, 3, 5, 7])
    fitted = read_baselines(tmp_path / "baselines.csv", ids, tile.class_columns)
    assert list(fitted) == list(dict.fromkeys(fit[:2] + fit[3:] for fit in planned_fits(split, tile)))
    assert {name for name, statistic, _ in fitted if statistic == "median"} == {"terrain", "count", "position"}
    own = table[(table["baseline"] == "count") & (table["statistic"] == "max")].set_index("tile")
    np.testing.assert_allclose(fitted["count", "max", "no"], own.loc[ids, ["p0", "p1"]], rtol=1e-5)
    with pytest.raises(InputError, match=r"baselines\.csv: damaged"):
        read_baselines(tmp_path / "baselines.csv", np.array([2]), tile.class_columns)
