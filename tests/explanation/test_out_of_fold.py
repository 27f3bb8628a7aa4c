"""Networks beside the tiles that they did not train on: what they see, and what of it is a tile's own."""

import geopandas
import numpy as np
import pytest
import torch

from heatflow.explanation.out_of_fold import OutOfFoldNetworks
from heatflow.geo.tiles import PackedTiles
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import Folds
from heatflow.learning.network import NetworkInNetwork

SIZE, MARGIN = 60, 20


@pytest.fixture
def networks():
    """Two tiles, each tested by a fold of its own, with a margin around them."""
    rng = np.random.default_rng(0)
    framed = rng.normal(0, 100, (2, SIZE + 2 * MARGIN, SIZE + 2 * MARGIN)).astype(np.float32)
    table = geopandas.GeoDataFrame({"tile": [3, 7]}, geometry=geopandas.points_from_xy([0, 1], [0, 1]))
    folds = Folds(np.array([["test", "train"], ["train", "test"]], dtype=object), np.array(["0", "0"]))
    scalings = [{"offset": 0.0, "scale": 100.0}, {"offset": 10.0, "scale": 50.0}]
    data = FoldData(table, PackedTiles(framed[:, None], np.array([3, 7]), MARGIN), folds, scalings)
    torch.manual_seed(0)
    members = [[NetworkInNetwork(classes=3, channels=[4, 4, 4], size=SIZE, margin=MARGIN).eval()] for _ in range(2)]
    return OutOfFoldNetworks(data, members, Engine(torch.device("cpu"), "float32"), 1)


def test_networks_see_the_margin_around_terrain_that_is_replaced(networks):
    framed, index = networks.data.tiles.framed, np.array([1])
    seen = networks.inputs(1, index, np.zeros((1, SIZE, SIZE)))[0, 0].numpy() * 50 + 10
    assert np.abs(seen[networks.inner, networks.inner]).max() < 1e-4
    around = np.ones(seen.shape, dtype=bool)
    around[networks.inner, networks.inner] = False
    np.testing.assert_allclose(seen[around], framed[1, 0][around], rtol=1e-4, atol=1e-3)
    own = networks.data.elevation(index)
    assert (networks.probability(index, own) != networks.probability(index, own[:, ::-1])).any()
    np.testing.assert_array_equal(networks.inputs(1, index), networks.inputs(1, index, own))


def test_maps_are_of_the_tile_alone(networks):
    maps = networks.maps("gradient", np.array([0, 1]), None)
    assert maps.shape == (2, SIZE, SIZE)
    explain = networks.explainer(networks.networks[0][0], "gradient", None, 1)
    whole = explain(networks.inputs(0, np.array([0])))[0] / (100 / 1000)
    np.testing.assert_array_equal(maps[0], whole[MARGIN:-MARGIN, MARGIN:-MARGIN])
    assert (whole[:MARGIN] != 0).any()
