"""Bring elevation onto the working grid and take its regional trend off."""

import numpy as np

from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation, warp_strips, working_grid
from heatflow.geo.trend import detrend
from heatflow.grid.crs import parse_crs
from heatflow.io.atomic import replacing
from heatflow.io.rasters import write_cog
from heatflow.io.text import write_json
from stages._paths import METRICS, TERRAIN
from stages._runner import progress, read_params, run, say

PARAMS = ("data.elevation", "terrain")


def main():
    params = read_params(PARAMS)
    p, path = params.terrain, params.data.elevation
    crs = None if p.crs is None else parse_crs(p.crs, "terrain.crs")
    before, after = _Range(), _Range()
    with open_elevation(path, p.band, p.nodata, p.min_elevation, p.driver) as source:
        grid = working_grid(source, p.resolution, crs, p.bounds)
        strips = before.watch(warp_strips(source, grid, p.resampling), f"data.elevation: {path}")
        if p.detrend_radius is not None:
            longest = max(grid.shape) * grid.resolution
            if p.detrend_radius > longest:
                raise InputError(
                    f"terrain.detrend_radius: {p.detrend_radius:g} m is more than {path} measures ({longest:g} m): "
                    "there is no regional trend to tell from the terrain; give a smaller radius, or null"
                )
            strips = detrend(strips, grid.shape, p.detrend_radius / grid.resolution)
        with replacing(TERRAIN) as beside, progress(grid.height, "terrain", "row") as bar:
            write_cog(beside, grid, after.watch(strips), on_strip=bar.update)
    valid = after.count / (grid.width * grid.height)
    write_json(
        METRICS / "terrain.json",
        {
            "width": grid.width,
            "height": grid.height,
            "valid": valid,
            "elevation": {"low": before.low, "high": before.high},
            "low": after.low,
            "high": after.high,
        },
    )
    say(f"{grid.width} x {grid.height} pixels of {grid.resolution:g} m, {valid:.1%} with data")
    trend = "" if p.detrend_radius is None else f", {after.low:.1f} to {after.high:.1f} m above the regional trend"
    say(f"elevation {before.low:.1f} to {before.high:.1f} m{trend} -> {TERRAIN}")


class _Range:
    """Number and range of the values in strips that pass by."""

    def __init__(self):
        self.count, self.low, self.high = 0, np.inf, -np.inf

    def watch(self, strips, what=None):
        for row, strip in strips:
            values = strip[np.isfinite(strip)]
            if values.size:
                self.count += values.size
                self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            yield row, strip
        if what and not self.count:
            raise InputError(
                f"{what}: has no pixel with data; check its nodata value (override it with terrain.nodata) and "
                "terrain.min_elevation"
            )


if __name__ == "__main__":
    run(main)
