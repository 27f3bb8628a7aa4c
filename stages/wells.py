"""Read the wells, find the residuals of those that lack them, and account for every one that cannot be used."""

import numpy as np

from heatflow.errors import InputError
from heatflow.geo.background import Background, background_grid
from heatflow.geo.wells import Columns, place_wells, read_wells, why_none_fits
from heatflow.grid.grids import Grid
from heatflow.io.rasters import open_written, sample, write_cog
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import write_features
from stages._paths import BACKGROUND, METRICS, TERRAIN, WELLS, WELLS_DROPPED
from stages._runner import read_params, run, say, warn

PARAMS = ("data.wells", "wells")
INPUTS = (TERRAIN,)


def main():
    params = read_params(PARAMS)
    p, path = params.wells, params.data.wells
    when, radius, decluster = p.background.when, p.background.radius, p.background.decluster
    columns = Columns(p.residual, p.heat_flow, p.x, p.y, p.quality_column, p.depth)
    read = read_wells(path, columns, crs=p.crs, layer=p.layer, unit=p.unit)
    estimate = when == "always" or read["residual_text"].isna().all()
    if estimate and read["heat_flow_text"].isna().all():
        raise InputError(f"wells.background.when: always, and {path} has no column of heat flow to estimate it from")
    with open_written(TERRAIN) as terrain:
        grid = Grid.from_dataset(terrain)
        if p.quality is not None and (read["quality"] == "").all():
            raise InputError(f"wells.quality: {path} has no column of quality codes; name it with wells.quality_column")
        if p.min_depth is not None and read["depth"].isna().all():
            raise InputError(f"wells.min_depth: {path} has no column of depths; name it with wells.depth")
        wells, reason = place_wells(
            read,
            grid,
            value="heat_flow" if estimate else "residual",
            quality=p.quality,
            min_depth=p.min_depth,
            colocated=p.colocated,
        )
        usable = np.flatnonzero(reason == "")
        height = sample(terrain, wells["row"].to_numpy()[usable], wells["column"].to_numpy()[usable])
    background, coarse = None, background_grid(grid, radius)
    if estimate and len(usable):
        background = Background.around(wells, reason, grid, radius, decluster)
        level = background.at(wells.geometry.x, wells.geometry.y)
        wells["residual"] = wells["heat_flow"] - level
        reason[(reason == "") & np.isnan(level)] = "too few wells around it for a background"
    reason.iloc[usable[np.isnan(height)]] = "on nodata"
    counts = reason[reason != ""].value_counts()
    kept = wells[reason == ""].reset_index(drop=True)
    if kept.empty:
        why = ", ".join(f"{n} {text}" for text, n in counts.items())
        raise InputError(
            f"data.wells: {path}: none of its {len(wells)} wells can be used ({why}); "
            f"do the wells and data.elevation cover the same region, and is wells.crs right?{why_none_fits(read, grid)}"
        )
    kept["background"] = kept["heat_flow"] - kept["residual"]
    write_features(WELLS, kept[["id", "name", "heat_flow", "background", "residual", "geometry"]], "wells")
    dropped = read[reason != ""]
    points = dropped.geometry.representative_point()
    ledger = dropped[["id", "name"]].assign(
        heat_flow=dropped["heat_flow_text"], residual=dropped["residual_text"], x=points.x, y=points.y,
        reason=reason[reason != ""],
    )  # fmt: skip
    write_csv(WELLS_DROPPED, ledger)
    write_cog(
        BACKGROUND,
        coarse,
        iter([(0, np.full(coarse.shape, np.nan, np.float32) if background is None else background.on(coarse))]),
        bands=("background heat flow",),
        units="mW/m2",
    )
    write_json(
        METRICS / "wells.json",
        {
            "read": len(wells),
            "kept": len(kept),
            "dropped": {text.replace(" ", "_"): int(n) for text, n in sorted(counts.items())},
            "residual": _summary(kept["residual"]),
            "background": _summary(kept["background"]),
        },
    )
    residual = _summary(kept["residual"])
    say(f"{len(wells)} wells read, {len(kept)} kept -> {WELLS}")
    say(
        "residual {low:.1f} to {high:.1f} mW/m2, quartiles {q1:.1f}, {median:.1f}, {q3:.1f}".format(**residual)
        + (
            f", against a background of {{low:.0f}} to {{high:.0f}} -> {BACKGROUND}".format(
                **_summary(kept["background"])
            )
            if estimate
            else ", as given"
        )
    )
    for text, n in counts.items():
        say(f"{n} dropped: {text} -> {WELLS_DROPPED}")
    if "heat flow of 0, or in another unit" in counts:
        warn("heat flows from 0 to 0.5 mW/m2 are left out: none measured, or in another unit; see the ledger")
    if background is not None and not background.settled:
        warn(f"the background still moved by {background.change:.2g} mW/m2 when its fit was ended")
    names = kept["name"][kept["name"] != ""]
    if twice := int(names.duplicated().sum()):
        say(f"{twice} names of wells occur again; all rows are kept, `id` is the row")


def _summary(values):
    return {
        "low": values.min(),
        "q1": values.quantile(0.25),
        "median": values.median(),
        "q3": values.quantile(0.75),
        "high": values.max(),
    }


if __name__ == "__main__":
    run(main, INPUTS)
