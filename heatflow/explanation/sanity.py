"""Sanity checks: the same tests for every saliency method, on the same tiles.

docs/saliency.md states for each number which way is better, and when a method passes.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from heatflow.config.schema import Recipe
from heatflow.evaluation.intervals import mean_with_interval
from heatflow.explanation.attribution import importance
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.out_of_fold import spread
from heatflow.explanation.randomisation import agreement, cascade, fit_shuffled_labels, mean, rank_correlations
from heatflow.explanation.removal import Curves, removal_curves
from heatflow.learning.network import NetworkInNetwork

CHECKED = 8  # tiles of each fold whose maps by several networks are compared
REMOVED = 50  # tiles of the deletion and insertion curves
LEAST_LOSS = 0.1  # probability that a tile must lose with all of its detail; elsewhere deletion has nothing to show
REPRODUCIBLE = 0.5  # rank correlation below which maps are more noise than what networks have in common

Weights = dict[str, np.ndarray]


def fit_shuffled(tiles: ExplainedTiles, recipe: Recipe) -> Weights:
    """Weights of a network fitted to the training tiles of the first fold with shuffled labels."""
    networks, engine = tiles.networks, tiles.networks.engine
    fold = int(networks.data.test_fold.min())
    training = networks.data.part(fold, "train", engine)
    network = fit_shuffled_labels(networks.networks[fold][0], training, recipe, engine)
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of a method's maps by one network with those by other networks.

    Parameters
    ----------
    cascade : dict of str to float
        Of `heatflow.explanation.randomisation.cascade`, on the tiles of the first fold.
    correlations : dict of str to float64 array, shape (n,)
        Of each tile ``again`` (another network of the pipeline), ``head`` (a random head) and, where such a network was
        trained, ``shuffled`` (labels).
    block : int array, shape (n,)
        Block of each tile, for the intervals.
    again : str
        What the other network is of: "seeds" or "folds".
    networks : int
        In the mean that the maps are drawn of.
    """

    cascade: dict[str, float]
    correlations: dict[str, np.ndarray]
    block: np.ndarray
    again: str
    networks: int

    def scores(self, seed: int) -> dict[str, Any]:
        """Means, and differences of ``again`` from the others with their intervals.

        ``reproducibility`` is the correlation to be expected between the means of as many networks as are drawn
        (Spearman, 1910; Brown, 1910).
        """
        again, r = self.correlations["again"], mean(self.correlations["again"])
        scores: dict[str, Any] = {"after_randomised": self.cascade | {"head": mean(self.correlations["head"])}}
        scores |= {f"between_{self.again}": r, "reproducibility": self.networks * r / (1 + (self.networks - 1) * r)}
        for name in ("head", "shuffled"):
            if name in self.correlations:
                scores |= mean_with_interval(again - self.correlations[name], self.block, seed, f"beyond_{name}")
        return scores


def measure_agreement(
    tiles: ExplainedTiles, method: str, explained: str | int, shuffled: Weights | None
) -> Agreement:  # fmt: skip
    """Rank correlations of a method's maps with those of other networks, on some tiles of each fold.

    Parameters
    ----------
    tiles : ExplainedTiles
    method : str
    explained : str or int
        See `ExplainedTiles.target`.
    shuffled : dict of str to array or None
        Of `fit_shuffled`.
    """
    networks, test_fold = tiles.networks, tiles.networks.data.test_fold
    folds = np.unique(test_fold).tolist()
    seeds, levels, found, blocks = len(networks.networks[folds[0]]), dict[str, float](), [], []
    for fold, before in zip(folds, [folds[-1], *folds[:-1]], strict=True):
        here = spread(np.flatnonzero(test_fold == fold), CHECKED)
        inputs = networks.inputs(fold, here)
        explain = partial(_explain, tiles, method, explained, here, inputs)
        network, other = networks.networks[fold][0], networks.networks[fold if seeds > 1 else before][min(1, seeds - 1)]
        correlations = agreement(network, other, inputs, explain)
        levels = levels or cascade(network, inputs, explain)
        if shuffled is not None:
            fitted = NetworkInNetwork(**network.settings)
            fitted.load_state_dict({name: torch.from_numpy(value) for name, value in shuffled.items()})
            every = np.arange(len(here))
            correlations["shuffled"] = rank_correlations(explain(network, every), explain(fitted.eval(), every))
        found.append(correlations)
        blocks.append(tiles.block[here])
    every_tile = {name: np.concatenate([of[name] for of in found]) for name in found[0]}
    again = "seeds" if seeds > 1 else "folds"
    return Agreement(
        {k.replace(" ", "_"): v for k, v in levels.items()}, every_tile, np.concatenate(blocks), again, seeds
    )


