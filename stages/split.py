"""Deal the tiles into folds of contiguous blocks."""

import numpy as np

from heatflow.errors import InputError
from heatflow.files import write_csv, write_json
from heatflow.geo.tiles import class_names
from heatflow.geo.vector import read_table
from heatflow.learning.folds import ROLES, absent_classes, fold_table, split_tiles
from stages._stage import FOLDS, KEPT, METRICS, read_params, run, say, warn

PARAMS = ("split", "tile.edges", "tile.size", "tile.stride")
INPUTS = (KEPT,)


def main():
    p = read_params(PARAMS)
    table = read_table(KEPT)
    label = table["label"].to_numpy()
    names = class_names(p.tile.edges)
    counts = np.bincount(label, minlength=len(names))
    missing = [name for name, n in zip(names, counts, strict=True) if n == 0]
    if missing:
        raise InputError(
            f"tile.edges: no tile is of class {' or '.join(missing)} mW/m2 (tiles in each class: "
            f"{', '.join(map(str, counts))}); no network can learn it, choose other edges or a region with such wells"
        )
    roles = split_tiles(
        table["row"].to_numpy(),
        table["col"].to_numpy(),
        label,
        scheme=p.split.scheme,
        folds=p.split.folds,
        block_size=p.split.block_size,
        validation=p.split.validation,
        seed=p.split.seed,
        size=p.tile.size,
        stride=p.tile.stride or p.tile.size,
    )
    shares = np.array([[np.mean(label[row == "test"] == k) for k in range(len(names))] for row in roles])
    deviation = np.abs(shares - counts / counts.sum()).max()
    absent = absent_classes(roles, label, len(names))
    write_csv(FOLDS, fold_table(table["tile"].to_numpy(), roles))
    write_json(
        METRICS / "split.json",
        {
            "folds": len(roles),
            "tiles": {role: {f"fold{k}": int((row == role).sum()) for k, row in enumerate(roles)} for role in ROLES},
            "largest_class_share_deviation": deviation,
            "absent_classes": len(absent),
        },
    )
    sizes = ", ".join(
        f"{(row == 'train').sum()}/{(row == 'validation').sum()}/{(row == 'test').sum()}" for row in roles
    )
    say(f"{len(roles)} folds by {p.split.scheme}; tiles to train/validate/test: {sizes}")
    say(f"class shares of the test parts differ from those of all tiles by up to {deviation:.0%}")
    for k, role, c in absent:
        warn(f"fold {k}: its {role} part has no tile of class {names[c]}")


if __name__ == "__main__":
    run(main, INPUTS)
