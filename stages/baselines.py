"""Predict every tile without a network: from plain terrain statistics, the number of wells, or the place alone."""

import numpy as np
import pandas as pd
import rasterio

from heatflow.analysis.baselines import forest, linear, out_of_fold, terrain_statistics
from heatflow.files import write_csv
from heatflow.geo.vector import read_table
from heatflow.learning.folds import read_roles
from stages._stage import BASELINES, FOLDS, KEPT, TERRAIN, TILE_TABLE, TILES, progress, read_params, run, say

PARAMS = ("split.seed", "tile.edges")
INPUTS = (TERRAIN, TILES, TILE_TABLE, KEPT, FOLDS)


def main():
    p = read_params(PARAMS)
    kept = read_table(KEPT)
    ids, label = kept["tile"].to_numpy(), kept["label"].to_numpy()
    roles = read_roles(FOLDS, ids)
    place = np.searchsorted(read_table(TILE_TABLE)["tile"].to_numpy(), ids)
    pixels = np.load(TILES, mmap_mode="r")
    with rasterio.open(TERRAIN) as terrain:
        resolution = terrain.res[0]
    with progress(len(ids), "terrain statistics", "tile") as bar:
        statistics = []
        for k in place:
            statistics.append(terrain_statistics(np.asarray(pixels[k]), resolution))
            bar.update()
    terrain_columns = np.array(statistics)
    known = {
        "terrain": (terrain_columns, forest),
        "terrain_linear": (terrain_columns, linear),
        "count": (kept[["n_wells"]].to_numpy(dtype=float), forest),
        "position": (kept[["row", "col"]].to_numpy(dtype=float), forest),
    }
    classes = len(p.tile.edges) + 1
    tables = []
    for name, (columns, model) in known.items():
        probability = out_of_fold(columns, label, roles, classes, model, p.split.seed)
        table = pd.DataFrame(probability, columns=[f"p{k}" for k in range(classes)])
        table.insert(0, "baseline", name)
        table.insert(0, "tile", ids)
        tables.append(table)
        say(f"{name}: right on {np.mean(probability.argmax(axis=1) == label):.1%} of {len(label)} tiles")
    write_csv(BASELINES, pd.concat(tables))


if __name__ == "__main__":
    run(main, INPUTS)
