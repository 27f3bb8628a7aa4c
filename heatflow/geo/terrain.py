"""The terrain: elevation warped onto the working grid, its regional trend subtracted, written strip by strip."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import Elevation
from heatflow.geo.trend import Strips, detrend
from heatflow.geo.warp import source_pixel, warp_strips
from heatflow.grid.grids import Grid
from heatflow.io.rasters import write_cog

CELLS_IN_RADIUS = 20  # of the raster that shows the trend, which is smooth
MOST_CELLS = 2_000  # along an axis of it: it is held in memory


@dataclass(frozen=True)
class TerrainSummary:
    """What the terrain holds.

    Parameters
    ----------
    grid : Grid
    valid : float
        Share of pixels with data.
    elevation : (float, float)
        Lowest and highest elevation, metres.
    terrain : (float, float)
        Lowest and highest value written, metres: above the regional trend where that was subtracted.
    detrended : bool
    source_pixel : float
        Edge of a pixel of the raster that it was made from, metres.
    """

    grid: Grid
    valid: float
    elevation: tuple[float, float]
    terrain: tuple[float, float]
    detrended: bool
    source_pixel: float

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/terrain.json``."""
        elevation, terrain = (dict(zip(("low", "high"), ends, strict=True)) for ends in (self.elevation, self.terrain))
        size = {"width": self.grid.width, "height": self.grid.height}
        return {**size, "valid": self.valid, "source_pixel": self.source_pixel, "elevation": elevation, **terrain}


def write_terrain(
    source: Elevation, grid: Grid, terrain: Terrain, path: Path, trend: Path,
    on_strip: Callable[[int], object] = lambda rows: None,
) -> TerrainSummary:  # fmt: skip
    """Warp elevation onto a grid, subtract the regional trend, and write both as cloud-optimised GeoTIFFs.

    Memory holds a strip of rows, or the rows within the detrending radius of it, whatever the size of the raster.

    Parameters
    ----------
    source : Elevation
    grid : Grid
        As `working_grid` gives it.
    terrain : Terrain
        Of which the resampling and the detrending radius are used.
    path : Path
        Of the GeoTIFF to write.
    trend : Path
        Of the GeoTIFF of what is subtracted, on a coarser grid (`trend_grid`); NaN throughout where nothing is.
    on_strip : callable
        Called with the number of rows written, for progress.

    Returns
    -------
    TerrainSummary

    Raises
    ------
    InputError
        The radius is larger than the raster, or no pixel has data.
    """
    name, radius = source.dataset.name, terrain.detrend_radius
    before, after = _Range(), _Range()
    subtracted = _Subtracted(coarse := trend_grid(grid, radius), grid)
    strips = before.observe(warp_strips(source, grid, terrain.resampling), source=name)
    if radius is not None:
        longest = max(grid.shape) * grid.resolution
        if radius > longest:
            why = "there is no regional trend to tell from the terrain; give a smaller radius, or null"
            raise InputError(
                f"terrain.detrend_radius: {radius:g} m is more than {name} measures ({longest:g} m): {why}"
            )
        strips = subtracted.observe(strips, grid.shape, radius / grid.resolution)
    write_cog(path, grid, after.observe(strips), on_strip=on_strip)
    write_cog(trend, coarse, iter([(0, subtracted.mean())]), bands=("regional trend",))
    valid = after.count / (grid.width * grid.height)
    ends = (before.low, before.high), (after.low, after.high)
    return TerrainSummary(grid, valid, *ends, radius is not None, source_pixel(source, grid))


def trend_grid(grid: Grid, radius: float | None) -> Grid:
    """A coarser grid with the same corner that shows all that a trend of this radius (metres) holds."""
    fine = (radius or 0) / CELLS_IN_RADIUS / grid.resolution
    cell = max(1, int(fine), -(-max(grid.shape) // MOST_CELLS))
    width, height = -(-grid.width // cell), -(-grid.height // cell)
    return replace(grid, resolution=grid.resolution * cell, width=width, height=height)


class _Subtracted:
    """Means over the cells of a coarse grid of what detrending takes off the pixels of a grid."""

    def __init__(self, coarse: Grid, grid: Grid) -> None:
        self.cell = round(coarse.resolution / grid.resolution)
        self.sums = np.zeros((2, *coarse.shape))

    def observe(self, strips: Strips, shape: tuple[int, int], radius: float) -> Strips:
        """Detrend strips, with a radius in pixels, and pass them on."""
        held: deque[np.ndarray] = deque()

        def hold() -> Strips:
            for row, strip in strips:
                held.append(strip)
                yield row, strip

        for row, strip in detrend(hold(), shape, radius):
            taken = held.popleft() - strip
            there = np.isfinite(taken)
            starts = np.arange(0, strip.shape[1], self.cell)
            rows = (row + np.arange(len(strip))) // self.cell
            for sums, values in zip(self.sums, (np.where(there, taken, 0), there), strict=True):
                np.add.at(sums, rows, np.add.reduceat(values.astype(np.float64), starts, axis=1))
            yield row, strip

    def mean(self) -> np.ndarray:
        """Mean of each cell, metres; float32, NaN where nothing was taken off."""
        total, count = self.sums
        return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0).astype(np.float32)


class _Range:
    """Number and range of the finite values in strips that pass by."""

    def __init__(self) -> None:
        self.count, self.low, self.high = 0, np.inf, -np.inf

    def observe(self, strips: Strips, source: str | None = None) -> Strips:
        """Pass strips on; where `source` is named, refuse them at their end if none had a finite value."""
        for row, strip in strips:
            values = strip[np.isfinite(strip)]
            if values.size:
                self.count += values.size
                self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            yield row, strip
        if source is not None and not self.count:
            remedy = "check its nodata value (override it with terrain.nodata) and terrain.min_elevation"
            raise InputError(f"data.elevation: {source}: has no pixel with data; {remedy}")
