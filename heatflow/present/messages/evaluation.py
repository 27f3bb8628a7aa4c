"""Lines about baselines and about the evaluation of out-of-fold predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from heatflow.config.schema import Tile


def baseline_lines(table: pd.DataFrame, label: np.ndarray, tile: Tile) -> list[str]:
    """Accuracy of each baseline on the classes of the tiles themselves.

    Parameters
    ----------
    table : DataFrame
        As `heatflow.evaluation.baselines.baselines_out_of_fold` returns it.
    label : int array, shape (n,)
    tile : Tile
    """
    own = table[(table["statistic"] == tile.statistic) & (table["random"] == "no")]
    groups = own.groupby("baseline", sort=False)[tile.class_columns]
    shares = {str(name): np.mean(group.to_numpy().argmax(axis=1) == label) for name, group in groups}
    return [f"{name}: right on {share:.1%} of {len(label)} tiles" for name, share in shares.items()]


def evaluation_lines(metrics: dict[str, Any], binary_edge: float, path: Path, strata: Path) -> list[str]:
    """Headline metrics beside the constant guess, and the AUC beside each baseline's.

    Parameters
    ----------
    metrics : dict
        Of a `heatflow.evaluation.evaluate.Evaluation`.
    binary_edge : float
        mW/m2.
    path, strata : Path
        Files that hold the metrics and the AUC by the number of wells.
    """
    skill, baseline, guess = metrics["skill"], metrics["baseline"], metrics["baseline"]["constant"]
    compared = [f"{skill[name]['verdict']} {name} {baseline[name]['auc_high']:.3f}" for name in skill]
    return [
        f"accuracy {metrics['accuracy']:.1%} (constant guess {guess['accuracy']:.1%}), above {binary_edge:g} mW/m2 "
        f"or not {metrics['binary_accuracy']:.1%} ({guess['binary_accuracy']:.1%}) -> {path}",
        f"AUC {metrics['auc_high']:.3f}: {', '.join(compared)}",
        f"AUC among tiles with a similar number of wells: {metrics['auc_equal_count']:.3f} -> {strata}",
    ]


def confusion_title(metrics: dict[str, Any]) -> str:
    """Title of the confusion matrix."""
    guess = metrics["baseline"]["constant"]["accuracy"]
    return f"{metrics['tiles']} tiles, out of fold\naccuracy {metrics['accuracy']:.1%} (constant guess {guess:.1%})"
