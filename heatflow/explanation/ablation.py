"""Ablation: how much evidence do the networks lose when the terrain of known features is smoothed away?

The same is asked of terrain under the masks of other tiles (`heatflow.explanation.masks`). It needs no map.
"""

from dataclasses import dataclass

import numpy as np

from heatflow.explanation.known_features import REACH, KnownFeatures
from heatflow.explanation.masks import GROUND, LEAST_SHARE, OTHERS, lay_masks
from heatflow.explanation.out_of_fold import OutOfFoldNetworks

RIVALS = {"structures": "lookalikes", "lookalikes": "structures"}  # whose terrain is told apart by which is nearer


@dataclass(frozen=True)
class Losses:
    """Evidence that each network loses without the terrain of the features, and without that under other masks.

    Evidence is the log-odds of the high classes in standard deviations of the network's own, over the tiles that it
    tests: a timid network is measured on its own scale.

    Parameters
    ----------
    own : float64 array, shape (networks, n)
        Without the features of each tile.
    as_they_come, similar : float64 arrays, shape (networks, n, OTHERS)
        Without the terrain under masks of other tiles. Without a column where they are not asked for.
    own_ground : float64 array, shape (n, 3)
        Of `Masks`.
    as_they_come_ground, similar_ground : float64 arrays, shape (n, OTHERS, 3)
    block : int array, shape (n,)
    tiles_with_features : int
        Tiles that were looked at; n of them could be used.
    """

    own: np.ndarray
    as_they_come: np.ndarray
    similar: np.ndarray
    own_ground: np.ndarray
    as_they_come_ground: np.ndarray
    similar_ground: np.ndarray
    block: np.ndarray
    tiles_with_features: int

    @classmethod
    def none(cls, tiles_with_features: int) -> "Losses":
        """Of features that no tile can be used of."""
        empty, ground = np.empty((1, 0)), np.empty((0, len(GROUND)))
        others, of_others = np.empty((1, 0, OTHERS)), np.empty((0, OTHERS, len(GROUND)))
        block = np.empty(0, dtype=np.int64)
        return cls(empty, others, others, ground, of_others, of_others, block, tiles_with_features)


def terrain_of(known: KnownFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Terrain of features, without what is nearer to their rivals, and terrain of either; bool (m, size, size)."""
    rival = RIVALS.get(known.name)
    if rival is None or rival not in known.attributes:
        return known.near, known.near
    far = np.nan_to_num(known.attribute(rival), nan=np.inf)
    return known.near & (known.distance < far), known.near | (far <= REACH[str(rival)])


def measure_losses(known: KnownFeatures, networks: OutOfFoldNetworks, others: bool = True) -> Losses:
    """Evidence lost without known features, and without terrain under masks of other tiles.

    Parameters
    ----------
    known : KnownFeatures
    networks : OutOfFoldNetworks
    others : bool, optional
        Whether masks of other tiles are laid over too. Tiles that too few of them can be laid on are then left out.
    """
    near, either = terrain_of(known)
    some = np.flatnonzero(near.mean(axis=(1, 2)) >= LEAST_SHARE)
    if not len(some):
        return Losses.none(len(known.index))
    steepness, relief = (known.attribute(name)[some] for name in ("steepness", "relief"))
    masks = lay_masks(near[some], either[some], steepness, relief, known.seed)
    own = np.flatnonzero((masks.similar >= 0).all(axis=1) | (not others))
    if not len(own):
        return Losses.none(len(known.index))
    index, background = known.index[some[own]], known.attribute("background")[some[own]]
    elevation = networks.without_gaps(index, background)
    whole = networks.standard_log_odds(index, elevation)

    def without(mask: np.ndarray) -> np.ndarray:
        smoothed = elevation + (background - elevation) * mask
        return whole - networks.standard_log_odds(index, smoothed.astype(np.float32))

    found = {"own": without(masks.soft[own]), "own_ground": masks.ground[own, own]}
    for name in ("as_they_come", "similar"):
        laid = getattr(masks, name)[own, : None if others else 0]
        lost = [without(masks.soft[column]) for column in laid.T]
        found[name] = np.stack(lost, axis=-1) if lost else np.empty((*whole.shape, 0))
        found[f"{name}_ground"] = masks.ground[own[:, None], laid]
    return Losses(**found, block=known.block[some[own]], tiles_with_features=len(known.index))
