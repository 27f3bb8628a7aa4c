"""Dead channels of ReLUs."""

import torch
from torch import nn

from heatflow.explanation.dead_channels import dead_channels


def test_dead_channels_are_counted_and_no_hook_stays(network, tiles):
    first = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        first.weight[:3] = 0
        first.bias[:3] = -1
    shares = dead_channels(network, tiles, batch_size=4)
    assert shares[0] == 0.5
    assert len(shares) == 10
    assert not any(m._forward_hooks for m in network.modules())
