"""Lines about baselines and about the evaluation of out-of-fold predictions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from heatflow.config.schema import Tile
from heatflow.evaluation.near_wells import KNOWN
from heatflow.evaluation.prediction_sets import PredictionSets, supported_level
from heatflow.present.wording import breakable, percent, short, signed, within


def baseline_lines(table: pd.DataFrame, label: np.ndarray, tile: Tile, trend: bool) -> list[str]:
    """Accuracy of each baseline on the classes of the tiles themselves.

    Parameters
    ----------
    table : DataFrame
        As `heatflow.evaluation.baselines.baselines_out_of_fold` returns it.
    label : int array, shape (n,)
    tile : Tile
    trend : bool
        Whether there is a regional trend.
    """
    own = table[(table["statistic"] == tile.statistic) & (table["random"] == "no")]
    groups = own.groupby("baseline", sort=False)[tile.class_columns]
    shares = {str(name): np.mean(group.to_numpy().argmax(axis=1) == label) for name, group in groups}
    lines = [f"{name}: right on {share:.1%} of {len(label)} tiles" for name, share in shares.items()]
    left_out = "the raster was detrended already: baselines with its regional trend are left out"
    return lines if trend else [*lines, left_out]


def evaluation_lines(metrics: dict[str, Any], table: pd.DataFrame, recall: pd.DataFrame, binary_edge: float, path: Path,
                     table_path: Path) -> Iterator[str]:  # fmt: skip
    """Headline metrics beside the constant guess, and the AUC of tiles and of sites beside each baseline's.

    Parameters
    ----------
    metrics : dict
        Of a `heatflow.evaluation.evaluate.Evaluation`.
    table : DataFrame
        Its table ``baselines``.
    recall : DataFrame
        Its table of this name.
    binary_edge : float
        mW/m2.
    path, table_path : Path
        Files that hold the two.
    """
    words = table.set_index(["metric", "prediction"])["verdict"]
    guess = metrics["baseline"]["constant"]["accuracy"]
    yield f"accuracy {metrics['accuracy']:.1%} (constant guess {guess:.1%}) -> {path}"
    for what, metric in (("tiles", "auc_high"), ("sites", "site_auc")):
        scored = metrics["baseline"].items()
        compared = [f"{words[metric, name]} {name} {scores[metric]:.3f}" for name, scores in scored]
        yield f"AUC of {what} above {binary_edge:g} mW/m2 {metrics[metric]:.3f}: {', '.join(compared)}"
    if "by_sites" in metrics:
        yield by_sites_line(metrics["by_sites"])
    yield f"AUC of sites by the other sites of their tile: {metrics['site_ceiling']:.3f} -> {table_path}"
    yield from recall_lines(recall)


def by_sites_line(metrics: dict[str, Any]) -> str:
    """AUC of tiles by what the network says of their sites, and how much more that is than two others have."""
    others = (("over_network", "its score of the tile"), ("over_baseline", f"{metrics['baseline']} by sites"))
    auc, *more = within(metrics, "auc_high"), *(f"{within(metrics, key, signed)} over {what}" for key, what in others)
    return breakable(f"AUC of tiles by the network's probabilities at their sites {auc}: {', '.join(more)}")


def recall_lines(recall: pd.DataFrame) -> Iterator[str]:
    """Classes that are the most probable one of no tile, and how often the ordinal reading calls them.

    Parameters
    ----------
    recall : DataFrame
        As `heatflow.evaluation.skill.recall` gives it.
    """
    silent = recall[(recall["reading"] == "most_probable") & (recall["predicted"] == 0) & (recall["tiles"] > 0)]
    ordinal = recall[recall["reading"] == "ordinal"].set_index("class")
    for name in silent["class"]:
        called = ordinal.loc[name]
        yield (
            f"class {name}: never the most probable one, of {called['tiles']} tiles; the median of the probabilities "
            f"calls {called['predicted']} by it, with a recall of {called['recall']:.0%}"
        )


def set_lines(rule: PredictionSets, table: pd.DataFrame, path: Path) -> Iterator[str]:
    """How often prediction sets of sites hold, what the blocks can support, and where sets hold less often.

    Parameters
    ----------
    rule : PredictionSets
    table : DataFrame
        As `heatflow.evaluation.prediction_sets.coverage` gives it.
    path : Path
        Of the file that holds it.
    """
    every = {str(name): value for name, value in table.iloc[0].items()}
    held = breakable(within(every, "coverage", percent))
    size = f"{every['mean_size']:.2f} classes on average"
    yield f"prediction sets of {rule.level:.0%} hold {held} of the sites out of fold, by {size} -> {path}"
    yield support_line(rule)
    tenth = table.loc[table["group"] == "share of blocks", "coverage"].iloc[0]
    least = table[(table["group"] == "class") & (table["coverage"] < rule.level)]
    classes = "".join(f", of class {row['value']} {row['coverage']:.0%}" for row in least.to_dict("records"))
    yield f"sets hold on average, not everywhere: in a tenth of the blocks {tenth:.0%} or less{classes}"


def support_line(rule: PredictionSets) -> str:
    """Which level of prediction sets the number of blocks can support."""
    highest = supported_level(rule.blocks)
    support = f"{rule.blocks} blocks support prediction sets of up to {highest:.1%}"
    if highest >= rule.level:
        return support
    remedy = "the sets hold all classes; take a larger region, or decrease split.block_size"
    return f"{support}, not {rule.level:.0%}: {remedy}"


def near_lines(table: pd.DataFrame, path: Path) -> Iterator[str]:
    """What the residuals of known sites add, by distance from them.

    Parameters
    ----------
    table : DataFrame
        As `heatflow.evaluation.near_wells.near_wells_table` gives it.
    path : Path
        Of the file that holds it.
    """
    near = table[(table["known"] == KNOWN[1]) & (table["km"] != "all")].to_dict("records")
    gains = ", ".join(f"{row['km']} km {short(row['network'])} -> {short(row['both'])}" for row in near)
    if near:
        yield f"AUC of sites, the network alone -> with the residuals of known sites that near: {gains} -> {path}"


def evaluation_warnings(networks: int) -> Iterator[str]:
    """What the intervals leave out, by the number of networks of each tile."""
    if networks == 1:
        yield (
            "each fold has one network: intervals do not contain the luck of training, and verdicts are on these "
            "networks alone; set train.seeds to 3 or more"
        )


def confusion_title(metrics: dict[str, Any]) -> str:
    """Title of the confusion matrix."""
    guess = metrics["baseline"]["constant"]["accuracy"]
    return f"{metrics['tiles']} tiles, out of fold\naccuracy {metrics['accuracy']:.1%} (constant guess {guess:.1%})"
