"""Put all that is needed to predict another region into one folder, with a model card."""

from importlib.metadata import version

from heatflow.evaluation.prediction_sets import PredictionSets
from heatflow.geo.inputs import DETRENDED, further_inputs
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import read_csv, read_json
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.prediction.bundle import TERRAIN_OF_TRAINING, BundleSettings, terrain_of_training, write_bundle
from heatflow.prediction.ensemble import tile_statistics
from heatflow.prediction.prediction_map import pixels_of
from heatflow.prediction.training_area import TrainingArea
from heatflow.present.messages.prediction import bundle_lines
from heatflow.present.model_card import NUMBERS, model_card
from stages._paths import BUNDLE, FOLD_DATA, METRICS, MODELS, PREDICTION_SETS, TABLES, TERRAIN, WELLS
from stages._runner import read_params, run, say

PARAMS = (
    "data.elevation", "data.layers", "data.wells", "augment", "filter", "map", "model", "normalize",
    "split.block_size", "split.buffer", *(f"terrain.{name}" for name in TERRAIN_OF_TRAINING), "tile", "train",
    "wells.background",
)  # fmt: skip
SETS = PREDICTION_SETS, TABLES / "prediction_sets.csv"
INPUTS = (TERRAIN, WELLS, *FOLD_DATA, MODELS, *SETS, *(METRICS / f"{name}.json" for name in NUMBERS))
PACKAGES = ("heatflow", "numpy", "torch")


def main() -> None:
    p = read_params(PARAMS)
    data, versions = FoldData.load(FOLD_DATA, p.tile.margin), {name: version(name) for name in PACKAGES}
    numbers = {name: read_json(METRICS / f"{name}.json", keys) for name, keys in NUMBERS.items()}
    sets = PredictionSets.model_validate(read_json(SETS[0], ("level", "blocks", "threshold")))
    numbers["sets"] = {"level": sets.level} | read_csv(SETS[1], ("coverage", "mean_size")).iloc[0].to_dict()
    with open_written(TERRAIN) as terrain:
        grid, inputs = Grid.from_dataset(terrain), [*DETRENDED, *further_inputs(terrain)]
    folds = data.split.scored.tolist()
    settings = BundleSettings(
        versions=versions, folds=len(folds), terrain=terrain_of_training(p.terrain), tile=p.tile, filter=p.filter,
        map=p.map, source_pixel=numbers["terrain"]["source_pixel"], block_size=p.split.block_size,
        background=p.wells.background, inputs=inputs, scalings=[data.scalings[fold] for fold in folds],
        sets=sets,
    )  # fmt: skip
    place = TileGrid(grid, p.tile.size, p.tile.step), pixels_of(WELLS, grid)
    buffer = p.split.buffer if p.augment.resample else None
    areas = [TrainingArea.from_fold(data, fold, *place, buffer) for fold in folds]
    networks = [load_networks(MODELS, fold) for fold in folds]
    card = model_card(p, numbers, len(folds), versions)
    with replacing(BUNDLE) as folder:
        folder.mkdir()
        write_bundle(folder, data, grid, networks, areas, tile_statistics(data, grid.resolution), card, settings)
    say(bundle_lines(settings, len(networks[0]), BUNDLE))


if __name__ == "__main__":
    run(main, INPUTS)
