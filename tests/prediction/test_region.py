"""The map of a region: windows in their places, by networks that have not learnt from them, blended, and flagged."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from rasterio.crs import CRS
from torch import nn

from heatflow.grid.grids import Grid, TileGrid, WindowGrid
from heatflow.learning.engine import Engine
from heatflow.prediction.region import (
    Applicability,
    Blend,
    Ensemble,
    Learnt,
    at_tiles,
    best_apart,
    best_places,
    cautious,
    entropy,
    layers,
    survey,
    touches,
)

SIZE = 20


def lattice(height=83, width=110, stride=10):
    return WindowGrid(Grid(500_000.0, 4_400_000.0, 200.0, width, height, CRS.from_epsg(32611)), SIZE, stride)


class Mean(nn.Module):
    """High where the tile is high, by a little."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, x):
        mean = x.mean(dim=(1, 2, 3)) + self.shift
        return torch.stack([-mean, mean], dim=1)


NOTHING = np.array([], dtype=int)
SCALING = {"offset": 0.0, "scale": 100.0}


def ensemble(networks=None, wells=(NOTHING, NOTHING)):
    """Of two folds over four tiles in the corners of a square; the first has learnt from `wells` as well."""
    networks = networks or {0: [Mean()], 1: [Mean(0.3)]}
    learnt = {0: Learnt(np.array([0, 40]), np.array([0, 0]), *wells)}
    if 1 in networks:
        learnt[1] = Learnt(np.array([0, 40]), np.array([60, 60]), NOTHING, NOTHING)
    engine = Engine.choose("cpu", "float32", compile=False)
    return Ensemble(networks, learnt, dict.fromkeys(networks, SCALING), SIZE, 1, engine, 8)


def said(of, windows, top, left):
    return of.of(windows, of.speaks(np.array(top), np.array(left)))


def test_the_grid_of_the_map_has_the_terrains_corner_and_windows_cover_it():
    found = lattice()
    assert found.cell == 5
    grid = found.map_grid
    assert (grid.left, grid.top, grid.resolution) == (500_000.0, 4_400_000.0, 1000.0)
    assert grid.shape == (16, 22)
    covered = np.zeros((83, 110), dtype=bool)
    for top in found.starts(83):
        for left in found.starts(110):
            covered[top : top + SIZE, left : left + SIZE] = True
    assert covered[:80].all()
    assert not covered[80:].any()
    assert all(k % found.cell == 0 for n in (83, 110) for k in found.starts(n))
    assert not lattice(height=19).starts(19).size
    assert WindowGrid(found.grid, 40, 40).cell == 10
    assert WindowGrid(found.grid, 15, 7).cell == 1


def test_a_window_shares_pixels_with_a_tile_or_it_does_not():
    rng = np.random.default_rng(0)
    tops, lefts = rng.integers(0, 90, (2, 6))
    top, left = rng.integers(0, 90, (2, 200))
    taken = np.zeros((120, 120), dtype=bool)
    for a, b in zip(tops, lefts, strict=True):
        taken[a : a + SIZE, b : b + SIZE] = True
    expected = [taken[a : a + SIZE, b : b + SIZE].any() for a, b in zip(top, left, strict=True)]
    assert touches(top, left, tops, lefts, SIZE).tolist() == expected


def test_no_network_speaks_of_what_it_has_learnt_from():
    windows = np.full((4, SIZE, SIZE), 50.0, dtype=np.float32)
    table = said(ensemble(), windows, [0, 0, 20, 5], [0, 60, 25, 55])
    own = [1 / (1 + np.exp(-2 * (0.5 + shift))) for shift in (0.0, 0.3)]
    assert table["networks"].tolist()[:3] == [1, 1, 2]
    np.testing.assert_allclose(table["p1"][:3], [own[1], own[0], np.mean(own)], rtol=1e-5)
    assert table["disagreement"].isna().tolist() == [True, True, False, True]
    assert table["disagreement"][2] == pytest.approx(np.std(own), rel=1e-5)
    assert table["p1"][3] == pytest.approx(own[0], rel=1e-5)  # half over a tile that fold 1 learnt from
    nowhere = said(ensemble({0: [Mean()]}), windows[:1], [0], [0])
    assert nowhere["networks"].isna().all()
    with_well = said(ensemble(wells=(np.array([25]), np.array([44]))), windows[:3], [20, 20, 26], [25, 24, 25])
    assert with_well["networks"].tolist() == [
        1,
        2,
        2,
    ]  # columns 25 to 44 hold it, 24 to 43 do not, rows from 26 neither


@dataclass
class Split:
    """One fold: a tile to learn from, one that it tests, one that was dropped for want of data."""

    table: pd.DataFrame
    roles: np.ndarray

    def members(self, fold, role):
        return np.flatnonzero(self.roles[fold] == role)

    def closed(self, fold, tiles, buffer):
        return np.array([[10.0, 70.0, (0.5 + buffer) * SIZE]])


