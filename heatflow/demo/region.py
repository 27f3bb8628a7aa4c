"""A synthetic Basin-and-Range region whose answer is known.

Ranges are footwalls of normal faults that trend north-north-east. Step-overs, tips and intersections of faults host
most hot systems of the real province: step-overs 32 %, tips 25 %, intersections 22 % (Faulds and Hinz, 2015, Proc.
World Geothermal Congress). Each setting leaves its mark in the terrain: range ends, ramps, splays, crossing scarps. As
many look-alikes without heat consist of the same blocks in another arrangement, and are drilled alike: neither the
terrain's local statistics nor the places of wells tell where it is hot.

Nothing here is fitted to a real region, and the structures are never read by a stage that trains.
"""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
from rasterio import CRS
from shapely import LineString

from heatflow.config.schema import Demo
from heatflow.demo.faults import fault_network, unbroken
from heatflow.demo.relief import long_waves, ragged_edge, shape_terrain, window_around
from heatflow.grid.grids import Grid

LEFT, TOP, ALBERS = -1_900_000.0, 2_300_000.0, 5070  # corner of the raster (m), and EPSG code of its CRS
KIND_SHARE = {"step-over": 0.32, "tip": 0.25, "intersection": 0.22}  # of hot systems; what is left is blind
MEDIAN_PEAK = {"step-over": 700.0, "tip": 200.0, "intersection": 400.0}  # residual over a hot system, mW/m2
DRILLED = 0.95  # chance that a structure or a look-alike is drilled
OTHERS = 0.14  # drilled places that are neither, in each square of 40 km
OFF, SPREAD = 1.3e3, 1.9e3  # m, standard deviation of a system around its place, and of wells around a system


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
    structures, lookalikes : DataFrame
        ``x``, ``y``, ``kind`` (of a look-alike: the kind that it looks like), ``hot``, ``wells`` (number of its own).
    faults : list of (str, float array of shape (n, 2))
        Kind and vertices of each trace.
    """

    grid: Grid
    elevation: np.ndarray
    influence: np.ndarray
    wells: pd.DataFrame
    structures: pd.DataFrame
    lookalikes: pd.DataFrame
    faults: list[tuple[str, np.ndarray]]

    def layers(self) -> dict[str, geopandas.GeoDataFrame]:
        """Wells (without the truth), structures, look-alikes and faults as vector layers."""
        crs = self.grid.crs.to_wkt()

        def points(table: pd.DataFrame, columns: list[str]) -> geopandas.GeoDataFrame:
            return geopandas.GeoDataFrame(table[columns], geometry=geopandas.points_from_xy(table.x, table.y), crs=crs)

        traces = [LineString(trace) for _, trace in self.faults]
        faults = geopandas.GeoDataFrame({"kind": [kind for kind, _ in self.faults]}, geometry=traces, crs=crs)
        known = {name: points(getattr(self, name), ["kind", "hot"]) for name in ("structures", "lookalikes")}
        return {"wells": points(self.wells, ["heat_flow"]), **known, "faults": faults}


def make_region(demo: Demo = Demo()) -> Region:
    """Build the region.

    Faults, terrain, heat and wells draw from streams of their own, so that changing `signal` or `sampling_bias` leaves
    the terrain as it is, and `erase` leaves the wells, structures and look-alikes as they are, to the byte.

    Parameters
    ----------
    demo : Demo
        ``active``, ``lookalike_heat``: shares of the structures and of the look-alikes that are hot. Of other drilled
        places half of the difference is hot. Where look-alikes are cold that is as many as of structures and
        look-alikes together, so that terrain elsewhere says nothing of heat; where they are as hot as structures, the
        rest is cold, and relief controls heat. ``signal``: how far structure controls heat; at 0 all drilled places are
        hot with the mean chance of structures and look-alikes. ``sampling_bias``: how far wells follow heat. At 0 all
        places are drilled alike; at 1 every hot one is drilled, and twice as often. ``erase``: each line of faults
        becomes one unbroken range, without structures, look-alikes and their foothills; heat and wells stay in place.

    Returns
    -------
    Region

    Examples
    --------
    >>> region = make_region(Demo(width=400, height=300, resolution=2000))
    >>> region.elevation.shape, sorted(region.layers())
    ((150, 200), ['faults', 'lookalikes', 'structures', 'wells'])
    """
    width, height = (round(km * 1000 / demo.resolution) for km in (demo.width, demo.height))
    grid = Grid(LEFT, TOP, float(demo.resolution), width, height, CRS.from_epsg(ALBERS))
    streams = np.random.SeedSequence(demo.seed).spawn(6)
    fault_rng, terrain_rng, heat_rng, well_rng, trend_rng, background_rng = map(np.random.default_rng, streams)
    segments, places = fault_network(grid, fault_rng)
    state = terrain_rng.bit_generator.state
    elevation = shape_terrain(grid, segments, terrain_rng)
    places = _heat(pd.concat([places, _other_places(grid, elevation, well_rng)], ignore_index=True), demo, heat_rng)
    wells, places["wells"] = _drill(places, demo.sampling_bias, well_rng)
    wells["background"] = np.round(80 + long_waves(wells.x.to_numpy(), wells.y.to_numpy(), 10, background_rng), 2)
    wells["heat_flow"] = np.round(np.maximum(wells["background"] + wells["residual"], 1), 2)
    if demo.erase:
        terrain_rng.bit_generator.state = state
        elevation = shape_terrain(grid, list(unbroken(segments, grid)), terrain_rng)
    column, row = np.arange(grid.width), np.arange(grid.height)[:, None]
    x, y = grid.left + (column + 0.5) * grid.resolution, grid.top - (row + 0.5) * grid.resolution
    elevation += 1700 + long_waves(x.astype(np.float32), y.astype(np.float32), 450, trend_rng)
    elevation = ragged_edge(grid, elevation, terrain_rng)
    structures, lookalikes = (
        places.loc[places.group == group, ["kind", "x", "y", "hot", "wells"]].reset_index(drop=True)
        for group in ("structure", "look-alike")
    )
    faults = [(s.kind, s.trace()) for s in segments if s.is_fault]
    return Region(grid, elevation, _influence(grid, structures), wells, structures, lookalikes, faults)


def _influence(grid: Grid, structures: pd.DataFrame, radius: float = 5e3) -> np.ndarray:
    """Nearness to the closest structure: exp(-(distance / radius)^2 / 2), 0 beyond five radii."""
    influence = np.zeros(grid.shape, dtype=np.float32)
    for x, y in zip(structures.x, structures.y, strict=True):
        window, dx, dy = window_around(grid, x, y, 5 * radius, 5 * radius)
        influence[window] = np.maximum(influence[window], np.exp(-(dx**2 + dy**2) / (2 * radius**2)))
    return influence


def _other_places(grid: Grid, elevation: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Drilled places that are neither structure nor look-alike, in valleys more than on ranges: ``x``, ``y``."""
    left, bottom, right, top = grid.bounds
    n = max(6, round(OTHERS * (right - left) * (top - bottom) / 40e3**2))
    x, y = rng.uniform(left, right, 4 * n), rng.uniform(bottom, top, 4 * n)
    valley = rng.random(len(x)) < np.where(elevation[grid.pixel(x, y)] < np.median(elevation), 1.0, 0.25)
    return pd.DataFrame({"x": x[valley][:n], "y": y[valley][:n], "group": "other"})


