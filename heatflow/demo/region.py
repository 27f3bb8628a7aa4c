"""A synthetic Basin-and-Range region whose answer is known.

Ranges are footwalls of normal faults that trend north-north-east. Fault lines are broken into segments; where one
segment ends and the next begins there is either a step-over (the ends overlap side by side and a relay ramp joins
them) or a gap between two free tips; oblique faults cross some segments. These three settings host most hot systems
of the real province: step-overs 32 %, tips 25 %, intersections 22 %, the rest blind (Faulds and Hinz, 2015, Proc.
World Geothermal Congress). Each setting leaves its mark in the terrain: range ends, ramps, splays, crossing scarps.

Nothing here is fitted to a real region, and the structures are never read by a stage that trains.
"""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pandas as pd
from rasterio.crs import CRS
from scipy import fft, ndimage

from heatflow.grid.grids import Grid

STRIKE = np.deg2rad(15.0)  # azimuth of the ranges, clockwise from north
KIND_SHARE = {"step-over": 0.32, "tip": 0.25, "intersection": 0.22}  # of hot systems; what is left is blind
STEP_OVER = 0.72  # chance that a segment ends in a step-over; with CROSSED, gives the settings the ratios of KIND_SHARE
CROSSED = 0.49  # chance that a segment is crossed by an oblique fault
MEDIAN_PEAK = {"step-over": 900.0, "tip": 75.0, "intersection": 500.0}  # residual over a hot system, mW/m2
SMALL_BLOCK = 2.8e3  # m, width of the blocks around a structure
ACTIVE = 0.92  # share of the structures that are hot at full signal


@dataclass(frozen=True)
class Segment:
    """One normal fault: a wavy trace beside which a tilted block rises.

    Lengths in metres. `x`, `y`: centre. `azimuth`: radians clockwise from north. `throw`: height of the footwall.
    `facing`: +1 where the footwall lies to the right of the azimuth, -1 to the left. `taper`: distance over which the
    throw dies out at both ends. `width`: of the tilted block. `waves`: rows of (amplitude, wavelength, phase).
    `line`: number of the line of faults that a range front belongs to.
    """

    x: float
    y: float
    azimuth: float
    length: float
    throw: float
    facing: int
    taper: float
    width: float
    waves: np.ndarray
    kind: str = "range front"
    line: int = -1

    def offset(self, along):
        """How far the trace strays from its straight line, to the right, at distance `along` from the centre."""
        total = np.zeros_like(along, dtype=float)
        for amplitude, wavelength, phase in self.waves:
            total += amplitude * np.sin(2 * np.pi * along / wavelength + phase)
        return total

    def throw_share(self, along):
        """Throw at distance `along` from the centre as a share of the largest: 1 inside, 0 from the tips on."""
        inward = np.clip((self.length / 2 - np.abs(along)) / self.taper, 0, 1)
        return inward * inward * (3 - 2 * inward)

    def point(self, along, right=0.0):
        """Map coordinates (x, y) of the point `along` the trace and `right` of it."""
        along = np.asarray(along, dtype=float)
        right = right + self.offset(along)
        sin, cos = np.sin(self.azimuth), np.cos(self.azimuth)
        return self.x + along * sin + right * cos, self.y + along * cos - right * sin

    def trace(self) -> np.ndarray:
        """Vertices of the trace every kilometre or so, shape (n, 2)."""
        along = np.linspace(-self.length / 2, self.length / 2, max(2, round(self.length / 1000)))
        return np.column_stack(self.point(along))


@dataclass(frozen=True)
class Region:
    """What `make_region` returns; arrays on `grid`, tables in its map coordinates.

    `elevation`: float32 (height, width), metres, regional trend included, nodata NaN.
    `influence`: float32 (height, width), 0 to 1, nearness to a true structure.
    `wells`: x, y, heat_flow (mW/m2), and the truth that it consists of, background and residual.
    `structures`: x, y, kind, hot. `faults`: kind and (n, 2) vertices of each trace.
    """

    grid: Grid
    elevation: np.ndarray
    influence: np.ndarray
    wells: pd.DataFrame
    structures: pd.DataFrame
    faults: list[tuple[str, np.ndarray]]


