"""Predict every tile without a network: from plain terrain statistics, the number of wells, or the place alone."""

from heatflow.evaluation.baselines import baselines_out_of_fold, planned_fits
from heatflow.geo.terrain_statistics import statistics_of_tiles
from heatflow.geo.tiles import PackedTiles
from heatflow.io import rasters, text, vectors
from heatflow.learning.folds import Folds
from heatflow.present.messages.evaluation import baseline_lines
from stages._paths import BASELINES, FOLDS, KEPT, TERRAIN, TILE_TABLE, TILES
from stages._runner import progress, read_params, run, say

PARAMS = ("split.seed", "tile.edges", "tile.statistic")
INPUTS = (TERRAIN, TILES, TILE_TABLE, KEPT, FOLDS)


def main() -> None:
    p = read_params(PARAMS)
    kept = vectors.read_table(KEPT)
    split = Folds.read(FOLDS, kept["tile"].to_numpy())
    tiles = PackedTiles.load(TILES, TILE_TABLE)
    with rasters.open_written(TERRAIN) as terrain:
        resolution = terrain.res[0]
    with progress(len(kept), "terrain statistics", "tile") as bar:
        pixels = (tiles.pixels[k] for k in tiles.rows(kept["tile"].to_numpy()))
        statistics = statistics_of_tiles(pixels, resolution, bar.update)
    with progress(len(planned_fits(split, p.tile)), "baselines", "fit") as bar:
        table = baselines_out_of_fold(kept, statistics, split, p.tile, p.split.seed, bar.update)
    text.write_csv(BASELINES, table)
    say(baseline_lines(table, kept["label"].to_numpy(), p.tile))


if __name__ == "__main__":
    run(main, INPUTS)
