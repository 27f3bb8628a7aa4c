"""Predict every place of the region, with or without wells."""

from functools import partial

import numpy as np
import shapely

from heatflow.grid.grids import Grid, WindowGrid
from heatflow.io import atomic, rasters, text, vectors
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.prediction.ensemble import Ensemble
from heatflow.prediction.prediction_map import predict_map
from heatflow.present import figures, map_figure, qgis
from heatflow.present.messages.prediction import map_lines
from stages._paths import FOLD_DATA, MAP, METRICS, MODELS, PREDICTIONS, TERRAIN, WELLS
from stages._runner import progress, read_params, run, say

PARAMS = (
    "augment.resample", "filter.min_valid", "map", "split.buffer", "tile.binary_edge", "tile.edges", "tile.size",
    "tile.stride", "train.device",
)  # fmt: skip
INPUTS = (TERRAIN, WELLS, *FOLD_DATA, MODELS, PREDICTIONS)


def main() -> None:
    p = read_params(PARAMS)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    data, predictions = FoldData.load(*FOLD_DATA), vectors.read_table(PREDICTIONS)
    with rasters.open_written(TERRAIN) as terrain:
        grid = Grid.from_dataset(terrain)
        wells = grid.pixel(*shapely.get_coordinates(vectors.read_features(WELLS).geometry.array).T)
        buffer = p.split.buffer if p.augment.resample else None
        ensemble = Ensemble.from_folds(data, partial(load_networks, MODELS), grid, p.tile, engine, wells, buffer)
        windows = WindowGrid(grid, p.tile.size, p.map.step(p.tile.size))
        total = len(windows.starts(grid.height)) * len(windows.starts(grid.width))
        with progress(total, "map", "window") as bar:
            prediction = predict_map(terrain, windows, ensemble, wells, p.filter.min_valid, p.map.top, bar.update)
        elevation = rasters.read_overview(terrain)
    with atomic.replacing(MAP) as folder:
        folder.mkdir()
        for name, bands in prediction.layers.rasters(p.tile).items():
            strip = np.stack(list(bands.values()))
            rasters.write_cog(
                folder / f"{name}.tif", windows.map_grid, iter([(0, strip)]), bands=tuple(bands), units="1"
            )
        qgis.write_style(folder / "probability.qml", p.tile.n_classes + 1, 0, 1, "viridis")
        qgis.write_style(folder / "uncertainty.qml", 1, 0, 1, "cividis")
        qgis.write_style(folder / "applicability.qml", 1, 0, 2 * ensemble.applicability.threshold, "cividis_r")
        vectors.write_features(folder / "top.fgb", prediction.places, "top")
    figures.save(map_figure.map_figure(elevation, prediction), METRICS / "map.png")
    text.write_json(METRICS / "map.json", prediction.metrics(predictions))
    say(map_lines(prediction, MAP / "probability.tif", MAP / "top.fgb"))


if __name__ == "__main__":
    run(main, INPUTS)