def make_region(
    *,
    seed: int,
    width_km: float,
    height_km: float,
    resolution: float,
    signal: float,
    sampling_bias: float,
    erase: bool = False,
) -> Region:
    """Build the region.

    Parameters
    ----------
    seed : int
    width_km, height_km : float
        Extent of the raster.
    resolution : float
        Pixel edge in metres.
    signal : float, 0 to 1
        How far structure controls heat. At 1 the shares of Faulds and Hinz hold; at 0 every hot system is blind.
    sampling_bias : float, 0 to 1
        How far wells follow heat. At 0 they are sited without regard to it; at 1 nearly every hot system is drilled,
        and drilled often.
    erase : bool
        Draw each line of faults as one unbroken range, without tips, step-overs, crossings and their foothills. Heat
        and wells stay where the structures are; the terrain no longer shows them.

    Notes
    -----
    Faults, terrain, heat and wells draw from streams of their own, so that changing `signal` or `sampling_bias`
    leaves the terrain as it is, and `erase` leaves the wells and the structures as they are, to the byte.
    """
    grid = Grid(
        left=-1_900_000.0,
        top=2_300_000.0,
        resolution=float(resolution),
        width=round(width_km * 1000 / resolution),
        height=round(height_km * 1000 / resolution),
        crs=CRS.from_epsg(5070),
    )
    fault_rng, terrain_rng, heat_rng, well_rng, trend_rng, background_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)
    )
    segments, structures = _fault_network(grid, fault_rng)
    state = terrain_rng.bit_generator.state
    elevation = _terrain(grid, segments, terrain_rng)
    systems, structures = _hot_systems(grid, structures, signal, heat_rng)
    wells = _wells(grid, elevation, systems, sampling_bias, well_rng)
    wells["background"] = np.round(80 + _long_waves(wells.x, wells.y, 10, background_rng), 2)
    wells["heat_flow"] = np.round(np.maximum(wells["background"] + wells["residual"], 1), 2)
    if erase:
        terrain_rng.bit_generator.state = state
        elevation = _terrain(grid, list(_unbroken(segments, grid)), terrain_rng)
    column, row = np.arange(grid.width), np.arange(grid.height)[:, None]
    x, y = grid.left + (column + 0.5) * grid.resolution, grid.top - (row + 0.5) * grid.resolution
    elevation += 1700 + _long_waves(x, y, 450, trend_rng)
    return Region(
        grid=grid,
        elevation=_ragged_edge(grid, elevation, terrain_rng).astype(np.float32),
        influence=_influence(grid, structures),
        wells=wells,
        structures=structures,
        faults=[(s.kind, s.trace()) for s in segments],
    )


# --- faults ---------------------------------------------------------------------------------------------------------


def _fault_network(grid, rng):
    """All segments, and the structural settings where they end, overlap or cross."""
    left, bottom, right, top = grid.bounds
    centre = np.array([(left + right) / 2, (bottom + top) / 2])
    reach = np.hypot(right - left, top - bottom) / 2 + 40e3
    segments, sites = [], []
    across = -reach + rng.uniform(0, 25e3)
    facing = int(rng.choice([-1, 1]))
    for line in count():
        if across >= reach:
            break
        line_segments, line_sites = _fault_line(rng, centre, across, reach, facing, line)
        segments += line_segments
        sites += line_sites
        facing *= 1 if rng.random() < 0.8 else -1
        across += rng.uniform(24e3, 40e3)
    structures = pd.DataFrame(sites, columns=["kind", "x", "y"])
    return segments, structures[grid.contains(*grid.pixel(structures.x, structures.y))].reset_index(drop=True)


