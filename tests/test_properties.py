"""What has to hold for any wells, any grid, any stride and any statistic."""

from fractions import Fraction
from math import floor

import numpy as np
import pandas as pd
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from torch import nn

from heatflow.config.schema import Tile
from heatflow.explanation.attribution import attribute, mosaic
from heatflow.geo.labels import STATISTICS, classify
from heatflow.geo.tiles import cut_tiles, label_tiles
from heatflow.grid.grids import Grid, TileGrid

UTM = CRS.from_epsg(32611)
HEIGHT, WIDTH = 23, 31
# quarters of a metre: sums and quotients of these have exact answers to be held against
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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=150, deadline=None)
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


class Sum(nn.Module):
    """A score that is the sum of the elevations: a pixel's part in it is its own elevation."""

    def forward(self, tiles):
        return tiles.sum(dim=(2, 3))


@settings(max_examples=40, deadline=None)
@given(stride=STRIDES, hole=st.booleans(), seed=st.integers(0, 1000), strip=st.integers(1, HEIGHT))
def test_saliency_of_an_identity_network_put_together_is_the_terrain(stride, hole, seed, strip, tmp_path_factory):
    size, step = stride
    folder = tmp_path_factory.mktemp("identity")
    terrain = np.random.default_rng(seed).normal(0, 300, (HEIGHT, WIDTH)).astype(np.float32)
    if hole:
        terrain[5:9, 4:17] = np.nan
    grid = Grid(500_000.0, 4_400_000.0, 200.0, WIDTH, HEIGHT, UTM)
    with rasterio.open(
        folder / "terrain.tif", "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=1, dtype="float32",
        nodata=np.nan, crs=UTM, transform=grid.transform,
    ) as out:  # fmt: skip
        out.write(terrain, 1)
    tiles = TileGrid(grid, size, step)
    rows, cols = np.indices(tiles.shape).reshape(2, -1)
    table = pd.DataFrame({"row": rows, "col": cols})
    with rasterio.open(folder / "terrain.tif") as raster:
        cut_tiles(raster, tiles, table, folder / "tiles.npy")
    pixels = np.load(folder / "tiles.npy")
    missing = np.isnan(pixels)
    given_ = torch.from_numpy(np.where(missing, 0, pixels))[:, None]
    maps = attribute(Sum(), given_, torch.zeros(len(table), dtype=torch.int64), "integrated_gradients", 16)
    maps += given_.mean(dim=(2, 3), keepdim=True)[:, 0].numpy()  # integrated gradients start at flat terrain
    maps[missing] = np.nan
    whole = np.concatenate([mosaic(maps, table, tiles, k, min(k + strip, HEIGHT)) for k in range(0, HEIGHT, strip)])
    covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for r, c in zip(rows * step, cols * step, strict=True):
        covered[r : r + size, c : c + size] = True
    np.testing.assert_allclose(whole, np.where(covered, terrain, np.nan), atol=2e-3)
