"""Warp the elevation raster onto the working grid."""

import numpy as np

from heatflow.errors import InputError
from heatflow.files import replacing, write_json
from heatflow.geo.crs import parse_crs
from heatflow.geo.raster import open_elevation, warp_strips, working_grid, write_cog
from stages._stage import METRICS, TERRAIN, progress, read_params, run, say

PARAMS = ("data.elevation", "terrain")


def main():
    p = read_params(PARAMS)
    crs = None if p.terrain.crs is None else parse_crs(p.terrain.crs, "terrain.crs")
    with open_elevation(p.data.elevation, p.terrain.band, p.terrain.nodata) as source:
        grid = working_grid(source, p.terrain.resolution, crs)
        seen = {"valid": 0, "low": np.inf, "high": -np.inf}

        def watched():
            for row, strip in warp_strips(source, grid, p.terrain.resampling):
                values = strip[np.isfinite(strip)]
                if values.size:
                    seen["valid"] += values.size
                    seen["low"] = min(seen["low"], float(values.min()))
                    seen["high"] = max(seen["high"], float(values.max()))
                yield row, strip
            if not seen["valid"]:
                raise InputError(
                    f"data.elevation: {p.data.elevation}: has no pixel with data; check its nodata value, "
                    "or override it with terrain.nodata"
                )

        with replacing(TERRAIN) as beside, progress(grid.height, "terrain", "row") as bar:
            write_cog(beside, grid, watched(), on_strip=bar.update)
    valid = seen["valid"] / (grid.width * grid.height)
    write_json(
        METRICS / "terrain.json",
        {"width": grid.width, "height": grid.height, "valid": valid, "low": seen["low"], "high": seen["high"]},
    )
    say(f"{grid.width} x {grid.height} pixels of {grid.resolution:g} m, {valid:.1%} with data")
    say(f"elevation {seen['low']:.1f} to {seen['high']:.1f} m -> {TERRAIN}")


if __name__ == "__main__":
    run(main)
