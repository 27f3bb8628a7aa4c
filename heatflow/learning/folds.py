"""Folds: which tiles train, validate and test each model.

Tiles close together look alike, so a tile drawn at random is half known from its neighbours, and the score measures
memory. Folds are therefore made of contiguous square blocks (Roberts et al., 2017, Ecography 40:913).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from heatflow.config.schema import Split, Tile
from heatflow.errors import InputError, reading
from heatflow.io.text import read_csv

ROLES = ("train", "validation", "test", "buffer")
COMPARED = "random"
ORDERS = 200  # random orders of the blocks that are tried for the best balance


def split_tiles(
    row: np.ndarray, col: np.ndarray, label: np.ndarray, split: Split = Split(), tile: Tile = Tile()
) -> np.ndarray:
    """Give every tile a role in every fold.

    Parameters
    ----------
    row, col, label : int arrays, shape (n,)
        Place of each tile on the tile grid, and its class.
    split : Split
        Each tile is tested by exactly one of the folds of a repeat. With scheme "random" each tile is a block of its
        own, and there is no buffer, which would leave nothing to train on.
    tile : Tile
        Size and stride.

    Returns
    -------
    object array of str, shape (repeats * folds, n)
        One of ROLES. A tile in the "buffer" of a fold takes no part in it: it shares pixels with a test tile or lies
        too near to one, or shares pixels with a validation tile. Without `split.validation` no tile is for validation.

    Raises
    ------
    InputError
        There are too few blocks for so many folds, or nothing is left to train or validate on.

    Examples
    --------
    >>> row, col = (v.ravel() for v in np.mgrid[:8, :8])
    >>> roles = split_tiles(row, col, (row + col) % 2, Split(folds=4, block_size=2, buffer=0))
    >>> roles.shape, (roles == "test").sum(axis=1).tolist()
    ((4, 64), [16, 16, 16, 16])
    """
    by_blocks = split.scheme == "blocks"
    blocks = block_of(row, col, split.block_size, tile.size, tile.step) if by_blocks else np.arange(len(row))
    buffer = split.buffer if by_blocks else 0.0
    least, for_what = (split.folds + 1, " and a validation part") if split.validation else (split.folds, "")
    if (n_blocks := len(np.unique(blocks))) < least:
        what, remedy = ("blocks of tiles", "split.folds or split.block_size") if by_blocks else ("tiles", "split.folds")
        raise InputError(
            f"split.folds: {split.folds} folds{for_what} need at least {least} {what}, "
            f"and there are {n_blocks} ({len(row)} tiles); decrease {remedy}"
        )
    area = _Area(np.column_stack([row, col]), blocks, label, tile)
    every = []
    for repeat in range(split.repeats):
        rng = np.random.default_rng([split.seed, repeat])
        fold = _assign_blocks(blocks, label, split.folds, rng)
        every += [area.roles(fold == k, buffer, split.validation, rng) for k in range(split.folds)]
    for k, roles in enumerate(every):
        needed, also = (ROLES[:2], " or validate on") if split.validation else (ROLES[:1], "")
        if not np.isin(needed, roles).all():
            raise InputError(
                f"split: fold {k} has no tile left to train{also} after those within {buffer:g} tiles of its test "
                "tiles were set aside; decrease split.buffer, or increase split.block_size"
            )
    return np.array(every, dtype=object)


@dataclass(frozen=True)
class _Area:
    """Tiles with their places (n, 2), rows and columns of the tile grid; their blocks; and their classes."""

    place: np.ndarray
    block: np.ndarray
    label: np.ndarray
    tile: Tile

    def roles(self, test: np.ndarray, buffer: float, validation: float, rng: np.random.Generator) -> np.ndarray:
        """Role of each tile in the fold that tests some of them."""
        roles = np.full(len(test), "train", dtype=object)
        roles[test] = "test"
        roles[~test & self.near(self.place, test, buffer)] = "buffer"
        if not validation:
            return roles
        side = np.flatnonzero(roles == "train")
        parts = min(max(2, round(1 / validation)), len(np.unique(self.block[side])))
        if parts < 2:
            return roles
        part = _assign_blocks(self.block[side], self.label[side], parts, rng)
        chosen = min(range(parts), key=lambda p: _imbalance(self.label[side], part == p, 1 / parts))
        held_out = np.zeros(len(test), dtype=bool)
        held_out[side[part == chosen]] = True
        roles[side[self.near(self.place[side], held_out, 0)]] = "buffer"
        roles[held_out] = "validation"
        return roles

    def near(self, place: np.ndarray, others: np.ndarray, buffer: float) -> np.ndarray:
        """Whether each place shares a pixel with one of the other tiles, or lies within `buffer` tiles of it."""
        size = self.tile.size
        gap = np.abs(place[:, None] - self.place[others]).max(axis=2, initial=0) * self.tile.step - size  # pixels
        return (gap < buffer * size).any(axis=1)


def block_of(row: np.ndarray, col: np.ndarray, block_size: int, size: int, stride: int) -> np.ndarray:
    """Number of the square block that each tile begins in.

    Parameters
    ----------
    row, col : int arrays, shape (n,)
        Place of each tile on the tile grid.
    block_size : int
        Edge of a block in tiles of `size` pixels.
    size, stride : int
        Edge of a tile, and pixels from one tile to the next.

    Returns
    -------
    int array, shape (n,)
    """
    pairs = np.column_stack([row, col]) * stride // (block_size * size)
    return np.unique(pairs, axis=0, return_inverse=True)[1].ravel()


def _assign_blocks(blocks: np.ndarray, label: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Assign whole blocks to parts that are alike in size and class shares; returns the part of each tile.

    Blocks are taken in the order of their size, those of one size at random. Each goes to the part that it brings
    closest to an equal share of every class. The best of ORDERS random orders counts; all are assigned at once.
    Scikit-learn's StratifiedGroupKFold tries a single order, counts a rare class for little and makes worse folds.
    """
    names, block = np.unique(blocks, return_inverse=True)
    classes = np.unique(label)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (block, np.searchsorted(classes, label)), 1)
    weight, share = 1 / counts.sum(axis=0), 1 / parts  # a rare class counts as much as a common one
    size = np.broadcast_to(-counts.sum(axis=1), (ORDERS, len(names)))
    orders = np.lexsort((rng.random((ORDERS, len(names))), size))
    held, part, number = np.zeros((ORDERS, parts, len(classes))), np.empty(orders.shape, dtype=int), np.arange(ORDERS)
    for place, taken in enumerate(orders.T):
        before = ((held * weight - share) ** 2).sum(axis=2)
        after = (((held + counts[taken, None]) * weight - share) ** 2).sum(axis=2)
        empty = held.sum(axis=2) == 0
        last = len(names) - place <= empty.sum(axis=1)  # the last blocks go to parts that have none yet
        choice = np.where(last, empty.argmax(axis=1), (after - before).argmin(axis=1))
        held[number, choice] += counts[taken]
        part[number, taken] = choice
    best, lowest = 0, np.inf
    for order, cost in enumerate(((held * weight - share) ** 2).reshape(ORDERS, -1).sum(axis=1)):
        if cost < lowest - 1e-12:
            best, lowest = order, cost
    return part[best][block]


