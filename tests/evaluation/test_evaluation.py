"""Saliency against answers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import GuidedBackprop
from rasterio.crs import CRS
from torch import nn

from heatflow.explanation.attribution import attribute, mosaic
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.network import NetworkInNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    return NetworkInNetwork(classes=3, channels=[5, 6], dropout=0.2, batch_norm=True, head_relu=False).eval()


def test_gradient_agrees_with_finite_differences(network):
    network = network.double()
    tiles = torch.randn(3, 1, 30, 30, dtype=torch.float64)
    target = torch.tensor([0, 2, 1])
    maps = attribute(network, tiles, target, "gradient", batch_size=2)
    rng = np.random.default_rng(0)
    step = 1e-6
    for k in range(3):
        for i, j in rng.integers(0, 30, (8, 2)):
            shifted = tiles[k : k + 1].repeat(2, 1, 1, 1)
            shifted[0, 0, i, j] += step
            shifted[1, 0, i, j] -= step
            up, down = network(shifted)[:, target[k]].detach()
            assert maps[k, i, j] == pytest.approx(float(up - down) / (2 * step), abs=1e-5)


def test_guided_backpropagation_by_hand():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]]))
        model[3].weight.copy_(torch.tensor([[2.0, -3.0], [1.0, 1.0]]))
    tile = torch.ones(1, 1, 2, 2) * torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    gradient = attribute(model, tile, torch.tensor([0]), "gradient", 1)[0]
    guided = attribute(model, tile, torch.tensor([0]), "guided_backprop", 1)[0]
    # both units are active; the second has weight -3 in class 0, which guided backpropagation drops
    assert gradient.tolist() == [[2.0, -7.0], [-3.0, -1.0]]
    assert guided.tolist() == [[2.0, -4.0], [0.0, 2.0]]


def test_batches_agree_with_captum_tile_by_tile_and_leave_no_hooks(network):
    tiles, target = torch.randn(5, 1, 30, 30), torch.tensor([0, 1, 2, 1, 0])
    maps = attribute(network, tiles, target, "guided_backprop", batch_size=3)
    for k in range(5):
        tile = tiles[k : k + 1].clone().requires_grad_()
        with pytest.warns(UserWarning, match="hooks on ReLU"):
            alone = GuidedBackprop(network).attribute(tile, target=int(target[k]))
        np.testing.assert_allclose(maps[k], alone[0, 0].detach().numpy(), atol=1e-6)
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in network.modules())
    assert not network.training


def test_mosaic_puts_every_map_in_its_place():
    tiles = TileGrid(Grid(0.0, 50.0, 1.0, 60, 50, CRS.from_epsg(32611)), 20, 20)
    terrain = np.arange(50 * 60, dtype=np.float32).reshape(50, 60)
    table = pd.DataFrame({"row": [0, 1, 1], "col": [2, 0, 1]})
    maps = np.stack([terrain[r * 20 : r * 20 + 20, c * 20 : c * 20 + 20] for r, c in table.to_numpy()])
    parts = [mosaic(maps, table, tiles, top, min(top + 7, 50)) for top in range(0, 50, 7)]
    out = np.vstack(parts)
    covered = np.zeros((50, 60), bool)
    covered[:20, 40:60] = covered[20:40, :40] = True
    np.testing.assert_array_equal(out[covered], terrain[covered])
    assert np.isnan(out[~covered]).all()


def test_mosaic_takes_the_mean_where_tiles_overlap():
    tiles = TileGrid(Grid(0.0, 4.0, 1.0, 6, 4, CRS.from_epsg(32611)), 4, 2)
    table = pd.DataFrame({"row": [0, 0], "col": [0, 1]})
    out = mosaic(np.stack([np.zeros((4, 4)), np.full((4, 4), 3.0)]).astype(np.float32), table, tiles, 0, 4)
    assert out[0].tolist() == [0, 0, 1.5, 1.5, 3, 3]
