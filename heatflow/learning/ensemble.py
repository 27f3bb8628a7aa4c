"""The networks of all folds and seeds: training them, and what came of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from heatflow.compute.mapping import map_in_order
from heatflow.compute.memory import keep_freed_memory
from heatflow.compute.task import OpeningTask, Unfinished
from heatflow.config.schema import Params, Tile
from heatflow.errors import InputError
from heatflow.learning import training
from heatflow.learning.augment import pipeline
from heatflow.learning.checkpoints import Checkpoints, from_bytes, to_bytes
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.patches import PatchSampler, PatchSource, Terrain

SEED_STEP = 1000  # between the seeds of the networks of one fold
PARTS = 4  # of the training of a network; others train between them
TORCH_MEMORY = 1e9  # bytes that a process which trains takes besides its tiles


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
    resumed : int
        Epochs that an earlier run, which was killed, had already done.
    """

    fold: int
    seed: int
    network: NetworkInNetwork
    history: list[training.History]
    stuck: bool
    dead: list[int]
    resumed: int = 0


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
        known = {
            name: mean for name, mean in means.items() if np.isfinite(mean)
        }  # of validation only where there is some
        stuck, dead = (sum(n) for n in zip(*((one.stuck, len(one.dead)) for one in self.trained), strict=True))
        return {**known, "stuck_folds": stuck, "dead_classes": dead}


@dataclass(frozen=True)
class TrainingFiles:
    """Files that networks learn from.

    Parameters
    ----------
    fold_data : tuple of Path
        As `FoldData.load` takes them.
    terrain, wells : Path
        Of the stages of these names.
    sites : Path or None
        Of the tile stage; None: networks learn from the classes of tiles alone.
    channels : Path or None
        From `write_surroundings`; None: networks learn from the tiles of the grid.
    tile : Tile
    """

    fold_data: tuple[Path, ...]
    terrain: Path
    wells: Path
    sites: Path | None
    channels: Path | None
    tile: Tile

    def __call__(self) -> tuple[FoldData, Terrain | None]:
        """Open them."""
        data = FoldData.load(self.fold_data, self.tile.margin)
        if self.channels is None:
            return data, None
        return data, Terrain.load(self.terrain, self.wells, self.sites, self.channels, self.tile)


@dataclass(frozen=True)
class NetworkItem:
    """A network that is to be trained.

    Parameters
    ----------
    fold, seed : int
        Numbers of the fold and of the network in it.
    state : bytes or None
        From which its training goes on.
    resumed : int
        See `TrainedNetwork`.
    """

    fold: int
    seed: int
    state: bytes | None = None
    resumed: int = 0


@dataclass(frozen=True)
class TrainingTask(OpeningTask):
    """Training of one network, in whatever process, part by part.

    Parameters
    ----------
    open : callable
        Gives the data of the folds, and the terrain where training patches are cut (None: networks learn from the tiles
        of the grid), such as `TrainingFiles`.
    params : Params
        Its sections augment, filter, model, split, tile and train.
    engine : Engine
    checkpoints : Checkpoints, optional
        Where states are kept, so that training that is killed can go on.
    """

    open: Callable[[], tuple[FoldData, Terrain | None]]
    params: Params
    engine: Engine
    checkpoints: Checkpoints | None = None

    def __call__(self, item: NetworkItem) -> TrainedNetwork | Unfinished:
        """Train a part of a network, or the rest of it."""
        fold, seed, p, engine = item.fold, item.seed, self.params, self.engine
        keep_freed_memory()
        data, terrain = self.opened
        resume, item = self._resume(item)
        paused: list[bytes] = []

        def on_state(state: training.State) -> bool:
            if self.checkpoints:
                self.checkpoints.save(_name(item), state)
            epochs = len(state["history"])
            if epochs % math.ceil(p.train.epochs / PARTS) == 0 and epochs < p.train.epochs:
                paused.append(to_bytes(state))
            return bool(paused)

        source = _source(data, fold, p, engine, terrain)
        validation = data.part(fold, "validation", engine) if len(data.members(fold, "validation")) else None
        with training.reproducible(p.train.seed + fold + SEED_STEP * seed):
            network = _network(p, data.tiles.channels, sites=source.site_labels is not None)
            history = training.train_network(network, source, validation, p.train, engine, on_state, resume)
            if paused:
                return Unfinished(replace(item, state=paused[0]))
            learnt = np.concatenate([data.members(fold, role) for role in ("train", "validation")])
            scores = [
                training.predict(network, data.inputs(fold, some, engine.device).to(engine.dtype), len(some), engine)
                for some in np.split(learnt, np.arange(p.train.batch_size, len(learnt), p.train.batch_size))
            ]
        stuck, dead = training.stuck_at_chance(history, network.classes), training.dead_classes(torch.cat(scores))
        return TrainedNetwork(fold, seed, network.cpu(), history, stuck, dead, item.resumed)

    def _resume(self, item: NetworkItem) -> tuple[training.State | None, NetworkItem]:
        """The state from which training goes on: that of the item, or one that an earlier run has left."""
        if item.state:
            return from_bytes(item.state), item
        left = self.checkpoints.load(_name(item)) if self.checkpoints else None
        return left, replace(item, resumed=len(left["history"]) if left else 0)


