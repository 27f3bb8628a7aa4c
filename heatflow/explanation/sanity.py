"""Every saliency method put to the same tests, on the same tiles.

Which way is better, and when a method passes, stands in docs/saliency.md, as it did before any of it was measured.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from heatflow.explanation.attribution import PER_ELEVATION
from heatflow.explanation.out_of_fold import Unseen, spread
from heatflow.explanation.randomisation import area, likeness, of_shuffled_labels, randomisation_test, removal_curves
from heatflow.explanation.structure import mean_with_interval
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import reproducible

FORGOTTEN = 16  # tiles of the tests that draw parameters or labels anew
REMOVED = 50  # tiles of the deletion and insertion curves
SOMETHING = 0.1  # probability that a tile must lose with all of its detail; elsewhere there is nothing to take away
RANDOM_ORDERS = 2  # whose mean curve is the random control
BLIND = 0.9  # likeness above which a map hardly minds that the classifier was drawn anew
REMEMBERED = 0.5  # likeness above which a map hardly minds that every parameter was


@dataclass(frozen=True)
class Curves:
    """Probability of the class explained while terrain goes, or comes back, in the order of a map, (tiles, steps)."""

    deletion: np.ndarray
    insertion: np.ndarray


class Trial:
    """The tests of a saliency method.

    Parameters
    ----------
    unseen : the tiles and their networks
    predicted : int array, shape (n,), class called for each kept tile, whose score the tests explain
    sample : int array, kept tiles of which `terrain_of` can tell
    terrain_of : for an index (m,) elevation, the same without its detail, and slope, float32 arrays (m, size, size),
        the first two without gaps
    block : int array, shape (n,)
    seed : int
    """

    def __init__(
        self,
        unseen: Unseen,
        predicted: np.ndarray,
        sample: np.ndarray,
        terrain_of: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
        block: np.ndarray,
        seed: int,
    ):
        self.unseen, self.predicted, self.seed = unseen, predicted, seed
        folds = np.unique(unseen.data.test_fold).tolist()
        tested = np.flatnonzero(unseen.data.test_fold == folds[0])
        self.index = spread(tested, FORGOTTEN)
        first, second = unseen.networks[folds[0]], unseen.networks[folds[-1]]
        self.between = "seeds" if len(first) > 1 else "folds"
        network, other = first[0], (first[1] if len(first) > 1 else second[0])
        self.network, self.other = network, other
        for each in (network, other):
            unseen.engine.place(each)
        self.tiles = unseen.inputs(folds[0], unseen.data.elevation(self.index))
        with reproducible(seed):
            learnt = unseen.data.part(folds[0], "train", unseen.engine)
            self.shuffled: NetworkInNetwork = of_shuffled_labels(network, learnt, unseen.batch_size, unseen.engine)
        self.removed = spread(self._with_something_to_lose(sample, terrain_of), REMOVED)
        self.block = block[self.removed]
        self.elevation, self.background, slope = terrain_of(self.removed)
        rng = np.random.default_rng(seed)
        at_random = [self._curves(rng.random(slope.shape)) for _ in range(RANDOM_ORDERS)]
        self.controls = {
            "random": Curves(*(np.mean([getattr(c, k) for c in at_random], axis=0) for k in ("deletion", "insertion"))),
            "slope": self._curves(slope),
        }

    def _called(self, index, elevation):
        """Probability of the class that was predicted for each tile, with other terrain in its place."""
        found = self.unseen.probability(index, elevation.astype(np.float32))
        return np.take_along_axis(found, self.predicted[index, None], axis=1)[:, 0]

    def _with_something_to_lose(self, sample, terrain_of):
        elevation, background, _ = terrain_of(sample)
        lost = self._called(sample, elevation) - self._called(sample, background)
        return sample[lost >= SOMETHING]

    def _curves(self, importance):
        return Curves(
            *removal_curves(lambda z: self._called(self.removed, z), self.elevation, self.background, importance)
        )

    def of(self, method: str, maps: np.ndarray) -> tuple[dict, Curves]:
        """What the tests say of a method whose maps of all tiles, of the class predicted, are (n, size, size)."""

        def explain(network):
            with torch.random.fork_rng():  # SmoothGrad's noise is the same for every network
                torch.manual_seed(self.seed)
                return self.unseen.explainer(network, method, self.predicted, self.index)(self.tiles)

        with reproducible(self.seed):
            own = explain(self.network)
            forgotten = randomisation_test(self.network, self.tiles, explain)
            again, shuffled = likeness(own, explain(self.other)), likeness(own, explain(self.shuffled))
        curves = self._curves(strength(method, maps[self.removed]))
        removal = removal_scores(curves, self.controls, self.block, self.seed)
        found = {
            "after_randomised": {name.replace(" ", "_"): value for name, value in forgotten.items()},
            "after_shuffled_labels": shuffled,
            f"between_{self.between}": again,
            **removal,
        }
        complaints = faults(forgotten, shuffled, again, removal)
        return found | {"passed": not complaints, "warnings": complaints}, curves


def strength(method: str, maps: np.ndarray) -> np.ndarray:
    """What maps are ranked by: a part in a score as it is, for or against it; of a change per elevation, the size."""
    return np.abs(maps) if method in PER_ELEVATION else maps


def removal_scores(curves: Curves, controls: dict[str, Curves], block: np.ndarray, seed: int) -> dict[str, float]:
    """Areas under the curves, and deletion's less that of each control with its interval (lower is better)."""
    deletion, insertion = area(curves.deletion), area(curves.insertion)
    some = len(deletion) > 0
    scores = {
        k: float(v.mean()) if some else float("nan") for k, v in (("deletion", deletion), ("insertion", insertion))
    }
    for name, control in controls.items():
        less = deletion - area(control.deletion)
        scores |= mean_with_interval(less, block, seed, f"deletion_against_{name}")
    return scores


def faults(forgotten: dict[str, float], shuffled: float, again: float, removal: dict[str, float]) -> list[str]:
    """Why a method's maps are not to be trusted, a sentence for each test that it fails; none: it passes.

    A likeness that is NaN, of maps that are the same everywhere, fails.
    """
    classifier, everything = forgotten["classifier"], [*forgotten.values()][-1]
    found = []
    if not classifier <= BLIND:
        found.append(
            f"With the classifier drawn at random its maps stay the same (rank correlation {classifier:.2f}): "
            "they do not show what decides."
        )
    if not everything <= REMEMBERED:
        found.append(
            f"With every parameter drawn at random its maps stay much the same (rank correlation {everything:.2f}): "
            "they show the terrain, not what was learnt."
        )
    if not shuffled < again:
        found.append(
            f"Its maps are as much like those of a network fitted to shuffled labels ({shuffled:.2f}) as like those of "
            f"another fitted to the true ones ({again:.2f})."
        )
    high = removal["deletion_against_random_high"]
    if not np.isfinite(high):
        found.append("Too few tiles lose anything with their detail, or in too few blocks, for deletion to tell.")
    elif not high < 0:
        found.append(
            "Taking terrain away in the order of its maps does not surely lower the probability more than at random "
            f"(difference in area {removal['deletion_against_random']:+.3f}, upper end {high:+.3f})."
        )
    return found
