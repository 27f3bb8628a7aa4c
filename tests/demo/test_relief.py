"""Terrain of the synthetic region: the same however its rows are gathered."""

import numpy as np
from rasterio import CRS

from heatflow.demo import relief
from heatflow.demo.faults import fault_network
from heatflow.grid.grids import Grid


def test_terrain_does_not_depend_on_the_strips_that_are_weathered_at_a_time(monkeypatch):
    grid = Grid(0.0, 60_000.0, 500.0, 90, 120, CRS.from_epsg(5070))
    segments, _ = fault_network(grid, np.random.default_rng(0))
    assert grid.height < relief.STRIP
    whole = relief.shape_terrain(grid, segments, np.random.default_rng(1))
    monkeypatch.setattr(relief, "STRIP", 7)
    assert whole.std() > 100
    assert np.array_equal(relief.shape_terrain(grid, segments, np.random.default_rng(1)), whole)
