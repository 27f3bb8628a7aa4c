"""Tiles of any grid, any stride and any statistic hold every well once in each half-open cell."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from heatflow.config.schema import Tile
from heatflow.geo.labels import STATISTICS, classify
from heatflow.geo.tiles import label_tiles
from heatflow.grid.grids import Grid, TileGrid

UTM = CRS.from_epsg(32611)
HEIGHT, WIDTH = 23, 31
# quarters of a metre: sums and quotients of these have exact answers to compare with
QUARTERS = st.integers(-(10**8), 10**8).map(lambda k: k / 4)
GRIDS = st.builds(
    lambda left, top, resolution: Grid(left, top, resolution, WIDTH, HEIGHT, UTM),
    QUARTERS,
    QUARTERS,
    st.sampled_from([0.25, 1.0, 29.75, 30.0, 200.0, 926.5]),
)
STRIDES = st.tuples(st.integers(1, 12), st.integers(1, 20))


def placed():
    """Wells at multiples of a quarter of a pixel, so that many lie on edges and corners."""
    return st.lists(st.tuples(st.integers(-8, 4 * WIDTH + 8), st.integers(-8, 4 * HEIGHT + 8)), min_size=1, max_size=40)


def cell(grid, x, y):
    """Row and column of the pixel of a point, in exact arithmetic."""
    res = Fraction(grid.resolution)
    return floor((Fraction(grid.top) - Fraction(y)) / res), floor((Fraction(x) - Fraction(grid.left)) / res)


@settings(max_examples=50, deadline=None)
@given(grid=GRIDS, quarters=placed(), stride=STRIDES, statistic=st.sampled_from([*STATISTICS]), data=st.data())
def test_wells_are_conserved_in_half_open_cells(grid, quarters, stride, statistic, data):
    size, step = stride
    tiles = TileGrid(grid, size, step)
    x = grid.left + np.array([q for q, _ in quarters]) * (grid.resolution / 4)
    y = grid.top - np.array([q for _, q in quarters]) * (grid.resolution / 4)
    pixel = np.array([cell(grid, a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    row, column = grid.pixel(x, y)
    np.testing.assert_array_equal(np.column_stack([row, column]), pixel)

    inside = grid.contains(row, column)
    row, column, pixel = row[inside], column[inside], pixel[inside].tolist()
    residual = np.array(data.draw(st.lists(st.floats(-100, 12_000), min_size=len(row), max_size=len(row))))
    edges = [25.0, 50.0, 200.0]
    table, unplaced = label_tiles(row, column, residual, tiles, Tile(statistic=statistic, edges=edges))
    held: dict[tuple[int, int], list[float]] = {}
    homeless = []
    for k, (r, c) in enumerate(pixel):
        homes = [
            (i, j)
            for i in range(tiles.shape[0])
            for j in range(tiles.shape[1])
            if i * step <= r < i * step + size and j * step <= c < j * step + size
        ]
        for home in homes:
            held.setdefault(home, []).append(residual[k])
        if not homes:
            homeless.append(k)
        assert len(homes) <= 1 or step < size
    assert unplaced.tolist() == homeless
    assert list(zip(table["row"], table["col"], strict=True)) == sorted(held)
    of = {
        "max": np.max, "mean": np.mean, "median": np.median, "p90": lambda v: np.quantile(v, 0.9),
    }[statistic]  # fmt: skip
    for r, c, n, value, label in table[["row", "col", "n_wells", "residual", "label"]].itertuples(index=False):
        assert n == len(held[r, c])
        np.testing.assert_allclose(value, of(held[r, c]), rtol=1e-12, atol=1e-9)
        assert label == sum(value > edge for edge in edges)
        assert label == classify(np.array([value]), edges)[0]