def _fault_line(rng, centre, across, reach, facing, line):
    """Segments along one line of faults, with the settings between them and the faults that cross it."""
    segments, sites = [], []
    along, shift, previous = -reach + rng.uniform(0, 100e3), 0.0, None
    while along < reach:
        length = rng.uniform(140e3, 320e3)
        middle = np.array([np.sin(STRIKE), np.cos(STRIKE)]) * (along + length / 2)
        middle += np.array([np.cos(STRIKE), -np.sin(STRIKE)]) * (across + shift)
        segment = Segment(
            *(centre + middle),
            azimuth=STRIKE + rng.normal(0, 0.03),
            length=length,
            throw=rng.uniform(1100, 1900),
            facing=facing,
            taper=rng.uniform(13e3, 20e3),
            width=rng.uniform(7e3, 10e3),
            waves=np.column_stack(
                [rng.uniform(400, 1300, 2), rng.uniform([18e3, 35e3], [35e3, 70e3]), rng.uniform(0, 7, 2)]
            ),
            line=line,
        )  # fmt: skip
        if previous == "gap":
            sites.append(("tip", *segment.point(-length / 2 + 3e3)))
            segments += _foothills(rng, sites[-1][1:], segment, [-1.2, -0.9, -0.6, 0.6, 0.9, 1.2])
        if rng.random() < CROSSED:
            crossing, site = _crossing(rng, segment)
            segments.append(crossing)
            sites.append(site)
            turn = crossing.azimuth - segment.azimuth
            segments += _foothills(rng, site[1:], segment, [turn, turn, turn, turn - 1.5, turn - 1.5, turn - 1.5])
        segments.append(segment)
        previous = "step" if rng.random() < STEP_OVER else "gap"
        along += length
        if previous == "gap":
            sites.append(("tip", *segment.point(length / 2 - 3e3)))
            segments += _foothills(rng, sites[-1][1:], segment, [-1.2, -0.9, -0.6, 0.6, 0.9, 1.2])
            along += rng.uniform(14e3, 32e3)
        else:
            step = rng.uniform(7e3, 11e3) * (-np.sign(shift) if abs(shift) > 8e3 else rng.choice([-1, 1]))
            overlap = rng.uniform(9e3, 14e3)
            sites.append(("step-over", *segment.point(length / 2 - overlap / 2, step / 2)))
            segments += _foothills(rng, sites[-1][1:], segment, [0.9 * np.sign(step)] * 6)
            shift += step
            along -= overlap
    return segments, sites


def _foothills(rng, site, segment, turns):
    """Small tilted blocks around a structure, on the basin side: the fabric of an accommodation zone.

    `turns` are the angles (radians) that their traces make with the main fault: a fan at a tip, one oblique set in a
    relay ramp, two sets that cross at an intersection.
    """
    out = -segment.facing * 5e3
    x0 = site[0] + out * np.cos(segment.azimuth)
    y0 = site[1] - out * np.sin(segment.azimuth)
    for turn in turns:
        length = rng.uniform(10e3, 17e3)
        yield Segment(
            x0 + rng.normal(0, 4.5e3), y0 + rng.normal(0, 4.5e3), azimuth=segment.azimuth + turn + rng.normal(0, 0.1),
            length=length, throw=rng.uniform(600, 1100), facing=segment.facing, taper=0.35 * length, width=SMALL_BLOCK,
            waves=np.empty((0, 3)), kind="splay",
        )  # fmt: skip


def _crossing(rng, segment):
    """An oblique fault across the middle part of a segment, and the site where they meet."""
    along = rng.uniform(-0.3, 0.3) * segment.length
    x, y = segment.point(along)
    fault = Segment(
        x, y, azimuth=segment.azimuth + rng.choice([-1, 1]) * rng.uniform(1.0, 1.5), length=rng.uniform(26e3, 40e3),
        throw=rng.uniform(800, 1200), facing=int(rng.choice([-1, 1])), taper=10e3, width=5e3,
        waves=np.empty((0, 3)), kind="cross fault",
    )  # fmt: skip
    return fault, ("intersection", x, y)


# --- terrain --------------------------------------------------------------------------------------------------------


def _terrain(grid, segments, rng):
    """Elevation above the regional trend, metres."""
    return _weather(grid, _fault_blocks(grid, segments) + _volcanic_fields(grid, rng), rng)


def _unbroken(segments, grid):
    """For each line of faults its first segment, drawn out over the whole region."""
    left, bottom, right, top = grid.bounds
    lines = {}
    for s in segments:
        if s.kind == "range front":
            lines.setdefault(s.line, s)
    for s in lines.values():
        middle = (np.array([left + right, bottom + top]) / 2 - (s.x, s.y)) @ (np.sin(STRIKE), np.cos(STRIKE))
        yield replace(
            s,
            x=s.x + middle * np.sin(STRIKE),
            y=s.y + middle * np.cos(STRIKE),
            azimuth=STRIKE,
            length=2 * np.hypot(right - left, top - bottom),
        )


