"""Skill and saliency against answers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import GuidedBackprop
from rasterio.crs import CRS
from sklearn import metrics
from torch import nn

from heatflow.evaluation.baselines import forest, linear, out_of_fold, terrain_statistics
from heatflow.evaluation.intervals import auc_table, compare, draw_weights, interval
from heatflow.evaluation.skill import (
    STRATA,
    area_for_half,
    calibration_error,
    confusion,
    constant_guess,
    score,
    scores,
    success_rate,
)
from heatflow.explanation.attribution import attribute, mosaic
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.network import NetworkInNetwork


def one_hot(predicted, classes=4, p=0.7):
    out = np.full((len(predicted), classes), (1 - p) / (classes - 1))
    out[np.arange(len(predicted)), predicted] = p
    return out


def test_headline_metrics_of_the_reports_own_confusion_matrix():
    matrix = np.array([[15, 0, 4, 2], [5, 0, 1, 1], [4, 0, 1, 1], [7, 0, 3, 1]])
    true, predicted = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices((4, 4)))
    assert (confusion(true, predicted, 4) == matrix).all()
    skill = score(true, one_hot(predicted), first_high=2)
    assert skill["accuracy"] == pytest.approx(17 / 45)
    assert skill["binary_accuracy"] == pytest.approx((15 + 5 + 1 + 1 + 3 + 1) / 45)
    assert skill["balanced_accuracy"] == pytest.approx(np.mean([15 / 21, 0, 1 / 6, 1 / 11]))
    assert skill["class_mae"] == pytest.approx((np.abs(true - predicted)).mean())
    precision = np.array([15 / 31, 0, 1 / 9, 1 / 5])
    recall = np.array([15 / 21, 0, 1 / 6, 1 / 11])
    f1 = np.divide(2 * precision * recall, precision + recall, out=np.zeros(4), where=precision + recall > 0)
    assert skill["macro_f1"] == pytest.approx(f1.mean())
    weights = np.subtract.outer(np.arange(4), np.arange(4)) ** 2
    chance = np.outer(matrix.sum(1), matrix.sum(0)) / 45
    assert skill["quadratic_kappa"] == pytest.approx(1 - (weights * matrix).sum() / (weights * chance).sum())
    right = -np.log(0.7)
    assert skill["loss"] == pytest.approx((17 * right - 28 * np.log(0.1)) / 45)


def test_auc_counts_pairs():
    label = np.array([0, 1, 1, 0])
    p = np.array([0.1, 0.4, 0.35, 0.4])
    assert score(label, np.column_stack([1 - p, p]), 1)["auc_high"] == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert np.isnan(score(np.zeros(3, int), np.full((3, 2), 0.5), 1)["auc_high"])


def test_constant_guess_is_the_commonest_class_of_the_training_tiles():
    label, fold = np.array([0, 0, 1, 3]), np.array([0, 0, 1, 1])
    guess = constant_guess(fold == np.arange(2)[:, None], [np.array([0, 0, 1]), np.array([3, 3, 0])], 4)
    np.testing.assert_allclose(guess[0], np.array([2.5, 1.5, 0.5, 0.5]) / 5)
    skill = compare(label, guess, {"constant": guess}, 2, np.ones(4), np.arange(4), 0)
    assert skill["accuracy"] == skill["binary_accuracy"] == 3 / 4
    assert skill["baseline"]["constant"]["auc_high"] == 0.5


def test_scores_agree_with_scikit_learn_also_when_tiles_are_drawn_several_times():
    rng = np.random.default_rng(0)
    label, probability = rng.integers(0, 4, 60), rng.dirichlet(np.ones(4), 60).round(1)
    weight = rng.integers(0, 4, (5, 60)).astype(float)
    found = scores(label, probability, 2, weight)
    for k, times in enumerate(weight.astype(int)):
        true, p = np.repeat(label, times), np.repeat(probability, times, axis=0)
        called, high = p.argmax(axis=1), np.repeat(label, times) >= 2
        expected = {
            "accuracy": metrics.accuracy_score(true, called),
            "balanced_accuracy": metrics.balanced_accuracy_score(true, called),
            "macro_f1": metrics.f1_score(true, called, average="macro"),
            "quadratic_kappa": metrics.cohen_kappa_score(true, called, weights="quadratic"),
            "auc_high": metrics.roc_auc_score(high, p[:, 2:].sum(axis=1)),
            "off_by_one": np.mean(np.abs(true - called) <= 1),
        }
        for name, value in expected.items():
            assert found[name][k] == pytest.approx(value), name


def test_draws_are_of_whole_blocks_and_intervals_cover():
    block = np.repeat(np.arange(40), 5)
    weight = draw_weights(block, 0, 300)
    assert weight.shape == (300, 200)
    assert (weight.sum(axis=1) == 200).all()
    assert (weight.reshape(300, 40, 5) == weight[:, ::5, None]).all()
    # tiles of a block agree: an interval that took them for independent draws would be far too narrow
    covered = 0
    for seed in range(60):
        right = np.repeat(np.random.default_rng(seed).random(40) < 0.6, 5)
        low, high = interval(draw_weights(block, seed, 400) @ right / 200)
        covered += low <= 0.6 <= high
    assert covered >= 51


def test_verdict_tells_skill_from_luck():
    rng = np.random.default_rng(1)
    label, block = rng.integers(0, 4, 300), np.repeat(np.arange(75), 4)
    knows = one_hot(np.where(rng.random(300) < 0.7, label, rng.integers(0, 4, 300)))
    wells = rng.integers(1, 20, 300)
    guesses = {name: rng.dirichlet(np.ones(4), 300) for name in ("one", "two")}
    skill = compare(label, knows, guesses | {"same": knows}, 2, wells, block, 0)
    assert skill["skill"]["one"]["verdict"] == "above"
    assert skill["skill"]["same"]["verdict"] == "within noise of"
    assert (
        compare(label, guesses["one"], {"knows": knows, **guesses}, 2, wells, block, 0)["skill"]["knows"]["verdict"]
        == "below"
    )
    luck = compare(label, guesses["one"], {"two": guesses["two"]}, 2, wells, block, 0)["skill"]["two"]
    assert luck["verdict"] == "within noise of"
    assert skill["accuracy_low"] < skill["accuracy"] < skill["accuracy_high"]


def test_auc_within_strata_is_blind_to_what_the_number_of_wells_tells():
    rng = np.random.default_rng(0)
    n_wells = 2 ** rng.integers(0, 5, 600)
    high = rng.random(600) < np.log2(n_wells) / 5 + 0.1
    by_count = {"count": n_wells.astype(float), "truth": high + 0.0}
    table = auc_table(high, by_count, n_wells, np.arange(600) // 4, 0).set_index(["prediction", "wells"])
    assert table.loc[("count", "all"), "auc"] > 0.7
    assert table.loc[("count", "equal"), "auc"] == 0.5
    assert (table.loc["truth"]["auc"] == 1).all()
    assert table.loc["count"].loc[list(STRATA), "tiles"].sum() == 600
    one = np.ones((1, 600))
    within = scores(high.astype(int), np.column_stack([1 - high, high]), 1, one, n_wells)["auc_equal_count"]
    assert within == 1


def test_success_rate_and_calibration_by_hand():
    high = np.array([True, False, True, False])
    curve = success_rate(high, np.array([0.9, 0.8, 0.3, 0.1]))
    assert curve["searched"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve["found"].tolist() == [0, 0.5, 0.5, 1, 1]
    assert area_for_half(high, np.array([0.9, 0.8, 0.3, 0.1])) == 0.25
    assert area_for_half(high, np.full(4, 0.4)) == 0.5  # ties are searched in no order
    assert calibration_error(high, np.array([0.95, 0.95, 0.05, 0.05])) == pytest.approx(0.45)


def test_terrain_statistics_do_not_mind_turns_and_know_a_slope():
    tile = np.random.default_rng(0).normal(0, 50, (64, 64)).cumsum(axis=0)
    plain = terrain_statistics(tile, 200.0)
    for turned in (np.rot90(tile), tile[::-1], tile.T):
        np.testing.assert_allclose(terrain_statistics(turned, 200.0), plain, rtol=1e-9)
    ramp = np.outer(np.arange(64.0) * 20, np.ones(64))
    slopes = terrain_statistics(ramp, 200.0)[5::4]
    np.testing.assert_allclose(slopes, 0.1)
    ramp[:, :20] = np.nan
    assert np.isfinite(terrain_statistics(ramp, 200.0)).all()
    assert (terrain_statistics(np.full((64, 64), np.nan), 200.0) == 0).all()
    assert terrain_statistics(tile[:11, :11], 200.0).shape == plain.shape


@pytest.mark.parametrize("model", [linear, forest])
def test_baselines_learn_what_columns_tell_and_nothing_of_their_own_fold(model, monkeypatch):
    monkeypatch.setattr("heatflow.evaluation.baselines.TREES", 30)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 150)
    fold = np.arange(150) % 3
    roles = np.array([np.where(fold == k, "test", "train") for k in range(3)], dtype=object)
    telling = label[:, None] + rng.normal(0, 0.1, (150, 2))
    p = out_of_fold(telling, label, roles, 4, model, 0)
    assert np.mean(p.argmax(axis=1) == label) > 0.95
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p[:, 3] > 0).all()
    assert (p[:, 3] < 0.01).all()  # never seen, and yet not called impossible
    nothing = out_of_fold(rng.normal(size=(150, 5)), label, roles, 4, model, 0)
    assert np.mean(nothing.argmax(axis=1) == label) < 0.5
    leak = telling.copy()
    leak[fold == 0] = 99.0  # what the model knew of fold 0 beforehand would still show
    assert np.mean(out_of_fold(leak, label, roles, 4, model, 0)[fold == 0].argmax(axis=1) == label[fold == 0]) < 0.6


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
