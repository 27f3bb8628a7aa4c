"""Training: it learns what can be learnt, repeats to the bit, goes on where it ended, and says where it failed."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from heatflow.config.schema import Recipe
from heatflow.errors import InputError
from heatflow.learning.augment import pipeline
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import (
    TileSource,
    batches,
    dead_classes,
    evaluate,
    predict,
    reproducible,
    stuck_at_chance,
    train_network,
)

ENGINES = [Engine(torch.device("cpu"), precision) for precision in ("float32", "bfloat16")]


def small_network(**options):
    return NetworkInNetwork(classes=2, channels=[6, 8, 8], **options)


def test_without_a_validation_part_the_same_is_learnt_and_nothing_is_measured(striped, as_part, engine):
    training, weights = as_part(*striped(20, 0), engine), []
    for validation in (None, training):
        with reproducible(1):
            network = small_network()
            history = train_network(network, TileSource(training, v2.Identity()), validation, Recipe(epochs=2), engine)
        weights.append(network.state_dict())
        assert np.isnan(history[-1]["validation_loss"]) == (validation is None)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_training_learns_what_can_be_learnt_and_repeats_to_the_bit(fit, recipe, engine):
    network, history, validation = fit(engine=engine)
    assert len(history) == recipe.epochs
    assert evaluate(network, validation, 10, engine)[1] > 0.9
    assert not stuck_at_chance(history, 2)
    assert all(p.dtype == torch.float32 for p in network.parameters())
    again, same, _ = fit(engine=engine)
    assert history == same
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_training_that_was_interrupted_ends_with_the_same_weights(striped, as_part, optimizer, schedule):
    engine = Engine(torch.device("cpu"), "float64")
    recipe = Recipe(epochs=3, batch_size=10, lr=0.01, optimizer=optimizer, schedule=schedule, early_stopping=2)
    part = as_part(*striped(20, 0), engine)
    source = TileSource(part, pipeline(flip=True, rotation=0, noise=0))

    def train(resume=None):
        states = []
        with reproducible(0):
            network = small_network()
            keep = lambda state: states.append(copy.deepcopy(state))  # noqa: E731
            history = train_network(network, source, part, recipe, engine, keep, resume)
        return network, history, states

    network, history, states = train()
    assert next(network.parameters()).dtype == torch.float64
    assert all(math.isfinite(row["train_loss"]) for row in history)
    again, same, _ = train(states[0])
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_stuck_is_told_from_learning():
    assert stuck_at_chance([{"train_loss": 1.386}], 4)
    assert not stuck_at_chance([{"train_loss": 1.386}, {"train_loss": 1.2}], 4)


def test_loss_that_is_not_finite_is_refused(fit, recipe):
    diverging = recipe.model_copy(update={"lr": 1e30, "optimizer": "sgd", "schedule": "constant"})
    with pytest.raises(InputError, match=r"train\.lr: in epoch 1 the loss is no longer a finite number"):
        fit(diverging, batch_norm=False)


def test_every_tile_is_in_an_epoch_and_batches_are_of_one_size():
    for n, size in ((7, 3), (40, 20), (41, 20), (3, 20)):
        order = batches(n, size)
        assert order.shape == (-(-n // min(n, size)), min(n, size))
        assert set(order.flatten().tolist()) == set(range(n))
        assert all(len(set(batch)) == len(batch) for batch in order.tolist())


@pytest.mark.parametrize("loss", ["ordinal", "two_stage"])
def test_every_loss_learns(fit, engine, loss):
    network, _, validation = fit(loss=loss)
    assert evaluate(network, validation, 10, engine)[1] > 0.9


def test_early_stopping_keeps_the_weights_of_the_lowest_validation_loss(striped, as_part, engine):
    recipe = Recipe(epochs=40, batch_size=10, lr=0.03, weight_decay=0, schedule="constant", early_stopping=3)
    training, (others, truth) = as_part(*striped(40, 0)), striped(40, 1)
    validation = as_part(others, np.where(np.arange(40) < 15, 1 - truth, truth))  # wrong labels punish certainty
    with reproducible(0):
        network = small_network()
        history = train_network(network, TileSource(training, v2.Identity()), validation, recipe, engine)
    losses = [row["validation_loss"] for row in history]
    assert len(history) < 40
    assert len(history) - 1 - int(np.argmin(losses)) == 3
    assert evaluate(network, validation, 10, engine)[0] == pytest.approx(min(losses), rel=1e-5)


def test_class_weights_make_a_rare_class_probable(striped, as_part, engine):
    tiles, labels = striped(60, 3)
    tiles += np.random.default_rng(0).normal(0, 2.5, tiles.shape).astype(np.float32)  # hard to tell
    kept = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:8]])
    part, probability = as_part(tiles[kept], labels[kept]), []
    for weights in (False, True):
        recipe = Recipe(
            epochs=4, batch_size=10, lr=0.003, weight_decay=0.01, schedule="constant", class_weights=weights
        )
        with reproducible(0):
            network = small_network()
            train_network(network, TileSource(part, pipeline(flip=True, rotation=0, noise=0)), part, recipe, engine)
        probability.append(predict(network, part.tiles, 10, engine).softmax(dim=1)[:, 1].mean().item())
    assert probability[1] > probability[0] + 0.15


def test_head_relu_clips_scores_and_kills_classes(engine):
    network = NetworkInNetwork(classes=3, channels=[4], batch_norm=False, head_relu=True)
    last = [m for m in network.head if isinstance(m, nn.Conv2d)][-1]
    with torch.no_grad():
        last.bias[1] = -100.0
    scores = predict(network, torch.randn(6, 1, 40, 40), 4, engine)
    assert (scores >= 0).all()
    assert 1 in dead_classes(scores)
    assert dead_classes(torch.tensor([[0.0, 1.0], [0.5, 1.0]])) == [1]
