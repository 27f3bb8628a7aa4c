"""A small network with the weights that it starts from, and tiles for it."""

import pytest
import torch

from heatflow.learning.network import NetworkInNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    return NetworkInNetwork(classes=3, channels=[6, 8, 8], dropout=0.2, batch_norm=True, head_relu=False).eval()


@pytest.fixture
def tiles():
    return torch.randn(6, 1, 40, 40, generator=torch.Generator().manual_seed(1))
