"""Skill: what out-of-fold predictions are worth, and what a guess without a network would score."""

import numpy as np
from sklearn import metrics


def score(label: np.ndarray, probability: np.ndarray, first_high: int) -> dict[str, float]:
    """The headline metrics.

    Parameters
    ----------
    label : int array, shape (n,)
        True class of each tile.
    probability : float array, shape (n, classes)
        Predicted probabilities; the predicted class is the most probable.
    first_high : int
        The lowest class above the binary edge.

    Returns
    -------
    dict
        ``accuracy``; ``binary_accuracy`` (predicted and true class on the same side of the binary edge);
        ``balanced_accuracy`` (mean recall over the classes that occur); ``macro_f1``; ``quadratic_kappa`` (Cohen,
        1968); ``class_mae`` (mean |predicted class - true class|, lower is better); ``auc_high`` (area under the ROC
        curve of the probability of being above the binary edge, NaN where only one side occurs); ``loss`` (mean
        cross-entropy in nats, lower is better).
    """
    classes = np.arange(probability.shape[1])
    predicted = probability.argmax(axis=1)
    high = label >= first_high
    recall = [np.mean(predicted[label == k] == k) for k in np.unique(label)]
    both = 0 < high.sum() < len(high)
    several = len(np.unique(np.concatenate([label, predicted]))) > 1
    kappa = metrics.cohen_kappa_score(label, predicted, labels=classes, weights="quadratic") if several else np.nan
    p_high = probability[:, first_high:].sum(axis=1)
    own = probability[np.arange(len(label)), label]
    return {
        "accuracy": float(np.mean(predicted == label)),
        "binary_accuracy": float(np.mean((predicted >= first_high) == high)),
        "balanced_accuracy": float(np.mean(recall)),
        "macro_f1": float(metrics.f1_score(label, predicted, labels=classes, average="macro", zero_division=0)),
        "quadratic_kappa": float(kappa),
        "class_mae": float(np.mean(np.abs(predicted - label))),
        "auc_high": float(metrics.roc_auc_score(high, p_high)) if both else float("nan"),
        "loss": float(-np.mean(np.log(np.maximum(own, 1e-12)))),
    }


def score_constant(label: np.ndarray, fold: np.ndarray, train_label: list[np.ndarray], classes: int, first_high: int):
    """Headline metrics of the constant guess: in each fold, the commonest class of its training tiles.

    Its probabilities are the class shares of those tiles. They rank no tile of a fold above another; between folds
    they would, by the accident of which classes were held out, so ``auc_high`` is set to 0.5 by definition.

    Parameters
    ----------
    fold : int array, shape (n,), the fold that tests each tile
    train_label : for each fold, the labels of its training tiles
    """
    probability = np.empty((len(label), classes))
    for k, train in enumerate(train_label):
        shares = np.bincount(train, minlength=classes) + 0.5
        probability[fold == k] = shares / shares.sum()
    return score(label, probability, first_high) | {"auc_high": 0.5}


def per_class(label: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, dict[str, float | int]]:
    """Precision, recall and number of tiles of each class; a precision without predictions is 0."""
    precision, recall, _, tiles = metrics.precision_recall_fscore_support(
        label, predicted, labels=np.arange(classes), zero_division=0
    )
    return {
        str(k): {"precision": float(precision[k]), "recall": float(recall[k]), "tiles": int(tiles[k])}
        for k in range(classes)
    }


def confusion(label: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts, rows true class, columns predicted class, shape (classes, classes)."""
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (label, predicted), 1)
    return matrix
