"""Deal the tiles into folds of contiguous blocks."""

import numpy as np

from heatflow.errors import InputError
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import open_written
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import read_table
from heatflow.learning.folds import COMPARED, ROLES, Folds, absent_classes, split_tiles
from heatflow.present.figures import folds_figure, save
from stages._paths import FOLDS, KEPT, METRICS, TERRAIN
from stages._runner import read_params, run, say, warn

PARAMS = ("split", "tile.edges", "tile.size", "tile.stride")
INPUTS = (TERRAIN, KEPT)
MAP_PIXELS = 1000  # along the longer edge of the map


def main():
    p = read_params(PARAMS)
    table = read_table(KEPT)
    label = table["label"].to_numpy()
    names = p.tile.class_names
    counts = np.bincount(label, minlength=len(names))
    missing = [name for name, n in zip(names, counts, strict=True) if n == 0]
    if missing:
        raise InputError(
            f"tile.edges: no tile is of class {' or '.join(missing)} mW/m2 (tiles in each class: "
            f"{', '.join(map(str, counts))}); no network can learn it, choose other edges or a region with such wells"
        )
    row, col = table["row"].to_numpy(), table["col"].to_numpy()

    def deal(scheme, repeats):
        return split_tiles(
            row,
            col,
            label,
            scheme=scheme,
            folds=p.split.folds,
            block_size=p.split.block_size,
            buffer=p.split.buffer,
            validation=p.split.validation,
            repeats=repeats,
            seed=p.split.seed,
            size=p.tile.size,
            stride=p.tile.step,
        )

    roles = deal(p.split.scheme, p.split.repeats)
    repeat = [str(r) for r in range(p.split.repeats) for _ in range(p.split.folds)]
    shares = np.array([[np.mean(label[fold == "test"] == k) for k in range(len(names))] for fold in roles])
    deviation = np.abs(shares - counts / counts.sum()).max()
    absent = absent_classes(roles, label, len(names))
    if p.split.optimism and p.split.scheme != COMPARED:
        roles = np.concatenate([roles, deal(COMPARED, 1)])
        repeat += [COMPARED] * p.split.folds
    split = Folds(roles, np.array(repeat))
    write_csv(FOLDS, split.table(table["tile"].to_numpy()))
    write_json(
        METRICS / "split.json",
        {
            "folds": len(roles),
            "tiles": {role: {f"fold{k}": int((fold == role).sum()) for k, fold in enumerate(roles)} for role in ROLES},
            "largest_class_share_deviation": deviation,
            "absent_classes": len(absent),
        },
    )
    with open_written(TERRAIN) as terrain:
        tiles = TileGrid(Grid.from_dataset(terrain), p.tile.size, p.tile.step)
        step = max(1, max(terrain.shape) // MAP_PIXELS)
        elevation = terrain.read(1, out_shape=(terrain.height // step, terrain.width // step))
    first = roles[: p.split.folds]
    save(folds_figure(elevation, tiles, row, col, (first == "test").argmax(axis=0), first[0]), METRICS / "folds.png")
    sizes = ", ".join("/".join(str((fold == role).sum()) for role in ROLES) for fold in roles[split.scored])
    say(
        f"{len(split.scored)} folds by {p.split.scheme}; tiles to {'/'.join(ROLES)}: {sizes} -> {METRICS / 'folds.png'}"
    )
    if len(split.compared):
        say(f"{len(split.compared)} more folds of tiles at random, for comparison")
    say(f"class shares of the test parts differ from those of all tiles by up to {deviation:.0%}")
    for k, role, c in absent:
        warn(f"fold {k}: its {role} part has no tile of class {names[c]}")


if __name__ == "__main__":
    run(main, INPUTS)
