"""How often does the verdict err? python -m benchmarks.calibration [--seeds 101 120] [--results calibration.csv]

Makes synthetic regions of four kinds, of which the right answer is known, trains the networks of each, and asks whether
they use structure by the rules of docs/saliency.md. Of every region only the stages that the verdict needs are run, with
one network for each fold. Regions run side by side, each in one process with one thread. A region is a row of the
results as soon as it is done; rows that are there for the same code and params are not computed again.
benchmarks/CALIBRATION.md says how often each answer was given.
"""

import argparse
import io
import os
import tempfile
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import binomtest

from heatflow.compute.mapping import WORKERS, map_in_order
from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.evaluation.intervals import Prediction, Target, compare
from heatflow.evaluation.predictions import predict_out_of_fold
from heatflow.explanation.ablation import measure_losses
from heatflow.explanation.effect import structure_effect
from heatflow.explanation.explained_tiles import SAMPLE, ExplainedTiles
from heatflow.explanation.known_features import find_known_features
from heatflow.explanation.out_of_fold import OutOfFoldNetworks, spread
from heatflow.explanation.verdict import NOT, OPEN, RELIEF, USES, answer
from heatflow.geo.tile_attributes import TileAttributes, read_shapes
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import markdown_table, read_csv, write_csv
from heatflow.learning.checkpoints import fingerprint
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of
from heatflow.learning.models import load_networks
from heatflow.pipeline import code_of
from stages import _paths as at
from stages import demo, filter, normalize, split, terrain, tile, train, wells

RESULTS = Path(__file__).with_name("calibration.csv")
MEMORY = 2.5e9  # bytes that a region takes
KINDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {  # what differs from the section demo of params.yaml
    "structure": lambda demo: {},
    "null": lambda demo: {"signal": 0.0},
    "erased": lambda demo: {"erase": True},
    "relief": lambda demo: {"lookalike_heat": demo["active"]},
}
STAGES = (demo, terrain, wells, tile, filter, split, normalize, train)
NUMBERS = ("excess", "effect", "beyond_relief")


def measure(case: tuple[str, int], params: dict[str, Any], networks: int) -> dict[str, Any]:
    """Make a region of a kind from a seed, train its networks, and judge them; a row of the results."""
    kind, seed = case
    params = params | {"demo": params["demo"] | KINDS[kind](params["demo"]) | {"seed": seed}}
    params["train"] = params["train"] | {"seeds": networks}
    os.environ[WORKERS] = "1"  # of the tasks of a region: regions run side by side
    with tempfile.TemporaryDirectory() as name, chdir(name):
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        at.METRICS.mkdir()
        at.DATA.mkdir()
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            for stage in STAGES:
                import time

                t0 = time.process_time()
                w = time.time()
                stage.main()
                print(
                    stage.__name__,
                    round(time.process_time() - t0, 1),
                    round(time.time() - w, 1),
                    file=open("/tmp/x_C/times.txt", "a"),
                )
        return {"kind": kind, "seed": seed} | judge(load("params.yaml"))


def judge(p: Params) -> dict[str, Any]:
    """The verdict on the region in this folder, also as it were without look-alikes, and the numbers that decided."""
    data, engine = FoldData.load(*at.FOLD_DATA), Engine.choose(p.train.device, "float32", compile=False)
    predicted = predict_out_of_fold(data, partial(load_networks, at.MODELS), engine)
    label, (row, col) = (data.table["label"].to_numpy(), (data.table[name].to_numpy() for name in ("row", "col")))
    block, n = block_of(row, col, p.split.block_size, p.tile.size, p.tile.step), len(label)
    target = Target(label, p.tile.first_high, np.ones(n, dtype=int), data.test_fold, block, np.arange(n),
                    np.zeros(n), p.tile.binary_edge)  # fmt: skip
    table = compare(target, {"network": Prediction(predicted.members())}, p.split.seed)
    (auc,) = table.query("prediction == 'network' and metric == 'auc_high'").to_dict("records")
    with tempfile.TemporaryDirectory(dir=at.DATA) as name, open_written(at.TERRAIN) as raster:
        grid = TileGrid(Grid.from_dataset(raster), p.tile.size, p.tile.step)
        features = {key: read_shapes(p.data.features[key], key, grid.grid.crs) for key in ("structures", "lookalikes")}
        loaded = [load_networks(at.MODELS, fold) for fold in range(data.folds)]
        networks = OutOfFoldNetworks(data, loaded, engine, p.tile.first_high, p.saliency.batch_size)
        tiles = ExplainedTiles(networks, data.table, block, spread(np.arange(n), SAMPLE), Path(name),
                               grid.grid.resolution, p.tile, p.split.seed)  # fmt: skip
        tiles.write_attributes(TileAttributes(at.TERRAIN, grid, row, col, features))
        known = find_known_features(tiles)
        structures, alike = (measure_losses(known[key], networks, key == "structures") for key in features)
    effect, alone = (structure_effect(structures, controls, p.split.seed) for controls in (alike, None))
    numbers = {f"{name}{end}": effect[f"{name}{end}"] for name in NUMBERS for end in ("", "_low", "_high")}
    return {
        "verdict": answer(auc["low"], effect), "verdict_without_lookalikes": answer(auc["low"], alone),
        "auc": auc["value"], "auc_low": auc["low"], "tiles": effect["tiles"], "p": effect["p"],
        "p_without_lookalikes": alone["p"], **numbers,
    }  # fmt: skip
