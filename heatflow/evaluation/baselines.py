"""Baselines: what can be said of a tile without a network, out of fold on the network's own folds.

Each answers one objection to a network's skill. Count: the largest of many residuals is larger than the largest of few,
so the number of wells tells the class. Position: the region is hot in places, and the place alone gives the class.
Terrain statistics, with a linear model or a forest: plain relief says as much as the network does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from heatflow.compute.mapping import map_in_order
from heatflow.config.schema import Tile
from heatflow.errors import reading
from heatflow.geo.labels import STATISTICS, classify
from heatflow.io.text import read_csv
from heatflow.learning.folds import Folds

TREES = 500
SHARE_OF_PRIOR = 0.05  # of every prediction; the rest is the model's, so that no class is held to be impossible
ON_EVERY_STATISTIC = ("terrain", "count", "position")  # also fitted to the other statistics of a tile's residuals
ON_RANDOM_FOLDS = ("terrain", "terrain_linear")  # also fitted on the random split, where there is one

Probabilities = dict[tuple[str, ...], np.ndarray]  # (baseline, statistic, random: yes or no): float (n, classes)


def linear(seed: int) -> ClassifierMixin:
    """Logistic regression on standardised columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, random_state=seed))


def forest(seed: int) -> ClassifierMixin:
    """Random forest of trees whose leaves hold three tiles or more."""
    return RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed)


def out_of_fold(columns: np.ndarray, label: np.ndarray, roles: np.ndarray, classes: int,
                model: Callable[[int], ClassifierMixin], seed: int) -> np.ndarray:  # fmt: skip
    """Class probabilities of every tile from a model that was fitted without its fold; their mean over repeats.

    The model is fitted to the training and the validation tiles: it has nothing to choose by validation, and a baseline
    is to be as good as it can.

    Parameters
    ----------
    columns : float array, shape (n, k)
        Predictors.
    label : int array, shape (n,)
        Class of each tile.
    roles : str array, shape (folds, n)
        Role of each tile in each fold.
    classes : int
        Number of classes, also those that no tile has.
    model : callable
        Makes a scikit-learn classifier from a seed, such as `linear` or `forest`.
    seed : int

    Returns
    -------
    float64 array, shape (n, classes)
        Rows sum to 1.

    Examples
    --------
    >>> roles = np.array([["train", "train", "test", "test"], ["test", "test", "train", "train"]])
    >>> hot = np.array([0, 1, 1, 0])
    >>> out_of_fold(hot[:, None], hot, roles, 2, linear, seed=0).argmax(axis=1)
    array([0, 1, 1, 0])
    """
    folds = [fit_fold(columns, label, fold, classes, model, seed) for fold in roles]
    return _mean_over_folds(folds, roles)


def fit_fold(columns: np.ndarray, label: np.ndarray, roles: np.ndarray, classes: int,
             model: Callable[[int], ClassifierMixin], seed: int) -> np.ndarray:  # fmt: skip
    """Class probabilities of the tiles that one fold tests, float64 (m, classes); `roles` (n,) are those of the fold,
    the rest as in `out_of_fold`."""
    known, test = np.isin(roles, ("train", "validation")), roles == "test"
    counts = _counts(label[known], classes)
    shares = np.tile(SHARE_OF_PRIOR * counts / counts.sum(), (test.sum(), 1))
    present = np.unique(label[known])
    if len(present) > 1:
        fitted = model(seed).fit(columns[known], label[known])
        shares[:, fitted.classes_] += (1 - SHARE_OF_PRIOR) * fitted.predict_proba(columns[test])
    else:  # a classifier needs two classes
        shares[:, present] += 1 - SHARE_OF_PRIOR
    return shares


