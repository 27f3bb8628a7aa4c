"""Randomised parameters and labels: what changes, what stays, and how maps are compared."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from heatflow.config.schema import Recipe
from heatflow.explanation import randomisation
from heatflow.explanation.attribution import attribute
from heatflow.explanation.randomisation import (
    agreement,
    cascade,
    fit_shuffled_labels,
    mean,
    randomised,
    rank_correlations,
)
from heatflow.learning.engine import Engine
from heatflow.learning.training import Part


def test_parameters_are_randomised_from_the_top_down(network, tiles):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    steps = ["classifier", "head", "block 3", "block 2", "block 1"]
    kept_of = []
    for name, other in randomised(network, tiles):
        assert name == steps[len(kept_of)]
        same = {k for k, v in other.named_parameters() if v.dim() == 4 and torch.equal(v, before[k])}
        kept_of.append(same)
        assert not other.training
    assert len(kept_of) == 5
    assert kept_of[0] == {k for k, v in network.named_parameters() if v.dim() == 4} - {"head.3.weight"}
    assert all(later < earlier for earlier, later in pairwise(kept_of))
    assert not kept_of[-1]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def gradient(tiles):
    target = torch.zeros(6, dtype=torch.long)
    return lambda network, some: attribute(network, tiles[some], target[some], "gradient", 6)


def edges(tiles):
    return lambda network, some: np.abs(np.diff(tiles[some, 0].numpy(), axis=1, append=0))


def test_a_map_of_the_terrain_keeps_its_rank_correlation_and_a_gradient_loses_it(network, tiles):
    assert list(cascade(network, tiles, edges(tiles)).values()) == pytest.approx([1.0] * 5)
    assert cascade(network, tiles, gradient(tiles))["block 1"] < 0.5
    nothing = cascade(network, tiles, lambda other, some: np.zeros((len(some), 40, 40)))
    assert all(np.isnan(value) for value in nothing.values())


def test_every_tile_has_a_random_head_of_its_own(network, tiles):
    heads = []

    def explain(other, some):
        heads.append((other.head[-1].weight.detach().clone(), len(some)))
        return gradient(tiles)(other, some)

    found = agreement(network, network, tiles, explain)
    assert found["again"] == pytest.approx(np.ones(6))
    assert not np.allclose(found["head"], 1)
    drawn = [weight for weight, count in heads if count == 1]
    assert len(drawn) == 6
    assert all(not torch.equal(one, other) for one, other in pairwise(drawn))


def test_rank_correlation_is_of_what_pixels_are_ranked_by():
    one = np.random.default_rng(0).normal(size=(3, 40, 40))
    np.testing.assert_allclose(rank_correlations(one, -2 * one), -1)
    np.testing.assert_allclose(rank_correlations(one, one**3), 1)
    assert np.isnan(rank_correlations(one, np.ones_like(one))).all()
    assert mean(np.array([0.2, np.nan, 0.4])) == pytest.approx(0.3)


def test_a_network_of_shuffled_labels_has_learnt_something_else(network, tiles):
    engine = Engine.choose("cpu", "float32", compile=False)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(0)
    other = fit_shuffled_labels(network, Part(tiles, labels), Recipe(epochs=2, batch_size=3), engine)
    assert other.settings == network.settings
    assert not other.training
    assert not torch.equal(next(other.parameters()), next(network.parameters()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


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
    monkeypatch.setattr(randomisation, "train_network", lambda other, source, *_: reached.append(source.labels.clone()))
    labels = torch.arange(6) % 3
    torch.manual_seed(3)
    fit_shuffled_labels(network, Part(tiles, labels), Recipe(), Engine.choose("cpu", "float32", compile=False))
    assert sorted(reached[0].tolist()) == sorted(labels.tolist())
    assert not torch.equal(reached[0], labels)