def _imbalance(label: np.ndarray, chosen: np.ndarray, share: float) -> float:
    """How far a part is from its equal share of each class; a part without any tile is the furthest."""
    if not chosen.any():
        return np.inf
    return float(sum((np.mean(chosen[label == k]) / share - 1) ** 2 for k in np.unique(label)))


def absent_classes(roles: np.ndarray, label: np.ndarray, n_classes: int) -> list[tuple[int, str, int]]:
    """(fold, role, class) for every class that a part of a fold lacks; of the parts that have a tile at all."""
    return [
        (k, role, c)
        for k, row in enumerate(roles)
        for role in ROLES[:3]
        if (row == role).any()
        for c in np.setdiff1d(np.arange(n_classes), label[row == role]).tolist()
    ]


@dataclass(frozen=True)
class Folds:
    """Roles of all tiles in all folds.

    Parameters
    ----------
    roles : object array of str, shape (folds, n)
    repeat : str array, shape (folds,)
        Number of the repeat that each fold belongs to; COMPARED for folds that only show how much a random split
        flatters.
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

    @property
    def first(self) -> np.ndarray:
        """Roles in the folds of the first repeat, object array of str (folds, n)."""
        return self.roles[self.repeat == self.repeat[0]]

    def table(self, tile: np.ndarray) -> pd.DataFrame:
        """Long table of ``tile``, ``fold``, ``repeat``, ``role``, one row for each tile in each fold."""
        folds, n = self.roles.shape
        fold, repeat = np.repeat(np.arange(folds), n), np.repeat(self.repeat, n)
        role = self.roles.ravel().astype(str)
        return pd.DataFrame({"tile": np.tile(tile, folds), "fold": fold, "repeat": repeat, "role": role})

    @classmethod
    def read(cls, path: str | Path, tile: np.ndarray) -> "Folds":
        """Folds from a file that `table` filled, the tiles in the order of `tile`.

        Raises
        ------
        InputError
            The file is damaged, or does not hold every tile.
        """
        with reading(path):
            table = read_csv(path, dtype={"repeat": str})
            roles = table.pivot(index="fold", columns="tile", values="role")[tile]
            if not roles.isin(ROLES).all(axis=None):
                raise ValueError("a tile without a role")
            repeat = table.drop_duplicates("fold").sort_values("fold")["repeat"]
        return cls(roles.to_numpy(dtype=object), repeat.to_numpy(dtype=str))


@dataclass(frozen=True)
class SplitTiles:
    """The folds of a region, and how well balanced they are.

    Parameters
    ----------
    folds : Folds
    deviation : float
        Largest difference between the share of a class in a test part and among all tiles.
    absent : list of (int, str, int)
        Fold, role and class, for every class that a part of a fold lacks.
    """

    folds: Folds
    deviation: float
    absent: list[tuple[int, str, int]]

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/split.json``."""
        roles = self.folds.roles
        return {
            "folds": len(roles),
            "tiles": {role: {f"fold{k}": int((fold == role).sum()) for k, fold in enumerate(roles)} for role in ROLES},
            "largest_class_share_deviation": self.deviation,
            "absent_classes": len(self.absent),
        }


