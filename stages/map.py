"""Predict every place of the region, with or without wells."""

import numpy as np

from heatflow.compute.mapping import get_ready
from heatflow.io import atomic, rasters, text, vectors
from heatflow.learning.engine import Engine
from heatflow.prediction.prediction_map import MapFiles, MapTask, Region, predict_map
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
    get_ready(MapTask)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    buffer = p.split.buffer if p.augment.resample else None
    files = MapFiles(TERRAIN, WELLS, FOLD_DATA, MODELS, p.tile, p.map.step(p.tile.size), buffer, engine)
    task = MapTask(files, p.filter.min_valid)
    region: Region = task.opened
    with progress(len(region.windows.starts(region.windows.grid.height)), "map", "row of windows") as bar:
        prediction = predict_map(task, p.map.top, bar.update)
    with rasters.open_written(TERRAIN) as terrain:
        elevation = rasters.read_overview(terrain)
    with atomic.replacing(MAP) as folder:
        folder.mkdir()
        for name, bands in prediction.layers.rasters(p.tile).items():
            strip = np.stack(list(bands.values()))
            rasters.write_cog(
                folder / f"{name}.tif", region.windows.map_grid, iter([(0, strip)]), bands=tuple(bands), units="1"
            )
        qgis.write_style(folder / "probability.qml", p.tile.n_classes + 1, 0, 1, "viridis")
        qgis.write_style(folder / "uncertainty.qml", 1, 0, 1, "cividis")
        qgis.write_style(folder / "applicability.qml", 1, 0, 2 * region.ensemble.applicability.threshold, "cividis_r")
        vectors.write_features(folder / "top.fgb", prediction.places, "top")
    figures.save(map_figure.map_figure(elevation, prediction), METRICS / "map.png")
    text.write_json(METRICS / "map.json", prediction.metrics(vectors.read_table(PREDICTIONS)))
    say(map_lines(prediction, MAP / "probability.tif", MAP / "top.fgb"))


if __name__ == "__main__":
    run(main, INPUTS)
