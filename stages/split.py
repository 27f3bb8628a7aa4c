"""Split the tiles into folds of contiguous blocks."""

from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import open_written, read_overview
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import read_table
from heatflow.learning.folds import make_folds
from heatflow.present.figures import folds_figure, save
from heatflow.present.messages import learning as messages
from stages._paths import FOLDS, KEPT, METRICS, TERRAIN
from stages._runner import read_params, run, say, warn

PARAMS = ("split", "tile.edges", "tile.size", "tile.stride")
INPUTS = (TERRAIN, KEPT)


def main() -> None:
    p = read_params(PARAMS)
    table = read_table(KEPT)
    split = make_folds(table, p.split, p.tile)
    write_csv(FOLDS, split.folds.table(table["tile"].to_numpy()))
    write_json(METRICS / "split.json", split.metrics)
    with open_written(TERRAIN) as terrain:
        tiles, elevation = TileGrid(Grid.from_dataset(terrain), p.tile.size, p.tile.step), read_overview(terrain)
    row, col, first = table["row"].to_numpy(), table["col"].to_numpy(), split.folds.first
    save(folds_figure(elevation, tiles, row, col, (first == "test").argmax(axis=0), first[0]), METRICS / "folds.png")
    say(messages.split_lines(split, p.split.scheme, METRICS / "folds.png"))
    warn(messages.split_warnings(split, p.tile.class_names))


if __name__ == "__main__":
    run(main, INPUTS)
