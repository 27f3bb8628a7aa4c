"""Tiles: ids, pixels, conservation."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from heatflow.config.schema import Tile
from heatflow.errors import InputError
from heatflow.geo.tiles import LabelledTiles, PackedTiles, cut_tiles, footprints, label_tiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.vectors import write_features

UTM = CRS.from_epsg(32611)
EDGES = [25, 50, 200]


def label(tiles, rows, columns, residual, **options):
    options = {"edges": EDGES} | options
    return label_tiles(np.array(rows), np.array(columns), np.array(residual, dtype=float), tiles, Tile(**options))


@pytest.fixture
def four():
    """Two by two tiles of ten pixels, and a margin of one pixel."""
    return TileGrid(Grid(0.0, 21.0, 1.0, 21, 21, UTM), 10, 10)


def test_ids_rows_and_wells_in_no_tile(four):
    table, unplaced = label(four, [9, 10, 20, 3], [10, 9, 0, 20], [1, 2, 3, 4])
    assert table[["tile", "row", "col"]].to_numpy().tolist() == [[1, 0, 1], [2, 1, 0]]
    assert unplaced.tolist() == [2, 3]


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


def test_tiles_are_cut_with_the_terrain_around_them(write_raster, tmp_path):
    array = np.arange(60 * 70, dtype=np.float32).reshape(60, 70)
    table, path = pd.DataFrame({"tile": [0, 5, 11], "row": [0, 1, 2], "col": [0, 1, 2]}), tmp_path / "tiles.npy"
    with rasterio.open(write_raster(array, nodata=np.nan)) as terrain:
        tiles = TileGrid(Grid.from_dataset(terrain), 20, 20)
        described = cut_tiles(terrain, tiles, table, path, margin=15)
        plain = cut_tiles(terrain, tiles, table, tmp_path / "plain.npy")
    pd.testing.assert_frame_equal(described, plain)
    packed = PackedTiles(np.load(path)[:, None], table["tile"].to_numpy(), 15)
    np.testing.assert_array_equal(packed.pixels, np.load(tmp_path / "plain.npy"))
    beyond = np.pad(array, 15, constant_values=np.nan)
    for k, first in enumerate((0, 20, 40)):
        np.testing.assert_array_equal(packed.framed[k, 0], beyond[first : first + 50, first : first + 50])
    np.testing.assert_array_equal(
        packed.surroundings(np.array([5]))[:, 0, 15:35, 15:35], packed.elevation(np.array([5]))
    )


def test_every_channel_is_cut_to_the_pixel(write_raster, tmp_path):
    array = np.arange(2 * 60 * 70, dtype=np.float32).reshape(2, 60, 70)
    array[1, 50:] = np.nan
    table, path = pd.DataFrame({"tile": [1, 5], "row": [0, 1], "col": [1, 2]}), tmp_path / "tiles.npy"
    with rasterio.open(write_raster(array, nodata=np.nan)) as both:
        tiles = TileGrid(Grid.from_dataset(both), 20, 20)
        described = cut_tiles(both, tiles, table, path, margin=15)
    write_features(tmp_path / "tiles.fgb", geopandas.GeoDataFrame(table, geometry=footprints(tiles, table)), "tiles")
    packed = PackedTiles.load(path, tmp_path / "tiles.fgb", 15)
    beyond = np.pad(array, ((0, 0), (15, 15), (15, 15)), constant_values=np.nan)
    np.testing.assert_array_equal(packed.framed[0], beyond[:, :50, 20:70])
    np.testing.assert_array_equal(packed.framed[1], beyond[:, 20:70, 40:90])
    np.testing.assert_array_equal(packed.stack[1], array[:, 20:40, 40:60])
    np.testing.assert_array_equal(packed.pixels[1], array[0, 20:40, 40:60])
    assert packed.channels == 2
    assert described["valid"].tolist() == [1, 1]  # of the terrain: what a layer lacks drops no tile


def test_footprints_follow_the_grid(four):
    table, _ = label(four, [10], [10], [1])
    assert footprints(four, table).total_bounds.tolist() == [10, 1, 20, 11]


def test_labelled_tiles_count_classes_and_wells_in_no_tile(four):
    points = geopandas.points_from_xy([0.5, 0.6, 10.5, 20.5], [20.5, 20.4, 0.9, 20.5])
    wells = geopandas.GeoDataFrame({"residual": [10.0, 60.0, 5.0, 999.0]}, geometry=points, crs=UTM)
    labelled = LabelledTiles.from_wells(wells, four.grid, Tile(size=10, edges=EDGES))
    assert labelled.table["tile"].tolist() == [0]
    assert labelled.table.total_bounds.tolist() == [0, 11, 10, 21]
    assert labelled.metrics == {
        "rows": 2, "columns": 2, "tiles": 1, "wells_in_no_tile": 2, "classes": {"0": 0, "1": 0, "2": 1, "3": 0},
    }  # fmt: skip
    with pytest.raises(InputError, match=r"tile\.size: 22 pixels is more than the terrain measures \(21 x 21 pixels\)"):
        LabelledTiles.from_wells(wells, four.grid, Tile(size=22))
    with pytest.raises(InputError, match=r"tile\.min_wells: no tile holds 3 or more of the 4 wells"):
        LabelledTiles.from_wells(wells, four.grid, Tile(size=10, min_wells=3))