def _heat(places: pd.DataFrame, demo: Demo, rng: np.random.Generator) -> pd.DataFrame:
    """Places with ``hot`` and ``peak``, the residual over the system; a system lies a little off its place."""
    n, mean = len(places), (demo.active + demo.lookalike_heat) / 2
    other = max(0.0, (demo.active - demo.lookalike_heat) / 2)
    own = places.group.map({"structure": demo.active, "look-alike": demo.lookalike_heat, "other": other})
    hot = rng.random(n) < mean + demo.signal * (own - mean)
    blind = (rng.random(n) >= demo.signal) | (places.group == "other")  # where the kind says nothing of the heat
    share = np.array([*KIND_SHARE.values()]) / sum(KIND_SHARE.values())
    kind = places.kind.mask(blind, pd.Series(rng.choice([*KIND_SHARE], n, p=share)))
    peak = np.clip(kind.map(MEDIAN_PEAK).to_numpy(dtype=float) * np.exp(rng.normal(0, 0.8, n)), 60, 10_000)
    return places.assign(hot=hot, peak=np.where(hot, peak, 0.0))


def _drill(places: pd.DataFrame, sampling_bias: float, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Wells in clusters of heavy-tailed size around the places, and how many each place has."""
    biased = sampling_bias * places.hot
    chance = np.where(places.group == "other", 1.0, DRILLED + (1 - DRILLED) * biased)
    sizes = np.where(rng.random(len(places)) < chance, _cluster_sizes(rng, 1 + biased), 0)
    system = places[["x", "y"]].to_numpy() + rng.normal(0, OFF, (len(places), 2))
    x, y = np.round(np.repeat(system, sizes, axis=0) + rng.normal(0, SPREAD, (sizes.sum(), 2)), 1).T
    residual = np.clip(-10 + 10 * rng.standard_t(4, len(x)), -95, 95)
    for (x0, y0), peak in zip(system[places.hot], places.peak[places.hot], strict=True):
        distance = np.hypot(x - x0, y - y0)
        near = distance < 20e3
        residual[near] += peak * np.exp(-distance[near] / 3.5e3) * rng.lognormal(0, 0.4, near.sum())
    return pd.DataFrame({"x": x, "y": y, "residual": np.round(residual, 2)}), sizes


def _cluster_sizes(rng: np.random.Generator, factor: pd.Series) -> np.ndarray:
    """Heavy-tailed whole numbers from 1 on: a Pareto law of exponent 1.6, at most 40."""
    return np.minimum(40, 1 + factor * 2.5 * rng.pareto(1.6, len(factor))).astype(int)
