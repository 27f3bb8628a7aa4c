"""Fit the normalization of each fold on its training tiles alone."""

from heatflow.geo.tiles import PackedTiles
from heatflow.io.text import write_json
from heatflow.io.vectors import read_table
from heatflow.learning.folds import Folds
from heatflow.learning.scaling import fit_scaling
from stages._paths import FOLDS, KEPT, METRICS, SCALING, TILE_TABLE, TILES
from stages._runner import read_params, run, say

PARAMS = ("normalize.method",)
INPUTS = (TILES, TILE_TABLE, KEPT, FOLDS)


def main():
    method = read_params(PARAMS).normalize.method
    tiles = PackedTiles.load(TILES, TILE_TABLE)
    ids = read_table(KEPT)["tile"].to_numpy()
    fits = {}
    for fold, roles in enumerate(Folds.read(FOLDS, ids).roles):
        fits[f"fold{fold}"] = fit_scaling((tiles.pixels[k] for k in tiles.rows(ids[roles == "train"])), method)
    write_json(SCALING, fits, digits=9)
    low, high = min(f["low"] for f in fits.values()), max(f["high"] for f in fits.values())
    after_low = min((f["low"] - f["offset"]) / f["scale"] for f in fits.values())
    after_high = max((f["high"] - f["offset"]) / f["scale"] for f in fits.values())
    write_json(
        METRICS / "normalize.json",
        {"before": {"low": low, "high": high}, "after": {"low": after_low, "high": after_high}},
    )
    say(f"{method}: training tiles from {low:.1f} .. {high:.1f} m to {after_low:.3f} .. {after_high:.3f}")


if __name__ == "__main__":
    run(main, INPUTS)
