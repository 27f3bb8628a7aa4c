"""Cut the terrain into tiles and give each the class of the residuals of its wells."""

import geopandas
import numpy as np
import shapely

from heatflow.errors import InputError
from heatflow.geo.tiles import cut_tiles, footprints, label_tiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import write_json
from heatflow.io.vectors import read_features, write_features
from stages._paths import METRICS, TERRAIN, TILE_TABLE, TILES, WELLS
from stages._runner import progress, read_params, run, say

PARAMS = (
    "tile.size",
    "tile.stride",
    "tile.statistic",
    "tile.min_wells",
    "tile.edges",
)
INPUTS = (TERRAIN, WELLS)


def main():
    p = read_params(PARAMS).tile
    wells = read_features(WELLS)
    with open_written(TERRAIN) as terrain:
        grid = Grid.from_dataset(terrain)
        tiles = TileGrid(grid, p.size, p.step)
        if 0 in tiles.shape:
            raise InputError(
                f"tile.size: {p.size} pixels is more than the terrain measures ({grid.width} x {grid.height} pixels); "
                "decrease it, or terrain.resolution"
            )
        row, column = grid.pixel(*shapely.get_coordinates(wells.geometry.array).T)
        table, unplaced = label_tiles(
            row,
            column,
            wells["residual"].to_numpy(),
            tiles,
            statistic=p.statistic,
            min_wells=p.min_wells,
            edges=p.edges,
        )
        if table.empty:
            raise InputError(f"tile.min_wells: no tile holds {p.min_wells} or more of the {len(wells)} wells")
        with replacing(TILES) as beside, progress(len(table), "tile", "tile") as bar:
            table = table.join(cut_tiles(terrain, tiles, table, beside, on_tile=bar.update))
    write_features(TILE_TABLE, geopandas.GeoDataFrame(table, geometry=footprints(tiles, table)), "tiles")
    names = p.class_names
    counts = np.bincount(table["label"], minlength=len(names))
    write_json(
        METRICS / "tiles.json",
        {
            "rows": tiles.shape[0],
            "columns": tiles.shape[1],
            "tiles": len(table),
            "wells_in_no_tile": len(unplaced),
            "classes": {str(k): int(n) for k, n in enumerate(counts)},
        },
    )
    say(f"{tiles.shape[1]} x {tiles.shape[0]} tiles of {p.size} pixels, {len(table)} with {p.min_wells} or more wells")
    say("classes " + ", ".join(f"{name}: {n}" for name, n in zip(names, counts, strict=True)) + " (mW/m2)")
    if len(unplaced):
        say(f"{len(unplaced)} of {len(wells)} wells lie in no tile (past the last whole one, or between tiles)")


if __name__ == "__main__":
    run(main, INPUTS)
