"""Wells on the working grid: those that can be used, with their residuals, and why the others cannot."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from rasterio import DatasetReader

from heatflow.config.schema import Wells
from heatflow.errors import InputError
from heatflow.geo.background import Background, background_grid, fit_around, fit_without_own_block
from heatflow.geo.ledger import as_metrics, as_text, count_reasons
from heatflow.geo.well_tables import MISSING, UNITS
from heatflow.grid.crs import transform_table
from heatflow.grid.grids import Grid
from heatflow.io.rasters import sample

LEAST_HEAT_FLOW = 0.5  # mW/m2; from 0 to this it is one in another unit, or a 0 that stands for none
TYPICAL = (15.0, 2000.0)  # mW/m2; a median heat flow of wells beyond these is in another unit
OUTSIDE, UNIT_DOUBTFUL = "outside the raster", "heat flow of 0, or in another unit"  # reasons


@dataclass(frozen=True)
class UsableWells:
    """Wells with residuals, and the ledger of the others.

    Parameters
    ----------
    kept : GeoDataFrame
        ``id``, ``name``, ``heat_flow``, ``background`` and ``residual`` (mW/m2), geometry in the terrain's CRS.
    dropped : DataFrame
        The ledger: ``id``, ``name``, ``heat_flow``, ``residual``, ``x`` and ``y`` as the file has them, ``reason``.
    counts : dict of int
        Number of wells for each reason, the commonest first.
    background : Background or None
        That was subtracted; None where the table has residuals.
    map_grid : Grid
        Of a map of the background.
    """

    kept: geopandas.GeoDataFrame
    dropped: pd.DataFrame
    counts: dict[str, int]
    background: Background | None
    map_grid: Grid

    @property
    def n_read(self) -> int:
        """Number of wells in the file: those kept and those in the ledger."""
        return len(self.kept) + len(self.dropped)

    def background_map(self) -> np.ndarray:
        """Background (mW/m2) on `map_grid`, float32 array (height, width); NaN where none was subtracted."""
        if self.background is None:
            return np.full(self.map_grid.shape, np.nan, np.float32)
        return self.background.predict_grid(self.map_grid)

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/wells.json``."""
        counts = {"read": self.n_read, "kept": len(self.kept), "dropped": as_metrics(self.counts)}
        return counts | {name: five_numbers(self.kept[name]) for name in ("residual", "background")}


def five_numbers(values: pd.Series) -> dict[str, float]:
    """Lowest and highest value, and quartiles (Tukey, 1977, chapter 2).

    >>> five_numbers(pd.Series([1.0, 2.0, 3.0, 4.0, 9.0]))
    {'low': 1.0, 'q1': 2.0, 'median': 3.0, 'q3': 4.0, 'high': 9.0}
    """
    q1, q3 = values.quantile(0.25), values.quantile(0.75)
    numbers = {"low": values.min(), "q1": q1, "median": values.median(), "q3": q3, "high": values.max()}
    return {name: float(value) for name, value in numbers.items()}


