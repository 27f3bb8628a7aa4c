"""The map of a region: windows in their places, by networks that have not learnt from them, blended, and flagged."""

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from torch import nn

from heatflow.analysis.regional import Applicability, Blend, Ensemble, Lattice, best_apart, entropy, survey, touches
from heatflow.geo.grid import Grid
from heatflow.learning.engine import Engine

SIZE = 20


def lattice(height=83, width=110, stride=10):
    return Lattice(Grid(500_000.0, 4_400_000.0, 200.0, width, height, CRS.from_epsg(32611)), SIZE, stride)


class Mean(nn.Module):
    """High where the tile is high, by a little."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, x):
        mean = x.mean(dim=(1, 2, 3)) + self.shift
        return torch.stack([-mean, mean], dim=1)


class Data:
    """Four tiles in the corners of a square, two folds."""

    roles = np.array([["train", "test", "train", "test"], ["test", "train", "test", "validation"]])
    scalings = ({"offset": 0.0, "scale": 100.0}, {"offset": 0.0, "scale": 100.0})


def ensemble(networks=None):
    tops, lefts = np.array([0, 0, 40, 40]), np.array([0, 60, 0, 60])
    networks = networks or {0: [Mean()], 1: [Mean(0.3)]}
    return Ensemble(Data, networks, tops, lefts, SIZE, 1, Engine.choose("cpu", "float32", compile=False), 8)


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
    assert Lattice(found.grid, 40, 40).cell == 10
    assert Lattice(found.grid, 15, 7).cell == 1


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
    table = ensemble().of(windows, np.array([0, 0, 20, 5]), np.array([0, 60, 25, 55]))
    own = [1 / (1 + np.exp(-2 * (0.5 + shift))) for shift in (0.0, 0.3)]
    assert table["networks"].tolist()[:3] == [1, 1, 2]
    np.testing.assert_allclose(table["p1"][:3], [own[1], own[0], np.mean(own)], rtol=1e-5)
    assert table["disagreement"].isna().tolist() == [True, True, False, True]
    assert table["disagreement"][2] == pytest.approx(np.std(own), rel=1e-5)
    assert table["p1"][3] == pytest.approx(own[0], rel=1e-5)  # half over a tile that fold 1 learnt from
    nowhere = ensemble({0: [Mean()]}).of(windows[:1], np.array([0]), np.array([0]))
    assert nowhere["networks"].isna().all()


def test_a_survey_puts_a_hill_where_it_is_and_leaves_gaps_as_gaps():
    found = lattice()
    terrain = np.zeros((83, 110), dtype=np.float32)
    terrain[20:40, 60:80] = 400
    terrain[:30, :30] = np.nan
    apply = Applicability.fit(np.random.default_rng(0).normal(size=(12, 17)), np.arange(12) % 3)
    windows, counts = survey(lambda top: terrain[top : top + SIZE], found, terrain.shape, ensemble(), apply, 0.5)
    blend = Blend(found, 1)
    for top, left, p in windows[["top", "left", "p1"]].to_numpy():
        blend.add(int(top), int(left), np.array([p]))
    (above,) = blend.mean()
    row, col = np.unravel_index(np.nanargmax(above), above.shape)
    assert 4 <= row < 8
    assert 12 <= col < 16
    assert np.isnan(above[:2, :2]).all()
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
    found = Applicability.fit(columns, np.array([0, 0, 1, 1]))
    unit = (4 * 2 + 2 * np.sqrt(8)) / 6
    np.testing.assert_allclose(found.dissimilarity(np.array([[0.0, 0.0], [5.0, 0.0]])), [0, 3 / unit])
    assert found.threshold == pytest.approx(2 / unit)  # the nearest tile of the other fold
    assert np.isnan(found.dissimilarity(np.array([[np.nan, 0.0]])))[0]


def test_best_places_do_not_overlap_and_entropy_is_a_share():
    value = np.array([0.5, 0.9, 0.8, np.nan, 0.7])
    top, left = np.array([0, 100, 110, 300, 120]), np.zeros(5, dtype=int)
    assert best_apart(value, top, left, SIZE, 9).tolist() == [1, 4, 0]
    assert best_apart(value, top, left, SIZE, 1).tolist() == [1]
    assert entropy(np.array([[0.25], [0.25], [0.25], [0.25]]))[0] == pytest.approx(1)
    assert np.isnan(entropy(np.array([[np.nan], [np.nan]])))[0]
