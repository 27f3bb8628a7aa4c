"""Bring elevation onto the working grid and subtract its regional trend."""

from heatflow.geo.elevation import open_elevation, open_layers
from heatflow.geo.terrain import write_terrain
from heatflow.geo.warp import working_grid
from heatflow.io.atomic import replacing
from heatflow.io.text import write_json
from heatflow.present.messages import geo as messages
from stages._paths import METRICS, TERRAIN, TREND
from stages._runner import progress, read_params, run, say

PARAMS = ("data.elevation", "data.layers", "model.inputs", "terrain")


def main() -> None:
    p = read_params(PARAMS)
    with open_elevation(p.data.elevation, p.terrain) as source, open_layers(p.data.layers) as layers:
        grid = working_grid(source, p.terrain)
        with replacing(TERRAIN) as beside, replacing(TREND) as trend, progress(grid.height, "terrain", "row") as bar:
            paths = beside, trend
            terrain = write_terrain(source, grid, p.terrain, *paths, p.model.inputs, layers, on_strip=bar.update)
    write_json(METRICS / "terrain.json", terrain.metrics)
    say(messages.terrain_lines(terrain, TERRAIN))


if __name__ == "__main__":
    run(main)
