"""A synthetic Basin-and-Range region whose answer is known.

Ranges are footwalls of normal faults that trend north-north-east. Step-overs, tips and intersections of faults host
most hot systems of the real province: step-overs 32 %, tips 25 %, intersections 22 %, the rest blind (Faulds and Hinz,
2015, Proc. World Geothermal Congress). Each setting leaves its mark in the terrain: range ends, ramps, splays, crossing
scarps.

Nothing here is fitted to a real region, and the structures are never read by a stage that trains.
"""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
from rasterio import CRS
from scipy import ndimage
from shapely import LineString

from heatflow.config.schema import Demo
from heatflow.demo.faults import fault_network, unbroken
from heatflow.demo.relief import long_waves, ragged_edge, shape_terrain
from heatflow.grid.grids import Grid

LEFT, TOP, ALBERS = -1_900_000.0, 2_300_000.0, 5070  # corner of the raster (m), and EPSG code of its CRS
KIND_SHARE = {"step-over": 0.32, "tip": 0.25, "intersection": 0.22}  # of hot systems; what is left is blind
MEDIAN_PEAK = {"step-over": 900.0, "tip": 75.0, "intersection": 500.0}  # residual over a hot system, mW/m2
ACTIVE = 0.92  # share of the structures that are hot at full signal


@dataclass(frozen=True)
class Region:
    """What `make_region` returns: arrays on `grid`, tables in its map coordinates.

    Parameters
    ----------
    grid : Grid
    elevation : float32 array, shape (height, width)
        Metres, regional trend included, NaN for no data.
    influence : float32 array, shape (height, width)
        Nearness to a true structure, 0 to 1.
    wells : DataFrame
        ``x``, ``y``, ``heat_flow`` (mW/m2), and the truth that it consists of, ``background`` and ``residual``.
    structures : DataFrame
        ``x``, ``y``, ``kind``, ``hot``.
    faults : list of (str, float array of shape (n, 2))
        Kind and vertices of each trace.
    """

    grid: Grid
    elevation: np.ndarray
    influence: np.ndarray
    wells: pd.DataFrame
    structures: pd.DataFrame
    faults: list[tuple[str, np.ndarray]]

    def layers(self) -> dict[str, geopandas.GeoDataFrame]:
        """Wells (without the truth), structures and faults as vector layers."""
        crs = self.grid.crs.to_wkt()

        def points(table: pd.DataFrame, columns: list[str]) -> geopandas.GeoDataFrame:
            return geopandas.GeoDataFrame(table[columns], geometry=geopandas.points_from_xy(table.x, table.y), crs=crs)

        traces = [LineString(trace) for _, trace in self.faults]
        faults = geopandas.GeoDataFrame({"kind": [kind for kind, _ in self.faults]}, geometry=traces, crs=crs)
        wells, structures = points(self.wells, ["heat_flow"]), points(self.structures, ["kind", "hot"])
        return {"wells": wells, "structures": structures, "faults": faults}


def make_region(demo: Demo = Demo()) -> Region:
    """Build the region.

    Faults, terrain, heat and wells draw from streams of their own, so that changing `signal` or `sampling_bias` leaves
    the terrain as it is, and `erase` leaves the wells and the structures as they are, to the byte.

    Parameters
    ----------
    demo : Demo
        ``signal``: how far structure controls heat. At 1 the shares of Faulds and Hinz hold; at 0 every hot system is
        blind. ``sampling_bias``: how far wells follow heat. At 0 they are sited without regard to it; at 1 nearly every
        hot system is drilled, and drilled often. ``erase``: each line of faults becomes one unbroken range, without
        tips, step-overs, crossings and their foothills; heat and wells stay where the structures are.

    Returns
    -------
    Region

    Examples
    --------
    >>> region = make_region(Demo(width=400, height=300, resolution=2000))
    >>> region.elevation.shape, sorted(region.layers())
    ((150, 200), ['faults', 'structures', 'wells'])
    """
    width, height = (round(km * 1000 / demo.resolution) for km in (demo.width, demo.height))
    grid = Grid(LEFT, TOP, float(demo.resolution), width, height, CRS.from_epsg(ALBERS))
    streams = np.random.SeedSequence(demo.seed).spawn(6)
    fault_rng, terrain_rng, heat_rng, well_rng, trend_rng, background_rng = map(np.random.default_rng, streams)
    segments, structures = fault_network(grid, fault_rng)
    state = terrain_rng.bit_generator.state
    elevation = shape_terrain(grid, segments, terrain_rng)
    systems, structures = _hot_systems(grid, structures, demo.signal, heat_rng)
    wells = _drill_wells(grid, elevation, systems, demo.sampling_bias, well_rng)
    wells["background"] = np.round(80 + long_waves(wells.x.to_numpy(), wells.y.to_numpy(), 10, background_rng), 2)
    wells["heat_flow"] = np.round(np.maximum(wells["background"] + wells["residual"], 1), 2)
    if demo.erase:
        terrain_rng.bit_generator.state = state
        elevation = shape_terrain(grid, list(unbroken(segments, grid)), terrain_rng)
    column, row = np.arange(grid.width), np.arange(grid.height)[:, None]
    x, y = grid.left + (column + 0.5) * grid.resolution, grid.top - (row + 0.5) * grid.resolution
    elevation += 1700 + long_waves(x, y, 450, trend_rng)
    elevation = ragged_edge(grid, elevation, terrain_rng).astype(np.float32)
    faults = [(s.kind, s.trace()) for s in segments]
    return Region(grid, elevation, _influence(grid, structures), wells, structures, faults)