def _fault_blocks(grid, segments):
    """Relief of the tilted blocks alone, metres: the sum over the faults of throw times cross profile."""
    relief = np.zeros(grid.shape)
    for s in segments:
        sin, cos = np.sin(s.azimuth), np.cos(s.azimuth)
        half, far = s.length / 2, 4 * s.width
        window, dx, dy = _window(grid, s.x, s.y, half * abs(sin) + far * abs(cos), half * abs(cos) + far * abs(sin))
        along, right = dx * sin + dy * cos, dx * cos - dy * sin
        here = (np.abs(along) < half) & (np.abs(right) < far)
        along, right = along[here], right[here]
        across = (right - s.offset(along)) * s.facing
        relief[window][here] += s.throw * s.throw_share(along) * _cross_profile(across, s.width)
    return relief


def _volcanic_fields(grid, rng):
    """Clusters of round hills and of round tables with steep rims, with no heat: decoys.

    The rims have the height, the length and the cross profile of the blocks around a structure: the same slope,
    curvature and relief in another shape.
    """
    left, bottom, right, top = grid.bounds
    relief = np.zeros(grid.shape)
    per_tile = (right - left) * (top - bottom) / 40e3**2
    for _ in range(round(0.6 * per_tile)):
        x0, y0 = rng.uniform(left, right), rng.uniform(bottom, top)
        for _ in range(6):
            x, y = rng.normal([x0, y0], 4.5e3)
            radius, throw = rng.uniform(1.6e3, 2.7e3), rng.uniform(600, 1100)
            reach = radius + 4 * SMALL_BLOCK
            window, dx, dy = _window(grid, x, y, reach, reach)
            relief[window] += throw * _cross_profile(radius - np.hypot(dx, dy), SMALL_BLOCK)
    for _ in range(round(0.4 * per_tile)):
        x0, y0 = rng.uniform(left, right), rng.uniform(bottom, top)
        for _ in range(8):
            x, y = rng.normal([x0, y0], 5.5e3)
            radius, height = rng.uniform(1.5e3, 2.8e3), rng.uniform(350, 800)
            window, dx, dy = _window(grid, x, y, 3 * radius, 3 * radius)
            relief[window] += height * np.exp(-((dx**2 + dy**2) / radius**2))
    return relief


def _window(grid, x, y, reach_x, reach_y):
    """Slices of the pixels within reach of a point, and their offsets from it: dx (columns,), dy (rows, 1), metres."""
    res = grid.resolution
    columns = np.clip(np.floor([(x - reach_x - grid.left) / res, (x + reach_x - grid.left) / res + 1]), 0, grid.width)
    rows = np.clip(np.floor([(grid.top - y - reach_y) / res, (grid.top - y + reach_y) / res + 1]), 0, grid.height)
    (r0, r1), (c0, c1) = rows.astype(int), columns.astype(int)
    dx = grid.left + (np.arange(c0, c1) + 0.5) * res - x
    dy = (grid.top - (np.arange(r0, r1) + 0.5) * res - y)[:, None]
    return (slice(r0, r1), slice(c0, c1)), dx, dy


def _cross_profile(across, width):
    """Height over a unit throw at signed distance from the trace (footwall positive), metres -> 1.

    The footwall rises over a tenth of a block width and tilts back to the next basin; the hanging wall sags.
    """
    footwall = (1 - np.exp(-np.maximum(across, 0) / (0.12 * width))) * np.exp(
        -((np.maximum(across, 0) / (1.7 * width)) ** 2)
    )
    hanging = -0.25 * np.exp(np.minimum(across, 0) / (0.8 * width)) * (across < 0)
    return footwall + hanging


def _weather(grid, blocks, rng):
    """Turn bare blocks into terrain: canyons cut into the ranges, fractal roughness, basins filled with alluvium."""
    res = grid.resolution
    rough = _fractal(grid.shape, res, rng, slope=3.0, longest=15e3)
    canyons = _fractal(grid.shape, res, rng, slope=3.4, longest=9e3, stretch=2.5)
    terrain = 2400 * np.tanh(blocks / 2400) + 110 * rough
    steep = ndimage.gaussian_filter(np.clip(terrain / 800, 0, 1.6), 1200 / res)
    terrain += steep * (110 - 330 * np.exp(-((canyons / 0.35) ** 2)))
    terrain += 130 * _fractal(grid.shape, res, rng, slope=3.0, longest=250e3)
    floor, fan = 60.0, 110.0  # alluvium buries what lies below the floor; fans grade into it over `fan` metres
    terrain = floor + fan * np.logaddexp(0, (terrain - floor) / fan) + 4 * rough
    return terrain - terrain.mean()


