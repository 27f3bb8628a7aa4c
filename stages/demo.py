"""Make the synthetic Basin-and-Range region that the default run learns from."""

import geopandas
import numpy as np
from shapely import LineString

from heatflow.demo.region import make_region
from heatflow.io.atomic import replacing
from heatflow.io.rasters import write_cog
from heatflow.io.vectors import write_features
from stages._paths import DEMO
from stages._runner import read_params, run, say

PARAMS = ("demo",)


def main():
    p = read_params(PARAMS).demo
    region = make_region(
        seed=p.seed,
        width_km=p.width,
        height_km=p.height,
        resolution=p.resolution,
        signal=p.signal,
        sampling_bias=p.sampling_bias,
        erase=p.erase,
    )
    grid, crs = region.grid, region.grid.crs.to_wkt()
    with replacing(DEMO) as folder:
        folder.mkdir()
        write_cog(folder / "elevation.tif", grid, [(0, region.elevation)])
        write_cog(folder / "influence.tif", grid, [(0, region.influence)], bands=("influence",), units="1")
        wells = geopandas.GeoDataFrame(
            region.wells[["heat_flow"]], geometry=geopandas.points_from_xy(region.wells.x, region.wells.y), crs=crs
        )
        write_features(folder / "wells.fgb", wells, "wells")
        structures = geopandas.GeoDataFrame(
            region.structures[["kind", "hot"]],
            geometry=geopandas.points_from_xy(region.structures.x, region.structures.y),
            crs=crs,
        )
        write_features(folder / "structures.fgb", structures, "structures")
        faults = geopandas.GeoDataFrame(
            {"kind": [kind for kind, _ in region.faults]},
            geometry=[LineString(vertices) for _, vertices in region.faults],
            crs=crs,
        )
        write_features(folder / "faults.fgb", faults, "faults")
    low, high = np.nanmin(region.elevation), np.nanmax(region.elevation)
    say(f"{grid.width} x {grid.height} pixels of {grid.resolution:g} m, elevation {low:.0f} to {high:.0f} m")
    say(
        f"{len(wells)} wells, heat flow {wells['heat_flow'].min():.0f} to {wells['heat_flow'].max():.0f} mW/m2; "
        f"{int(structures['hot'].sum())} of {len(structures)} structures hot"
    )


if __name__ == "__main__":
    run(main)
