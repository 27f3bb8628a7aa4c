"""Tiles that a small network can learn from, and the training of one."""

import geopandas
import numpy as np
import pytest
import torch
from rasterio.crs import CRS

from heatflow.config.schema import Filter, Model, Params, Recipe, Split, Tile, Train
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.augment import pipeline
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import make_folds
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.patches import Terrain
from heatflow.learning.training import Part, TileSource, reproducible, train_network

TILE = Tile(size=40, edges=[50], binary_edge=50)


@pytest.fixture
def engine():
    return Engine(torch.device("cpu"), "float32")


@pytest.fixture
def recipe():
    return Recipe(epochs=24, batch_size=10, lr=0.03, weight_decay=0.01)  # in 12 some seeds do not learn


@pytest.fixture
def striped():
    """``striped(n, seed)``: tiles (n, 40, 40) whose class is the direction of their stripes: not told by any mean."""

    def make(n, seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, n)
        wave = np.tile(np.sin(np.arange(40) * 0.7), (40, 1))
        tiles = np.stack([wave if k else wave.T for k in labels])
        return (tiles + rng.normal(0, 0.3, tiles.shape)).astype(np.float32), labels.astype(np.int64)

    return make


@pytest.fixture
def as_part(engine):
    """``as_part(tiles, labels)``: arrays as a part of a fold."""

    def make(tiles, labels, engine=engine):
        return Part(torch.from_numpy(tiles)[:, None].to(engine.dtype), torch.from_numpy(labels))

    return make


@pytest.fixture
def fit(striped, as_part, recipe, engine):
    """``fit(recipe, engine, **options)``: a small network trained on striped tiles; (network, history, validation)."""

    def train(recipe=recipe, engine=engine, **options):
        training, validation = (as_part(*striped(40, seed), engine) for seed in (0, 1))
        source = TileSource(training, pipeline(flip=True, rotation=0, noise=0))
        with reproducible(0):
            network = NetworkInNetwork(classes=2, channels=[6, 8, 8], **options)
            history = train_network(network, source, validation, recipe, engine)
        return network, history, validation

    return train


@pytest.fixture
def region(striped):
    """FoldData of 144 striped tiles on a square grid, their classes scattered in space, in three folds."""
    side = 12
    row, col = (v.ravel() for v in np.mgrid[:side, :side])
    pixels, label = striped(side**2, 0)
    ids = np.arange(side**2)
    columns = {"tile": ids, "row": row, "col": col, "label": label, "relief": 3.0}
    table = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(col, row))
    split = make_folds(table, Split(folds=3, block_size=3, buffer=0, validation=0.15), TILE)
    return FoldData(table, PackedTiles(pixels[:, None], ids), split.folds, [{"offset": 0.0, "scale": 1.0}] * 3)


@pytest.fixture
def terrain(region):
    """The raster that the tiles of `region` are cut from, with a well in each tile that has its class."""
    tiles = TileGrid(Grid(0.0, 480.0, 1.0, 480, 480, CRS.from_epsg(32611)), 40, 40)
    elevation = region.tiles.pixels.reshape(12, 12, 40, 40).transpose(0, 2, 1, 3).reshape(480, 480)
    well = tiles.centres(region.table["row"], region.table["col"])
    return Terrain(elevation[None], well, region.table["label"].to_numpy() * 100.0, tiles)


@pytest.fixture
def params():
    """Params of quick training on `region`."""
    return Params(
        tile=TILE, model=Model(channels=[6, 8, 8]), filter=Filter(min_relief=None), split=Split(buffer=0),
        train=Train(epochs=3, seeds=1, batch_size=20, lr=0.02, dropout=0, weight_decay=0.01),
    )  # fmt: skip
