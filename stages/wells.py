"""Read the wells, place them on the terrain, and account for every one that cannot be used."""

import numpy as np
import rasterio

from heatflow.errors import InputError
from heatflow.files import write_csv, write_json
from heatflow.geo.grid import Grid
from heatflow.geo.raster import sample
from heatflow.geo.vector import write_features
from heatflow.geo.wells import place_wells, read_wells
from stages._stage import METRICS, TERRAIN, WELLS, WELLS_DROPPED, read_params, run, say

PARAMS = ("data.wells", "wells")
INPUTS = (TERRAIN,)


def main():
    p = read_params(PARAMS)
    read = read_wells(
        p.data.wells,
        residual=p.wells.residual,
        heat_flow=p.wells.heat_flow,
        x=p.wells.x,
        y=p.wells.y,
        crs=p.wells.crs,
        layer=p.wells.layer,
    )
    with rasterio.open(TERRAIN) as terrain:
        grid = Grid.of(terrain)
        wells, reason = place_wells(read, grid)
        usable = np.flatnonzero(reason == "")
        height = sample(terrain, wells["row"].to_numpy()[usable], wells["column"].to_numpy()[usable])
        reason.iloc[usable[np.isnan(height)]] = "on nodata"
    counts = reason[reason != ""].value_counts()
    kept = wells[reason == ""].reset_index(drop=True)
    if kept.empty:
        why = ", ".join(f"{n} {text}" for text, n in counts.items())
        raise InputError(
            f"data.wells: {p.data.wells}: none of its {len(wells)} wells can be used ({why}); "
            "do the wells and data.elevation cover the same region, and is wells.crs right?"
        )
    write_features(WELLS, kept[["id", "heat_flow", "residual", "geometry"]], "wells")
    dropped = read[reason != ""]
    points = dropped.geometry.representative_point()
    ledger = dropped[["id", "heat_flow"]].assign(
        residual=dropped["given"], x=points.x, y=points.y, reason=reason[reason != ""]
    )
    write_csv(WELLS_DROPPED, ledger)
    residual = kept["residual"]
    write_json(
        METRICS / "wells.json",
        {
            "read": len(wells),
            "kept": len(kept),
            "dropped": {text.replace(" ", "_"): int(n) for text, n in sorted(counts.items())},
            "residual": {
                "low": residual.min(),
                "q1": residual.quantile(0.25),
                "median": residual.median(),
                "q3": residual.quantile(0.75),
                "high": residual.max(),
            },
        },
    )
    say(f"{len(wells)} wells read, {len(kept)} kept, residual {residual.min():.1f} to {residual.max():.1f} mW/m2")
    for text, n in counts.items():
        say(f"{n} dropped: {text} -> {WELLS_DROPPED}")


if __name__ == "__main__":
    run(main, INPUTS)
