"""Networks beside the tiles that they did not train on: what they see, and what of it is a tile's own."""

import geopandas
import numpy as np
import pytest
import torch
from torch import nn

from heatflow.explanation.out_of_fold import OutOfFoldNetworks
from heatflow.geo.tiles import PackedTiles
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import Folds
from heatflow.learning.network import NetworkInNetwork, SpatialMean

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


def test_maps_of_each_channel_are_in_its_own_unit():
    """Of a network without ReLUs the gradient is known: the second channel counts twice as much as the first."""
    rng, size = np.random.default_rng(0), 40
    framed = rng.normal(0, 100, (2, 2, size, size)).astype(np.float32)
    table = geopandas.GeoDataFrame({"tile": [3, 7]}, geometry=geopandas.points_from_xy([0, 1], [0, 1]))
    folds = Folds(np.array([["test", "test"]], dtype=object), np.array(["0"]))
    data = FoldData(
        table, PackedTiles(framed, np.array([3, 7])), folds, [{"offset": [0.0, 5.0], "scale": [100.0, 8.0]}]
    )
    network = NetworkInNetwork(classes=2, channels=[4], inputs=2)
    network.body, network.head = nn.Identity(), nn.Conv2d(2, 2, 1)
    network.pool = SpatialMean()
    with torch.no_grad():
        network.head.weight[:] = torch.tensor([[0.0, 0.0], [1.0, 2.0]])[:, :, None, None]
    networks = OutOfFoldNetworks(data, [[network.eval()]], Engine(torch.device("cpu"), "float32"), 1)
    index, high = np.array([0, 1]), np.array([1, 1])
    elevation, other = (networks.maps("gradient", index, high, channel=k) for k in (0, 1))
    np.testing.assert_allclose(elevation, 1000 / 100 / size**2, rtol=1e-5)  # per km
    np.testing.assert_allclose(other, 2 / 8 / size**2, rtol=1e-5)
    replaced = networks.inputs(0, index, np.zeros((2, size, size)))
    np.testing.assert_array_equal(replaced[:, 0], 0)
    np.testing.assert_array_equal(replaced[:, 1], networks.inputs(0, index)[:, 1])