def _influence(grid: Grid, structures: pd.DataFrame, radius: float = 5e3) -> np.ndarray:
    """Nearness to the closest structure: exp(-(distance / radius)^2 / 2), 0 where there is none."""
    if structures.empty:
        return np.zeros(grid.shape, dtype=np.float32)
    away = np.ones(grid.shape, dtype=bool)
    away[grid.pixel(structures.x, structures.y)] = False
    distance = ndimage.distance_transform_edt(away) * grid.resolution
    return np.exp(-0.5 * (distance / radius) ** 2).astype(np.float32)


def _hot_systems(
    grid: Grid, structures: pd.DataFrame, signal: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hot systems (x, y, peak residual), and the structures with a column that tells which are hot."""
    hot = rng.random(len(structures)) < ACTIVE * signal
    total = round(ACTIVE * len(structures) / sum(KIND_SHARE.values()))
    blind = max(0, total - hot.sum())
    kind = np.concatenate([structures.kind[hot], rng.choice(list(KIND_SHARE), blind)])
    left, bottom, right, top = grid.bounds
    x = np.concatenate([structures.x[hot] + rng.normal(0, 1500, hot.sum()), rng.uniform(left, right, blind)])
    y = np.concatenate([structures.y[hot] + rng.normal(0, 1500, hot.sum()), rng.uniform(bottom, top, blind)])
    median = pd.Series(kind).map(MEDIAN_PEAK).to_numpy(dtype=float)
    peak = np.clip(median * np.exp(rng.normal(0, 0.8, len(x))), 40, 10_000)
    return pd.DataFrame({"x": x, "y": y, "peak": peak}), structures.assign(hot=hot)


def _drill_wells(
    grid: Grid, elevation: np.ndarray, systems: pd.DataFrame, sampling_bias: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Wells in clusters of heavy-tailed size, in valleys more than on ranges, and near hot systems as far as biased."""
    left, bottom, right, top = grid.bounds
    prospects = max(12, round(0.58 * (right - left) * (top - bottom) / 40e3**2))
    x, y = rng.uniform(left, right, 4 * prospects), rng.uniform(bottom, top, 4 * prospects)
    height = elevation[grid.pixel(x, y)]
    valley = rng.random(len(x)) < np.where(height < np.median(elevation), 1.0, 0.25)
    x, y = x[valley][:prospects], y[valley][:prospects]
    drilled = rng.random(len(systems)) < min(1.0, 1.8 * sampling_bias)
    sizes = np.concatenate([_cluster_sizes(rng, len(x), 1.0), _cluster_sizes(rng, drilled.sum(), 1 + sampling_bias)])
    centre_x = np.concatenate([x, systems.x[drilled]])
    centre_y = np.concatenate([y, systems.y[drilled]])
    spread = np.concatenate([np.full(len(x), 6e3), np.full(drilled.sum(), 1.5e3)])
    x = np.round(np.repeat(centre_x, sizes) + rng.normal(0, 1, sizes.sum()) * np.repeat(spread, sizes), 1)
    y = np.round(np.repeat(centre_y, sizes) + rng.normal(0, 1, sizes.sum()) * np.repeat(spread, sizes), 1)
    residual = np.clip(-10 + 10 * rng.standard_t(4, len(x)), -95, 95)
    for system in systems.itertuples():
        distance = np.hypot(x - system.x, y - system.y)
        near = distance < 20e3
        residual[near] += system.peak * np.exp(-distance[near] / 3e3) * rng.lognormal(0, 0.4, near.sum())
    return pd.DataFrame({"x": x, "y": y, "residual": np.round(residual, 2)})


def _cluster_sizes(rng: np.random.Generator, n: int, factor: float) -> np.ndarray:
    """Heavy-tailed whole numbers from 1 on: a Pareto law of exponent 1.1, at most 150."""
    return np.minimum(150, 1 + factor * 0.9 * rng.pareto(1.1, n)).astype(int)
