"""Windows and the terrain that the networks of a fold were trained on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from heatflow.grid.grids import TileGrid
from heatflow.prediction.training_area import TrainingArea, inside, overlap, squares

SIZE = 20


def test_a_window_shares_pixels_with_a_tile_or_it_does_not():
    rng = np.random.default_rng(0)
    tops, lefts = rng.integers(0, 90, (2, 6))
    top, left = rng.integers(0, 90, (2, 200))
    taken = np.zeros((120, 120), dtype=bool)
    for a, b in zip(tops, lefts, strict=True):
        taken[a : a + SIZE, b : b + SIZE] = True
    expected = [taken[a : a + SIZE, b : b + SIZE].any() for a, b in zip(top, left, strict=True)]
    assert overlap(top, left, SIZE, squares(tops, lefts, SIZE)).tolist() == expected


def test_a_pixel_is_inside_half_open_windows():
    top, left = np.array([0, 1]), np.array([0, 5])
    assert inside(np.array([0, 20]), np.array([5, 5]), top, left, SIZE).tolist() == [[True, False], [False, True]]


@dataclass
class Data:
    """One fold: a tile to learn from, one that it tests, one that was dropped."""

    table: pd.DataFrame
    roles: np.ndarray

    def members(self, fold, role):
        return np.flatnonzero(self.roles[fold] == role)

    def excluded(self, fold, tiles, buffer):
        return np.array([[10.0, 70.0, (0.5 + buffer) * SIZE]])


def test_wells_that_patches_may_have_held_belong_to_the_training_area(window_grid):
    data = Data(pd.DataFrame({"row": [0, 0], "col": [0, 3]}), np.array([["train", "test"]]))
    tiles = TileGrid(window_grid.grid, SIZE, SIZE)
    # around the tile to learn from, whose centre is at 10; half a tile and from there to a corner: 24.1 pixels
    rows, columns = np.array([5, 5, 33, 34, 5, 5]), np.array([5, 33, 5, 5, 34, 60])
    area = TrainingArea.from_fold(data, 0, tiles, (rows, columns), 0)
    assert area.columns.tolist() == [5, 33, 5]
    assert area.tiles.tolist() == [[0, 0, SIZE, SIZE]]
    wide = TrainingArea.from_fold(data, 0, tiles, (rows, columns), 2)
    assert wide.columns.tolist() == [5, 5]  # closed from column 20 on
    assert not len(TrainingArea.from_fold(data, 0, tiles, (rows, columns), None).rows)