def _explain(
    tiles: ExplainedTiles, method: str, explained: str | int, index: np.ndarray, inputs: torch.Tensor,
    network: NetworkInNetwork, some: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """What pixels of `some` of the tiles of an index are ranked by, as drawn: one network of those in a mean."""
    networks, target = tiles.networks, tiles.target(explained)
    networks.engine.place(network)
    classes, seeds = None if target is None else target[index[some]], len(networks.networks[0])
    with torch.random.fork_rng():  # SmoothGrad's noise is the same for every network
        torch.manual_seed(tiles.seed)
        maps = networks.explainer(network, method, classes, len(some), seeds)(inputs[some])
    return importance(method, maps[:, networks.inner, networks.inner])


@dataclass(frozen=True)
class Removable:
    """Tiles of a sample whose probability depends on their detail.

    Parameters
    ----------
    places : int array, shape (n,)
        In the sample.
    whole, empty : float arrays, shape (n,)
        Probability of what is explained with all of the terrain, and without its detail.
    """

    places: np.ndarray
    whole: np.ndarray
    empty: np.ndarray


def find_removable(tiles: ExplainedTiles, explained: str | int) -> Removable:
    """At most REMOVED tiles of the sample whose probability depends on their detail, evenly spread."""
    sample, background = tiles.sample, np.asarray(tiles.attributes["background"])
    elevation = tiles.networks.without_gaps(sample, background)
    whole, empty = (_probability(tiles, explained, sample, terrain) for terrain in (elevation, background))
    places = spread(np.flatnonzero(whole - empty >= LEAST_LOSS), REMOVED)
    return Removable(places, whole[places], empty[places])


def control_curves(tiles: ExplainedTiles, explained: str | int, removable: Removable, control: str) -> Curves:
    """Deletion and insertion of tiles in an order that needs no network: that of "slope", or "random".

    Parameters
    ----------
    tiles : ExplainedTiles
    explained : str or int
        See `ExplainedTiles.target`.
    removable : Removable
    control : str
    """
    order = tiles.attributes["slope"][removable.places]
    if control == "random":
        order = np.random.default_rng(tiles.seed).random(order.shape)
    return _curves(tiles, explained, removable, order)


def method_curves(tiles: ExplainedTiles, explained: str | int, removable: Removable, method: str) -> Curves:
    """Deletion and insertion of tiles in the order of a method's maps on disk.

    Parameters
    ----------
    tiles : ExplainedTiles
    explained : str or int
        See `ExplainedTiles.target`.
    removable : Removable
    method : str
    """
    maps = tiles.maps(method, explained)[tiles.sample[removable.places]]
    return _curves(tiles, explained, removable, importance(method, maps))


def _curves(tiles: ExplainedTiles, explained: str | int, removable: Removable, order: np.ndarray) -> Curves:
    index, background = tiles.sample[removable.places], tiles.attributes["background"][removable.places]
    elevation, ends = tiles.networks.without_gaps(index, background), (removable.whole, removable.empty)
    return removal_curves(partial(_probability, tiles, explained, index), elevation, background, order, ends)


def _probability(tiles: ExplainedTiles, explained: str | int, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Probability of the class that is explained, or of the high classes, of tiles whose terrain is replaced."""
    probability, target = tiles.networks.probability(index, elevation.astype(np.float32)), tiles.target(explained)
    if target is None:
        return probability[:, tiles.tile.first_high :].sum(axis=1)
    return np.take_along_axis(probability, target[index, None], axis=1)[:, 0]


def judge(agreement: dict[str, Any], removal: dict[str, float]) -> dict[str, Any]:
    """`Agreement.scores` and `removal_scores`, with ``passed`` and ``warnings``, a sentence for each failure."""
    failed = failures(agreement, removal)
    return agreement | removal | {"passed": not failed, "warnings": failed}


def failures(agreement: dict[str, Any], removal: dict[str, float]) -> list[str]:
    """A sentence for each test that a method fails; none where it passes.

    What has no value, such as a correlation of constant maps, fails.

    Parameters
    ----------
    agreement : dict of str to float
        Of `Agreement.scores`.
    removal : dict of str to float
        Of `removal_scores`.
    """
    again = next(value for name, value in agreement.items() if name.startswith("between_"))
    checks = {}
    for name, words in (("head", "a random head"), ("shuffled", "shuffled labels")):
        if f"beyond_{name}" in agreement:
            difference, low = agreement[f"beyond_{name}"], agreement[f"beyond_{name}_low"]
            checks[
                f"The maps agree with those of a second network ({again:.2f}) not surely better than with those of a "
                f"network with {words} (difference {difference:+.2f}, lower end of its interval {low:+.2f})."
            ] = low > 0
    checks[
        f"Maps of other networks would look different: reproducibility {agreement['reproducibility']:.2f}, below "
        f"{REPRODUCIBLE}."
    ] = agreement["reproducibility"] >= REPRODUCIBLE
    if not np.isfinite(removal["deletion_against_random_high"]):
        why = "Too few tiles, or in too few blocks, lose probability with their detail: deletion cannot be tested."
        return [*(sentence for sentence, passes in checks.items() if not passes), why]
    for control, words in (("random", "in random order"), ("slope", "in the order of slope")):
        difference, high = (removal[f"deletion_against_{control}{end}"] for end in ("", "_high"))
        checks[
            f"Removing terrain in the order of the maps does not lower the probability surely more than {words} "
            f"(difference in area {difference:+.3f}, upper end of its interval {high:+.3f})."
        ] = high < 0
    return [sentence for sentence, passes in checks.items() if not passes]
