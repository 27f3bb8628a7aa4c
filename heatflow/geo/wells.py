"""The wells that can be used, with their residuals, and the account of those that cannot."""

from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from rasterio import DatasetReader

from heatflow.config.schema import Wells
from heatflow.errors import InputError
from heatflow.geo.background import Background, background_grid, fit_around
from heatflow.geo.ledger import as_metrics, as_text, count_reasons
from heatflow.geo.well_placement import OUTSIDE, explain_no_fit, needs_background, place_wells
from heatflow.grid.grids import Grid
from heatflow.io.rasters import sample


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
        return {
            "read": self.n_read, "kept": len(self.kept), "dropped": as_metrics(self.counts),
            "residual": five_numbers(self.kept["residual"]), "background": five_numbers(self.kept["background"]),
        }  # fmt: skip


def five_numbers(values: pd.Series) -> dict[str, float]:
    """Lowest and highest value, and quartiles (Tukey, 1977, chapter 2).

    >>> five_numbers(pd.Series([1.0, 2.0, 3.0, 4.0, 9.0]))
    {'low': 1.0, 'q1': 2.0, 'median': 3.0, 'q3': 4.0, 'high': 9.0}
    """
    q1, q3 = values.quantile(0.25), values.quantile(0.75)
    numbers = {"low": values.min(), "q1": q1, "median": values.median(), "q3": q3, "high": values.max()}
    return {name: float(value) for name, value in numbers.items()}


def select_wells(table: geopandas.GeoDataFrame, terrain: DatasetReader, wells: Wells = Wells()) -> UsableWells:
    """Place wells on the terrain, find the residuals of those that lack them, and account for the rest.

    Parameters
    ----------
    table : GeoDataFrame
        As `read_wells` gives it.
    terrain : rasterio.DatasetReader
        Open raster of the working grid, NaN where there is no data.
    wells : Wells

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
        level = background.predict(placed.geometry.x.to_numpy(), placed.geometry.y.to_numpy())
        placed["residual"] = placed["heat_flow"] - level
        reason[(reason == "") & np.isnan(level)] = "too few wells around it for a background"
    reason.iloc[usable[np.isnan(height)]] = "on nodata"
    counts = count_reasons(reason)
    kept = placed[reason == ""].reset_index(drop=True)
    if kept.empty:
        raise InputError(
            f"data.wells: none of its {len(table)} wells can be used ({as_text(counts)}); do the wells and "
            f"data.elevation cover the same region, and is wells.crs right?{explain_no_fit(table, grid)}"
        )
    kept["background"] = kept["heat_flow"] - kept["residual"]
    kept = kept[["id", "name", "heat_flow", "background", "residual", "geometry"]]
    map_grid = background_grid(grid, wells.background.radius)
    return UsableWells(kept, _ledger(table[reason != ""], reason), counts, background, map_grid)


def _ledger(dropped: geopandas.GeoDataFrame, reason: pd.Series) -> pd.DataFrame:
    points = dropped.geometry.representative_point()
    return pd.DataFrame(dropped[["id", "name"]]).assign(
        heat_flow=dropped["heat_flow_text"], residual=dropped["residual_text"], x=points.x, y=points.y,
        reason=reason[dropped.index],
    )  # fmt: skip
