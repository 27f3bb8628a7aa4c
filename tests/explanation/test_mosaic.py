"""Maps of tiles on the grid of the terrain."""

import numpy as np
from rasterio.crs import CRS

from heatflow.explanation.mosaic import mosaic
from heatflow.grid.grids import Grid, TileGrid


def test_mosaic_puts_every_map_in_its_place():
    tiles = TileGrid(Grid(0.0, 50.0, 1.0, 60, 50, CRS.from_epsg(32611)), 20, 20)
    terrain = np.arange(50 * 60, dtype=np.float32).reshape(50, 60)
    row, col = np.array([0, 1, 1]), np.array([2, 0, 1])
    maps = np.stack([terrain[r * 20 : r * 20 + 20, c * 20 : c * 20 + 20] for r, c in zip(row, col, strict=True)])
    parts = [mosaic(maps, row, col, tiles, top, min(top + 7, 50)) for top in range(0, 50, 7)]
    out = np.vstack(parts)
    covered = np.zeros((50, 60), bool)
    covered[:20, 40:60] = covered[20:40, :40] = True
    np.testing.assert_array_equal(out[covered], terrain[covered])
    assert np.isnan(out[~covered]).all()


def test_mosaic_takes_the_mean_where_tiles_overlap():
    tiles = TileGrid(Grid(0.0, 4.0, 1.0, 6, 4, CRS.from_epsg(32611)), 4, 2)
    row, col = np.array([0, 0]), np.array([0, 1])
    maps = np.stack([np.zeros((4, 4)), np.full((4, 4), 3.0)]).astype(np.float32)
    out = mosaic(maps, row, col, tiles, 0, 4)
    assert out[0].tolist() == [0, 0, 1.5, 1.5, 3, 3]
