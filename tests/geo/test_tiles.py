"""Tiles: classes, statistics, pixels, conservation."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from heatflow.config.schema import Filter, Tile
from heatflow.geo.labels import classify
from heatflow.geo.low_data import low_data
from heatflow.geo.tiles import cut_tiles, footprints, label_tiles
from heatflow.grid.grids import Grid, TileGrid

UTM = CRS.from_epsg(32611)
EDGES = [25, 50, 200]


def label(tiles, rows, columns, residual, **options):
    options = {"edges": EDGES} | options
    return label_tiles(np.array(rows), np.array(columns), np.array(residual, dtype=float), tiles, Tile(**options))


@pytest.fixture
def four():
    """Two by two tiles of ten pixels, and a margin of one pixel."""
    return TileGrid(Grid(0.0, 21.0, 1.0, 21, 21, UTM), 10, 10)


def test_classes_are_right_closed():
    above = [np.nextafter(e, np.inf) for e in EDGES]
    assert classify(np.array([*EDGES, *above]), EDGES).tolist() == [0, 1, 2, 1, 2, 3]
    assert classify(np.array([-1.0, 0.0, 1.0]), [0]).tolist() == [0, 0, 1]


@pytest.mark.parametrize(("statistic", "value"), [("max", 100), ("p90", 82), ("median", 10), ("mean", 40)])
def test_statistic_of_the_wells_in_a_tile(four, statistic, value):
    table, _ = label(four, [0, 1, 2], [0, 0, 0], [10, 10, 100], statistic=statistic)
    assert table["residual"].tolist() == [pytest.approx(value)]
    assert table["n_wells"].tolist() == [3]


def test_ids_rows_and_wells_in_no_tile(four):
    table, unplaced = label(four, [9, 10, 20, 3], [10, 9, 0, 20], [1, 2, 3, 4])
    assert table[["tile", "row", "col"]].to_numpy().tolist() == [[1, 0, 1], [2, 1, 0]]
    assert unplaced.tolist() == [2, 3]


def test_min_wells_leaves_tiles_out(four):
    table, _ = label(four, [0, 0, 10], [0, 1, 0], [1, 2, 3], min_wells=2)
    assert table["tile"].tolist() == [0]


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 12),
    left=st.floats(-1e6, 1e6),
    top=st.floats(-1e6, 1e6),
    resolution=st.sampled_from([0.1, 1.0, 30.0, 200.0, 1 / 3]),
    points=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)), min_size=1),
)
def test_every_well_is_in_one_tile_or_none(size, left, top, resolution, points):
    grid = Grid(left, top, resolution, 40, 30, UTM)
    tiles = TileGrid(grid, size, size)
    u, v = np.array(points).T
    row, column = grid.pixel(left + u * 40 * resolution, top - v * 30 * resolution)
    inside = grid.contains(row, column)
    row, column = row[inside], column[inside]
    table, unplaced = label(tiles, row, column, np.zeros(len(row)))
    assert table["n_wells"].sum() + len(unplaced) == len(row)
    rows, cols = tiles.shape
    assert all(row[i] >= rows * size or column[i] >= cols * size for i in unplaced)


def test_tiles_are_cut_to_the_pixel(write_raster, tmp_path):
    array = np.arange(60 * 70, dtype=np.float32).reshape(60, 70)
    array[0, 0] = np.nan
    with rasterio.open(write_raster(array, nodata=np.nan)) as terrain:
        tiles = TileGrid(Grid.from_dataset(terrain), 20, 15)
        table = pd.DataFrame({"row": [0, 0, 2], "col": [0, 3, 1]})
        described = cut_tiles(terrain, tiles, table, tmp_path / "tiles.npy")
    packed = np.load(tmp_path / "tiles.npy")
    for k, (row, col) in enumerate([(0, 0), (0, 3), (2, 1)]):
        np.testing.assert_array_equal(packed[k], array[row * 15 : row * 15 + 20, col * 15 : col * 15 + 20])
    assert described["valid"].tolist() == [1 - 1 / 400, 1, 1]
    assert described["relief"].tolist() == [19 * 70 + 19 - 1, 19 * 70 + 19, 19 * 70 + 19]
    assert described["constant"].tolist() == [1 / 399, 1 / 400, 1 / 400]


def test_low_data_tiles_are_named_with_the_first_reason_that_applies():
    table = pd.DataFrame(
        {
            "valid": [0.0, 0.49, 0.5, 1.0, 1.0, 1.0],
            "constant": [np.nan, 0.1, 0.1, 0.51, 0.5, 0.1],
            "relief": [np.nan, 900.0, 900.0, 900.0, 900.0, 5.0],
        }
    )
    reasons = low_data(table, Filter(min_valid=0.5, min_relief=20.0, max_constant=0.5)).tolist()
    assert reasons == ["too few pixels with data"] * 2 + ["", "constant fill", "", "no relief"]
    off = low_data(table, Filter(min_valid=0.0, min_relief=None, max_constant=None)).tolist()
    assert off == ["too few pixels with data"] + [""] * 5


def test_footprints_follow_the_grid(four):
    table, _ = label(four, [10], [10], [1])
    assert footprints(four, table).total_bounds.tolist() == [10, 1, 20, 11]
