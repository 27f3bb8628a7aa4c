"""Scores against answers worked out by hand and scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from heatflow.evaluation.skill import area_for_half, calibration_error, score, scores, success_rate


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
    weight = rng.integers(0, 4, (5, 60)).astype(float)
    drawn = scores(label, probability, 2, weight)
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


def test_a_set_of_weights_that_leaves_nothing_to_score_gives_nan():
    label, probability = np.array([0, 1]), np.array([[0.7, 0.3], [0.4, 0.6]])
    empty = scores(label, probability, 1, np.zeros((1, 2)), np.ones(2))
    assert all(np.isnan(value).all() for value in empty.values())


def test_success_rate_and_calibration_by_hand():
    high = np.array([True, False, True, False])
    curve = success_rate(high, np.array([0.9, 0.8, 0.3, 0.1]))
    assert curve["searched"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve["found"].tolist() == [0, 0.5, 0.5, 1, 1]
    assert area_for_half(high, np.array([0.9, 0.8, 0.3, 0.1])) == 0.25
    assert area_for_half(high, np.full(4, 0.4)) == 0.5  # ties are searched in no order
    assert calibration_error(high, np.array([0.95, 0.95, 0.05, 0.05])) == pytest.approx(0.45)
    assert np.isnan(area_for_half(np.zeros(4, dtype=bool), np.arange(4) / 4))
    level = area_for_half(np.array([True, False, False, True]), np.array([0.9, 0.8, 0.3, 0.1]))
    assert level == pytest.approx(0.25)  # half are found at the first tile, though the curve is level to the third
