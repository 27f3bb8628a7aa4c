"""Predict every tile and site without a network: from plain terrain, the number of wells, or the place alone."""

from heatflow.evaluation.baselines import baselines_out_of_fold, planned_fits
from heatflow.evaluation.predictors import read_predictors
from heatflow.geo.tiles import PackedTiles
from heatflow.io import rasters, text, vectors
from heatflow.learning.folds import Folds
from heatflow.present.messages.evaluation import baseline_lines
from stages._paths import BASELINES, FOLDS, KEPT, SITE_BASELINES, SITES, TERRAIN, TILE_TABLE, TILES, TREND
from stages._runner import progress, read_params, run, say

PARAMS = (
    "split.block_size", "split.seed", "tile.binary_edge", "tile.edges", "tile.margin", "tile.size", "tile.statistic",
    "tile.stride",
)  # fmt: skip
INPUTS = (TERRAIN, TREND, TILES, TILE_TABLE, SITES, KEPT, FOLDS)


def main() -> None:
    p = read_params(PARAMS)
    kept = vectors.read_table(KEPT)
    split = Folds.read(FOLDS, kept["tile"].to_numpy())
    tiles, sites = PackedTiles.load(TILES, TILE_TABLE, p.tile.margin), vectors.read_features(SITES)
    with (
        rasters.open_written(TERRAIN) as terrain, rasters.open_written(TREND) as trend,
        progress(len(kept), "terrain statistics", "tile") as bar,
    ):  # fmt: skip
        predictors = read_predictors(kept, tiles, sites, terrain, trend, p.tile, p.split.block_size, bar.update)
    with progress(len(planned_fits(split, p.tile, predictors.has_trend)), "baselines", "fit") as bar:
        table, of_sites = baselines_out_of_fold(kept, predictors, split, p.tile, p.split.seed, bar.update)
    text.write_csv(BASELINES, table)
    text.write_csv(SITE_BASELINES, of_sites)
    say(baseline_lines(table, kept["label"].to_numpy(), p.tile, predictors.has_trend))


if __name__ == "__main__":
    run(main, INPUTS)
