"""Baselines: what can be said of a tile without a network, out of fold on the network's own folds.

Each answers one objection to a network's skill. Count: the largest of many residuals is larger than the largest of few,
so the number of wells tells the class. Position, nearest sites: the region is hot in places, and the place alone gives
the class. Terrain statistics, with a linear model or trees, also with the regional trend: plain relief says as much as
the network does. Local: so does the relief around each site. Random features: so do filters that nobody trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from heatflow.compute.mapping import map_in_order
from heatflow.config.schema import Tile
from heatflow.errors import reading
from heatflow.evaluation.random_features import random_features
from heatflow.evaluation.site_models import Places, SiteModel, linear_model, nearest_model
from heatflow.geo.labels import STATISTICS, classify
from heatflow.io.text import read_csv
from heatflow.learning.folds import Folds

TREES = 500
SHARE_OF_PRIOR = 0.05  # of every prediction; the rest is the model's, so that no class is held to be impossible
SHRUNK = 0.01  # inverse strength of the penalty on the weights of many random features
TERRAIN = ("terrain", "terrain_linear", "terrain_trend", "terrain_trend_linear", "random_features")
OF_SITES: dict[str, SiteModel] = {"local": linear_model, "nearest_sites": nearest_model}
ON_EVERY_STATISTIC = ("terrain", "count", "position")  # also fitted to the other statistics of a tile's residuals
ON_RANDOM_FOLDS = ("terrain", "terrain_linear")  # also fitted on the random split, where there is one

Probabilities = dict[tuple[str, ...], np.ndarray]  # (baseline, statistic, random: yes or no): float (n, classes)


def linear(seed: int) -> ClassifierMixin:
    """Logistic regression on standardised columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, random_state=seed))


def shrunk(seed: int) -> ClassifierMixin:
    """`linear` with a penalty for more columns than there are tiles."""
    return linear(seed).set_params(logisticregression__C=SHRUNK)


def trees(seed: int) -> ClassifierMixin:
    """Extremely randomised trees (Geurts, Ernst and Wehenkel, 2006) whose leaves hold five tiles or more."""
    return _IndicatorTrees(TREES, min_samples_leaf=5, max_features="sqrt", random_state=seed)


class _IndicatorTrees(ExtraTreesRegressor):
    """Trees of class indicators, whose squared error is the Gini impurity: the trees of `ExtraTreesClassifier`, which
    inspects the classes again for each tree and takes twice as long."""

    def fit(self, columns: np.ndarray, label: np.ndarray) -> "_IndicatorTrees":
        self.classes_, index = np.unique(label, return_inverse=True)
        return super().fit(columns, np.eye(len(self.classes_))[index])

    def predict_proba(self, columns: np.ndarray) -> np.ndarray:
        return self.predict(columns)


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
        Makes a scikit-learn classifier from a seed, such as `linear` or `trees`.
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


def planned_fits(split: Folds, tile: Tile, trend: bool) -> list[tuple[str, str, int, str]]:
    """(baseline, statistic, fold, random split: yes or no) of each fit of `baselines_out_of_fold`, in order.

    Without a `trend`, where the raster was detrended already, baselines that use it are left out.
    """
    own: str = tile.statistic
    names = [name for name in TERRAIN if trend or "trend" not in name]
    fits = [(name, own, "no") for name in (*names, *OF_SITES, "count", "position")]
    fits += [(name, other, "no") for other in STATISTICS for name in ON_EVERY_STATISTIC if other != own]
    fits += [(name, own, "yes") for name in ON_RANDOM_FOLDS if len(split.compared)]
    folds = {"no": split.scored.tolist(), "yes": split.compared.tolist()}
    return [(name, statistic, fold, random) for name, statistic, random in fits for fold in folds[random]]


@dataclass(frozen=True)
class Predictors:
    """What baselines know of n tiles and of their m sites.

    Parameters
    ----------
    terrain : float array, shape (n, k)
        `heatflow.geo.terrain_statistics` of the tiles.
    trend : float array, shape (n,)
        Mean regional trend of each tile, metres; NaN throughout where none was subtracted.
    images : float array, shape (n, rows, columns)
        Tiles as `heatflow.evaluation.random_features.reduced` gives them.
    local : Places
        `heatflow.geo.local_statistics` around sites, and around points of the tiles.
    nearest : Places
        Coordinates of the same, km.
    block : int array, shape (n,)
        The block that each tile lies in.
    """

    terrain: np.ndarray
    trend: np.ndarray
    images: np.ndarray
    local: Places
    nearest: Places
    block: np.ndarray

    @property
    def has_trend(self) -> bool:
        """Whether there is a regional trend."""
        return bool(np.isfinite(self.trend).any())

    def columns(self, name: str, kept: pd.DataFrame, known: np.ndarray, seed: int) -> np.ndarray:
        """Columns (n, k) of a baseline of tiles; `known` (n,) tiles are those that filters may be cut from."""
        if name in ("count", "position"):
            return kept[["n_wells"] if name == "count" else ["row", "col"]].to_numpy(dtype=float)
        if name == "random_features":
            return random_features(self.images, known, seed)
        trend = np.where(np.isfinite(self.trend), self.trend, np.nanmean(self.trend)) if "trend" in name else None
        return self.terrain if trend is None else np.column_stack([self.terrain, trend])