def select_wells(
    table: geopandas.GeoDataFrame, terrain: DatasetReader, wells: Wells = Wells(), block: tuple[float, float] = (0, 0)
) -> UsableWells:
    """Place wells on the terrain, find the residuals of those that lack them, and account for the rest.

    Parameters
    ----------
    table : GeoDataFrame
        As `read_wells` gives it.
    terrain : rasterio.DatasetReader
        Open raster of the working grid, NaN where there is no data.
    wells : Wells
    block : (float, float)
        Edge of the blocks of tiles and the buffer around them, pixels, for `wells.background.leave_block_out`.

    Returns
    -------
    UsableWells

    Raises
    ------
    InputError
        None of the wells can be used, or `place_wells` refuses them.
    """
    grid = Grid.from_dataset(terrain)
    placed = place_wells(table, grid, wells)
    reason = placed.pop("reason")
    usable = np.flatnonzero(reason == "")
    height = sample(terrain, placed["row"].to_numpy()[usable], placed["column"].to_numpy()[usable])
    background = None
    if needs_background(table, wells) and len(usable):
        background = fit_around(placed[reason.isin(["", OUTSIDE])], grid, wells.background)
        places = placed.geometry.x.to_numpy(), placed.geometry.y.to_numpy()
        level = background.predict(*places)
        if wells.background.leave_block_out:
            edge, buffer = (length * grid.resolution for length in block)
            level = fit_without_own_block(background, *places, grid, edge, buffer, wells.background.decluster)
        placed["residual"] = placed["heat_flow"] - level
        reason[(reason == "") & np.isnan(level)] = "too few wells around it for a background"
    reason.iloc[usable[np.isnan(height)]] = "on nodata"
    counts = count_reasons(reason)
    kept = placed[reason == ""].reset_index(drop=True)
    if kept.empty:
        why = "do the wells and data.elevation cover the same region, and is wells.crs right?"
        why += explain_no_fit(table, grid)
        raise InputError(f"data.wells: none of its {len(table)} wells can be used ({as_text(counts)}); {why}")
    kept["background"] = kept["heat_flow"] - kept["residual"]
    kept = kept[["id", "name", "heat_flow", "background", "residual", "geometry"]]
    map_grid = background_grid(grid, wells.background.radius)
    as_written = {"heat_flow_text": "heat_flow", "residual_text": "residual"}
    ledger = pd.DataFrame(table[["id", "name", *as_written, "x", "y"]]).rename(columns=as_written)
    ledger = ledger.assign(reason=reason)[reason != ""]
    return UsableWells(kept, ledger, counts, background, map_grid)


def needs_background(table: pd.DataFrame, wells: Wells = Wells()) -> bool:
    """Whether residuals are found by subtracting a background from the heat flow, rather than given in the table."""
    return wells.background.when == "always" or bool(table["residual_text"].isna().all())


def place_wells(table: geopandas.GeoDataFrame, grid: Grid, wells: Wells = Wells()) -> geopandas.GeoDataFrame:
    """Bring wells to the grid's CRS and say what is wrong with each, before the terrain itself is looked at.

    Parameters
    ----------
    table : GeoDataFrame
        As `read_wells` gives it.
    grid : Grid
    wells : Wells
        Which quality codes and depths are kept, and what becomes of wells at one and the same place.

    Returns
    -------
    GeoDataFrame
        The table in the grid's CRS with pixel ``row`` and ``column`` (-1 where there are no coordinates) and
        ``reason``: "" where the well can be used, else the first that applies of: impossible coordinates, no
        coordinates, quality code, too shallow, no residual (or heat flow, where a background is needed), not a finite
        number, heat flow of 0 or in another unit, outside the raster, exact duplicate (same place, heat flow and
        residual as an earlier usable row), merged with a well of the same place.

    Raises
    ------
    InputError
        The heat flows as a whole are in another unit, or the coordinates cannot be transformed.

    Examples
    --------
    >>> from rasterio.crs import CRS
    >>> text = ["12", ""]
    >>> table = geopandas.GeoDataFrame(
    ...     {"residual": [12.0, np.nan], "heat_flow": np.nan, "residual_text": text, "quality": "", "depth": np.nan,
    ...      "impossible": False}, geometry=geopandas.points_from_xy([500_100, 500_300], [999_900, 999_700]), crs=32611,
    ... )
    >>> grid = Grid(500_000, 1_000_000, 200, 10, 10, CRS.from_epsg(32611))
    >>> placed = place_wells(table, grid)
    >>> placed["row"].tolist(), placed["column"].tolist(), placed["reason"].tolist()
    ([0, 1], [0, 1], ['', 'no residual'])
    """
    value = "heat_flow" if needs_background(table, wells) else "residual"
    if value == "heat_flow":
        _check_unit(table["heat_flow"])
    placed = transform_table(table, grid.crs, "wells.crs")
    x, y = placed.geometry.x.to_numpy(), placed.geometry.y.to_numpy()
    located = np.isfinite(x) & np.isfinite(y)
    row, column = np.full(len(placed), -1), np.full(len(placed), -1)
    row[located], column[located] = grid.pixel(x[located], y[located])
    placed = placed.assign(row=row, column=column)
    placed["reason"] = _reasons(placed, value, located, grid, wells)
    key = pd.DataFrame({"x": x, "y": y, "residual": placed["residual"], "heat_flow": placed["heat_flow"]})
    duplicate = key[placed["reason"] == ""].duplicated()
    placed.loc[duplicate.index[duplicate], "reason"] = "exact duplicate"
    return placed if wells.colocated == "keep" else _merged(placed, key, value, wells.colocated)


