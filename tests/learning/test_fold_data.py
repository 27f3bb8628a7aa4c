"""What a fold learns from: nothing of its test tiles, nothing of where a tile lies; copies in the terrain are found."""

import dataclasses

import numpy as np
import pytest
import torch

from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.fold_data import FoldData
from heatflow.learning.training import Part


def with_pixels(data, pixels):
    return dataclasses.replace(data, tiles=PackedTiles(pixels[:, None], data.tiles.ids))


class LeakingTests(FoldData):
    """A planted leak: the test tiles of a fold are among those that it learns from."""

    def part(self, fold, role, engine):
        own = super().part(fold, role, engine)
        if role != "train":
            return own
        leak = super().part(fold, "test", engine)
        return Part(torch.cat([own.tiles, leak.tiles]), torch.cat([own.labels, leak.labels]))


class LeakingPlaces(FoldData):
    """A planted leak: the network is told where a tile lies."""

    def inputs(self, fold, index, device="cpu"):
        row = torch.from_numpy(self.table["row"].to_numpy()[index]).float()
        return super().inputs(fold, index, device) + 0.1 * row[:, None, None, None]


def knows_its_tests(data, engine):
    """Whether what a fold learns from changes with the pixels and the labels of the tiles that it tests."""
    for fold in range(data.folds):
        test = data.members(fold, "test")
        pixels, label = data.tiles.pixels.copy(), data.table["label"].to_numpy().copy()
        pixels[data.tiles.rows(data.table["tile"].to_numpy()[test])] += 5
        label[test] = 1 - label[test]
        other = with_pixels(dataclasses.replace(data, table=data.table.assign(label=label)), pixels)
        for role in ("train", "validation"):
            a, b = (each.part(fold, role, engine) for each in (data, other))
            if not (torch.equal(a.tiles, b.tiles) and torch.equal(a.labels, b.labels)):
                return True
    return False


def knows_its_place(data):
    """Whether what the network sees of a tile changes when the whole region is moved."""
    moved = dataclasses.replace(data, table=data.table.assign(row=data.table["row"] + 7, col=data.table["col"] + 3))
    index = np.arange(len(data.table))
    return not torch.equal(data.inputs(0, index), moved.inputs(0, index))


@pytest.fixture
def planted(region):
    """``planted(kind)``: the region with a leak."""
    return lambda kind: kind(*(getattr(region, field.name) for field in dataclasses.fields(region)))


def test_nothing_of_its_test_tiles_reaches_a_fold(region, planted, engine):
    assert not knows_its_tests(region, engine)
    assert knows_its_tests(planted(LeakingTests), engine)


def test_nothing_of_its_place_reaches_a_network(region, planted):
    assert not knows_its_place(region)
    assert knows_its_place(planted(LeakingPlaces))


def test_duplicates_of_test_tiles_are_found_where_there_is_relief(region):
    assert region.duplicates() == []
    pixels = region.tiles.pixels.copy()
    test, train = region.members(0, "test")[0], region.members(0, "train")[0]
    pixels[test] = pixels[train]
    assert (0, test, train) in with_pixels(region, pixels).duplicates()
    flat = region.table.assign(relief=np.where(np.arange(len(region.table)) == test, 0.0, 3.0))
    assert with_pixels(dataclasses.replace(region, table=flat), pixels).duplicates() == []


def test_excluded_squares_are_test_tiles_with_their_buffer_and_all_others_that_do_not_train(region):
    tiles = TileGrid(Grid(0, 480, 1, 480, 480, None), 40, 40)
    excluded = region.excluded(0, tiles, buffer=1)
    assert len(excluded) == (region.roles[0] != "train").sum()
    assert (excluded[:, 2] == 60).sum() == (region.roles[0] == "test").sum()
    first = region.members(0, "test")[0]
    centre = [region.table["row"][first] * 40 + 20, region.table["col"][first] * 40 + 20, 60]
    assert centre in excluded.tolist()
