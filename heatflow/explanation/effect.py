"""Effect of structure: what is lost with it beyond what is lost with its controls, with one interval and one p-value.

The controls are look-alikes where they are given, and otherwise the terrain under masks of other tiles that lie on
similar ground. Losses are those of `heatflow.explanation.ablation`, in standard deviations of the log-odds.
"""

from typing import Any

import numpy as np

from heatflow.evaluation.intervals import draw_blocks, interval
from heatflow.explanation.ablation import Losses
from heatflow.explanation.known_features import LEAST_TILES

PERMUTATIONS = 1999
SIMILAR = "similar ground in masks of other tiles"
NUMBERS = ("lost", "lost_elsewhere", "excess", "beyond_relief", "effect")


def structure_effect(structures: Losses, lookalikes: Losses | None, seed: int) -> dict[str, Any]:
    """Effect of structures with its interval and p-value, and the numbers that it is made of.

    Parameters
    ----------
    structures : Losses
        With masks of other tiles.
    lookalikes : Losses or None
        The controls, where there are some.
    seed : int

    Returns
    -------
    dict
        ``lost``: without the structures. ``lost_elsewhere``: under masks of other tiles, as they come. ``excess``:
        their difference. ``lost_lookalikes``: without look-alikes. ``beyond_relief``: the difference from masks of
        other tiles on similar ground, where what is left of the difference in ground is regressed out. ``effect``: the
        difference from look-alikes, with ground regressed out, or else ``beyond_relief``. Each has ``_low`` and
        ``_high``; all are NaN with fewer than LEAST_TILES tiles. ``p``: of the effect, two-sided. ``control``: what the
        effect is the difference from. ``tiles``, of ``tiles_with_features``.
    """
    counts = {"tiles": structures.own.shape[1], "tiles_with_features": structures.tiles_with_features}
    if structures.own.shape[1] < LEAST_TILES:
        ends = (f"{name}{end}" for name in NUMBERS for end in ("", "_low", "_high"))
        return counts | dict.fromkeys([*ends, "p"], float("nan")) | {"control": "none"}
    weight, block = ground_weights(structures), structures.block
    own, similar = (
        structures.own - structures.own_ground @ weight,
        structures.similar - structures.similar_ground @ weight,
    )
    elsewhere = structures.as_they_come.mean(axis=-1)
    found = mean_difference("lost", structures.own, None, block, block, seed)
    found |= mean_difference("lost_elsewhere", elsewhere, None, block, block, seed)
    found |= mean_difference("excess", structures.own, elsewhere, block, block, seed)
    found |= mean_difference("beyond_relief", own, similar.mean(axis=-1), block, block, seed)
    if lookalikes is None or lookalikes.own.shape[1] < LEAST_TILES:
        found |= {name.replace("beyond_relief", "effect"): value for name, value in found.items() if "beyond" in name}
        return counts | found | {"p": exchange_p(own.mean(axis=0), similar.mean(axis=0), seed), "control": SIMILAR}
    alike = lookalikes.own - lookalikes.own_ground @ weight
    found |= mean_difference("lost_lookalikes", lookalikes.own, None, lookalikes.block, lookalikes.block, seed)
    found |= mean_difference("effect", own, alike, block, lookalikes.block, seed)
    return counts | found | {"p": label_p(own.mean(axis=0), alike.mean(axis=0), seed), "control": "look-alikes"}


def ground_weights(losses: Losses) -> np.ndarray:
    """How the loss under masks of other tiles depends on the ground, (3,): linear, within each tile."""
    lost = np.concatenate([losses.as_they_come, losses.similar], axis=-1).mean(axis=0)
    ground = np.concatenate([losses.as_they_come_ground, losses.similar_ground], axis=1)
    ground = (ground - ground.mean(axis=1, keepdims=True)).reshape(-1, ground.shape[-1])
    return np.linalg.lstsq(ground, (lost - lost.mean(axis=1, keepdims=True)).ravel(), rcond=None)[0]


def mean_difference(
    name: str, first: np.ndarray, second: np.ndarray | None, first_block: np.ndarray, second_block: np.ndarray,
    seed: int,
) -> dict[str, float]:  # fmt: skip
    """Mean of one group of tiles minus that of another, with its interval over blocks and networks.

    Whole blocks are drawn with replacement, for both groups at once. Each draw has the luck of networks that are drawn
    with replacement, larger by the root of S / (S - 1) for S of them (see `heatflow.evaluation.intervals.Prediction`).

    Parameters
    ----------
    name : str
        Of the number.
    first : float array, shape (networks, n)
    second : float array, shape (networks, m), or None
        None: the mean of the first is taken.
    first_block, second_block : int arrays, shapes (n,) and (m,)
    seed : int

    Returns
    -------
    dict of str to float
        The number under its name, with ``_low`` and ``_high``: NaN in fewer than ten blocks.
    """
    second = np.zeros((len(first), len(second_block))) if second is None else second
    networks = len(first)
    by_network = first.mean(axis=1) - second.mean(axis=1)
    blocks = draw_blocks(np.concatenate([first_block, second_block]), seed)
    n, m = first.shape[1], second.shape[1]
    columns = np.zeros((n + m, 4))  # sums and numbers of tiles of either group
    columns[:n, 0], columns[:n, 1] = first.mean(axis=0), 1
    columns[n:, 2], columns[n:, 3] = second.mean(axis=0), 1
    sums = blocks.sums(columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]
    if networks > 1:
        which = np.random.default_rng([seed, 1]).integers(0, networks, (len(drawn), networks))
        luck = by_network[which].mean(axis=1) - by_network.mean()
        drawn = drawn + np.sqrt(networks / (networks - 1)) * luck
    low, high = interval(drawn)
    return {name: float(by_network.mean()), f"{name}_low": low, f"{name}_high": high}


def label_p(first: np.ndarray, second: np.ndarray, seed: int) -> float:
    """Two-sided p-value of the difference in mean of two groups of tiles: their labels are permuted.

    >>> label_p(np.arange(20) + 5.0, np.arange(20.0), seed=0) < 0.05, label_p(np.arange(20.0), np.arange(20.0), seed=0)
    (True, 1.0)
    """
    every, n = np.concatenate([first, second]), len(first)
    mixed = np.random.default_rng(seed).permuted(np.tile(every, (PERMUTATIONS, 1)), axis=1)
    return _two_sided(first.mean() - second.mean(), mixed[:, :n].mean(axis=1) - mixed[:, n:].mean(axis=1))


def exchange_p(own: np.ndarray, others: np.ndarray, seed: int) -> float:
    """Two-sided p-value of the difference of each tile's own value, (n,), from its others, (n, k).

    Under the null the own value is one like the others: in each permutation one of them all takes its place.
    """
    every = np.column_stack([own, others])
    which = np.random.default_rng(seed).integers(0, every.shape[1], (PERMUTATIONS, len(own)))
    difference = (every - every.mean(axis=1, keepdims=True)) * every.shape[1] / others.shape[1]
    return _two_sided(difference[:, 0].mean(), difference[np.arange(len(own)), which].mean(axis=1))


def _two_sided(value: float, drawn: np.ndarray) -> float:
    further = np.abs(drawn) >= abs(value) - 1e-12
    return float((1 + further.sum()) / (1 + len(drawn)))
