"""Scores against answers worked out by hand and scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from heatflow.evaluation.skill import (
    Resamples,
    area_for_half,
    auc,
    concordance,
    ordinal_reading,
    recall,
    scores,
    search_order,
    success_rate,
)


def score(label, probability, first_high):
    """Scores of tiles of one fold, each with one well, counted once."""
    one = np.zeros(len(label), dtype=int)
    return {k: float(v[0]) for k, v in scores(label, probability, first_high, one, one + 1).items()}


def one_hot(predicted, classes=4, p=0.7):
    """Probability `p` for the predicted class, the rest shared by the others."""
    out = np.full((len(predicted), classes), (1 - p) / (classes - 1))
    out[np.arange(len(predicted)), predicted] = p
    return out


def test_headline_metrics_of_the_reports_own_confusion_matrix():
    matrix = np.array([[15, 0, 4, 2], [5, 0, 1, 1], [4, 0, 1, 1], [7, 0, 3, 1]])
    true, predicted = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices((4, 4)))
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


def test_scores_agree_with_scikit_learn_also_when_tiles_are_drawn_several_times():
    rng = np.random.default_rng(0)
    label, probability = rng.integers(0, 4, 60), rng.dirichlet(np.ones(4), 60).round(1)
    weight, one = rng.integers(0, 4, (5, 60)).astype(float), np.ones(60, dtype=int)
    drawn = scores(label, probability, 2, one, one, Resamples(np.arange(60), weight))
    for k, times in enumerate(weight.astype(int)):
        true, p = np.repeat(label, times), np.repeat(probability, times, axis=0)
        predicted, high = p.argmax(axis=1), np.repeat(label, times) >= 2
        expected = {
            "accuracy": metrics.accuracy_score(true, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(true, predicted),
            "macro_f1": metrics.f1_score(true, predicted, average="macro"),
            "quadratic_kappa": metrics.cohen_kappa_score(true, predicted, weights="quadratic"),
            "auc_high": metrics.roc_auc_score(high, p[:, 2:].sum(axis=1)),
            "off_by_one": np.mean(np.abs(true - predicted) <= 1),
        }
        for name, value in expected.items():
            assert drawn[name][k] == pytest.approx(value), name


def brute_force(high, score, weight, group):
    """AUC within groups by two loops over the items."""
    won = pairs = 0.0
    for i in np.flatnonzero(high):
        for j in np.flatnonzero(~high):
            if group[i] == group[j]:
                pairs += weight[i] * weight[j]
                won += weight[i] * weight[j] * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    return won / pairs


def items(seed, n=90):
    rng = np.random.default_rng(seed)
    block = rng.integers(0, 12, n)
    return rng.random(n) < 0.4, rng.random(n).round(1), rng.random(n), rng.integers(0, 3, 12)[block], block


@pytest.mark.parametrize("seed", range(5))
def test_auc_within_folds_is_that_of_two_loops(seed):
    high, p, weight, fold, block = items(seed)
    assert auc(high, p, fold, weight=weight)[0] == pytest.approx(brute_force(high, p, weight, fold))
    every = Resamples(block, np.ones((1, 12)))
    assert auc(high, p, fold, every, weight)[0] == pytest.approx(brute_force(high, p, weight, fold))


@pytest.mark.parametrize("seed", range(5))
def test_a_block_that_is_drawn_twice_is_two_blocks_without_pairs_between_them(seed):
    high, p, weight, fold, block = items(seed)
    times = np.random.default_rng(seed).integers(0, 4, 12)
    copies = [(i, k) for i in range(len(high)) for k in range(times[block[i]])]
    won = pairs = 0.0
    for i, k in copies:
        for j, m in copies:
            if high[i] and not high[j] and fold[i] == fold[j] and (block[i] != block[j] or k == m):
                pairs += weight[i] * weight[j]
                won += weight[i] * weight[j] * ((p[i] > p[j]) + (p[i] == p[j]) / 2)
    drawn = Resamples(block, times[None].astype(float))
    assert auc(high, p, fold, drawn, weight)[0] == pytest.approx(won / pairs)


def test_what_is_constant_within_folds_ranks_nothing():
    high, _, _, fold, _ = items(0)
    assert auc(high, fold.astype(float), fold)[0] == 0.5
    assert auc(high, np.where(high, 1.0, 0.0) - 2 * fold, fold)[0] == 1  # scales of folds do not matter


def test_pairs_of_blocks_add_up_to_all_pairs():
    high, p, weight, fold, block = items(1)
    one = np.zeros(len(high), dtype=int)
    for by_block, together in zip(
        concordance(high, p, weight, fold, block, 12), concordance(high, p, weight, fold, one, 1), strict=True
    ):
        assert by_block.sum() == pytest.approx(together.item())


def test_equal_count_compares_tiles_of_a_fold_with_a_similar_number_of_wells():
    high, p, _, fold, _ = items(2)
    n_wells = 2 ** np.random.default_rng(2).integers(0, 5, len(high))
    found = scores(high.astype(int), np.column_stack([1 - p, p]), 1, fold, n_wells)["auc_equal_count"][0]
    assert found == pytest.approx(brute_force(high, p, np.ones(len(high)), fold * 1000 + n_wells))


def test_a_resample_that_leaves_nothing_to_score_gives_nan():
    label, probability, one = np.array([0, 1]), np.array([[0.7, 0.3], [0.4, 0.6]]), np.ones(2, dtype=int)
    for counts in (np.zeros((1, 1)), np.full((1, 1), np.nan)):
        empty = scores(label, probability, 1, one, one, Resamples(np.zeros(2, dtype=int), counts))
        assert all(np.isnan(value).all() for value in empty.values()), empty


def test_success_rate_by_hand():
    high, p, one = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1]), np.zeros(4)
    curve = success_rate(high, p, one)
    assert curve["searched"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve["found"].tolist() == [0, 0.5, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("high", "p", "area"),
    [
        ([1, 0, 1, 0], [0.9, 0.8, 0.3, 0.1], 1),  # half are found at the first of four tiles, as in a perfect order
        ([1, 0, 1, 0], [0.4, 0.4, 0.4, 0.4], 2),  # a guess: one over the share of high tiles
        ([1, 0, 0, 0], [0.4, 0.4, 0.4, 0.4], 4),
        ([1, 0, 0, 1], [0.9, 0.8, 0.3, 0.1], 1),  # half are found at the first tile, though the curve is level after
        ([0, 1, 0, 1], [0.9, 0.8, 0.3, 0.1], 2),
        ([0, 0, 0, 0], [0.9, 0.8, 0.3, 0.1], np.nan),
    ],
)
def test_area_for_half_is_relative_to_a_perfect_order(high, p, area):
    found = area_for_half(np.array(high, dtype=bool), np.array(p), np.zeros(4))
    np.testing.assert_allclose(found, [area])


def test_every_fold_is_searched_in_its_own_order():
    high, p, fold = np.array([1, 0, 1, 0], dtype=bool), np.array([0.9, 0.8, 0.3, 0.1]), np.array([0, 0, 1, 1])
    assert search_order(p, fold).tolist() == [0.25, 0.75, 0.25, 0.75]
    assert success_rate(high, p, fold)["found"].tolist() == [0, 1, 1]


def test_the_ordinal_reading_is_the_fewest_classes_off():
    p = np.random.default_rng(0).dirichlet([0.5] * 4, size=200)
    cost = p @ np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    assert (ordinal_reading(p) == cost.argmin(axis=1)).all()
    table = recall(np.array([0, 0, 2]), np.eye(3)[[0, 1, 1]], ["a", "b", "c"])
    assert table.loc[:2, "predicted"].tolist() == [1, 2, 0]
    assert table.loc[:2, "recall"].tolist() == pytest.approx([0.5, np.nan, 0], nan_ok=True)


def test_calibration_error_by_hand():
    p = np.array([0.95, 0.95, 0.05, 0.05])
    assert score(np.array([1, 0, 1, 0]), np.column_stack([1 - p, p]), 1)["calibration_error"] == pytest.approx(0.45)
