"""Read the wells, find the residuals of those that lack them, and account for every one that cannot be used."""

from heatflow.geo.well_tables import read_wells
from heatflow.geo.wells import select_wells
from heatflow.io.rasters import open_written, write_cog
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import write_features
from heatflow.present.messages import geo as messages
from stages._paths import BACKGROUND, METRICS, TERRAIN, WELLS, WELLS_DROPPED
from stages._runner import read_params, run, say, warn

PARAMS = ("data.wells", "wells", "split.block_size", "split.buffer", "tile.size")
INPUTS = (TERRAIN,)


def main() -> None:
    p = read_params(PARAMS)
    table = read_wells(p.data.wells, p.wells)
    with open_written(TERRAIN) as terrain:
        wells = select_wells(table, terrain, p.wells, (p.split.block_size * p.tile.size, p.split.buffer * p.tile.size))
    background = iter([(0, wells.background_map())])
    write_features(WELLS, wells.kept, "wells")
    write_csv(WELLS_DROPPED, wells.dropped)
    write_cog(BACKGROUND, wells.map_grid, background, bands=("background heat flow",), units="mW/m2")
    write_json(METRICS / "wells.json", wells.metrics)
    say(messages.wells_lines(wells, WELLS, WELLS_DROPPED))
    warn(messages.wells_warnings(wells))


if __name__ == "__main__":
    run(main, INPUTS)
