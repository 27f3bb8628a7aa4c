"""Predict every tile without a network: from plain terrain statistics, the number of wells, or the place alone."""

import numpy as np
import pandas as pd

from heatflow.evaluation.baselines import forest, linear, out_of_fold, terrain_statistics
from heatflow.geo.labels import STATISTICS, classify
from heatflow.geo.tiles import PackedTiles
from heatflow.io.rasters import open_written
from heatflow.io.text import write_csv
from heatflow.io.vectors import read_table
from heatflow.learning.folds import Folds
from stages._paths import BASELINES, FOLDS, KEPT, TERRAIN, TILE_TABLE, TILES
from stages._runner import progress, read_params, run, say

PARAMS = ("split.seed", "tile.edges", "tile.statistic")
INPUTS = (TERRAIN, TILES, TILE_TABLE, KEPT, FOLDS)
OTHERS = ("terrain", "count", "position")  # those that are also held against the other statistics of the wells


def main():
    p = read_params(PARAMS)
    kept = read_table(KEPT)
    ids, label = kept["tile"].to_numpy(), kept["label"].to_numpy()
    split = Folds.read(FOLDS, ids)
    tiles = PackedTiles.load(TILES, TILE_TABLE)
    with open_written(TERRAIN) as terrain:
        resolution = terrain.res[0]
    with progress(len(ids), "terrain statistics", "tile") as bar:
        statistics = []
        for k in tiles.rows(ids):
            statistics.append(terrain_statistics(np.asarray(tiles.pixels[k]), resolution))
            bar.update()
    terrain_columns = np.array(statistics)
    known = {
        "terrain": (terrain_columns, forest),
        "terrain_linear": (terrain_columns, linear),
        "count": (kept[["n_wells"]].to_numpy(dtype=float), forest),
        "position": (kept[["row", "col"]].to_numpy(dtype=float), forest),
    }
    wanted = [(name, p.tile.statistic, "no") for name in known]
    wanted += [(name, other, "no") for other in STATISTICS for name in OTHERS if other != p.tile.statistic]
    wanted += [(name, p.tile.statistic, "yes") for name in ("terrain", "terrain_linear") if len(split.compared)]
    classes = len(p.tile.edges) + 1
    tables = []
    with progress(len(wanted), "baselines", "fit") as bar:
        for name, statistic, random in wanted:
            target = classify(kept[f"residual_{statistic}"].to_numpy(), p.tile.edges)
            folds = split.compared if random == "yes" else split.scored
            columns, model = known[name]
            probability = out_of_fold(columns, target, split.roles[folds], classes, model, p.split.seed)
            table = pd.DataFrame(probability, columns=[f"p{k}" for k in range(classes)])
            tables.append(
                pd.DataFrame({"tile": ids, "baseline": name, "statistic": statistic, "random": random}).join(table)
            )
            bar.update()
            if statistic == p.tile.statistic and random == "no":
                bar.clear()
                say(f"{name}: right on {np.mean(probability.argmax(axis=1) == label):.1%} of {len(label)} tiles")
    write_csv(BASELINES, pd.concat(tables))


if __name__ == "__main__":
    run(main, INPUTS)
