"""Folds: every tile is tested once, blocks stay whole and alike, nothing near a test tile is trained on."""

import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Split, Tile
from heatflow.errors import InputError
from heatflow.learning.folds import COMPARED, Folds, absent_classes, make_folds, split_tiles

SPLIT = Split(folds=4, block_size=2, buffer=0, validation=0.2)


def square(n=16, classes=4):
    """Row, column and class of n x n tiles."""
    row, col = (v.ravel() for v in np.mgrid[:n, :n])
    return row, col, np.random.default_rng(0).choice(classes, n * n, p=[0.5, 0.1, 0.15, 0.25])


def distance(row, col, some, others):
    """Tiles between each of some tiles and the nearest of others; 1: neighbours."""
    return np.maximum(
        np.abs(row[some][:, None] - row[others]), np.abs(col[some][:, None] - col[others])
    ).min(axis=1)  # fmt: skip


def test_every_tile_is_tested_once_and_blocks_stay_whole():
    row, col, label = square()
    roles = split_tiles(row, col, label, SPLIT)
    assert ((roles == "test").sum(axis=0) == 1).all()
    block = (row // 2) * 8 + col // 2
    for fold in roles:
        for role in ("train", "validation", "test"):
            assert not np.isin(block[fold == role], block[fold != role]).any()
        assert 0.1 < (fold == "validation").sum() / (fold != "test").sum() < 0.3


def test_without_validation_the_same_tiles_are_tested_and_all_others_are_learnt_from():
    row, col, label = square()
    roles, of_all = (split_tiles(row, col, label, s) for s in (SPLIT, SPLIT.model_copy(update={"validation": 0})))
    assert ((roles == "test") == (of_all == "test")).all()
    assert np.unique(of_all).tolist() == ["test", "train"]
    assert absent_classes(of_all, label, 4) == []
    few = Split(folds=4, block_size=8, buffer=0)
    assert split_tiles(row, col, label, few).shape == (4, 256)
    with pytest.raises(InputError, match=r"4 folds and a validation part need at least 5 blocks"):
        split_tiles(row, col, label, few.model_copy(update={"validation": 0.1}))


def test_parts_have_nearly_equal_shares_of_each_class():
    row, col, label = square(20)
    roles = split_tiles(row, col, label, SPLIT)
    shares = np.array([[np.mean(label[fold == "test"] == k) for k in range(4)] for fold in roles])
    assert np.abs(shares - np.bincount(label) / label.size).max() < 0.05


def test_overlapping_tiles_never_train_on_test_pixels():
    row, col, label = square()
    roles = split_tiles(row, col, label, SPLIT, Tile(stride=100))
    for fold in roles:
        assert (distance(row, col, np.isin(fold, ("train", "validation")), fold == "test") >= 2).all()
    assert (roles == "buffer").any()


def test_random_scheme_scatters_tiles_and_seed_decides():
    row, col, label = square(10)
    split = Split(scheme="random", folds=4, buffer=1, validation=0.2)
    one, again = (split_tiles(row, col, label, split) for _ in range(2))
    assert (one == again).all()
    assert (one != split_tiles(row, col, label, split.model_copy(update={"seed": 2}))).any()
    block = (row // 2) * 5 + col // 2
    assert len(np.unique(block[one[0] == "test"])) > 12
    assert not (one == "buffer").any()


def test_fewer_blocks_than_folds_are_refused():
    with pytest.raises(InputError, match="need at least 5 blocks of tiles, and there are 4"):
        split_tiles(*square(4), SPLIT)


def test_buffer_keeps_training_and_validation_away_from_test_tiles():
    row, col, label = square(20)
    split = Split(folds=4, block_size=4, buffer=1, validation=0.2)
    roles = split_tiles(row, col, label, split)
    for fold in roles:
        test = fold == "test"
        assert (distance(row, col, fold == "train", test) >= 2).all()
        assert (distance(row, col, fold == "validation", test) >= 2).all()
        assert (distance(row, col, fold == "buffer", test) == 1).all()
    half = split.model_copy(update={"buffer": 0.5})  # a neighbour is nearer than half a tile
    assert (split_tiles(row, col, label, half) == roles).all()
    with pytest.raises(InputError, match=r"within 9 tiles of its test tiles were set aside; decrease split\.buffer"):
        split_tiles(row, col, label, split.model_copy(update={"buffer": 9.0}))


def test_each_repeat_assigns_tiles_to_other_folds():
    row, col, label = square()
    roles = split_tiles(row, col, label, SPLIT.model_copy(update={"repeats": 3})).reshape(3, 4, -1)
    assert ((roles == "test").sum(axis=1) == 1).all()
    assert (roles[0] != roles[1]).any()
    assert (roles[0] == split_tiles(row, col, label, SPLIT)).all()


def test_absent_classes_and_the_table_on_disk(tmp_path):
    roles = np.array([["train", "test", "validation"], ["test", "train", "train"]], dtype=object)
    absent = absent_classes(roles, np.array([0, 1, 0]), 2)
    assert (0, "train", 1) in absent
    assert (1, "train", 1) not in absent
    split = Folds(roles, np.array(["0", COMPARED]))
    split.table(np.array([7, 3, 9])).to_csv(tmp_path / "folds.csv", index=False)
    again = Folds.read(tmp_path / "folds.csv", np.array([9, 7]))
    assert (again.roles == roles[:, [2, 0]]).all()
    assert again.scored.tolist() == [0]
    assert again.compared.tolist() == [1]
    with pytest.raises(InputError, match=r"folds\.csv: damaged"):
        Folds.read(tmp_path / "folds.csv", np.array([7, 4]))


def test_folds_of_a_region_with_a_random_split_beside_them():
    row, col, label = square()
    table = pd.DataFrame({"row": row, "col": col, "label": label})
    split = make_folds(table, SPLIT.model_copy(update={"optimism": True, "repeats": 2}))
    assert split.folds.repeat.tolist() == ["0"] * 4 + ["1"] * 4 + [COMPARED] * 4
    assert split.folds.first.shape == (4, 256)
    assert split.metrics["folds"] == 12
    assert split.metrics["tiles"]["test"]["fold0"] == (split.folds.roles[0] == "test").sum()
    assert 0 < split.deviation < 0.1
    assert split.metrics["absent_classes"] == len(split.absent)
    with pytest.raises(InputError, match=r"tile\.edges: no tile is of class 3: >200 mW/m2 \(tiles in each class: "):
        make_folds(table[table["label"] < 3], SPLIT)
