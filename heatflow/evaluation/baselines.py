"""Baselines: what can be said of a tile without a network, out of fold on the network's own folds.

Each answers one objection to a network's skill. Count: the largest of many residuals is larger than the largest of few,
so the number of wells tells the class. Position: the region is hot in places, and the place alone gives the class.
Terrain statistics, with a linear model or a forest: plain relief says as much as the network does.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import parallel_config
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
    return RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed, n_jobs=-1)


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
    total, times = np.zeros((len(label), classes)), np.zeros((len(label), 1))
    for fold in roles:
        known, test = np.isin(fold, ("train", "validation")), fold == "test"
        counts = _counts(label[known], classes)
        total[test] += SHARE_OF_PRIOR * counts / counts.sum()
        times[test] += 1
        present = np.unique(label[known])
        if len(present) > 1:
            fitted = model(seed).fit(columns[known], label[known])
            with parallel_config(backend="sequential"):  # threads add up a forest's trees in the order that they end in
                shares = fitted.predict_proba(columns[test])
            total[np.ix_(test, fitted.classes_)] += (1 - SHARE_OF_PRIOR) * shares
        else:  # a classifier needs two classes
            total[np.ix_(test, present)] += 1 - SHARE_OF_PRIOR
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


def planned_fits(split: Folds, tile: Tile) -> list[tuple[str, str, str]]:
    """(baseline, statistic, random split: yes or no) of each fit of `baselines_out_of_fold`, in order."""
    own: str = tile.statistic
    fits = [(name, own, "no") for name in ("terrain", "terrain_linear", "count", "position")]
    fits += [(name, other, "no") for other in STATISTICS for name in ON_EVERY_STATISTIC if other != own]
    return fits + [(name, own, "yes") for name in ON_RANDOM_FOLDS if len(split.compared)]


def baselines_out_of_fold(kept: pd.DataFrame, terrain: np.ndarray, split: Folds, tile: Tile, seed: int,
                          on_fit: Callable[[], object] = lambda: None) -> pd.DataFrame:  # fmt: skip
    """Every baseline on every tile, also with other statistics of the wells and on a random split.

    Parameters
    ----------
    kept : DataFrame
        A row for each tile with ``tile``, ``row``, ``col``, ``n_wells`` and ``residual_<statistic>``.
    terrain : float array, shape (n, k)
        `heatflow.geo.terrain_statistics` of the tiles.
    split : Folds
    tile : Tile
    seed : int
    on_fit : callable
        Called after each baseline.

    Returns
    -------
    DataFrame
        ``tile``, ``baseline``, ``statistic`` (of the residuals, from which the classes follow), ``random`` (yes: on the
        random split), ``p0`` and so on.
    """
    count, place = (kept[names].to_numpy(dtype=float) for names in (["n_wells"], ["row", "col"]))
    columns = {"terrain": terrain, "terrain_linear": terrain, "count": count, "position": place}
    tables = []
    for name, statistic, random in planned_fits(split, tile):
        label = classify(kept[f"residual_{statistic}"].to_numpy(), tile.edges)
        roles = split.roles[split.compared if random == "yes" else split.scored]
        model = linear if name == "terrain_linear" else forest
        probability = out_of_fold(columns[name], label, roles, tile.n_classes, model, seed)
        key = {"tile": kept["tile"].to_numpy(), "baseline": name, "statistic": statistic, "random": random}
        tables.append(pd.DataFrame(key).join(pd.DataFrame(probability, columns=tile.class_columns)))
        on_fit()
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