@dataclass(frozen=True)
class BaselineTask:
    """Fit of one baseline on one fold, in whatever process.

    Parameters
    ----------
    kept : DataFrame
        A row for each tile with ``row``, ``col``, ``n_wells`` and ``residual_<statistic>``.
    predictors : Predictors
    roles : str array, shape (folds, n)
    tile : Tile
    seed : int
    """

    kept: pd.DataFrame
    predictors: Predictors
    roles: np.ndarray
    tile: Tile
    seed: int

    def __call__(self, fit: tuple[str, str, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Class probabilities of the tiles that a fold tests, and of a baseline of sites the probability that each of
        their sites is high, by baseline, statistic and number of the fold."""
        name, statistic, fold = fit
        label = classify(self.kept[f"residual_{statistic}"].to_numpy(), self.tile.edges)
        roles, sites = self.roles[fold], None
        known, test = np.isin(roles, ("train", "validation")), roles == "test"
        if name in OF_SITES:  # its score of tiles becomes probabilities of classes by a fit of its own
            places = self.predictors.local if name == "local" else self.predictors.nearest
            columns, model = np.zeros((len(label), 1)), linear
            columns[known, 0], columns[test, 0], sites = places.fold(OF_SITES[name], known, test, self.predictors.block)
        else:
            columns = self.predictors.columns(name, self.kept, known, self.seed)
            model = shrunk if name == "random_features" else linear if name.endswith("linear") else trees
        return fit_fold(columns, label, roles, self.tile.n_classes, model, self.seed), sites


def baselines_out_of_fold(
    kept: pd.DataFrame, predictors: Predictors, split: Folds, tile: Tile, seed: int,
    on_fit: Callable[[], object] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Every baseline on every tile, also with other statistics of the wells and on a random split.

    Parameters
    ----------
    kept : DataFrame
        As in `BaselineTask`, and ``tile``.
    predictors : Predictors
    split : Folds
    tile : Tile
    seed : int
    on_fit : callable
        Called after each fit of a fold.

    Returns
    -------
    tiles : DataFrame
        ``tile``, ``baseline``, ``statistic`` (of the residuals, from which the classes follow), ``random`` (yes: on the
        random split), ``p0`` and so on.
    sites : DataFrame
        ``baseline``, ``site`` (row of the sites) and ``p_high`` of baselines that predict sites.
    """
    task = BaselineTask(kept.drop(columns="geometry", errors="ignore"), predictors, split.roles, tile, seed)
    fits = planned_fits(split, tile, predictors.has_trend)
    results = map_in_order(task, [fit[:3] for fit in fits], on_done=on_fit)
    tables, sites = [], []
    for (name, statistic, random), of_folds in groupby(fits, key=lambda fit: (fit[0], fit[1], fit[3])):
        folds = [fit[2] for fit in of_folds]
        of_tiles, of_sites = zip(*(next(results) for _ in folds), strict=True)
        probability = _mean_over_folds(of_tiles, split.roles[folds])
        key = {"tile": kept["tile"].to_numpy(), "baseline": name, "statistic": statistic, "random": random}
        tables.append(pd.DataFrame(key).join(pd.DataFrame(probability, columns=tile.class_columns)))
        if name in OF_SITES:
            roles = split.roles[folds][:, predictors.local.tile]
            p_high = _mean_over_folds([part[:, None] for part in of_sites], roles)[:, 0]
            sites.append(pd.DataFrame({"baseline": name, "site": np.arange(len(p_high)), "p_high": p_high}))
    return pd.concat(tables), pd.concat(sites)


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


def read_site_baselines(path: str | Path) -> dict[str, np.ndarray]:
    """Probability that each site is high (sites,), by baseline, from what a stage wrote of `baselines_out_of_fold`."""
    groups = read_csv(path, ("baseline", "site", "p_high")).groupby("baseline", sort=False)
    return {str(name): group.sort_values("site")["p_high"].to_numpy() for name, group in groups}
