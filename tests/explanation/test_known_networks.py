"""Networks whose answer is known: trained, with the head drawn at random, trained on shuffled labels.

They learn to tell tiles with more hills than holes from the others. Maps of the trained ones agree better between
networks than with a random head. Those of the others do not, and neither do maps that ignore the head, whatever the
network.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from heatflow.config.schema import Recipe
from heatflow.explanation.attribution import HighLogOdds, attribute, importance
from heatflow.explanation.randomisation import agreement, randomised
from heatflow.explanation.sanity import REPRODUCIBLE, Agreement
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import Part, TileSource, train_network

SIZE, CHECKED = 140, 24


@pytest.fixture(scope="module")
def part():
    """Tiles with seven hills and holes; high are those with more hills."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1, 1], (160, 7))
    tiles, (r, c) = 0.2 * rng.normal(size=(len(sign), SIZE, SIZE)), np.ogrid[:SIZE, :SIZE]
    for tile, signs in zip(tiles, sign, strict=True):
        for height, down, right in zip(signs, *rng.integers(8, SIZE - 8, (2, 7)), strict=True):
            tile += 2 * height * np.exp(-((r - down) ** 2 + (c - right) ** 2) / (2 * 6**2))
    label = (sign.sum(axis=1) > 0).astype(int)
    return Part(torch.from_numpy(tiles[:, None].astype(np.float32)), torch.from_numpy(label))


def fitted(part, seed, labels):
    torch.manual_seed(seed)
    network = NetworkInNetwork(classes=2, channels=[8, 12, 12], dropout=0.0, pooling="mean")  # labels are sums
    source = TileSource(Part(part.tiles, labels), nn.Identity())
    engine = Engine.choose("cpu", "float32", compile=False)
    train_network(network, source, None, Recipe(epochs=12, lr=0.01), engine)
    return network.eval()


@pytest.fixture(scope="module")
def networks(part):
    """Two of each kind."""
    trained = [fitted(part, seed, part.labels) for seed in (1, 2)]
    shuffled = [fitted(part, seed, part.labels[torch.randperm(len(part.labels))]) for seed in (1, 2)]
    torch.manual_seed(0)
    heads = [next(other for name, other in randomised(net, part.tiles) if name == "head") for net in trained]
    return {"trained": trained, "random head": heads, "shuffled labels": shuffled}


def explained(method, tiles, network, some):
    given, target = tiles[some], torch.zeros(len(some), dtype=torch.long)
    if method == "edges":
        return np.abs(np.diff(given[:, 0].numpy(), axis=1, append=0))
    if method == "last maps":  # of the body: they ignore the head
        with torch.no_grad():
            maps = nn.functional.interpolate(network.body(given).sum(dim=1, keepdim=True), (SIZE, SIZE))
        return maps[:, 0].numpy()
    return importance(method, attribute(HighLogOdds(network, 1), given, target, method))


@pytest.mark.parametrize("kind", ["trained", "random head", "shuffled labels"])
@pytest.mark.parametrize("method", ["grad_cam", "integrated_gradients", "gradient", "edges", "last maps"])
def test_only_maps_of_trained_networks_that_depend_on_the_head_pass(networks, part, kind, method):
    tiles, (one, other) = part.tiles[:CHECKED], networks[kind]
    torch.manual_seed(0)
    found = agreement(one, other, tiles, partial(explained, method, tiles))
    scores = Agreement({}, found, np.arange(CHECKED), "seeds", 1).scores(seed=0)
    passed = scores["beyond_head_low"] > 0 and scores["reproducibility"] >= REPRODUCIBLE
    print(kind, method, {name: round(value, 2) for name, value in scores.items() if not isinstance(value, dict)})
    assert passed == (kind == "trained" and method == "grad_cam")
