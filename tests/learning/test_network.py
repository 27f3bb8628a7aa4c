"""The network: its layers, its losses, its dropout."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from heatflow.config.geometry import lattice
from heatflow.learning.network import Dropout, NetworkInNetwork


def test_network_is_the_reports_with_its_errata():
    network = NetworkInNetwork(
        classes=4, channels=[96, 256, 384], layout="report", dropout=0.2, batch_norm=False, head_relu=True
    )
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    shapes = [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.padding[0]) for m in convolutions]
    assert shapes[::3] == [(1, 96, 5, 3, 0), (96, 256, 3, 1, 2), (256, 384, 3, 1, 1), (384, 4, 3, 1, 1)]
    assert all(kernel == 1 for *_, kernel, _, _ in shapes[1::3] + shapes[2::3])
    assert network(torch.rand(2, 1, 200, 200)).shape == (2, 4)
    relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    assert len({id(m) for m in relus}) == 12
    assert not any(m.inplace for m in relus)
    plain = NetworkInNetwork(classes=4, channels=[8, 8], layout="report")
    assert sum(isinstance(m, nn.ReLU) for m in plain.head) == 2


def test_compact_layout_pools_and_normalises_early():
    network = NetworkInNetwork(classes=4, channels=[8, 8, 8])
    names = [[type(m).__name__ for m in block] for block in network.body if isinstance(block, nn.Sequential)]
    start = ["Conv2d", "MaxPool2d", "BatchNorm2d"]
    pointwise = ["ReLU", "Conv2d", "ReLU", "Conv2d", "ReLU"]
    assert names == [start + pointwise, start + pointwise, [start[0], start[2], *pointwise]]
    assert [type(m).__name__ for m in network.head] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]
    assert network.head[0].out_channels == 8


@pytest.mark.parametrize("layout", ["compact", "report"])
def test_sites_are_read_where_they_lie(layout):
    network = NetworkInNetwork(classes=3, channels=[4, 4, 4], layout=layout, sites=True).eval()
    stride, centre = network.stride, lattice(3, layout)[1]
    maps = network.class_maps(torch.rand(2, 1, 200, 200)).detach()
    rows, columns = maps.shape[2:]
    place = torch.tensor([[1.0, 2.0], [0.25, 3.5], [-4.0, 1.0], [99.0, 99.0]]) * stride + centre
    found = network.site_scores(maps, torch.tensor([0, 1, 1, 0]), place)
    own = maps[:, 3:]
    expected = [
        own[0, :, 1, 2],
        0.75 * (own[1, :, 0, 3] + own[1, :, 0, 4]) / 2 + 0.25 * (own[1, :, 1, 3] + own[1, :, 1, 4]) / 2,
        own[1, :, 0, 1],
        own[0, :, rows - 1, columns - 1],  # past the last: that of the last
    ]
    torch.testing.assert_close(found, torch.stack(expected))


def path_weight(margin, layout):
    """Share of all paths from a pixel of a tile to its score, in squares as large as a pixel of the class maps."""
    network = NetworkInNetwork(
        classes=2, channels=[2, 2, 2], layout=layout, margin=margin, batch_norm=False, pooling="mean"
    ).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            nn.init.zeros_(module.bias)
    for owner in [network.body, *network.body]:
        for name, module in owner.named_children():
            if isinstance(module, nn.MaxPool2d):  # of many tiles: any pixel of the window may be the largest
                setattr(owner, name, nn.AvgPool2d(module.kernel_size, module.stride))
    tile = torch.ones(1, 1, 200 + 2 * margin, 200 + 2 * margin, requires_grad=True)
    network(tile)[0, 0].backward()
    inner = slice(margin, margin + 200 // network.stride * network.stride)
    squares = tile.grad[0, 0, inner, inner].unfold(0, *[network.stride] * 2).unfold(1, *[network.stride] * 2)
    weight = squares.mean(dim=(2, 3))
    return (weight / weight.mean()).numpy()


def test_with_a_margin_the_whole_tile_counts_evenly():
    weight, without = (path_weight(margin, "compact") for margin in (20, 0))
    for axis in (0, 1):
        along = weight.mean(axis=axis)
        assert 1 / 1.5 < along.min() < along.max() < 1.5
        np.testing.assert_allclose(along, along[::-1], atol=0.05)
        assert without.mean(axis=axis).min() < 0.4
    assert weight.min() > 4 * without.min()  # of the corners


def test_in_evaluation_maps_are_pooled_over_the_tile_and_sites_lie_within_the_margin():
    network = NetworkInNetwork(classes=2, channels=[4, 4, 4], sites=True, size=200, margin=20, pooling="mean")
    maps = torch.zeros(1, 4, 11, 11)
    maps[:, :2, 0], maps[:, 2:, 3, 4] = 1.0, 1.0  # tiles: the first row; sites: one pixel, at 78.5 and 98.5
    place = torch.tensor([[58.5, 78.5], [78.5, 98.5]])
    network.eval()
    torch.testing.assert_close(network.tile_scores(maps)[0, 0].item(), (28.5 - 20) / 200)
    assert network.site_scores(maps, torch.tensor([0, 0]), place)[:, 0].tolist() == [1, 0]
    network.train()
    torch.testing.assert_close(network.tile_scores(maps)[0, 0].item(), 1 / 11)
    assert network.site_scores(maps, torch.tensor([0, 0]), place)[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize(("pooling", "pooled"), [("mean", 1.0), ("log_mean_exp", np.log((np.exp(4) + 3) / 4))])
def test_class_maps_of_tiles_are_pooled(pooling, pooled):
    network = NetworkInNetwork(classes=2, channels=[4], sites=True, pooling=pooling)
    maps = torch.tensor([[4.0, 0, 0, 0], [-1, -1, -1, -1], [9, 9, 9, 9], [9, 9, 9, 9]]).view(1, 4, 2, 2)
    scores = network.tile_scores(maps.bfloat16())
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, torch.tensor([[pooled, -1]], dtype=torch.float32))


@pytest.mark.parametrize("layout", ["compact", "report"])
def test_the_lattice_of_the_class_maps_is_where_their_pixels_see_the_tile(layout):
    network = NetworkInNetwork(classes=2, channels=[1, 1, 1], layout=layout, batch_norm=False).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.fill_(1 / module.weight[0].numel())
            module.bias.data.zero_()
    network.double()
    stride, centre = lattice(3, layout)
    base, changed = network.class_maps(torch.ones(1, 1, 200, 200, dtype=torch.float64)), []
    for k in range(200):
        row = torch.ones(1, 1, 200, 200, dtype=torch.float64)
        row[..., k, :] += 1
        changed.append((network.class_maps(row) - base)[0, 0, 3, 4].abs().item() > 1e-12)
    support = torch.tensor(changed).nonzero().flatten() + 0.5
    assert (support.min() + support.max()) / 2 == pytest.approx(centre + 3 * stride, abs=1)


@pytest.mark.parametrize("layout", ["compact", "report"])
@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_a_network_knows_its_smallest_input_its_stride_and_its_last_maps(blocks, layout):
    network = NetworkInNetwork(classes=3, channels=[4] * blocks, layout=layout, batch_norm=False)
    least = network.min_size
    assert network(torch.rand(1, 1, least, least)).shape == (1, 3)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 1, least - 1, least - 1))
    maps = lambda size: network.class_maps(torch.rand(1, 1, size, size)).shape[-1]  # noqa: E731
    assert maps(least + network.stride) == maps(least) + 1
    assert maps(least + network.stride - 1) == maps(least)
    assert network.cam_layer is [block for block in network.body if isinstance(block, nn.Sequential)][-1]


def test_dropout_leaves_the_mean_of_what_it_feeds_as_it_is():
    torch.manual_seed(0)
    body = NetworkInNetwork(classes=2, channels=[16], layout="report", dropout=0.5, batch_norm=False).body
    tiles = torch.randn(40, 1, 40, 40)
    with torch.no_grad():
        training, use = body.train()(tiles), body.eval()(tiles)
        before_pool = nn.Sequential(body[0], body[2], body[1]).train()(tiles)
    assert training.mean().item() == pytest.approx(use.mean().item(), rel=0.02)
    assert before_pool.mean().item() > 1.3 * use.mean().item()  # where the report has it


def test_dropout_drops_its_share_scales_the_rest_and_passes_gradients_alike():
    torch.manual_seed(1)
    x = torch.ones(8, 5, 50, 51).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = Dropout(0.3)(x)
    kept = out != 0
    assert 1 - kept.float().mean().item() == pytest.approx(0.3, abs=0.005)
    assert out[kept].unique().tolist() == pytest.approx([1 / 0.7], rel=1e-4)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    # neither between channels nor between neighbours does one draw tell of another
    for a, b in ((kept[:, 0], kept[:, 1]), (kept[..., 1:], kept[..., :-1])):
        assert (a & b).float().mean().item() == pytest.approx(0.49, abs=0.01)
    assert torch.equal(Dropout(0.3).eval()(x), x)


@pytest.mark.parametrize("first_high", [1, 2, 3])
@pytest.mark.parametrize("loss", ["cross_entropy", "ordinal", "two_stage"])
def test_every_loss_gives_probabilities_and_starts_from_the_class_shares(loss, first_high):
    network = NetworkInNetwork(classes=4, channels=[4], loss=loss, first_high=first_high)
    scores = network(torch.randn(5, 1, 40, 40))
    assert scores.shape == (5, 4)
    if loss != "cross_entropy":  # log-probabilities already, so that softmax changes nothing
        torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(5))
    shares = torch.tensor([0.5, 0.1, 0.15, 0.25])
    torch.testing.assert_close(network.decision(network.decision.scores_for(shares)[None]).softmax(dim=1)[0], shares)


def test_ordinal_and_two_stage_by_hand():
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    ordinal = NetworkInNetwork(classes=3, channels=[4], loss="ordinal").decision(torch.tensor([[0.3, -1.2]])).exp()[0]
    pass_1, pass_2 = sigmoid(0.3), sigmoid(-1.2)
    assert ordinal.tolist() == pytest.approx([1 - pass_1, pass_1 * (1 - pass_2), pass_1 * pass_2])
    stage = NetworkInNetwork(classes=4, channels=[4], loss="two_stage", first_high=2).decision
    p = stage(torch.tensor([[0.5, 1.0, 1.0, 0.0, math.log(3)]])).exp()[0]
    high = sigmoid(0.5)
    assert p.tolist() == pytest.approx([(1 - high) / 2, (1 - high) / 2, high / 4, 3 * high / 4])


def test_networks_of_terrain_alone_are_written_as_before_there_were_other_inputs():
    assert "inputs" not in NetworkInNetwork(classes=2, channels=[4]).settings
    two = NetworkInNetwork(classes=2, channels=[4], inputs=2)
    again = NetworkInNetwork(**two.settings)
    again.load_state_dict(two.state_dict())
    assert two.settings["inputs"] == 2


def test_every_input_counts():
    torch.manual_seed(0)
    network = NetworkInNetwork(classes=2, channels=[4, 4], inputs=2).eval()
    tiles = torch.rand(3, 2, 60, 60)
    other = tiles.clone()
    other[:, 1] += torch.rand(3, 60, 60)
    assert (network(tiles) != network(other)).any(dim=1).all()