def test_wells_that_patches_may_have_held_count_as_learnt_from():
    data = Split(pd.DataFrame({"row": [0, 0], "col": [0, 3]}), np.array([["train", "test"]]))
    tiles = TileGrid(lattice().grid, SIZE, SIZE)
    # around the tile to learn from, whose centre is at 10; half a tile and from there to a corner: 24.1 pixels
    rows, columns = np.array([5, 5, 33, 34, 5, 5]), np.array([5, 33, 5, 5, 34, 60])
    learnt = Learnt.by(data, 0, tiles, (rows, columns), 0)
    assert learnt.columns.tolist() == [5, 33, 5]
    assert (learnt.tops.tolist(), learnt.lefts.tolist()) == ([0], [0])
    assert Learnt.by(data, 0, tiles, (rows, columns), 2).columns.tolist() == [5, 5]  # closed from column 20 on
    assert not len(Learnt.by(data, 0, tiles, (rows, columns), None).rows)


def test_a_survey_puts_a_hill_where_it_is_and_leaves_gaps_as_gaps():
    found = lattice()
    terrain = np.zeros((83, 110), dtype=np.float32)
    terrain[20:40, 60:80] = 400
    terrain[:30, :30] = np.nan
    halves = {0: np.arange(6), 1: np.arange(6, 12)}
    apply = Applicability.fit(np.random.default_rng(0).normal(size=(12, 17)), halves, {0: halves[1], 1: halves[0]})
    windows, valid, counts = survey(lambda top: terrain[top : top + SIZE], found, terrain.shape, ensemble(), apply, 0.5)
    np.testing.assert_array_equal(valid, 1 - np.outer(np.arange(16) < 6, np.arange(22) < 6))
    blend = Blend(found, 1)
    for top, left, p in windows[["top", "left", "p1"]].to_numpy():
        blend.add(int(top), int(left), np.array([p]))
    (above,) = blend.mean()
    row, col = np.unravel_index(np.nanargmax(above), above.shape)
    assert 4 <= row < 8
    assert 12 <= col < 16
    assert np.isnan(above[:2, :2]).all()
    maps = layers(windows, found, valid, ["p0", "p1"], 1, apply.threshold)
    assert np.isnan(maps.above[:6, :6]).all()  # windows reach there, terrain does not
    np.testing.assert_array_equal(maps.above[6:], above[6:])
    np.testing.assert_allclose(maps.probability.sum(axis=0)[6:], 1, rtol=1e-5)
    np.testing.assert_array_equal(
        at_tiles(maps.above, found, np.array([20, 70]), np.array([60, 60])), [above[6, 14], np.nan]
    )
    places = best_places(windows, found, np.inf, ["p0", "p1"], 1, (np.array([30, 3]), np.array([70, 3])), 2)
    assert places["n_wells"].tolist()[0] == 1
    assert places.geometry[0].bounds == (512_000, 4_392_000, 516_000, 4_396_000)
    assert places["p_high"][0] == windows["p1"].max()
    assert (
        counts["windows"]
        == len(found.starts(83)) * len(found.starts(110))
        == len(windows) + counts["low_data"] + counts["learnt_from"]
    )
    assert counts["low_data"] == 4


def test_a_blend_of_constants_is_constant_and_nan_says_nothing():
    found = lattice()
    blend = Blend(found, 2)
    for top in found.starts(83):
        for left in found.starts(110):
            blend.add(int(top), int(left), np.array([0.3, 7.0 if left < 50 else np.nan]))
    mean = blend.mean()
    np.testing.assert_allclose(mean[0], 0.3, rtol=1e-6)
    assert np.isfinite(mean[1][:, :10]).all()
    assert np.isnan(mean[1][:, 14:]).all()


def test_dissimilarity_by_hand():
    columns = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])  # standardised: the corners (-1, -1) to (1, 1)
    halves = {0: np.array([2, 3]), 1: np.array([0, 1])}
    found = Applicability.fit(columns, halves, {0: halves[1], 1: halves[0]})
    unit = (4 * 2 + 2 * np.sqrt(8)) / 6
    assert found.threshold == pytest.approx(2 / unit)  # the nearest tile that the fold which tests one has learnt from
    asked = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 0.0], [0.0, 0.0], [np.nan, 0.0]])
    speaks = {0: np.array([0, 0, 1, 0, 1], dtype=bool), 1: np.array([1, 1, 1, 0, 1], dtype=bool)}
    np.testing.assert_allclose(
        found.dissimilarity(asked, speaks), [0, 3 / unit, 1 / unit, np.nan, np.nan]
    )  # of the fold that speaks; the mean of both; none; no data


def test_one_networks_word_is_worth_less_than_the_mean_of_several():
    p, disagreement, networks = np.array([0.9, 0.9, 0.9]), np.array([0.1, np.nan, 0.1]), np.array([2.0, 1.0, 5.0])
    single = np.sqrt((0.1**2 * 2 + 0.1**2 * 5 / 4) / 2)
    np.testing.assert_allclose(cautious(p, disagreement, networks), 0.9 - single / np.sqrt(networks))
    assert cautious(p[1:2], disagreement[1:2], networks[1:2]) == [0.9]  # nothing to tell it by


def test_best_places_do_not_overlap_and_entropy_is_a_share():
    value = np.array([0.5, 0.9, 0.8, np.nan, 0.7])
    top, left = np.array([0, 100, 110, 300, 120]), np.zeros(5, dtype=int)
    assert best_apart(value, top, left, SIZE, 9).tolist() == [1, 4, 0]
    assert best_apart(value, top, left, SIZE, 1).tolist() == [1]
    assert entropy(np.array([[0.25], [0.25], [0.25], [0.25]]))[0] == pytest.approx(1)
    assert np.isnan(entropy(np.array([[np.nan], [np.nan]])))[0]
