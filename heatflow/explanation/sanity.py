"""Sanity checks: the same tests for every saliency method, on the same tiles.

docs/saliency.md states for each number which way is better, and when a method passes.
"""

import numpy as np
import torch

from heatflow.explanation.attribution import importance
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.out_of_fold import spread
from heatflow.explanation.randomisation import fit_shuffled_labels, randomisation_test, rank_correlation
from heatflow.explanation.removal import Curves, removal_curves, removal_scores
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import reproducible

RANDOMISED = 16  # tiles of the tests that randomise parameters or labels
REMOVED = 50  # tiles of the deletion and insertion curves
LEAST_LOSS = 0.1  # probability that a tile must lose with all of its detail; elsewhere deletion has nothing to show
RANDOM_ORDERS = 2  # whose mean curve is the random control
MOST_WITHOUT_CLASSIFIER = 0.9  # rank correlation above which a map hardly depends on the classifier
MOST_WITHOUT_ALL = 0.5  # rank correlation above which a map hardly depends on any parameter


class SanityChecks:
    """Parameter and label randomisation, agreement with a second network, deletion and insertion.

    Parameters
    ----------
    tiles : ExplainedTiles
        Deletion and insertion take tiles of its sample.
    """

    def __init__(self, tiles: ExplainedTiles) -> None:
        self.networks, self.predicted, self.seed = tiles.networks, tiles.predicted, tiles.seed
        networks, engine, test_fold = tiles.networks, tiles.networks.engine, tiles.networks.data.test_fold
        first, last = int(test_fold.min()), int(test_fold.max())
        self.index = spread(np.flatnonzero(test_fold == first), RANDOMISED)
        self.inputs = networks.inputs(first, networks.data.elevation(self.index))
        seeds = networks.networks[first]
        self.between = "seeds" if len(seeds) > 1 else "folds"
        self.network, self.other = seeds[0], seeds[1] if len(seeds) > 1 else networks.networks[last][0]
        for network in (self.network, self.other):
            engine.place(network)
        with reproducible(self.seed):
            training = networks.data.part(first, "train", engine)
            self.shuffled = fit_shuffled_labels(self.network, training, networks.batch_size, engine)
        chosen = self._choose_removed(tiles.sample, tiles.attributes["background"])
        self.block, slope = tiles.block[self.removed], tiles.attributes["slope"][chosen]
        rng = np.random.default_rng(self.seed)
        at_random = [self._curves(rng.random(slope.shape)) for _ in range(RANDOM_ORDERS)]
        mean = (np.mean([getattr(c, kind) for c in at_random], axis=0) for kind in ("deletion", "insertion"))
        self.controls = {"random": Curves(*mean), "slope": self._curves(slope)}

    def check(self, method: str, maps: np.ndarray) -> tuple[dict, Curves]:
        """Test a method.

        Parameters
        ----------
        method : str
        maps : float array, shape (n, size, size)
            Of the predicted class of all kept tiles.

        Returns
        -------
        dict
            Scores, ``passed``, and ``warnings``, a sentence for each failed test.
        Curves
        """
        with reproducible(self.seed):
            own = self._explain(method, self.network)
            randomised = randomisation_test(self.network, self.inputs, lambda network: self._explain(method, network))
            again = rank_correlation(own, self._explain(method, self.other))
            shuffled = rank_correlation(own, self._explain(method, self.shuffled))
        curves = self._curves(importance(method, maps[self.removed]))
        removal = removal_scores(curves, self.controls, self.block, self.seed)
        failed = failures(randomised, shuffled, again, removal)
        scores = {
            "after_randomised": {name.replace(" ", "_"): value for name, value in randomised.items()},
            "after_shuffled_labels": shuffled,
            f"between_{self.between}": again,
        }
        return scores | removal | {"passed": not failed, "warnings": failed}, curves

    def _choose_removed(self, sample: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Positions in a sample of at most REMOVED tiles whose probability depends on their detail, evenly spread."""
        elevation = self.networks.without_gaps(sample, background)
        loss = self._probability(sample, elevation) - self._probability(sample, background)
        chosen = spread(np.flatnonzero(loss >= LEAST_LOSS), REMOVED)
        self.removed, self.elevation, self.background = sample[chosen], elevation[chosen], background[chosen]
        return chosen

    def _probability(self, index: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Probability of the predicted class of tiles whose terrain is replaced."""
        probability = self.networks.probability(index, elevation.astype(np.float32))
        return np.take_along_axis(probability, self.predicted[index, None], axis=1)[:, 0]

    def _curves(self, order: np.ndarray) -> Curves:
        return removal_curves(lambda z: self._probability(self.removed, z), self.elevation, self.background, order)

    def _explain(self, method: str, network: NetworkInNetwork) -> np.ndarray:
        with torch.random.fork_rng():  # SmoothGrad's noise is the same for every network
            torch.manual_seed(self.seed)
            target = self.predicted[self.index]
            return self.networks.explainer(network, method, target, len(target))(self.inputs)


def failures(randomised: dict[str, float], shuffled: float, again: float, removal: dict[str, float]) -> list[str]:
    """A sentence for each test that a method fails; none where it passes.

    A rank correlation of NaN, of maps that are constant, fails.

    Parameters
    ----------
    randomised : dict of str to float
        Of `randomisation_test`.
    shuffled, again : float
        Rank correlation with the maps of a network of shuffled labels, and with those of a second network.
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
        f"The maps correlate with those of a network fitted to shuffled labels ({shuffled:.2f}) at least as closely as "
        f"with those of a second network fitted to the true labels ({again:.2f}).": shuffled < again,
        "Too few tiles, or in too few blocks, lose probability with their detail: "
        "deletion cannot be tested.": np.isfinite(high),
        "Removing terrain in the order of the maps does not lower the probability significantly more than in random "
        f"order (difference in area {difference:+.3f}, upper end of its interval {high:+.3f}).": not high >= 0,
    }
    return [sentence for sentence, passes in checks.items() if not passes]
