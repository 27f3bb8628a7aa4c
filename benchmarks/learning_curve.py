"""Skill by the number of training tiles: would more wells help?

    python -m benchmarks.learning_curve

It takes the tiles and folds of the last `dvc repro`, and trains the networks of params.yaml on a quarter, a half, three
quarters and all of the training tiles of each fold. Each share holds the smaller ones. A row is written to
benchmarks/learning_curve.csv as soon as it is measured; rows that are there for the same files, params and code are not
measured again.
"""

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.errors import InputError
from heatflow.evaluation.evaluate import network_prediction
from heatflow.evaluation.intervals import Target, compare
from heatflow.evaluation.predictions import SitePlaces, predict_out_of_fold
from heatflow.geo.sites import kept_sites
from heatflow.io.text import read_csv, write_csv
from heatflow.io.vectors import read_features
from heatflow.learning.checkpoints import fingerprint
from heatflow.learning.engine import Engine
from heatflow.learning.ensemble import TrainingFiles, TrainingTask, train_folds
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of
from heatflow.learning.patches import Terrain, write_surroundings
from heatflow.pipeline import code_of
from stages import _paths as at

RESULTS = Path(__file__).with_name("learning_curve.csv")
SHARES = (0.25, 0.5, 0.75, 1.0)
SECTIONS = ("augment", "filter", "model", "split", "tile", "train")


@dataclass(frozen=True)
class Thinned:
    """Files of a run, of which a share of the training tiles is left; the others take no part in their fold."""

    files: TrainingFiles
    share: float

    def __call__(self) -> tuple[FoldData, Terrain | None]:
        """Open them."""
        data, terrain = self.files()
        return thinned(data, self.share), terrain


def thinned(data: FoldData, share: float) -> FoldData:
    """Data with a share of the training tiles of each fold, at random; the others become part of its buffer."""
    roles = data.roles.copy()
    for fold, row in enumerate(roles):
        order = np.random.default_rng(fold).permutation(np.flatnonzero(row == "train"))
        row[order[round(share * len(order)) :]] = "buffer"
    return replace(data, split=replace(data.split, roles=roles))


def measure(params: Params, share: float) -> dict[str, Any]:
    """Train on a share of the tiles, and score tiles and sites."""
    p, engine = params, Engine.choose(params.train.device, params.train.precision)
    data = FoldData.load(at.FOLD_DATA, p.tile.margin)
    row, col, label, n_wells, ids = (data.table[name].to_numpy() for name in ("row", "col", "label", "n_wells", "tile"))
    with tempfile.TemporaryDirectory() as folder:
        channels = Path(folder) / "channels.npy" if p.augment.resample else None
        if channels:
            write_surroundings(at.TERRAIN, channels, p.tile, row, col)
        sites = at.SITES if p.train.site_weight else None
        files = TrainingFiles(at.FOLD_DATA, at.TERRAIN, at.WELLS, sites, channels, p.tile)
        networks = train_folds(TrainingTask(Thinned(files, share), p, engine)).networks
    table = read_features(at.SITES)
    places = SitePlaces.from_tables(table, data.table, p.tile.size)
    predicted = network_prediction(predict_out_of_fold(data, networks.__getitem__, engine, places), p.tile.first_high)
    sites, of_tile = kept_sites(table, ids)
    block = block_of(row, col, p.split.block_size, p.tile.size, p.tile.step)
    residual = sites["residual"].to_numpy()
    target = Target(label, p.tile.first_high, n_wells, data.test_fold, block, of_tile, residual, p.tile.binary_edge)
    table = compare(target, {"network": predicted}, p.split.seed).query("prediction == 'network'")
    measured: dict[str, Any] = {"tiles": int((thinned(data, share).roles == "train").sum(axis=1).mean())}
    for name in ("auc_high", "site_auc", "loss"):
        ends = table[table["metric"] == name][["value", "low", "high"]].to_numpy()[0]
        measured |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
    return measured


def main() -> None:
    """Measure the rows that are not there yet."""
    params = load("params.yaml", SECTIONS)
    code = (at.CODE / path for path in code_of(at.CODE / "stages/train.py", at.CODE))
    key = fingerprint([params], [at.TERRAIN, at.WELLS, *at.FOLD_DATA, *code])[:7]
    table = read_csv(RESULTS, dtype={"run": str}) if RESULTS.exists() else pd.DataFrame({"run": [], "share": []})
    for share in SHARES:
        if not ((table["run"] == key) & (table["share"] == share)).any():
            row = pd.DataFrame([{"run": key, "share": share} | measure(params, share)])
            table = pd.concat([table, row] if len(table) else [row])
            write_csv(RESULTS, table)
    print(table[table["run"] == key].to_string(index=False))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"learning curve: {error}")
