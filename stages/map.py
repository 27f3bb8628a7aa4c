"""Predict every place of the region, with or without wells."""

from functools import partial

import numpy as np
import shapely

from heatflow.grid.grids import Grid, WindowGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written, write_cog
from heatflow.io.text import write_json
from heatflow.io.vectors import read_features, read_table, write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.prediction.ensemble import Ensemble
from heatflow.prediction.prediction_map import predict_map
from heatflow.present.figures import save
from heatflow.present.map_figure import map_figure
from heatflow.present.messages.prediction import map_lines
from heatflow.present.qgis import write_style
from stages._paths import FOLD_DATA, MAP, METRICS, MODELS, PREDICTIONS, TERRAIN, WELLS
from stages._runner import progress, read_params, run, say

PARAMS = (
    "augment.resample", "filter.min_valid", "map", "split.buffer", "tile.binary_edge", "tile.edges", "tile.size",
    "tile.stride", "train.device",
)  # fmt: skip
INPUTS = (TERRAIN, WELLS, *FOLD_DATA, MODELS, PREDICTIONS)
SHADE = 1000  # pixels, at most, along an edge of the hillshade of the figure


def main() -> None:
    p = read_params(PARAMS)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    data, predictions = FoldData.load(*FOLD_DATA), read_table(PREDICTIONS)
    with open_written(TERRAIN) as terrain:
        grid = Grid.from_dataset(terrain)
        wells = grid.pixel(*shapely.get_coordinates(read_features(WELLS).geometry.array).T)
        buffer = p.split.buffer if p.augment.resample else None
        load = partial(load_networks, MODELS)
        ensemble = Ensemble.from_folds(data, load, grid, p.tile, engine, wells, buffer)
        windows = WindowGrid(grid, p.tile.size, p.map.step(p.tile.size))
        total = len(windows.starts(grid.height)) * len(windows.starts(grid.width))
        with progress(total, "map", "window") as bar:
            prediction = predict_map(terrain, windows, ensemble, wells, p.filter.min_valid, p.map.top, bar.update)
        shrink = max(1, max(grid.shape) // SHADE)
        elevation = terrain.read(1, out_shape=(grid.height // shrink, grid.width // shrink))
    with replacing(MAP) as folder:
        folder.mkdir()
        for name, bands in prediction.layers.rasters(p.tile).items():
            strip = np.stack(list(bands.values()))
            write_cog(folder / f"{name}.tif", windows.map_grid, iter([(0, strip)]), bands=tuple(bands), units="1")
        write_style(folder / "probability.qml", p.tile.n_classes + 1, 0, 1, "viridis")
        write_style(folder / "uncertainty.qml", 1, 0, 1, "cividis")
        write_style(folder / "applicability.qml", 1, 0, 2 * ensemble.applicability.threshold, "cividis_r")
        write_features(folder / "top.fgb", prediction.places, "top")
    save(map_figure(elevation, prediction), METRICS / "map.png")
    write_json(METRICS / "map.json", prediction.metrics(predictions))
    say(map_lines(prediction, MAP / "probability.tif", MAP / "top.fgb"))


if __name__ == "__main__":
    run(main, INPUTS)
