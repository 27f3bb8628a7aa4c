"""Folds: which tiles train, validate and test each model.

Tiles close together look alike, so a tile drawn at random is half known from its neighbours, and the score measures
memory. Folds are therefore made of contiguous square blocks (Roberts et al., 2017, Ecography 40:913).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from heatflow.errors import InputError, reading
from heatflow.io.text import read_csv

ROLES = ("train", "validation", "test", "buffer")
COMPARED = "random"
TRIALS = 200  # random orders tried for the best balance


def split_tiles(
    row: np.ndarray,
    col: np.ndarray,
    label: np.ndarray,
    *,
    scheme: str,
    folds: int,
    block_size: int,
    buffer: float,
    validation: float,
    repeats: int,
    seed: int,
    size: int,
    stride: int,
) -> np.ndarray:
    """Give every tile a role in every fold.

    Parameters
    ----------
    row, col, label : int arrays, shape (n,)
        Place of each tile on the tile grid, and its class.
    scheme : "blocks" or "random" (each tile is a block of its own)
    folds : number of folds; each tile is in the test part of exactly one of those of a repeat
    block_size : edge of a block in tiles (of `size` pixels)
    buffer : tiles; one nearer than this to a test tile, or that shares pixels with it, takes no part in that fold: its
        role is "buffer". Not for "random", where it would leave nothing to train on.
    validation : share of a fold's training side that is kept for validation, in whole blocks
    repeats : how often the tiles are dealt anew
    size, stride : of the tiles, pixels

    Returns
    -------
    roles : object array of str, shape (repeats * folds, n)

    Raises
    ------
    InputError
        Fewer blocks than folds, or too few for a validation part.
    """
    blocks = np.arange(len(row))
    if scheme == "blocks":
        blocks = block_of(row, col, block_size, size, stride)
    else:
        buffer = 0.0  # around tiles at random it would leave nothing to train on
    n_blocks = len(np.unique(blocks))
    if n_blocks < folds + 1:
        what = "blocks of tiles" if scheme == "blocks" else "tiles"
        remedy = "split.folds or split.block_size" if scheme == "blocks" else "split.folds"
        raise InputError(
            f"split.folds: {folds} folds and a validation part need at least {folds + 1} {what}, "
            f"and there are {n_blocks} ({len(row)} tiles); decrease {remedy}"
        )
    place = np.column_stack([row, col])
    every = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        fold = _deal(blocks, label, folds, rng)
        every += [
            _roles_of_fold(fold == k, place, blocks, label, buffer, validation, size, stride, rng) for k in range(folds)
        ]
    for k, roles in enumerate(every):
        if not (roles == "train").any() or not (roles == "validation").any():
            raise InputError(
                f"split: fold {k} has no tile left to train or validate on after those within {buffer:g} tiles of its "
                "test tiles were set aside; decrease split.buffer, or increase split.block_size"
            )
    return np.array(every, dtype=object)


def _roles_of_fold(test, place, blocks, label, buffer, validation, size, stride, rng):
    roles = np.full(len(place), "train", dtype=object)
    roles[test] = "test"
    roles[~test & _nearer(place, place[test], buffer, size, stride)] = "buffer"
    side = np.flatnonzero(roles == "train")
    parts = min(max(2, round(1 / validation)), len(np.unique(blocks[side])))
    if parts < 2:
        return roles
    dealt = _deal(blocks[side], label[side], parts, rng)
    held_out = min(range(parts), key=lambda p: _imbalance(label[side], dealt == p, 1 / parts))
    kept = dealt == held_out
    roles[side[~kept & _nearer(place[side], place[side[kept]], 0, size, stride)]] = "buffer"
    roles[side[kept]] = "validation"
    return roles


def block_of(row: np.ndarray, col: np.ndarray, block_size: int, size: int, stride: int) -> np.ndarray:
    """Number of the square block, `block_size` tiles of `size` pixels along its edge, that each tile begins in."""
    pairs = np.column_stack([row, col]) * stride // (block_size * size)
    return np.unique(pairs, axis=0, return_inverse=True)[1].ravel()


def _deal(blocks, label, parts, rng):
    """Deal whole blocks into parts of like size and class shares; returns the part of each tile.

    Greedy in the order of block size, each block to the part that it brings closest to its fair share; the best of
    many random orders of equal blocks.
    """
    names, block = np.unique(blocks, return_inverse=True)
    classes = np.unique(label)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (block, np.searchsorted(classes, label)), 1)
    weight = 1 / counts.sum(axis=0)  # a rare class counts as much as a common one
    fair = 1 / parts
    best, lowest = None, np.inf
    for _ in range(TRIALS):
        order = np.lexsort((rng.random(len(names)), -counts.sum(axis=1)))
        held = np.zeros((parts, len(classes)))
        part = np.empty(len(names), dtype=int)
        for place, b in enumerate(order):
            empty = np.flatnonzero(held.sum(axis=1) == 0)
            if len(order) - place <= len(empty):  # the last blocks go where there is none yet
                choice = empty[0]
            else:
                before = ((held * weight - fair) ** 2).sum(axis=1)
                after = (((held + counts[b]) * weight - fair) ** 2).sum(axis=1)
                choice = int(np.argmin(after - before))
            held[choice] += counts[b]
            part[b] = choice
        cost = ((held * weight - fair) ** 2).sum()
        if cost < lowest - 1e-12:
            best, lowest = part, cost
    return best[block]


def _imbalance(label, chosen, fair):
    """How far a part is from its fair share of each class; a part without any counts most."""
    if not chosen.any():
        return np.inf
    return sum((np.mean(chosen[label == k]) / fair - 1) ** 2 for k in np.unique(label))


def _nearer(place, other, buffer, size, stride):
    """Whether each tile shares a pixel with one of the others, or lies nearer to it than `buffer` tiles."""
    apart = np.abs(place[:, None] - other).max(axis=2, initial=0) * stride - size  # pixels between their edges
    return (apart < buffer * size).any(axis=1)


def absent_classes(roles: np.ndarray, label: np.ndarray, n_classes: int) -> list[tuple[int, str, int]]:
    """(fold, role, class) for every class that a part of a fold lacks altogether."""
    found = []
    for k, row in enumerate(roles):
        for role in ROLES[:3]:
            present = np.unique(label[row == role])
            found += [(k, role, c) for c in range(n_classes) if c not in present]
    return found


@dataclass(frozen=True)
class Folds:
    """Roles of all tiles in all folds.

    `roles`: object array of str, shape (folds, n). `repeat`: str array, shape (folds,): number of the deal that each
    fold belongs to, or COMPARED for folds that are only there to show how much a random split flatters.
    """

    roles: np.ndarray
    repeat: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """Index of the folds that skill is measured on."""
        return np.flatnonzero(self.repeat != COMPARED)

    @property
    def compared(self) -> np.ndarray:
        """Index of the folds of the random split that they are compared with; may be empty."""
        return np.flatnonzero(self.repeat == COMPARED)

    def table(self, tile: np.ndarray) -> pd.DataFrame:
        """Long table of ``tile``, ``fold``, ``repeat``, ``role``, one row for each tile in each fold."""
        folds, n = self.roles.shape
        return pd.DataFrame(
            {
                "tile": np.tile(tile, folds),
                "fold": np.repeat(np.arange(folds), n),
                "repeat": np.repeat(self.repeat, n),
                "role": self.roles.ravel().astype(str),
            }
        )

    @classmethod
    def read(cls, path, tile: np.ndarray) -> "Folds":
        """Folds from a file that `table` filled, the tiles in the order of `tile`."""
        with reading(path):
            table = read_csv(path, dtype={"repeat": str})
            roles = table.pivot(index="fold", columns="tile", values="role")[tile]
            if not roles.isin(ROLES).all(axis=None):
                raise ValueError("a tile without a role")
            repeat = table.drop_duplicates("fold").sort_values("fold")["repeat"]
        return cls(roles.to_numpy(dtype=object), repeat.to_numpy(dtype=str))
