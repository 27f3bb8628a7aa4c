"""What the stages that split, normalise and train say."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from heatflow.learning.folds import ROLES, SplitTiles
from heatflow.learning.scaling import FoldScalings

if TYPE_CHECKING:  # it imports torch, which stages that do not train do without
    from heatflow.learning.ensemble import TrainedNetwork


def split_lines(split: SplitTiles, scheme: str, path: Path) -> Iterator[str]:
    """Number of folds, their sizes, and how well the classes are balanced."""
    folds = split.folds
    sizes = ", ".join("/".join(str((fold == role).sum()) for role in ROLES) for fold in folds.roles[folds.scored])
    yield f"{len(folds.scored)} folds by {scheme}; tiles to {'/'.join(ROLES)}: {sizes} -> {path}"
    if len(folds.compared):
        yield f"{len(folds.compared)} more folds of tiles at random, for comparison"
    yield f"class shares of the test parts differ from those of all tiles by up to {split.deviation:.0%}"


def split_warnings(split: SplitTiles, class_names: list[str]) -> Iterator[str]:
    """Classes that a part of a fold lacks."""
    for fold, role, k in split.absent:
        yield f"fold {fold}: its {role} part has no tile of class {class_names[k]}"


def normalize_lines(scalings: FoldScalings, method: str) -> Iterator[str]:
    """Range of the training tiles before and after."""
    before, after = scalings.metrics["before"], scalings.metrics["after"]
    metres = f"{before['low']:.1f} .. {before['high']:.1f} m"
    yield f"{method}: training tiles from {metres} to {after['low']:.3f} .. {after['high']:.3f}"


def network_name(fold: int, seed: int, seeds: int) -> str:
    """Name of a network among the `seeds` of its fold.

    >>> network_name(2, 0, seeds=1), network_name(2, 0, seeds=3)
    ('fold 2', 'fold 2, seed 0')
    """
    return f"fold {fold}" if seeds == 1 else f"fold {fold}, seed {seed}"


def network_lines(trained: "TrainedNetwork", seeds: int) -> Iterator[str]:
    """Where training went on, and loss and accuracy in the last epoch."""
    name = network_name(trained.fold, trained.seed, seeds)
    if trained.resumed:
        yield f"{name}: went on after epoch {trained.resumed}, where an earlier run ended"
    text = "loss {train_loss:.3f}, accuracy {train_accuracy:.1%}"
    if not math.isnan(trained.history[-1]["validation_loss"]):
        text += "; of validation {validation_loss:.3f}, {validation_accuracy:.1%}"
    yield f"{name}: {text.format(**trained.history[-1])}"


def network_warnings(trained: "TrainedNetwork", seeds: int) -> Iterator[str]:
    """Signs that a network has learnt nothing, or nothing of a class."""
    name, classes = network_name(trained.fold, trained.seed, seeds), trained.network.classes
    if trained.stuck:
        yield f"{name}: the loss never left ln({classes}) = {math.log(classes):.3f}: nothing was learnt"
    if trained.dead:
        yield f"{name}: the score of class {trained.dead} is the same for every tile: it is dead"


def fallback_lines(reason: str) -> Iterator[str]:
    """Why networks are not compiled."""
    yield f"torch.compile does not work here ({reason}); going on without it"
