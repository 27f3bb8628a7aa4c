"""Fit the normalisation of each fold to its training tiles alone."""

from heatflow.geo.tiles import PackedTiles
from heatflow.io.text import write_json
from heatflow.io.vectors import read_table
from heatflow.learning.folds import Folds
from heatflow.learning.scaling import fit_folds
from heatflow.present.messages import learning as messages
from stages._paths import FOLDS, KEPT, METRICS, SCALING, TILE_TABLE, TILES
from stages._runner import read_params, run, say

PARAMS = ("normalize.method", "tile.margin")
INPUTS = (TILES, TILE_TABLE, KEPT, FOLDS)


def main() -> None:
    p = read_params(PARAMS)
    method = p.normalize.method
    ids = read_table(KEPT)["tile"].to_numpy()
    scalings = fit_folds(PackedTiles.load(TILES, TILE_TABLE, p.tile.margin), ids, Folds.read(FOLDS, ids).roles, method)
    write_json(SCALING, scalings.content, digits=9)
    write_json(METRICS / "normalize.json", scalings.metrics)
    say(messages.normalize_lines(scalings, method))


if __name__ == "__main__":
    run(main, INPUTS)
