"""Where pixels, tiles and wells are, to the pixel."""

import numpy as np
import pytest
from rasterio.crs import CRS

from heatflow.grid.grids import Grid, TileGrid

UTM = CRS.from_epsg(32611)


@pytest.mark.parametrize("left", [0.0, 500_000.0, -1_234_567.75])
@pytest.mark.parametrize("resolution", [200.0, 30.0, 0.25])
def test_point_on_an_edge_belongs_to_the_pixel_right_of_and_below_it(left, resolution):
    grid = Grid(left, 4_000_000.0, resolution, 1000, 1000, UTM)
    k = np.arange(1000)
    row, column = grid.pixel(left + k * resolution, 4_000_000.0 - k * resolution)
    assert (row == k).all()
    assert (column == k).all()
    a_micrometre_left = left + k * resolution - 1e-6
    assert (grid.pixel(a_micrometre_left, np.full(1000, 4_000_000.0))[1] == k - 1).all()


def test_lattice_of_wells_on_every_tile_edge_is_counted_once_each():
    grid = Grid(500_000.0, 4_400_000.0, 200.0, 600, 400, UTM)
    tiles = TileGrid(grid, 200, 200)
    x, y = np.meshgrid(500_000 + np.arange(0, 120_000, 20_000.0), 4_400_000 - np.arange(0, 80_000, 20_000.0))
    index, row, col = tiles.tiles_of(*grid.pixel(x.ravel(), y.ravel()))
    assert sorted(index) == list(range(x.size))
    assert np.bincount(row * 3 + col, minlength=6).tolist() == [4] * 6


def test_overlapping_tiles_share_a_pixel_and_gaps_hold_none():
    grid = Grid(0.0, 100.0, 1.0, 100, 100, UTM)
    overlap = TileGrid(grid, 40, 20)
    index, row, col = overlap.tiles_of([25], [45])
    assert sorted(zip(row.tolist(), col.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert index.tolist() == [0] * 4
    gaps = TileGrid(grid, 10, 30)
    assert gaps.tiles_of([5, 15], [5, 5])[0].tolist() == [0]


def test_partial_tiles_at_the_edge_do_not_exist():
    grid = Grid(0.0, 5300 * 200.0, 200.0, 5700, 5300, UTM)
    tiles = TileGrid(grid, 200, 200)
    assert tiles.shape == (26, 28)
    assert tiles.tiles_of([5299, 0], [0, 5699])[0].size == 0


def test_tile_bounds_and_pixels_agree():
    grid = Grid(500_000.0, 4_400_000.0, 200.0, 600, 400, UTM)
    tiles = TileGrid(grid, 50, 25)
    left, bottom, right, top = tiles.bounds(3, 5)
    assert grid.pixel([left], [top]) == (75, 125)
    assert grid.pixel([right - 1e-6], [bottom + 1e-6]) == (124, 174)
