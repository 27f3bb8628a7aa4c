"""What the stages from the region to the filtered tiles say."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from heatflow.demo.region import Region
from heatflow.geo.low_data import FilteredTiles
from heatflow.geo.terrain import TerrainSummary
from heatflow.geo.tiles import LabelledTiles
from heatflow.geo.wells import UNIT_DOUBTFUL, UsableWells, five_numbers


def region_lines(region: Region) -> Iterator[str]:
    """Size of the synthetic region, and what was put into it."""
    grid, wells, structures = region.grid, region.wells, region.structures
    low, high = np.nanmin(region.elevation), np.nanmax(region.elevation)
    yield f"{grid.width} x {grid.height} pixels of {grid.resolution:g} m, elevation {low:.0f} to {high:.0f} m"
    flow, hot = wells["heat_flow"], f"{int(structures['hot'].sum())} of {len(structures)} structures hot"
    yield f"{len(wells)} wells, heat flow {flow.min():.0f} to {flow.max():.0f} mW/m2"
    yield f"{hot}, {int(region.lookalikes['hot'].sum())} of {len(region.lookalikes)} look-alikes"


def terrain_lines(terrain: TerrainSummary, path: Path) -> Iterator[str]:
    """Size of the terrain, and its range before and after the trend was subtracted."""
    grid, (low, high), (below, above) = terrain.grid, terrain.elevation, terrain.terrain
    finer = f", interpolated from {terrain.source_pixel:.0f} m" if terrain.source_pixel > 1.5 * grid.resolution else ""
    yield f"{grid.width} x {grid.height} pixels of {grid.resolution:g} m{finer}, {terrain.valid:.1%} with data"
    trend = f", {below:.1f} to {above:.1f} m above the regional trend" if terrain.detrended else ""
    yield f"elevation {low:.1f} to {high:.1f} m{trend} -> {path}"
    yield from (f"layer {name}: {share:.1%} with data" for name, share in terrain.layers.items())


def wells_lines(wells: UsableWells, path: Path, ledger: Path) -> Iterator[str]:
    """How many wells are used, their residuals, and why others are not used."""
    yield f"{wells.n_read} wells read, {len(wells.kept)} kept -> {path}"
    residual = "residual {low:.1f} to {high:.1f} mW/m2, quartiles {q1:.1f}, {median:.1f}, {q3:.1f}"
    level = ", as given" if wells.background is None else ", above a background of {low:.0f} to {high:.0f}"
    residuals, background = five_numbers(wells.kept["residual"]), five_numbers(wells.kept["background"])
    yield residual.format(**residuals) + level.format(**background)
    yield from _dropped(wells.counts, ledger)
    names = wells.kept["name"][wells.kept["name"] != ""]
    if repeated := int(names.duplicated().sum()):
        yield f"{repeated} names of wells occur again; all rows are kept, `id` is the row"


def wells_warnings(wells: UsableWells) -> Iterator[str]:
    """What a person should look at before the wells are used."""
    if UNIT_DOUBTFUL in wells.counts:
        yield "heat flows from 0 to 0.5 mW/m2 are left out: not measured, or in another unit; see the ledger"
    if wells.background is not None and not wells.background.converged:
        yield f"the background still changed by {wells.background.change:.2g} mW/m2 in the last round of its fit"


def tiles_lines(labelled: LabelledTiles, sites: int, min_wells: int, class_names: list[str]) -> Iterator[str]:
    """How many tiles and sites there are, and how many tiles of each class."""
    (rows, columns), held = labelled.tiles.shape, f"{len(labelled.table)} with {min_wells} or more wells"
    yield f"{columns} x {rows} tiles of {labelled.tiles.size} pixels, {held}"
    counts = (f"{name}: {n}" for name, n in zip(class_names, labelled.classes, strict=True))
    yield f"classes {', '.join(counts)} (mW/m2); {sites} sites of 2 km"
    if labelled.n_unplaced:
        lost = f"{labelled.n_unplaced} of {labelled.n_wells} wells lie in no tile"
        yield f"{lost} (past the last whole one, or between tiles)"


def filter_lines(filtered: FilteredTiles, ledger: Path) -> Iterator[str]:
    """How many tiles are kept, and why others are not."""
    yield f"{len(filtered.kept)} of {len(filtered.kept) + len(filtered.dropped)} tiles kept"
    yield from _dropped(filtered.counts, ledger)


def _dropped(counts: dict[str, int], ledger: Path) -> Iterator[str]:
    for text, n in counts.items():
        yield f"{n} dropped: {text} -> {ledger}"
