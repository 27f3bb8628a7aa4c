"""Map what the networks of each tile look at, test the maps, and judge whether the networks use structure."""

from concurrent.futures import Future, ThreadPoolExecutor

from heatflow.explanation.explain import ExplanationTask, explain
from heatflow.explanation.explained_tiles import SAMPLE, TileFiles
from heatflow.explanation.method_maps import MethodMaps
from heatflow.explanation.mosaic import write_maps
from heatflow.geo.tile_attributes import TileAttributes, read_shapes
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import read_json, write_csv, write_json
from heatflow.io.vectors import read_table
from heatflow.learning.engine import Engine
from heatflow.present.figures import save
from heatflow.present.messages.explanation import explanation_lines, explanation_warnings
from heatflow.present.qgis import write_style
from heatflow.present.saliency_figures import SALIENCY_COLOURS, maps_figure, summary_figures
from stages._paths import EVALUATION, FOLD_DATA, METRICS, MODELS, PREDICTIONS, SALIENCY, TABLES, TERRAIN
from stages._runner import progress, read_params, run, say, warn

PARAMS = (
    "data.elevation", "data.faults", "data.lookalikes", "data.structures", "saliency", "split.block_size", "split.seed",
    "tile.edges", "tile.binary_edge", "tile.size", "tile.stride", "tile.margin", "train.batch_size",
    "train.class_weights", "train.device", "train.epochs", "train.lr", "train.momentum", "train.optimizer",
    "train.schedule", "train.weight_decay",
)  # fmt: skip
FIGURES = METRICS / "saliency"
INPUTS = (TERRAIN, *FOLD_DATA, MODELS, PREDICTIONS, EVALUATION)


def main() -> None:
    p = read_params(PARAMS)
    with open_written(TERRAIN) as terrain:
        grid = TileGrid(Grid.from_dataset(terrain), p.tile.size, p.tile.step)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    features = {name: read_shapes(path, f"data.{name}", grid.grid.crs) for name, path in p.data.features.items()}
    predictions = read_table(PREDICTIONS)
    row, col = (predictions[name].to_numpy(dtype="int64") for name in ("row", "col"))
    skill = read_json(EVALUATION, ("auc_high_low",))["auc_high_low"]
    with replacing(SALIENCY) as rasters, replacing(FIGURES) as figures:
        rasters.mkdir()
        figures.mkdir()
        (folder := rasters.with_name("maps")).mkdir()  # it goes when the stage ends, whatever happens
        numbers = p.tile, p.split.block_size, p.split.seed, grid.grid.resolution, engine, p.saliency.batch_size
        task = ExplanationTask(TileFiles(FOLD_DATA, MODELS, PREDICTIONS, TERRAIN, folder, *numbers))
        with progress(min(SAMPLE, len(predictions)), "terrain attributes", "tile") as bar:
            task.opened.write_attributes(TileAttributes(TERRAIN, grid, row, col, features), bar.update)

        def write(maps: MethodMaps) -> None:
            path, bands = rasters / f"{maps.method}.tif", maps.bands(p.tile, p.saliency.target)
            written.append(writer.submit(write_maps, path, bands, row, col, grid, maps.units))
            write_style(path.with_suffix(".qml"), 1, -maps.limit(), maps.limit(), SALIENCY_COLOURS)

        def draw(maps: MethodMaps) -> None:
            save(maps_figure(maps, task.opened, p.saliency.target), figures / f"{maps.method}.png")

        with progress(0, "maps, then tests", "item") as bar, ThreadPoolExecutor(1) as writer:
            written: list[Future[None]] = []
            found = explain(
                task, p.saliency, p.train, skill, on_drawn=write, on_maps=draw, on_items=bar.reset, on_done=bar.update
            )
            for raster in written:
                raster.result()
        for name, figure in summary_figures(found).items():
            save(figure, figures / f"{name}.png")
        write_csv(rasters / "association.csv", found.tile_association)
        if found.distances is not None:
            write_csv(rasters / "distance.csv", found.distances)
    write_csv(TABLES / "association.csv", found.association)
    write_json(METRICS / "saliency.json", found.metrics())
    warn(explanation_warnings(found))
    say([*explanation_lines(found), f"-> {SALIENCY}, {FIGURES} and {METRICS / 'saliency.json'}"])


if __name__ == "__main__":
    run(main, INPUTS)
