"""Train a network on each fold."""

from functools import partial

import numpy as np
import pandas as pd
import shapely
import torch

from heatflow.errors import InputError
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import read_features
from heatflow.learning.augment import pipeline
from heatflow.learning.checkpoints import Checkpoints, fingerprint
from heatflow.learning.engine import Engine, keep_freed_memory
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import save_networks
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.patches import PatchSampler, PatchSource, Rules, Terrain, framed
from heatflow.learning.training import (
    TileSource,
    dead_classes,
    predict,
    reproducible,
    stuck_at_chance,
    train_network,
)
from heatflow.pipeline import code_of
from stages._paths import (
    CHECKPOINTS,
    CODE,
    CURVES,
    FOLDS,
    KEPT,
    METRICS,
    MODELS,
    SCALING,
    TERRAIN,
    TILE_TABLE,
    TILES,
    WELLS,
)
from stages._runner import progress, read_params, run, say, warn

PARAMS = ("augment", "filter", "model", "split.buffer", "tile", "train")
INPUTS = (TERRAIN, WELLS, TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
SEED_STEP = 1000  # between the seeds of the networks of one fold


def main():
    p = read_params(PARAMS)
    recipe = p.train
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    if twins := data.twins():
        fold, tested, learnt = twins[0]
        raise InputError(
            f"{TILES}: tile {tested}, which fold {fold} tests, holds the same pixels as tile {learnt}, which it learns "
            f"from ({len(twins)} such pairs); a score on them is worth nothing, remove the copies from the terrain"
        )
    classes = p.tile.n_classes
    engine = Engine.choose(
        p.train.device,
        p.train.precision,
        p.train.compile,
        passes=recipe.epochs * int((data.roles == "train").sum()) * p.train.seeds,
        on_fallback=lambda reason: warn(f"torch.compile does not work here ({reason}); going on without it"),
    )
    keep_freed_memory()
    say(f"computing on {engine}")
    source_of = _patches(p, data, engine) if p.augment.resample else _tiles(p, data, engine)
    checkpoints = Checkpoints(
        CHECKPOINTS,
        fingerprint([p, str(engine)], [*INPUTS, *(CODE / f for f in code_of(CODE / "stages/train.py", CODE))]),
    )
    networks, histories, stuck, dead = [], [], 0, 0
    with progress(data.folds * p.train.seeds * recipe.epochs, "train", "epoch") as bar:
        for fold in range(data.folds):
            networks.append([])
            training, validation = (data.part(fold, role, engine) for role in ("train", "validation"))
            source = source_of(fold, training)
            for number in range(p.train.seeds):
                name = f"fold {fold}" if p.train.seeds == 1 else f"fold {fold}, seed {number}"
                if resume := checkpoints.load(file := f"fold{fold}_{number}"):
                    say(f"{name}: goes on after epoch {len(resume['history'])}, where an earlier run ended")

                def on_epoch(row, fold=fold):
                    bar.set_postfix_str(f"fold {fold} loss {row['train_loss']:.3f} / {row['validation_loss']:.3f}")
                    bar.update()

                with reproducible(p.train.seed + fold + SEED_STEP * number):
                    network = NetworkInNetwork(
                        classes=classes,
                        channels=p.model.channels,
                        dropout=p.train.dropout,
                        batch_norm=p.model.batch_norm,
                        head_relu=p.model.head_relu,
                        loss=p.train.loss,
                        first_high=p.tile.first_high,
                    )
                    history = train_network(
                        network, source, validation, recipe, engine, on_epoch,
                        resume=resume, on_state=partial(checkpoints.save, file),
                    )  # fmt: skip
                    scores = predict(network, torch.cat([training.tiles, validation.tiles]), recipe.batch_size, engine)
                bar.update(recipe.epochs - len(history))
                of_fold = stuck_at_chance(history, classes), dead_classes(scores)
                stuck, dead = stuck + of_fold[0], dead + len(of_fold[1])
                histories.append(
                    [{"fold": f"{fold}" if p.train.seeds == 1 else f"{fold}.{number}", **row} for row in history]
                )
                networks[-1].append(network.cpu())
                last = history[-1]
                bar.clear()
                say(
                    f"{name}: loss {last['train_loss']:.3f} training, {last['validation_loss']:.3f} validation; "
                    f"accuracy {last['train_accuracy']:.1%}, {last['validation_accuracy']:.1%}"
                )
                if of_fold[0]:
                    warn(f"{name}: the loss never left ln({classes}) = {np.log(classes):.3f}: nothing was learnt")
                if of_fold[1]:
                    warn(f"{name}: the score of class {of_fold[1]} is the same for every tile: it is dead")
    with replacing(MODELS) as folder:
        folder.mkdir()
        save_networks(folder, networks)
    write_csv(CURVES, pd.DataFrame([row for history in histories for row in history]))
    write_json(
        METRICS / "train.json",
        {
            "train_loss": np.mean([h[-1]["train_loss"] for h in histories]),
            "validation_loss": np.mean([h[-1]["validation_loss"] for h in histories]),
            "train_accuracy": np.mean([h[-1]["train_accuracy"] for h in histories]),
            "validation_accuracy": np.mean([h[-1]["validation_accuracy"] for h in histories]),
            "stuck_folds": stuck,
            "dead_classes": dead,
        },
    )
    checkpoints.clear()


def _tiles(p, data, engine):
    """Makes the source of a fold's training tiles as they lie on the grid."""
    augment = pipeline(flip=p.augment.flip, rotation=p.augment.rotation, noise=p.augment.noise)
    return lambda fold, training: TileSource(training, augment)


def _patches(p, data, engine):
    """Makes the source of patches cut anew inside a fold's training part."""
    with open_written(TERRAIN) as raster:
        grid = Grid.from_dataset(raster)
        elevation = raster.read(1)
    tiles = TileGrid(grid, p.tile.size, p.tile.step)
    wells = read_features(WELLS)
    x, y = shapely.get_coordinates(wells.geometry.array).T
    place = np.column_stack([grid.top - y, x - grid.left]) / grid.resolution
    terrain = Terrain(elevation, place, wells["residual"].to_numpy(), tiles)
    rules = Rules(
        statistic=p.tile.statistic,
        edges=p.tile.edges,
        min_wells=p.tile.min_wells,
        min_valid=p.filter.min_valid,
        min_relief=p.filter.min_relief,
        max_constant=p.filter.max_constant,
        degrees=p.augment.rotation,
        flip=p.augment.flip,
    )
    noise = pipeline(flip=False, rotation=0, noise=p.augment.noise)
    on_device = framed(elevation).to(engine.device)
    row, col, label = (data.table[name].to_numpy() for name in ("row", "col", "label"))

    def source(fold, training):
        train, closed = data.members(fold, "train"), data.closed(fold, tiles, p.split.buffer)
        sampler = PatchSampler(terrain, rules, row[train], col[train], label[train], closed)
        return PatchSource(sampler, on_device, data.scalings[fold], noise, engine.dtype)

    return source


if __name__ == "__main__":
    run(main, INPUTS)