def _fractal(shape, resolution, rng, *, slope, longest, stretch=1.0):
    """Gaussian field of unit variance with power spectrum k^-slope, flat above wavelength `longest` (metres).

    `stretch` draws the field out across the strike of the ranges, the way their streams run.
    """
    ky = -fft.fftfreq(shape[0], resolution)[:, None]  # positive towards the north
    kx = fft.rfftfreq(shape[1], resolution)
    along, across = kx * np.sin(STRIKE) + ky * np.cos(STRIKE), kx * np.cos(STRIKE) - ky * np.sin(STRIKE)
    amplitude = ((along**2 + (stretch * across) ** 2 + longest**-2.0) ** (-(slope + 1) / 4)).astype(np.float32)
    amplitude[0, 0] = 0
    noise = fft.rfft2(rng.standard_normal(shape, dtype=np.float32), workers=-1)
    field = fft.irfft2(noise * amplitude, s=shape, workers=-1)
    return field / field.std()


def _long_waves(x, y, amplitude, rng):
    """Three waves of 500 to 1200 km in directions of their own: what is regional, whether height or heat."""
    total = 0.0
    for _ in range(3):
        direction, phase, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(500e3, 1200e3)
        total = total + amplitude * np.sin(2 * np.pi / length * (x * np.cos(direction) + y * np.sin(direction)) + phase)
    return total


def _ragged_edge(grid, elevation, rng):
    """Nodata where the survey ended, and in some gaps near its edge."""
    rows, cols = grid.shape
    r, c = np.arange(rows)[:, None], np.arange(cols)
    inward = np.minimum(np.minimum(r, rows - 1 - r), np.minimum(c, cols - 1 - c)) * grid.resolution
    wander = _fractal(grid.shape, grid.resolution, rng, slope=2.5, longest=120e3)
    margin = min(grid.width, grid.height) * grid.resolution
    limit = 0.02 * margin * (1 + 1.3 * wander)
    gap = (inward < limit + 0.05 * margin) & (wander > 1.0)
    return np.where((inward < limit) | gap, np.nan, elevation)


def _influence(grid, structures, radius=5e3):
    """Nearness to the closest structure: exp(-(distance / radius)^2 / 2), 0 where there is none."""
    if structures.empty:
        return np.zeros(grid.shape, dtype=np.float32)
    away = np.ones(grid.shape, dtype=bool)
    away[grid.pixel(structures.x, structures.y)] = False
    distance = ndimage.distance_transform_edt(away) * grid.resolution
    return np.exp(-0.5 * (distance / radius) ** 2).astype(np.float32)


# --- heat and wells -------------------------------------------------------------------------------------------------


def _hot_systems(grid, structures, signal, rng):
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


def _wells(grid, elevation, systems, sampling_bias, rng):
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
    x = np.repeat(centre_x, sizes) + rng.normal(0, 1, sizes.sum()) * np.repeat(spread, sizes)
    y = np.repeat(centre_y, sizes) + rng.normal(0, 1, sizes.sum()) * np.repeat(spread, sizes)
    x, y = np.round(x, 1), np.round(y, 1)
    residual = np.clip(-10 + 10 * rng.standard_t(4, len(x)), -95, 95)
    for system in systems.itertuples():
        distance = np.hypot(x - system.x, y - system.y)
        near = distance < 20e3
        residual[near] += system.peak * np.exp(-distance[near] / 3e3) * rng.lognormal(0, 0.4, near.sum())
    return pd.DataFrame({"x": x, "y": y, "residual": np.round(residual, 2)})


def _cluster_sizes(rng, n, factor):
    """Heavy-tailed whole numbers from 1 on: a Pareto law of exponent 1.1, at most 150."""
    return np.minimum(150, 1 + factor * 0.9 * rng.pareto(1.1, n)).astype(int)
