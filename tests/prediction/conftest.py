"""Grids of windows, and an ensemble of networks whose answers are known."""

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from torch import nn

from heatflow.config.schema import Tile
from heatflow.grid.grids import Grid, WindowGrid
from heatflow.learning.engine import Engine
from heatflow.prediction.area_of_applicability import AreaOfApplicability
from heatflow.prediction.ensemble import Ensemble
from heatflow.prediction.training_area import TrainingArea, squares

SIZE, MARGIN = 20, 3
NOTHING = np.array([], dtype=int)


class Mean(nn.Module):
    """High where the tile is high, by a little; the margin is no part of it."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, x):
        mean = x[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN].mean(dim=(1, 2, 3)) + self.shift
        return torch.stack([-mean, mean], dim=1)


@pytest.fixture
def window_grid():
    """83 by 110 pixels of 200 m, windows of 20 pixels every 10."""
    return WindowGrid(Grid(500_000.0, 4_400_000.0, 200.0, 110, 83, CRS.from_epsg(32611)), SIZE, 10)


@pytest.fixture
def tile():
    """Two classes."""
    return Tile(size=SIZE, margin=MARGIN, edges=[50], binary_edge=50)


@pytest.fixture
def make_ensemble(tile):
    """Of one or two folds over four tiles in the corners of a square; the first was trained on `wells` as well."""
    columns = np.random.default_rng(0).normal(size=(12, 17))
    roles = np.array([["train"] * 6 + ["test"] * 6, ["test"] * 6 + ["train"] * 6])

    def make(folds=2, wells=(NOTHING, NOTHING)):
        corners = np.array([0, 40])
        areas = [
            TrainingArea(squares(corners, [0, 0], SIZE), *wells),
            TrainingArea(squares(corners, [60, 60], SIZE), NOTHING, NOTHING),
        ]
        networks, scaling = [[Mean()], [Mean(0.3)]], {"offset": 0.0, "scale": 100.0}
        area = AreaOfApplicability.fit(columns, roles)
        area = AreaOfApplicability(area.mean, area.spread, area.trained[:folds], area.unit, np.inf)
        return Ensemble(networks[:folds], [scaling] * folds, areas[:folds], area, tile, Engine(torch.device("cpu")))

    return make
