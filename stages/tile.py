"""Cut the terrain into tiles, give each the class of the residuals of its wells, and group wells into sites."""

from heatflow.geo.sites import group_sites
from heatflow.geo.tiles import LabelledTiles, cut_tiles
from heatflow.grid.grids import Grid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import write_json
from heatflow.io.vectors import read_features, write_features
from heatflow.present.messages import geo as messages
from stages._paths import METRICS, SITES, TERRAIN, TILE_TABLE, TILES, WELLS
from stages._runner import progress, read_params, run, say

PARAMS = ("tile.size", "tile.stride", "tile.margin", "tile.statistic", "tile.min_wells", "tile.edges")
INPUTS = (TERRAIN, WELLS)


def main() -> None:
    p = read_params(PARAMS).tile
    wells = read_features(WELLS)
    with open_written(TERRAIN) as terrain:
        labelled = LabelledTiles.from_wells(wells, Grid.from_dataset(terrain), p)
        with replacing(TILES) as beside, progress(len(labelled.table), "tile", "tile") as bar:
            statistics = cut_tiles(terrain, labelled.tiles, labelled.table, beside, p.margin, bar.update)
    sites = group_sites(wells, labelled.tiles, labelled.table["tile"].to_numpy())
    write_features(TILE_TABLE, labelled.table.join(statistics), "tiles")
    write_features(SITES, sites, "sites")
    write_json(METRICS / "tiles.json", labelled.metrics)
    say(messages.tiles_lines(labelled, len(sites), p.min_wells, p.class_names))


if __name__ == "__main__":
    run(main, INPUTS)
