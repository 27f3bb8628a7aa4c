"""Nothing may look like skill that is none: nulls give none, and leaks planted on purpose are found."""

import dataclasses

import geopandas
import numpy as np
import pytest
import torch
from shapely import Point
from torchvision.transforms import v2

from heatflow.config.schema import Recipe
from heatflow.evaluation.baselines import linear, out_of_fold
from heatflow.evaluation.intervals import compare
from heatflow.geo.terrain_statistics import terrain_statistics
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import Folds, split_tiles
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import Part, TileSource, predict, reproducible, train_network

ENGINE = Engine(torch.device("cpu"), "float32")
RECIPE = Recipe(epochs=12, batch_size=20, lr=0.02, weight_decay=0.01)
SIDE = 12


@pytest.fixture(scope="module")
def region():
    """Tiles on a square grid whose class is the direction of their stripes, and is scattered in space."""
    rng = np.random.default_rng(0)
    row, col = (v.ravel() for v in np.mgrid[:SIDE, :SIDE])
    label = rng.integers(0, 2, SIDE**2)
    wave = np.tile(np.sin(np.arange(40) * 0.7), (40, 1))
    tiles = np.stack([wave if k else wave.T for k in label]) + rng.normal(0, 0.3, (SIDE**2, 40, 40))
    table = geopandas.GeoDataFrame(
        {"tile": np.arange(SIDE**2), "row": row, "col": col, "label": label, "relief": 3.0},
        geometry=[Point(0, 0)] * SIDE**2,
    )
    options = {"scheme": "blocks", "folds": 3, "block_size": 3, "buffer": 0.0, "validation": 0.15, "repeats": 1}
    roles = split_tiles(row, col, label, **options, seed=0, size=40, stride=40)
    return FoldData(
        table=table,
        pixels=tiles.astype(np.float32),
        position=np.arange(SIDE**2),
        split=Folds(roles, np.array(["0"] * 3)),
        scalings=[{"offset": 0.0, "scale": 1.0}] * 3,
    )


def relabelled(data, label):
    return dataclasses.replace(data, table=data.table.assign(label=label))


def skill(data):
    """What the network adds to a constant guess, out of fold: AUC difference with its interval, and the verdict."""
    label = data.table["label"].to_numpy()
    probability = np.empty((len(label), 2))
    for k in range(data.folds):
        training, validation = (data.part(k, role, ENGINE) for role in ("train", "validation"))
        with reproducible(k):
            network = NetworkInNetwork(classes=2, channels=[6, 8, 8], dropout=0.0, batch_norm=True, head_relu=False)
            train_network(network, TileSource(training, v2.Identity()), validation, RECIPE, ENGINE)
        index = data.members(k, "test")
        scores = predict(network, data.inputs(k, index), 20, ENGINE)
        probability[index] = scores.softmax(dim=1).numpy()
    guess = np.full_like(probability, 0.5)
    block = (data.table["row"] // 3 * SIDE + data.table["col"] // 3).to_numpy()
    return compare(label, probability, {"constant": guess}, 1, np.ones(len(label)), block, 0)["skill"]["constant"]


def test_stripes_are_learnt_and_shuffled_labels_are_not(region):
    assert skill(region)["verdict"] == "above"
    assert skill(region)["auc_high"] > 0.4
    label = np.random.default_rng(1).permutation(region.table["label"].to_numpy())
    null = skill(relabelled(region, label))
    assert null["verdict"] != "above"
    assert abs(null["auc_high"]) < 0.15


def test_shuffled_labels_find_no_skill_in_terrain_statistics_either(region):
    label = np.random.default_rng(2).permutation(region.table["label"].to_numpy())
    columns = np.array([terrain_statistics(tile, 200.0) for tile in region.pixels])
    fitted = out_of_fold(columns, label, region.roles, 2, linear, 0)
    guess = np.full_like(fitted, 0.5)
    block = (region.table["row"] // 3 * SIDE + region.table["col"] // 3).to_numpy()
    found = compare(label, fitted, {"constant": guess}, 1, np.ones(len(label)), block, 0)["skill"]["constant"]
    assert found["verdict"] != "above"


class Copying(FoldData):
    """A leak: the test tiles of a fold are among those that it learns from."""

    def part(self, fold, role, engine):
        own = super().part(fold, role, engine)
        if role != "train":
            return own
        leak = super().part(fold, "test", engine)
        return Part(torch.cat([own.tiles, *[leak.tiles] * 3]), torch.cat([own.labels, *[leak.labels] * 3]))


class Placed(FoldData):
    """A leak: the network is told where a tile lies."""

    def inputs(self, fold, index, device="cpu"):
        row = torch.from_numpy(self.table["row"].to_numpy()[index]).float()
        return super().inputs(fold, index, device) + 0.1 * row[:, None, None, None]


def as_kind(data, kind):
    return kind(**{field.name: getattr(data, field.name) for field in dataclasses.fields(data)})


def knows_its_tests(data):
    """Whether what a fold learns from changes with the pixels and the labels of the tiles that it tests."""
    found = False
    for fold in range(data.folds):
        test = data.members(fold, "test")
        pixels, label = data.pixels.copy(), data.table["label"].to_numpy().copy()
        pixels[data.position[test]] += 5
        label[test] = 1 - label[test]
        other = dataclasses.replace(relabelled(data, label), pixels=pixels)
        for role in ("train", "validation"):
            a, b = (d.part(fold, role, ENGINE) for d in (data, other))
            found |= not (torch.equal(a.tiles, b.tiles) and torch.equal(a.labels, b.labels))
    return found


def knows_its_place(data):
    """Whether what the network sees of a tile changes when the whole region is moved."""
    moved = dataclasses.replace(data, table=data.table.assign(row=data.table["row"] + 7, col=data.table["col"] + 3))
    index = np.arange(len(data.table))
    return not torch.equal(data.inputs(0, index), moved.inputs(0, index))


def test_a_copied_test_tile_is_caught(region):
    assert not knows_its_tests(region)
    assert knows_its_tests(as_kind(region, Copying))


def test_a_position_channel_is_caught(region):
    assert not knows_its_place(region)
    assert knows_its_place(as_kind(region, Placed))


def test_copies_in_the_terrain_itself_are_found(region):
    assert region.twins() == []
    pixels = region.pixels.copy()
    test, train = region.members(0, "test")[0], region.members(0, "train")[0]
    pixels[test] = pixels[train]
    twins = dataclasses.replace(region, pixels=pixels).twins()
    assert (0, test, train) in twins
    flat = region.table.assign(relief=np.where(np.arange(SIDE**2) == test, 0.0, 3.0))
    assert dataclasses.replace(region, pixels=pixels, table=flat).twins() == []
