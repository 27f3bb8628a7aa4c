"""Tests of saliency that tell a map of the network from a map of the terrain."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from heatflow.analysis.saliency import attribute
from heatflow.analysis.trust import dead_units, randomisation_test, randomised
from heatflow.learning.network import NetworkInNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    return NetworkInNetwork(3, [6, 8, 8], 0.2, batch_norm=True, head_relu=False).eval()


@pytest.fixture
def tiles():
    return torch.randn(6, 1, 40, 40, generator=torch.Generator().manual_seed(1))


def test_parameters_are_drawn_anew_from_the_top_down(network, tiles):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    steps = ["classifier", "head", "block 3", "block 2", "block 1"]
    kept_of = []
    for name, other in randomised(network, tiles):
        assert name == steps[len(kept_of)]
        same = {k for k, v in other.named_parameters() if v.dim() == 4 and torch.equal(v, before[k])}
        kept_of.append(same)
        assert not other.training
    assert len(kept_of) == 5
    assert kept_of[0] == {k for k, v in network.named_parameters() if v.dim() == 4} - {"head.6.weight"}
    assert all(later < earlier for earlier, later in pairwise(kept_of))
    assert not kept_of[-1]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_map_of_the_terrain_keeps_its_likeness_and_a_gradient_loses_it(network, tiles):
    def edges(other):
        return np.abs(np.diff(tiles[:, 0].numpy(), axis=1, append=0))

    assert list(randomisation_test(network, tiles, edges).values()) == pytest.approx([1.0] * 5)
    target = torch.zeros(6, dtype=torch.long)
    found = randomisation_test(network, tiles, lambda n: attribute(n, tiles, target, "gradient", 6))
    assert found["block 1"] < 0.5
    nothing = randomisation_test(network, tiles, lambda n: np.zeros((6, 40, 40)))
    assert all(np.isnan(value) for value in nothing.values())


def test_dead_channels_are_counted_and_no_hook_stays(network, tiles):
    first = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        first.weight[:3] = 0
        first.bias[:3] = -1
    shares = dead_units(network, tiles, batch_size=4)
    assert shares[0] == 0.5
    assert len(shares) == 11
    assert not any(m._forward_hooks for m in network.modules())
