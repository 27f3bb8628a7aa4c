"""Maps of a network whose score is the sum of the elevations, put together, are the terrain."""

import numpy as np
import pandas as pd
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from torch import nn

from heatflow.explanation.attribution import attribute
from heatflow.explanation.mosaic import mosaic
from heatflow.geo.tiles import cut_tiles
from heatflow.grid.grids import Grid, TileGrid

UTM = CRS.from_epsg(32611)
HEIGHT, WIDTH = 23, 31
STRIDES = st.tuples(st.integers(1, 12), st.integers(1, 20))


class Sum(nn.Module):
    """A score that is the sum of the elevations: a pixel's part in it is its own elevation."""

    def forward(self, tiles):
        return tiles.sum(dim=(2, 3))


@settings(max_examples=12, deadline=None)
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
    strips = [(k, min(k + strip, HEIGHT)) for k in range(0, HEIGHT, strip)]
    whole = np.concatenate([mosaic(maps, rows, cols, tiles, *rows_of) for rows_of in strips])
    covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for r, c in zip(rows * step, cols * step, strict=True):
        covered[r : r + size, c : c + size] = True
    np.testing.assert_allclose(whole, np.where(covered, terrain, np.nan), atol=2e-3)
