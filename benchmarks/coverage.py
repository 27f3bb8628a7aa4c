"""Do 95 % intervals hold the truth? Small regions without any signal, a network for each fold, and what is held.

    python -m benchmarks.coverage [--cases 100] [--networks 1]

The labels of each region are permuted over all of its tiles, so that the AUC of whatever was learned is 0.5. A row is
written to benchmarks/coverage.csv as soon as its case is done, and cases that are there are not run again. Cases run
side by side, and each takes some seconds.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from heatflow.compute.mapping import map_in_order
from heatflow.config.schema import Filter, Model, Params, Split, Tile, Train
from heatflow.evaluation.intervals import Prediction, Target, compare
from heatflow.evaluation.predictions import predict_out_of_fold
from heatflow.geo.tiles import PackedTiles
from heatflow.io.text import read_csv, write_csv
from heatflow.learning.engine import Engine
from heatflow.learning.ensemble import NetworkItem, TrainingTask
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of, make_folds
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.scaling import Scaling

RESULTS = Path(__file__).with_name("coverage.csv")
MEMORY = 1.2e9  # bytes that a case takes
SIDE, SIZE = 20, 40  # tiles along the edge of a region, and pixels along that of a tile
PARAMS = Params(
    tile=Tile(size=SIZE, edges=[50], binary_edge=50), filter=Filter(min_relief=None),
    model=Model(channels=[4, 8, 8], layout="report", pooling="mean"), split=Split(block_size=3, validation=0.12),
    train=Train(epochs=6, lr=0.02),
)  # fmt: skip


def region(case: int) -> FoldData:
    """Tiles of rough terrain, alike where they are near each other, with labels that nothing tells."""
    rng = np.random.default_rng(case)
    rough = sum(
        ndimage.gaussian_filter(rng.normal(size=(SIDE * SIZE,) * 2), s, mode="wrap") * s for s in (2, 8, 32, 96)
    )
    pixels = np.asarray(rough, dtype=np.float32).reshape(SIDE, SIZE, SIDE, SIZE).transpose(0, 2, 1, 3)
    row, col = (place.ravel() for place in np.mgrid[:SIDE, :SIDE])
    label = rng.permutation(np.arange(SIDE**2) % 2)
    columns = {"tile": np.arange(SIDE**2), "row": row, "col": col, "label": label, "relief": 1.0}
    table = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(col, row))
    folds = make_folds(table, PARAMS.split.model_copy(update={"seed": case}), PARAMS.tile).folds
    scaling: Scaling = {"offset": float(pixels.mean()), "scale": float(pixels.std())}
    tiles = PackedTiles(pixels.reshape(-1, 1, SIZE, SIZE), table["tile"].to_numpy())
    return FoldData(table, tiles, folds, [scaling] * len(folds.roles))


def measure(case: int, networks: int) -> dict[str, Any]:
    """Train a region's networks, and the interval of their AUC."""
    data, engine = region(case), Engine(torch.device("cpu"))
    train = PARAMS.train.model_copy(update={"seed": case, "seeds": networks})
    task = TrainingTask(lambda: (data, None), PARAMS.model_copy(update={"train": train}), engine)

    @torch.enable_grad()  # they are asked for where predictions are made
    def trained(fold: int) -> list[NetworkInNetwork]:
        items = [NetworkItem(fold, seed) for seed in range(networks)]
        return [one.network.eval() for one in map_in_order(task, items, alone=True)]

    predicted = predict_out_of_fold(data, trained, engine)
    label, n = data.table["label"].to_numpy(), SIDE**2
    row, col = (data.table[name].to_numpy() for name in ("row", "col"))
    block, one = block_of(row, col, PARAMS.split.block_size, SIZE, SIZE), np.ones(n, dtype=int)
    target = Target(label, 1, one, data.test_fold, block, np.arange(n), 100.0 * label, 50.0)
    table = compare(target, {"network": Prediction(predicted.members())}, case).set_index("metric")
    value, low, high = (
        table[name].to_numpy()[list(table.index).index("auc_high")] for name in ("value", "low", "high")
    )
    return {
        "case": case, "networks": networks, "auc": value, "low": low, "high": high, "width": high - low,
        "holds": int(low <= 0.5 <= high),
    }  # fmt: skip


def summary(table: pd.DataFrame) -> str:
    """What the cases come to, a line for each number of networks."""
    lines = []
    for networks, rows in table.groupby("networks"):
        held, width = int(rows["holds"].sum()), rows["width"].median()
        lines.append(f"{networks} networks a fold: {held} of {len(rows)} intervals hold 0.5; median width {width:.3f}")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--cases", type=int, default=100, help="regions, by their number from 1: %(default)s")
    parser.add_argument("--networks", type=int, default=1, help="of each fold: %(default)s")
    options = parser.parse_args()
    table = read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame({"case": [], "networks": []})
    there = set(table.loc[table["networks"] == options.networks, "case"])
    todo = [case for case in range(1, options.cases + 1) if case not in there]
    for result in map_in_order(partial(measure, networks=options.networks), todo, memory=MEMORY):
        row = pd.DataFrame([result])
        table = pd.concat([table, row] if len(table) else [row]).sort_values(["networks", "case"])
        write_csv(RESULTS, table)
    print(summary(table))


if __name__ == "__main__":
    main()
