"""Coordinates of any grid and any stride lead back to the pixels that they came from."""

import numpy as np
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from heatflow.grid.grids import Grid, TileGrid

UTM = CRS.from_epsg(32611)
HEIGHT, WIDTH = 23, 31
STRIDES = st.tuples(st.integers(1, 12), st.integers(1, 20))


@settings(max_examples=100, deadline=None)
@given(
    left=st.floats(-1e7, 1e7),
    top=st.floats(-1e7, 1e7),
    resolution=st.floats(0.01, 5000),
    stride=STRIDES,
    where=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
)
def test_tile_to_map_coordinates_and_back_to_the_pixel(left, top, resolution, stride, where):
    size, step = stride
    grid = Grid(left, top, resolution, WIDTH, HEIGHT, UTM)
    tiles = TileGrid(grid, size, step)
    rows, cols = np.indices(tiles.shape).reshape(2, -1)
    west, south, east, north = tiles.bounds(rows, cols)
    # the middles of the first and the last pixel; on an edge itself the last digit decides
    half = resolution / 2
    np.testing.assert_array_equal(grid.pixel(west + half, north - half), [rows * step, cols * step])
    np.testing.assert_array_equal(
        grid.pixel(east - half, south + half), [rows * step + size - 1, cols * step + size - 1]
    )
    across, down = where
    inner_x, inner_y = west + across * (east - west), north - down * (north - south)
    row, column = grid.pixel(inner_x, inner_y)
    _, row, col = tiles.tiles_of(row, column)
    assert set(zip(rows.tolist(), cols.tolist(), strict=True)) <= set(zip(row.tolist(), col.tolist(), strict=True))
    # and where rasterio sees them
    x, y = rasterio.transform.xy(grid.transform, rows * step, cols * step)
    np.testing.assert_array_equal(grid.pixel(x, y), [rows * step, cols * step])
