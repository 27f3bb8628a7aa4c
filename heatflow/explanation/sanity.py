"""Sanity checks: the same tests for every saliency method, on the same tiles.

docs/saliency.md states for each number which way is better, and when a method passes.
"""

from functools import partial
from typing import Any

import numpy as np
import torch

from heatflow.config.schema import Recipe
from heatflow.explanation.attribution import importance
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.out_of_fold import spread
from heatflow.explanation.randomisation import fit_shuffled_labels, randomisation_test, rank_correlation
from heatflow.explanation.removal import Curves, removal_curves
from heatflow.learning.network import NetworkInNetwork

RANDOMISED = 8  # tiles of the tests that randomise parameters or labels
REMOVED = 50  # tiles of the deletion and insertion curves
LEAST_LOSS = 0.1  # probability that a tile must lose with all of its detail; elsewhere deletion has nothing to show
MOST_WITHOUT_CLASSIFIER = 0.9  # rank correlation above which a map hardly depends on the classifier
MOST_WITHOUT_ALL = 0.5  # rank correlation above which a map hardly depends on any parameter


Weights = dict[str, np.ndarray]


def fit_shuffled(tiles: ExplainedTiles, recipe: Recipe) -> Weights:
    """Weights of a network fitted to the training tiles of the first fold with shuffled labels."""
    networks, engine = tiles.networks, tiles.networks.engine
    fold = int(networks.data.test_fold.min())
    training = networks.data.part(fold, "train", engine)
    network = fit_shuffled_labels(networks.networks[fold][0], training, recipe, engine)
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}


def randomisation(
    tiles: ExplainedTiles, method: str, explained: str | int, shuffled: Weights | None
) -> dict[str, Any]:  # fmt: skip
    """Rank correlations of maps of the first fold's network with those of other networks, on the same tiles.

    Parameters
    ----------
    tiles : ExplainedTiles
    method : str
    explained : str or int
        See `ExplainedTiles.target`.
    shuffled : dict of str to array or None
        Of `fit_shuffled`.

    Returns
    -------
    dict
        ``after_randomised``, of `randomisation_test`; ``after_shuffled_labels``, where they are given; and, with
        a second network fitted to the true labels, ``between_seeds`` or ``between_folds``.
    """
    networks, test_fold = tiles.networks, tiles.networks.data.test_fold
    first, last = int(test_fold.min()), int(test_fold.max())
    index = spread(np.flatnonzero(test_fold == first), RANDOMISED)
    inputs, target = networks.inputs(first, index), tiles.target(explained)
    seeds = networks.networks[first]
    network, other = seeds[0], seeds[1] if len(seeds) > 1 else networks.networks[last][0]

    def explain(network: NetworkInNetwork) -> np.ndarray:
        networks.engine.place(network)
        with torch.random.fork_rng():  # SmoothGrad's noise is the same for every network
            torch.manual_seed(tiles.seed)
            return networks.explainer(network, method, None if target is None else target[index], len(index))(inputs)

    own = explain(network)
    randomised = randomisation_test(network, inputs, explain)
    scores: dict[str, Any] = {"after_randomised": {k.replace(" ", "_"): value for k, value in randomised.items()}}
    if shuffled is not None:
        fitted = NetworkInNetwork(**network.settings)
        fitted.load_state_dict({name: torch.from_numpy(value) for name, value in shuffled.items()})
        scores["after_shuffled_labels"] = rank_correlation(own, explain(fitted.eval()))
    return scores | {f"between_{'seeds' if len(seeds) > 1 else 'folds'}": rank_correlation(own, explain(other))}


def find_removable(tiles: ExplainedTiles, explained: str | int) -> np.ndarray:
    """Places in the sample of at most REMOVED tiles whose probability depends on their detail, evenly spread."""
    sample, background = tiles.sample, np.asarray(tiles.attributes["background"])
    elevation = tiles.networks.without_gaps(sample, background)
    of_explained = partial(_probability, tiles, explained, sample)
    loss = of_explained(elevation) - of_explained(background)
    return spread(np.flatnonzero(loss >= LEAST_LOSS), REMOVED)