def make_folds(table: pd.DataFrame, split: Split = Split(), tile: Tile = Tile()) -> SplitTiles:
    """Split the tiles of a region into folds, and into folds at random for comparison where `split` asks for them.

    Parameters
    ----------
    table : DataFrame
        Tiles with ``row``, ``col`` and ``label``.
    split : Split
    tile : Tile

    Returns
    -------
    SplitTiles

    Raises
    ------
    InputError
        A class has no tile at all, or the tiles cannot be split so.
    """
    row, col, label = (table[name].to_numpy() for name in ("row", "col", "label"))
    counts = np.bincount(label, minlength=tile.n_classes)
    if not counts.all():
        missing = " or ".join(tile.class_names[k] for k in np.flatnonzero(counts == 0))
        raise InputError(
            f"tile.edges: no tile is of class {missing} mW/m2 (tiles in each class: {', '.join(map(str, counts))}); "
            "no network can learn it, choose other edges or a region with such wells"
        )
    roles = split_tiles(row, col, label, split, tile)
    repeat = np.repeat(np.arange(split.repeats), split.folds).astype(str)
    shares = np.array([[np.mean(label[fold == "test"] == k) for k in range(tile.n_classes)] for fold in roles])
    deviation = float(np.abs(shares - counts / counts.sum()).max())
    absent = absent_classes(roles, label, tile.n_classes)
    if split.optimism and split.scheme != COMPARED:
        at_random = split.model_copy(update={"scheme": COMPARED, "repeats": 1})
        roles = np.concatenate([roles, split_tiles(row, col, label, at_random, tile)])
        repeat = np.append(repeat, [COMPARED] * split.folds)
    return SplitTiles(Folds(roles, repeat), deviation, absent)
