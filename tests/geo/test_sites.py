"""Sites: no well is lost or counted twice, and their weights are those of one random site of each tile."""

import geopandas
import numpy as np
import pytest
from rasterio.crs import CRS

from heatflow.geo.sites import CELL, group_sites, mean_of_others, site_weight
from heatflow.grid.grids import Grid, TileGrid

GRID = Grid(left=500_000, top=4_400_000, resolution=300, width=100, height=90, crs=CRS.from_epsg(32611))


def wells(n=400, seed=0):
    rng = np.random.default_rng(seed)
    x, y = GRID.left + rng.uniform(0, 30_000, n), GRID.top - rng.uniform(0, 27_000, n)
    return geopandas.GeoDataFrame({"residual": rng.normal(50, 60, n)}, geometry=geopandas.points_from_xy(x, y))


@pytest.mark.parametrize(("size", "stride"), [(20, 20), (17, 17), (20, 10), (11, 15)])
def test_every_well_of_a_tile_is_in_exactly_one_of_its_sites(size, stride):
    tiles, table = TileGrid(GRID, size, stride), wells()
    index, row, col = tiles.tiles_of(*GRID.pixel(table.geometry.x, table.geometry.y))
    ids = tiles.ids(row, col)
    sites = group_sites(table, tiles, np.unique(ids))
    assert sites["n_wells"].sum() == len(index)
    counted = sites.groupby("tile")["n_wells"].sum()
    assert counted.to_dict() == dict(zip(*np.unique(ids, return_counts=True), strict=True))
    assert not sites.duplicated(["tile", "row", "col"]).any()


def test_a_site_is_the_median_of_its_cell_at_the_mean_place_of_its_wells():
    tiles, table = TileGrid(GRID, 20, 20), wells()
    sites = group_sites(table, tiles, np.arange(20))
    index, *place = tiles.tiles_of(*GRID.pixel(table.geometry.x, table.geometry.y))
    x, y, residual = (v.to_numpy()[index] for v in (table.geometry.x, table.geometry.y, table["residual"]))
    cell = np.column_stack([(GRID.top - y) // CELL, (x - GRID.left) // CELL, *place])
    for site in sites.itertuples():
        tile = tiles.rows_and_columns(site.tile)
        here = (cell == (site.row, site.col, *tile)).all(axis=1)
        assert here.sum() == site.n_wells
        assert np.median(residual[here]) == site.residual
        assert (site.geometry.x, site.geometry.y) == pytest.approx((x[here].mean(), y[here].mean()))


def test_sites_of_other_tiles_are_left_out():
    tiles, table = TileGrid(GRID, 20, 20), wells()
    assert set(group_sites(table, tiles, np.array([2, 5]))["tile"]) == {2, 5}


def test_weights_are_those_of_one_random_site_of_each_tile():
    tile, value = np.array([4, 4, 4, 9]), np.array([1.0, 0.0, 0.0, 1.0])
    rng = np.random.default_rng(0)
    drawn = [value[rng.integers(0, 3)] + value[3] for _ in range(20_000)]
    assert site_weight(tile) @ value == pytest.approx(np.mean(drawn), abs=0.02)


def test_mean_of_others_leaves_the_site_itself_out():
    tile, value = np.array([1, 0, 1, 1, 2]), np.array([3.0, 9.0, 5.0, 10.0, 1.0])
    expected = [value[(tile == t) & (np.arange(5) != k)].mean() if (tile == t).sum() > 1 else np.nan
                for k, t in enumerate(tile)]  # fmt: skip
    np.testing.assert_allclose(mean_of_others(tile, value), expected)