def train_folds(
    task: TrainingTask, on_network: Callable[[TrainedNetwork], object] = lambda trained: None,
    on_done: Callable[[], object] = lambda: None,
) -> Ensemble:  # fmt: skip
    """Train the networks of all folds, side by side.

    Parameters
    ----------
    task : TrainingTask
    on_network : callable
        Takes each trained network, fold by fold and seed by seed.
    on_done : callable
        Called whenever one is trained.

    Raises
    ------
    InputError
        A fold would be tested on a copy of what it learns from, or a loss is no longer finite.
    """
    data, _ = task.opened
    _refuse_duplicates(data)
    networks = [NetworkItem(*numbers) for numbers in product(range(data.folds), range(task.params.train.seeds))]
    trained = []
    memory = TORCH_MEMORY + 2 * data.tiles.framed[:1].nbytes * len(data.table)
    for one in map_in_order(task, networks, memory=memory, alone=task.engine.device.type != "cpu", on_done=on_done):
        trained.append(one)
        on_network(one)
    return Ensemble(trained)


def _name(item: NetworkItem) -> str:
    """Of its checkpoints."""
    return f"fold{item.fold}_{item.seed}"


def _refuse_duplicates(data: FoldData) -> None:
    if duplicates := data.duplicates():
        fold, tested, learnt = duplicates[0]
        raise InputError(
            f"terrain: tile {tested}, which fold {fold} tests, holds the same pixels as tile {learnt}, which it learns "
            f"from ({len(duplicates)} such pairs); no score on them would mean anything, remove the copies"
        )


def _network(params: Params, inputs: int, sites: bool) -> NetworkInNetwork:
    tile, model, train = params.tile, params.model, params.train
    return NetworkInNetwork(
        classes=tile.n_classes, channels=model.channels, inputs=inputs, layout=model.layout, sites=sites,
        size=tile.size, margin=tile.margin, dropout=train.dropout, batch_norm=model.batch_norm, pooling=model.pooling,
        head_relu=model.head_relu, loss=train.loss, first_high=tile.first_high,
    )  # fmt: skip


def _source(
    data: FoldData, fold: int, params: Params, engine: Engine, terrain: Terrain | None
) -> training.Source:  # fmt: skip
    """What the networks of a fold learn from: its tiles, or patches of the terrain in its training part."""
    augment = params.augment
    if terrain is None:
        turned = pipeline(flip=augment.flip, rotation=augment.rotation, noise=augment.noise)
        return training.TileSource(data.part(fold, "train", engine), turned)
    row, col, label = (data.table[name].to_numpy()[data.members(fold, "train")] for name in ("row", "col", "label"))
    excluded = data.excluded(fold, terrain.tiles, params.split.buffer)
    sampler = PatchSampler(terrain, row, col, label, excluded, params.tile, params.filter, augment)
    noise = pipeline(flip=False, rotation=0, noise=augment.noise)
    return PatchSource(sampler, data.scalings[fold], noise, engine)
