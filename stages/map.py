"""Predict every place of the region, with or without wells."""

import numpy as np

from heatflow.errors import InputError
from heatflow.io import atomic, rasters, text, vectors
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.prediction.ensemble import tile_statistics
from heatflow.prediction.near_wells import NO_SITES, KnownSites
from heatflow.prediction.prediction_map import MapFiles, MapTask, Region, predict_map
from heatflow.present import figures, map_figure
from heatflow.present.map_files import write_map
from heatflow.present.messages.prediction import map_lines
from stages._paths import FOLD_DATA, MAP, METRICS, MODELS, PREDICTIONS, SITE_PREDICTIONS, TERRAIN, WELLS
from stages._runner import progress, read_params, run, say

PARAMS = (
    "augment.resample", "filter.min_valid", "map", "split.buffer", "tile.binary_edge", "tile.edges", "tile.margin",
    "tile.size", "tile.stride", "train.device",
)  # fmt: skip
INPUTS = (TERRAIN, WELLS, *FOLD_DATA, MODELS, PREDICTIONS, SITE_PREDICTIONS)


def main() -> None:
    p = read_params(PARAMS)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    buffer = p.split.buffer if p.augment.resample else None
    with rasters.open_written(TERRAIN) as terrain:
        elevation, resolution = rasters.read_overview(terrain), terrain.res[0]
    with atomic.replacing(MAP) as folder:
        folder.mkdir()
        data, statistics = FoldData.load(FOLD_DATA, p.tile.margin), folder.with_name("statistics.npy")
        np.save(statistics, tile_statistics(data, resolution))
        step = p.map.step(p.tile.size)
        files = MapFiles(TERRAIN, WELLS, FOLD_DATA, MODELS, p.tile, step, buffer, engine, statistics)
        task = MapTask(files, p.filter.min_valid, sites=p.map.near_wells)
        region: Region = task.opened
        if p.map.near_wells and not region.ensemble.has_sites:
            raise InputError(NO_SITES)
        with progress(len(region.windows.starts(region.windows.grid.height)), "map", "row of windows") as bar:
            prediction = predict_map(task, p.map.top, bar.update)
        if p.map.near_wells:
            prediction = KnownSites.out_of_fold(vectors.read_features(SITE_PREDICTIONS), p.tile).on_map(prediction)
        write_map(folder, prediction)
    figures.save(map_figure.map_figure(elevation, prediction), METRICS / "map.png")
    text.write_json(METRICS / "map.json", prediction.metrics(vectors.read_table(PREDICTIONS)))
    say(map_lines(prediction, MAP / "probability.tif", MAP / "top.fgb"))


if __name__ == "__main__":
    run(main, INPUTS)
