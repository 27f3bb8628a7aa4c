"""The networks of all folds and seeds: training them, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch

from heatflow.config.schema import Params
from heatflow.errors import InputError
from heatflow.learning import training
from heatflow.learning.augment import pipeline
from heatflow.learning.checkpoints import Checkpoints
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.patches import PatchSampler, PatchSource, Terrain, framed

SEED_STEP = 1000  # between the seeds of the networks of one fold


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and how its training went.

    Parameters
    ----------
    fold, seed : int
        Numbers of the fold and of the network in it.
    network : NetworkInNetwork
        On the CPU.
    history : list of dict
        From `train_network`.
    stuck : bool
        Whether its loss never fell below that of a guess.
    dead : list of int
        Classes whose score is the same for every tile.
    """

    fold: int
    seed: int
    network: NetworkInNetwork
    history: list[training.History]
    stuck: bool
    dead: list[int]


@dataclass(frozen=True)
class Ensemble:
    """All networks.

    Parameters
    ----------
    trained : list of TrainedNetwork
        Fold by fold, and in each seed by seed.
    """

    trained: list[TrainedNetwork]

    @property
    def networks(self) -> list[list[NetworkInNetwork]]:
        """For each fold the networks of its seeds."""
        return [[one.network for one in fold] for _, fold in groupby(self.trained, key=lambda one: one.fold)]

    @property
    def curves(self) -> pd.DataFrame:
        """Loss and accuracy of every epoch, with ``fold``: its number, and that of the seed where there are several."""
        several = any(one.seed for one in self.trained)
        name = "{0.fold}.{0.seed}" if several else "{0.fold}"
        return pd.DataFrame([{"fold": name.format(one), **row} for one in self.trained for row in one.history])

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/train.json``."""
        names = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
        means = {name: np.mean([one.history[-1][name] for one in self.trained]) for name in names}
        stuck, dead = (sum(n) for n in zip(*((one.stuck, len(one.dead)) for one in self.trained), strict=True))
        return {**means, "stuck_folds": stuck, "dead_classes": dead}


def train_folds(
    data: FoldData, params: Params, engine: Engine, terrain: Terrain | None = None,
    checkpoints: Checkpoints | None = None, *,
    on_epoch: Callable[[int, training.History], object] = lambda fold, row: None,
    on_resume: Callable[[int, int, int], object] = lambda fold, seed, epochs: None,
    on_network: Callable[[TrainedNetwork], object] = lambda trained: None,
) -> Ensemble:  # fmt: skip
    """Train the networks of all folds.

    Parameters
    ----------
    data : FoldData
    params : Params
        Its sections augment, filter, model, split, tile and train.
    engine : Engine
    terrain : Terrain, optional
        Where training patches are cut; None: networks learn from the tiles of the grid.
    checkpoints : Checkpoints, optional
        Where states are kept, so that training that is killed can go on.
    on_epoch : callable
        Takes the number of the fold and the row of each epoch.
    on_resume : callable
        Takes the numbers of the fold and of the seed of training that goes on, and the epochs already done.
    on_network : callable
        Takes each trained network.

    Raises
    ------
    InputError
        A fold would be tested on a copy of what it learns from, or a loss is no longer finite.
    """
    _refuse_duplicates(data)
    whole = None if terrain is None else framed(terrain.elevation).to(engine.device)
    trained = []
    for fold in range(data.folds):
        parts = [data.part(fold, role, engine) for role in ("train", "validation")]
        source = _source(data, fold, params, engine, parts[0], terrain, whole)
        for seed in range(params.train.seeds):
            name = f"fold{fold}_{seed}"
            resume = checkpoints.load(name) if checkpoints else None
            if resume:
                on_resume(fold, seed, len(resume["history"]))
            save = partial(checkpoints.save, name) if checkpoints else lambda state: None
            with training.reproducible(params.train.seed + fold + SEED_STEP * seed):
                network = _network(params)
                history = training.train_network(
                    network, source, parts[1], params.train, engine, partial(on_epoch, fold), save, resume
                )
                tiles = torch.cat([part.tiles for part in parts])
                scores = training.predict(network, tiles, params.train.batch_size, engine)
            stuck, dead = training.stuck_at_chance(history, network.classes), training.dead_classes(scores)
            trained.append(TrainedNetwork(fold, seed, network.cpu(), history, stuck, dead))
            on_network(trained[-1])
    return Ensemble(trained)


def _refuse_duplicates(data: FoldData) -> None:
    if duplicates := data.duplicates():
        fold, tested, learnt = duplicates[0]
        raise InputError(
            f"terrain: tile {tested}, which fold {fold} tests, holds the same pixels as tile {learnt}, which it learns "
            f"from ({len(duplicates)} such pairs); no score on them would mean anything, remove the copies"
        )


def _network(params: Params) -> NetworkInNetwork:
    tile, model, train = params.tile, params.model, params.train
    return NetworkInNetwork(
        classes=tile.n_classes, channels=model.channels, dropout=train.dropout, batch_norm=model.batch_norm,
        head_relu=model.head_relu, loss=train.loss, first_high=tile.first_high,
    )  # fmt: skip


def _source(
    data: FoldData, fold: int, params: Params, engine: Engine, learnt: training.Part, terrain: Terrain | None,
    whole: torch.Tensor | None,
) -> training.Source:  # fmt: skip
    """What the networks of a fold learn from: its tiles, or patches of the `whole` terrain in its training part."""
    augment = params.augment
    if terrain is None or whole is None:
        return training.TileSource(learnt, pipeline(flip=augment.flip, rotation=augment.rotation, noise=augment.noise))
    row, col, label = (data.table[name].to_numpy()[data.members(fold, "train")] for name in ("row", "col", "label"))
    excluded = data.excluded(fold, terrain.tiles, params.split.buffer)
    sampler = PatchSampler(terrain, row, col, label, excluded, params.tile, params.filter, augment)
    noise = pipeline(flip=False, rotation=0, noise=augment.noise)
    return PatchSource(sampler, whole, data.scalings[fold], noise, engine.dtype)