def _mean_over_folds(folds: Sequence[np.ndarray], roles: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) of all tiles, the mean over the folds that test each."""
    total, times = np.zeros((roles.shape[1], folds[0].shape[1])), np.zeros((roles.shape[1], 1))
    for probability, fold in zip(folds, roles, strict=True):
        total[fold == "test"] += probability
        times[fold == "test"] += 1
    return total / times


def _counts(label: np.ndarray, classes: int) -> np.ndarray:
    """Tiles of each class, and half a tile more, so that no class has a share of 0; float64 array, shape (classes,)."""
    return np.bincount(label, minlength=classes) + 0.5


def constant_guess(roles: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """The constant guess: in each fold the class shares of its training tiles; over repeats of the split their mean.

    It ranks no tile of a fold above another, so its ``auc_high`` is 0.5 by definition; taken over all folds it would
    rank tiles by the accident of which classes were held out.

    Parameters
    ----------
    roles : str array, shape (folds, n)
        Role of each tile in each fold; each tile is tested by one fold or more.
    label : int array, shape (n,)
    classes : int

    Returns
    -------
    float64 array, shape (n, classes)
    """
    tests = roles == "test"
    shares = np.array([_counts(label[fold == "train"], classes) for fold in roles])
    shares /= shares.sum(axis=1, keepdims=True)
    return tests.T @ shares / tests.sum(axis=0)[:, None]


def planned_fits(split: Folds, tile: Tile) -> list[tuple[str, str, int, str]]:
    """(baseline, statistic, fold, random split: yes or no) of each fit of `baselines_out_of_fold`, in order."""
    own: str = tile.statistic
    fits = [(name, own, "no") for name in ("terrain", "terrain_linear", "count", "position")]
    fits += [(name, other, "no") for other in STATISTICS for name in ON_EVERY_STATISTIC if other != own]
    fits += [(name, own, "yes") for name in ON_RANDOM_FOLDS if len(split.compared)]
    folds = {"no": split.scored.tolist(), "yes": split.compared.tolist()}
    return [(name, statistic, fold, random) for name, statistic, random in fits for fold in folds[random]]


@dataclass(frozen=True)
class BaselineTask:
    """Fit of one baseline on one fold, in whatever process.

    Parameters
    ----------
    kept : DataFrame
        A row for each tile with ``row``, ``col``, ``n_wells`` and ``residual_<statistic>``.
    terrain : float array, shape (n, k)
        `heatflow.geo.terrain_statistics` of the tiles.
    roles : str array, shape (folds, n)
    tile : Tile
    seed : int
    """

    kept: pd.DataFrame
    terrain: np.ndarray
    roles: np.ndarray
    tile: Tile
    seed: int

    def __call__(self, fit: tuple[str, str, int]) -> np.ndarray:
        """Probabilities of the tiles that a fold tests, by baseline, statistic and number of the fold."""
        name, statistic, fold = fit
        label = classify(self.kept[f"residual_{statistic}"].to_numpy(), self.tile.edges)
        names = {"count": ["n_wells"], "position": ["row", "col"]}.get(name)
        columns = self.kept[names].to_numpy(dtype=float) if names else self.terrain
        model = linear if name == "terrain_linear" else forest
        return fit_fold(columns, label, self.roles[fold], self.tile.n_classes, model, self.seed)


def baselines_out_of_fold(kept: pd.DataFrame, terrain: np.ndarray, split: Folds, tile: Tile, seed: int,
                          on_fit: Callable[[], object] = lambda: None) -> pd.DataFrame:  # fmt: skip
    """Every baseline on every tile, also with other statistics of the wells and on a random split.

    Parameters
    ----------
    kept : DataFrame
        As in `BaselineTask`, and ``tile``.
    terrain : float array, shape (n, k)
        `heatflow.geo.terrain_statistics` of the tiles.
    split : Folds
    tile : Tile
    seed : int
    on_fit : callable
        Called after each fit of a fold.

    Returns
    -------
    DataFrame
        ``tile``, ``baseline``, ``statistic`` (of the residuals, from which the classes follow), ``random`` (yes: on the
        random split), ``p0`` and so on.
    """
    task = BaselineTask(kept.drop(columns="geometry", errors="ignore"), terrain, split.roles, tile, seed)
    fits = planned_fits(split, tile)
    results = map_in_order(task, [fit[:3] for fit in fits], on_done=on_fit)
    tables = []
    for (name, statistic, random), of_folds in groupby(fits, key=lambda fit: (fit[0], fit[1], fit[3])):
        folds = [fit[2] for fit in of_folds]
        probability = _mean_over_folds([next(results) for _ in folds], split.roles[folds])
        key = {"tile": kept["tile"].to_numpy(), "baseline": name, "statistic": statistic, "random": random}
        tables.append(pd.DataFrame(key).join(pd.DataFrame(probability, columns=tile.class_columns)))
    return pd.concat(tables)


def read_baselines(path: str | Path, ids: np.ndarray, columns: list[str]) -> Probabilities:
    """Read what `baselines_out_of_fold` returned and a stage wrote.

    Parameters
    ----------
    path : str or Path
    ids : int array, shape (n,)
        Numbers of the tiles, in the order that is wanted.
    columns : list of str
        Columns of the class probabilities.

    Raises
    ------
    InputError
        The file is damaged, or lacks a tile.
    """
    table = read_csv(path)
    with reading(path):
        groups = table.groupby(["baseline", "statistic", "random"], sort=False)
        tables = {tuple(map(str, key)): group.set_index("tile")[columns] for key, group in groups}
        return {key: table.loc[ids].to_numpy() for key, table in tables.items()}
