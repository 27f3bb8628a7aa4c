"""Tests of saliency that tell a map of the network from a map of the terrain."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from heatflow.explanation import randomisation as trust
from heatflow.explanation.attribution import attribute
from heatflow.explanation.randomisation import (
    STEPS,
    area,
    dead_units,
    likeness,
    of_shuffled_labels,
    randomisation_test,
    randomised,
    removal_curves,
)
from heatflow.explanation.sanity import Curves, faults, removal_scores, strength
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import Part


@pytest.fixture
def network():
    torch.manual_seed(0)
    return NetworkInNetwork(classes=3, channels=[6, 8, 8], dropout=0.2, batch_norm=True, head_relu=False).eval()


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


def removal(importance):
    """Curves of a network that adds up its tile, whose detail lies in one corner."""
    tile = np.zeros((2, 40, 40), dtype=np.float32)
    tile[:, :10, :10] = 1
    return removal_curves(lambda z: z.sum(axis=(1, 2)) / 100, tile, np.zeros_like(tile), importance(tile))


def test_deletion_and_insertion_of_a_sum_are_known():
    deletion, insertion = removal(lambda tile: tile)
    assert deletion.shape == insertion.shape == (2, len(STEPS))
    np.testing.assert_allclose(deletion[:, 0], 1)
    np.testing.assert_allclose(deletion[:, 1:], 1 - insertion[:, 1:], atol=1e-5)  # what is gone there is here
    assert (area(deletion) < 0.15).all()  # 1 / 16 of the terrain holds everything
    assert (area(insertion) > 0.85).all()
    backwards, _ = removal(lambda tile: -tile)
    assert (area(backwards) > 0.85).all()
    none, _ = removal_curves(lambda z: z.sum(), *[np.empty((0, 40, 40))] * 3)
    assert none.shape == (0, len(STEPS))


def test_likeness_is_the_rank_correlation_of_sizes():
    one = np.random.default_rng(0).normal(size=(3, 40, 40))
    assert likeness(one, -2 * one) == pytest.approx(1)
    assert abs(likeness(one, np.random.default_rng(1).normal(size=(3, 40, 40)))) < 0.1
    assert np.isnan(likeness(one, np.ones_like(one)))


def test_a_network_of_shuffled_labels_has_learnt_something_else(network, tiles):
    engine = Engine.choose("cpu", "float32", compile=False)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(0)
    other = of_shuffled_labels(network, Part(tiles, labels), 3, engine)
    assert other.settings == network.settings
    assert not other.training
    assert not torch.equal(next(other.parameters()), next(network.parameters()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def good(**changes):
    given = {"classifier": 0.8, "all": 0.3, "shuffled": 0.2, "again": 0.4, "high": -0.01} | changes
    return faults(
        {"classifier": given["classifier"], "block 1": given["all"]}, given["shuffled"], given["again"],
        {"deletion_against_random": -0.02, "deletion_against_random_high": given["high"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classifier": 0.95}, "classifier drawn at random"),
        ({"all": 0.6}, "every parameter drawn at random"),
        ({"shuffled": 0.5}, "shuffled labels"),
        ({"high": 0.01}, "does not surely lower"),
        ({"high": np.nan}, "Too few tiles"),
        ({"classifier": np.nan}, "classifier drawn at random"),
    ],
)
def test_a_map_fails_by_the_stated_rules(change, says):
    assert not good()
    (complaint,) = good(**change)
    assert says in complaint


def test_statistics_of_layers_that_keep_their_parameters_stay(network, tiles):
    with torch.no_grad():
        for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.fill_(0.3)
    kept = [
        sum(bool((m.running_mean == 0.3).all()) for m in other.modules() if isinstance(m, nn.BatchNorm2d))
        for _, other in randomised(network, tiles)
    ]
    every = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert kept[0] == every
    assert kept[-1] == 0
    assert kept == sorted(kept, reverse=True)


def test_the_labels_that_reach_the_network_are_shuffled(network, tiles, monkeypatch):
    reached = []
    monkeypatch.setattr(trust, "train_network", lambda other, source, *_: reached.append(source.labels.clone()))
    labels = torch.arange(6) % 3
    torch.manual_seed(3)
    of_shuffled_labels(network, Part(tiles, labels), 4, Engine.choose("cpu", "float32", compile=False))
    assert sorted(reached[0].tolist()) == sorted(labels.tolist())
    assert not torch.equal(reached[0], labels)


def test_deletion_is_better_where_it_is_lower_and_strength_has_no_sign():
    steps = np.linspace(1, 0, len(STEPS))
    good, bad = np.tile(steps**4, (30, 1)), np.tile(steps, (30, 1))
    found = removal_scores(Curves(good, good), {"random": Curves(bad, bad)}, np.arange(30), 0)
    assert found["deletion_against_random_high"] < 0
    assert found["deletion"] < area(bad).mean()
    maps = np.array([-2.0, 1.0])
    assert strength("gradient", maps).tolist() == [2, 1]
    assert strength("grad_cam", maps).tolist() == [-2, 1]
