"""The terrain: elevation warped onto the working grid, its regional trend subtracted, written strip by strip.

Its first band is what every stage knows as the terrain. Further bands are what networks see beside it, each an input
of its own: the trend that was subtracted, and layers such as gravity. This is the one place that knows where a band
comes from. Whatever is cut out of the raster later has all of them.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import SourceRaster
from heatflow.geo.inputs import DETRENDED, TREND
from heatflow.geo.trend import Strips, detrend
from heatflow.geo.warp import require_overlap, source_pixel, warp_strips
from heatflow.grid.grids import Grid
from heatflow.io.rasters import write_cog

CELLS_IN_RADIUS = 20  # of the raster that shows the trend, which is smooth
LOWEST, HIGHEST = -11_500, 9_500  # m: no elevation on Earth, with what resampling may add, lies beyond
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
    layers : dict of float
        Share of pixels with data of each layer, by its name.
    """

    grid: Grid
    valid: float
    elevation: tuple[float, float]
    terrain: tuple[float, float]
    detrended: bool
    source_pixel: float
    layers: dict[str, float] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/terrain.json``."""
        elevation, terrain = (dict(zip(("low", "high"), ends, strict=True)) for ends in (self.elevation, self.terrain))
        size = {"width": self.grid.width, "height": self.grid.height}
        layers = {"layers": self.layers} if self.layers else {}
        pixels = {"valid": self.valid, "source_pixel": self.source_pixel}
        return {**size, **pixels, "elevation": elevation, **terrain, **layers}


def write_terrain(
    source: SourceRaster, grid: Grid, terrain: Terrain, path: Path, trend: Path, inputs: Sequence[str] = DETRENDED,
    layers: Mapping[str, SourceRaster] = MappingProxyType({}), on_strip: Callable[[int], object] = lambda rows: None,
) -> TerrainSummary:  # fmt: skip
    """Warp elevation onto a grid, subtract the regional trend, and write both as cloud-optimised GeoTIFFs.

    Memory holds a strip of rows, or the rows within the detrending radius of it, whatever the size of the raster.

    Parameters
    ----------
    source : SourceRaster
    grid : Grid
        As `working_grid` gives it.
    terrain : Terrain
        Of which the resampling and the detrending radius are used.
    path : Path
        Of the GeoTIFF to write.
    trend : Path
        Of the GeoTIFF of what is subtracted, on a coarser grid (`trend_grid`); NaN throughout where nothing is.
    inputs : sequence of str, optional
        "detrended", and "trend" where that is to be the second band of the terrain.
    layers : mapping of str to SourceRaster, optional
        Rasters whose values are further bands of the terrain, by their names.
    on_strip : callable
        Called with the number of rows written, for progress.

    Returns
    -------
    TerrainSummary

    Raises
    ------
    InputError
        The radius is larger than the raster, or no pixel of it or of a layer has data.
    """
    name, radius = source.dataset.name, terrain.detrend_radius
    for raster in layers.values():
        require_overlap(raster, grid)
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
    beside = _Beside(subtracted if TREND in inputs else None, layers, grid, terrain.resampling)
    bands, units = beside.bands
    write_cog(path, grid, beside.observe(after.observe(strips)), bands=bands, units=units, on_strip=on_strip)
    write_cog(trend, coarse, iter([(0, subtracted.mean())]), bands=("regional trend",))
    valid, *of_layers = (count / (grid.width * grid.height) for count in (after.count, *beside.counts()))
    ends, shares = ((before.low, before.high), (after.low, after.high)), dict(zip(layers, of_layers, strict=True))
    return TerrainSummary(grid, valid, *ends, radius is not None, source_pixel(source, grid), shares)


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
        self.taken = np.empty((0, grid.width), dtype=np.float32)  # off the strip that was passed on last

    def observe(self, strips: Strips, shape: tuple[int, int], radius: float) -> Strips:
        """Detrend strips, with a radius in pixels, and pass them on."""
        held: deque[np.ndarray] = deque()

        def hold() -> Strips:
            for row, strip in strips:
                held.append(strip)
                yield row, strip

        for row, strip in detrend(hold(), shape, radius):
            self.taken = taken = held.popleft() - strip
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


class _Beside:
    """Bands beside the terrain: the trend that was taken off, if it is wanted, and layers."""

    def __init__(
        self, trend: _Subtracted | None, layers: Mapping[str, SourceRaster], grid: Grid, resampling: str
    ) -> None:
        self.trend, self.layers, self.grid, self.resampling = trend, layers, grid, resampling
        self.with_data: Counter[str] = Counter()

    @property
    def bands(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Descriptions and units of all bands of the terrain."""
        own = {"elevation": "m"} | ({} if self.trend is None else {TREND: "m"})
        every = own | {name: raster.unit for name, raster in self.layers.items()}
        return tuple(every), tuple(every.values())

    def observe(self, strips: Strips) -> Strips:
        """Strips (bands, rows, width) from those of the first band."""
        for row, strip in strips:
            bands = [strip] if self.trend is None else [strip, self.trend.taken]
            for name, raster in self.layers.items():
                parts = warp_strips(raster, self.grid, self.resampling, (row, row + len(strip)))
                bands.append(np.concatenate([part for _, part in parts]))
                self.with_data[name] += int(np.isfinite(bands[-1]).sum())
            yield row, np.stack(bands)

    def counts(self) -> list[int]:
        """Number of pixels with data of each layer, at least one."""
        for name, raster in self.layers.items():
            if not self.with_data[name]:
                remedy = "check its nodata value, and whether it shows the same region"
                raise InputError(f"{raster.param}: {raster.dataset.name}: has no data on the terrain; {remedy}")
        return [self.with_data[name] for name in self.layers]


class _Range:
    """Number and range of the finite values in strips that pass by."""

    def __init__(self) -> None:
        self.count, self.low, self.high = 0, np.inf, -np.inf

    def observe(self, strips: Strips, source: str | None = None) -> Strips:
        """Pass strips on; where `source` is named, refuse elevations that are none on Earth, and strips without any."""
        for row, strip in strips:
            values = strip[np.isfinite(strip)]
            if values.size:
                self.count += values.size
                self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            if source is not None and self.count and not LOWEST < self.low <= self.high < HIGHEST:
                remedy = "are they in feet, or is a value that means no data not declared (terrain.nodata)?"
                what = f"elevations from {self.low:g} to {self.high:g} m, and Earth has none beyond -11,000 and 8,900"
                raise InputError(f"data.elevation: {source}: {what}; {remedy}")
            yield row, strip
        if source is not None and not self.count:
            remedy = "check its nodata value (override it with terrain.nodata) and terrain.min_elevation"
            raise InputError(f"data.elevation: {source}: has no pixel with data; {remedy}")
