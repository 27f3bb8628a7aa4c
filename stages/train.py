"""Train a network on each fold."""

import numpy as np
import pandas as pd
import torch

from heatflow.files import replacing, write_csv, write_json
from heatflow.learning.augment import pipeline
from heatflow.learning.engine import Engine, keep_freed_memory
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import save_networks
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import (
    Part,
    Recipe,
    dead_classes,
    predict,
    reproducible,
    stuck_at_chance,
    train_network,
)
from stages._stage import (
    CURVES,
    FOLDS,
    KEPT,
    METRICS,
    MODELS,
    SCALING,
    TILE_TABLE,
    TILES,
    progress,
    read_params,
    run,
    say,
    warn,
)

PARAMS = ("augment", "model", "train", "tile.edges")
INPUTS = (TILES, TILE_TABLE, KEPT, FOLDS, SCALING)


def main():
    p = read_params(PARAMS)
    recipe = Recipe(
        epochs=p.train.epochs,
        batch_size=p.train.batch_size,
        lr=p.train.lr,
        optimizer=p.train.optimizer,
        momentum=p.train.momentum,
        weight_decay=p.train.weight_decay,
        schedule=p.train.schedule,
        seed=p.train.seed,
    )
    augment = pipeline(flip=p.augment.flip, rotation=p.augment.rotation, noise=p.augment.noise)
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    classes = len(p.tile.edges) + 1
    engine = Engine.choose(
        p.train.device,
        p.train.precision,
        p.train.compile,
        passes=recipe.epochs * int((data.roles == "train").sum()),
        on_fallback=lambda reason: warn(f"torch.compile does not work here ({reason}); going on without it"),
    )
    keep_freed_memory()
    say(f"computing on {engine}")
    networks, histories, stuck, dead = [], [], [], []
    with progress(data.folds * recipe.epochs, "train", "epoch") as bar:
        for fold in range(data.folds):

            def on_epoch(row, fold=fold):
                bar.set_postfix_str(f"fold {fold} loss {row['train_loss']:.3f} / {row['validation_loss']:.3f}")
                bar.update()

            training, validation = (Part.of(*data.part(fold, role), engine) for role in ("train", "validation"))
            with reproducible(recipe.seed + fold):
                network = NetworkInNetwork(
                    classes,
                    p.model.channels,
                    dropout=p.train.dropout,
                    batch_norm=p.model.batch_norm,
                    head_relu=p.model.head_relu,
                )
                history = train_network(network, training, validation, recipe, augment, engine, on_epoch)
                scores = predict(network, torch.cat([training.tiles, validation.tiles]), recipe.batch_size, engine)
            stuck.append(stuck_at_chance(history, classes))
            dead.append(dead_classes(scores))
            histories.append(history)
            networks.append(network.cpu())
            last = history[-1]
            bar.clear()
            say(
                f"fold {fold}: loss {last['train_loss']:.3f} training, {last['validation_loss']:.3f} validation; "
                f"accuracy {last['train_accuracy']:.1%}, {last['validation_accuracy']:.1%}"
            )
            if stuck[-1]:
                warn(f"fold {fold}: the loss never left ln({classes}) = {np.log(classes):.3f}: nothing was learnt")
            if dead[-1]:
                warn(f"fold {fold}: the score of class {dead[-1]} is the same for every tile: it is dead")
    with replacing(MODELS) as folder:
        folder.mkdir()
        save_networks(folder, networks)
    rows = [{"fold": str(k), **row} for k, history in enumerate(histories) for row in history]
    write_csv(CURVES, pd.DataFrame(rows))
    write_json(
        METRICS / "train.json",
        {
            "train_loss": np.mean([h[-1]["train_loss"] for h in histories]),
            "validation_loss": np.mean([h[-1]["validation_loss"] for h in histories]),
            "train_accuracy": np.mean([h[-1]["train_accuracy"] for h in histories]),
            "validation_accuracy": np.mean([h[-1]["validation_accuracy"] for h in histories]),
            "stuck_folds": sum(stuck),
            "dead_classes": sum(map(len, dead)),
        },
    )


if __name__ == "__main__":
    run(main, INPUTS)