def _reasons(placed: geopandas.GeoDataFrame, value: str, located: np.ndarray, grid: Grid, wells: Wells) -> np.ndarray:
    """What is wrong with each well by itself."""
    what, text, heat_flow = value.replace("_", " "), placed[f"{value}_text"], placed["heat_flow"]
    allowed = np.ones(len(placed), dtype=bool)
    if wells.quality is not None:
        allowed = np.array([any(fnmatchcase(code, like) for like in wells.quality) for code in placed["quality"]])
    tests = {
        "impossible coordinates": placed["impossible"],
        "no coordinates": ~located,
        "quality code": ~allowed,
        "too shallow": placed["depth"] < (-np.inf if wells.min_depth is None else wells.min_depth),
        f"no {what}": (text == "") | pd.to_numeric(text, errors="coerce").isin(MISSING),
        f"{what} is not a finite number": ~np.isfinite(placed[value]),
        UNIT_DOUBTFUL: (heat_flow >= 0) & (heat_flow < LEAST_HEAT_FLOW) & (value == "heat_flow"),
        OUTSIDE: ~grid.contains(placed["row"], placed["column"]),
    }
    return np.select([np.asarray(test) for test in tests.values()], list(tests), default="").astype(object)


def _merged(placed: geopandas.GeoDataFrame, key: pd.DataFrame, value: str, statistic: str) -> geopandas.GeoDataFrame:
    """Of the usable wells at one and the same coordinates the first alone, with the statistic of their values."""
    groups = key[placed["reason"] == ""].groupby(["x", "y"], sort=False)
    merged = groups[value].transform(statistic)
    other = "heat_flow" if value == "residual" else "residual"
    # what lies between the two, the background, is that of the place and not of one of its wells
    between = (key[other] - key[value])[merged.index].groupby([key["x"], key["y"]]).transform("median")
    placed.loc[merged.index, value] = merged
    placed.loc[merged.index, other] = merged + between
    follower = groups.cumcount() > 0
    placed.loc[follower.index[follower], "reason"] = "merged with a well of the same place"
    return placed


def explain_no_fit(table: geopandas.GeoDataFrame, grid: Grid) -> str:
    """What may be wrong with wells none of which lies on the grid: "" or a sentence about exchanged coordinates."""
    if table.crs is None or not table.crs.is_geographic:
        return ""
    points = table.geometry.dropna()
    possible = points[points.x.abs() <= 90]
    exchanged = geopandas.GeoSeries.from_xy(possible.y, possible.x, crs=table.crs).to_crs(grid.crs.to_wkt())
    finite = np.isfinite(exchanged.x) & np.isfinite(exchanged.y)
    inside = int(grid.contains(*grid.pixel(exchanged.x[finite], exchanged.y[finite])).sum())
    lie = f"{inside} of them would lie on the raster"
    return f" With longitude and latitude exchanged {lie}: exchange wells.x and wells.y." if inside else ""


def _check_unit(heat_flow: pd.Series) -> None:
    typical = heat_flow[heat_flow > 0].median()
    if TYPICAL[0] <= typical <= TYPICAL[1] or np.isnan(typical):
        return
    fits = [name for name, factor in UNITS.items() if TYPICAL[0] <= typical * factor <= TYPICAL[1]]
    hint = f"; they look like {' or '.join(fits)}: set wells.unit" if fits else ""
    raise InputError(f"data.wells: the median of the heat flows is {typical:g} mW/m2, which no region has{hint}")