def control_curves(tiles: ExplainedTiles, explained: str | int, places: np.ndarray, control: str) -> Curves:
    """Deletion and insertion of tiles in an order that needs no network: that of "slope", or "random".

    Parameters
    ----------
    tiles : ExplainedTiles
    explained : str or int
        See `ExplainedTiles.target`.
    places : int array, shape (m,)
        Of the tiles in the sample.
    control : str
    """
    order = tiles.attributes["slope"][places]
    if control == "random":
        order = np.random.default_rng(tiles.seed).random(order.shape)
    return _curves(tiles, explained, places, order)


def method_curves(tiles: ExplainedTiles, explained: str | int, places: np.ndarray, method: str) -> Curves:
    """Deletion and insertion of tiles in the order of a method's maps on disk.

    Parameters
    ----------
    tiles : ExplainedTiles
    explained : str or int
        See `ExplainedTiles.target`.
    places : int array, shape (m,)
        Of the tiles in the sample.
    method : str
    """
    return _curves(tiles, explained, places, importance(method, tiles.maps(method, explained)[tiles.sample[places]]))


def _curves(tiles: ExplainedTiles, explained: str | int, places: np.ndarray, order: np.ndarray) -> Curves:
    index, background = tiles.sample[places], tiles.attributes["background"][places]
    elevation = tiles.networks.without_gaps(index, background)
    return removal_curves(partial(_probability, tiles, explained, index), elevation, background, order)


def _probability(tiles: ExplainedTiles, explained: str | int, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Probability of the class that is explained, or of the high classes, of tiles whose terrain is replaced."""
    probability, target = tiles.networks.probability(index, elevation.astype(np.float32)), tiles.target(explained)
    if target is None:
        return probability[:, tiles.tile.first_high :].sum(axis=1)
    return np.take_along_axis(probability, target[index, None], axis=1)[:, 0]


def judge(randomised: dict[str, Any], removal: dict[str, float]) -> dict[str, Any]:
    """Scores of `randomisation` and `removal_scores`, with ``passed`` and ``warnings``, a sentence for each failure."""
    again = next(value for name, value in randomised.items() if name.startswith("between_"))
    failed = failures(randomised["after_randomised"], randomised.get("after_shuffled_labels"), again, removal)
    return randomised | removal | {"passed": not failed, "warnings": failed}


def failures(
    randomised: dict[str, float], shuffled: float | None, again: float, removal: dict[str, float]
) -> list[str]:  # fmt: skip
    """A sentence for each test that a method fails; none where it passes.

    A rank correlation of NaN, of maps that are constant, fails.

    Parameters
    ----------
    randomised : dict of str to float
        Of `randomisation_test`.
    shuffled, again : float
        Rank correlation with the maps of a network of shuffled labels, None where there is none, and with those of a
        second network.
    removal : dict of str to float
        Of `removal_scores`.
    """
    classifier, everything = randomised["classifier"], [*randomised.values()][-1]
    difference, high = removal["deletion_against_random"], removal["deletion_against_random_high"]
    checks = {
        f"With a random classifier the maps stay the same (rank correlation {classifier:.2f}): they do not depend on "
        "the decision.": classifier <= MOST_WITHOUT_CLASSIFIER,
        f"With random parameters throughout the maps stay much the same (rank correlation {everything:.2f}): they show "
        "the terrain, not what was learnt.": everything <= MOST_WITHOUT_ALL,
        "Too few tiles, or in too few blocks, lose probability with their detail: "
        "deletion cannot be tested.": np.isfinite(high),
        "Removing terrain in the order of the maps does not lower the probability significantly more than in random "
        f"order (difference in area {difference:+.3f}, upper end of its interval {high:+.3f}).": not high >= 0,
    }
    if shuffled is not None:
        checks[
            f"The maps correlate with those of a network fitted to shuffled labels ({shuffled:.2f}) at least as "
            f"closely as with those of a second network fitted to the true labels ({again:.2f})."
        ] = shuffled < again
    return [sentence for sentence, passes in checks.items() if not passes]
