"""Folds: which tiles train, validate and test each model.

Tiles close together look alike, so a tile drawn at random is half known from its neighbours, and the score measures
memory. Folds are therefore made of contiguous square blocks (Roberts et al., 2017, Ecography 40:913).
"""

import numpy as np
import pandas as pd

from heatflow.errors import InputError

ROLES = ("train", "validation", "test", "buffer")
TRIALS = 200  # random orders tried for the best balance


def split_tiles(
    row: np.ndarray,
    col: np.ndarray,
    label: np.ndarray,
    *,
    scheme: str,
    folds: int,
    block_size: int,
    validation: float,
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
    folds : number of folds; each tile is in the test part of exactly one
    block_size : edge of a block in tiles (of `size` pixels)
    validation : share of a fold's training side that is kept for validation, in whole blocks
    size, stride : of the tiles, pixels. Where tiles overlap, one that shares pixels with a test tile takes no part in
        that fold: its role is "buffer".

    Returns
    -------
    roles : object array of str, shape (folds, n)

    Raises
    ------
    InputError
        Fewer blocks than folds, or too few for a validation part.
    """
    rng = np.random.default_rng(seed)
    blocks = np.arange(len(row))
    if scheme == "blocks":
        blocks = block_of(row, col, block_size, size, stride)
    n_blocks = len(np.unique(blocks))
    if n_blocks < folds + 1:
        what = "blocks of tiles" if scheme == "blocks" else "tiles"
        remedy = "split.folds or split.block_size" if scheme == "blocks" else "split.folds"
        raise InputError(
            f"split.folds: {folds} folds and a validation part need at least {folds + 1} {what}, "
            f"and there are {n_blocks} ({len(row)} tiles); decrease {remedy}"
        )
    fold = _deal(blocks, label, folds, rng)
    roles = np.full((folds, len(row)), "train", dtype=object)
    for k in range(folds):
        test = fold == k
        side = np.flatnonzero(~test)
        parts = max(2, round(1 / validation))
        parts = min(parts, len(np.unique(blocks[side])))
        dealt = _deal(blocks[side], label[side], parts, rng)
        held_out = min(range(parts), key=lambda p: _imbalance(label[side], dealt == p, 1 / parts))
        roles[k, side[dealt == held_out]] = "validation"
        roles[k, test] = "test"
        if stride < size:
            roles[k, side[_touches(row[side], col[side], row[test], col[test], size, stride)]] = "buffer"
            learners = np.flatnonzero(roles[k] == "train")
            kept = np.flatnonzero(roles[k] == "validation")
            roles[k, learners[_touches(row[learners], col[learners], row[kept], col[kept], size, stride)]] = "buffer"
        if not (roles[k] == "train").any() or not (roles[k] == "validation").any():
            raise InputError(
                f"split: fold {k} has no tile left to train or validate on after those that overlap its test tiles "
                "were set aside; increase tile.stride, or decrease split.folds or split.block_size"
            )
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


def _touches(row, col, test_row, test_col, size, stride):
    """Whether each tile shares a pixel with any of the other tiles."""
    reach = (size - 1) // stride
    near = np.abs(row[:, None] - test_row) <= reach
    near &= np.abs(col[:, None] - test_col) <= reach
    return near.any(axis=1)


def absent_classes(roles: np.ndarray, label: np.ndarray, n_classes: int) -> list[tuple[int, str, int]]:
    """(fold, role, class) for every class that a part of a fold lacks altogether."""
    found = []
    for k, row in enumerate(roles):
        for role in ROLES[:3]:
            present = np.unique(label[row == role])
            found += [(k, role, c) for c in range(n_classes) if c not in present]
    return found


def fold_table(tile: np.ndarray, roles: np.ndarray) -> pd.DataFrame:
    """Long table of ``tile``, ``fold``, ``role``, one row for each tile in each fold."""
    folds, n = roles.shape
    return pd.DataFrame(
        {"tile": np.tile(tile, folds), "fold": np.repeat(np.arange(folds), n), "role": roles.ravel().astype(str)}
    )


def read_roles(path, tile: np.ndarray) -> np.ndarray:
    """Roles from a file that `fold_table` filled: object array of str, shape (folds, n), in the order of `tile`."""
    table = pd.read_csv(path).pivot(index="fold", columns="tile", values="role")
    return table[tile].to_numpy(dtype=object)
