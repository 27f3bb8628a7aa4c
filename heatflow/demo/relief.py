"""Terrain of the synthetic region: tilted blocks, volcanic fields, erosion, alluvium, and the edge of the survey."""

import math
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
from scipy import fft, ndimage

from heatflow.demo.faults import STRIKE, Segment
from heatflow.grid.grids import Grid

STRIP = 512  # rows that are weathered at a time
STEEP_WITHIN = 1200  # m, of ranges: canyons are cut into them
FRACTALS = (  # roughness, canyons and broad waves
    {"slope": 3.0, "longest": 15e3}, {"slope": 3.4, "longest": 9e3, "stretch": 2.5}, {"slope": 3.0, "longest": 250e3},
)  # fmt: skip
Window = tuple[tuple[slice, slice], np.ndarray, np.ndarray]  # slices of pixels, and their offsets from a point


def shape_terrain(grid: Grid, segments: list[Segment], rng: np.random.Generator) -> np.ndarray:
    """Elevation above the regional trend, metres; float32 array (height, width)."""
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:  # random numbers are drawn outside of it, in order
        blocks, hills = pool.submit(_fault_blocks, grid, segments), _volcanic_fields(grid, rng)
        fractals = [pool.submit(_fractal, grid, _noise(grid, rng), **shape) for shape in FRACTALS]
        fields = [blocks.result() + hills, *(field.result() for field in fractals)]
        halo = math.ceil(4 * STEEP_WITHIN / grid.resolution) + 1  # rows that the filter of a strip reaches

        def strip(row: int) -> np.ndarray:
            top = max(0, row - halo)
            around = (field[top : row + STRIP + halo] for field in fields)
            return _weather(grid.resolution, *around)[row - top :][:STRIP]

        terrain = np.concatenate([*pool.map(strip, range(0, grid.height, STRIP))])
    return terrain - terrain.mean()


def _fault_blocks(grid: Grid, segments: list[Segment]) -> np.ndarray:
    """Relief of the tilted blocks alone, metres: the sum over the faults of throw times cross profile."""
    relief = np.zeros(grid.shape, dtype=np.float32)
    for s in segments:
        sin, cos = math.sin(s.azimuth), math.cos(s.azimuth)
        half, far = s.length / 2, 4 * s.width
        reach = half * abs(sin) + far * abs(cos), half * abs(cos) + far * abs(sin)
        window, dx, dy = window_around(grid, s.x, s.y, *reach)
        if not (dx.size and dy.size):
            continue
        along, right = dx * sin + dy * cos, dx * cos - dy * sin
        here = (np.abs(along) < half) & (np.abs(right) < far)
        along, right = along[here], right[here]
        across = (right - s.offset(along)) * s.facing
        relief[window][here] += s.throw * s.throw_share(along) * _cross_profile(across, s.width)
    return relief


def _volcanic_fields(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Clusters of round hills, without heat."""
    left, bottom, right, top = grid.bounds
    relief = np.zeros(grid.shape, dtype=np.float32)
    for _ in range(round(0.2 * (right - left) * (top - bottom) / 40e3**2)):
        x0, y0 = rng.uniform(left, right), rng.uniform(bottom, top)
        for _ in range(8):
            x, y = rng.normal([x0, y0], 4.5e3)
            radius, height = rng.uniform(0.8e3, 2.2e3), rng.uniform(150, 500)
            window, dx, dy = window_around(grid, x, y, 3 * radius, 3 * radius)
            relief[window] += height * np.exp(-((dx**2 + dy**2) / radius**2))
    return relief


def window_around(grid: Grid, x: float, y: float, reach_x: float, reach_y: float) -> Window:
    """Slices of the pixels within reach of a point, and their offsets from it: dx (columns,), dy (rows, 1), metres."""
    res = grid.resolution
    columns = np.clip(np.floor([(x - reach_x - grid.left) / res, (x + reach_x - grid.left) / res + 1]), 0, grid.width)
    rows = np.clip(np.floor([(grid.top - y - reach_y) / res, (grid.top - y + reach_y) / res + 1]), 0, grid.height)
    (r0, r1), (c0, c1) = rows.astype(int), columns.astype(int)
    dx = grid.left + (np.arange(c0, c1) + 0.5) * res - x
    dy = (grid.top - (np.arange(r0, r1) + 0.5) * res - y)[:, None]
    return (slice(r0, r1), slice(c0, c1)), dx.astype(np.float32), dy.astype(np.float32)


def _cross_profile(across: np.ndarray, width: float) -> np.ndarray:
    """Height over a unit throw at signed distance from the trace (footwall positive), metres -> 1.

    The footwall rises over a sixth of a block width and tilts back to the next basin; the hanging wall sags.
    """
    inside = np.maximum(across, 0)
    footwall = (1 - np.exp(-inside / (0.16 * width))) * np.exp(-((inside / (1.7 * width)) ** 2))
    hanging = -0.25 * np.exp(np.minimum(across, 0) / (0.8 * width)) * (across < 0)
    return footwall + hanging


def _weather(res: float, blocks: np.ndarray, rough: np.ndarray, canyons: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Turn bare blocks into terrain: canyons cut into the ranges, fractal roughness, basins filled with alluvium."""
    terrain = 2400 * np.tanh(blocks / 2400) + 110 * rough
    steep = ndimage.gaussian_filter(np.clip(terrain / 800, 0, 1.6), STEEP_WITHIN / res)
    terrain += steep * (60 - 150 * np.exp(-((canyons / 0.35) ** 2)))
    terrain += 130 * waves
    floor, fan = 60.0, 110.0  # alluvium buries what lies below the floor; fans grade into it over `fan` metres
    return floor + fan * np.logaddexp(0, (terrain - floor) / fan) + 4 * rough


def _noise(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(grid.shape, dtype=np.float32)


def _fractal(grid: Grid, noise: np.ndarray, *, slope: float, longest: float, stretch: float = 1.0) -> np.ndarray:
    """Gaussian field of unit variance with power spectrum k^-slope, flat above wavelength `longest` (metres).

    It is made of white noise. `stretch` draws the field out across the strike of the ranges, the way their streams run.
    """
    ky = -fft.fftfreq(grid.height, grid.resolution).astype(np.float32)[:, None]  # positive towards the north
    kx = fft.rfftfreq(grid.width, grid.resolution).astype(np.float32)
    sin, cos = math.sin(STRIKE), math.cos(STRIKE)
    along, across = kx * sin + ky * cos, stretch * (kx * cos - ky * sin)
    amplitude = (along**2 + across**2 + longest**-2.0) ** (-(slope + 1) / 4)
    amplitude[0, 0] = 0
    spectrum = fft.rfft2(noise, workers=-1)
    spectrum *= amplitude
    field = fft.irfft2(spectrum, s=grid.shape, workers=-1, overwrite_x=True)
    field /= field.std()
    return field


def long_waves(x: np.ndarray, y: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Three waves of 500 to 1200 km in directions of their own: a regional trend of elevation or of heat flow."""
    total = np.zeros(1, dtype=x.dtype)
    for _ in range(3):
        direction, phase, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(500e3, 1200e3)
        along = x * math.cos(direction) + y * math.sin(direction)
        total = total + amplitude * np.sin(2 * np.pi / length * along + phase)
    return total


def ragged_edge(grid: Grid, elevation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nodata where the survey ended, and in some gaps near its edge."""
    rows, cols = grid.shape
    r, c = np.arange(rows)[:, None], np.arange(cols)
    inward = np.minimum(np.minimum(r, rows - 1 - r), np.minimum(c, cols - 1 - c)) * grid.resolution
    wander = _fractal(grid, _noise(grid, rng), slope=2.5, longest=120e3)
    margin = min(grid.width, grid.height) * grid.resolution
    limit = 0.02 * margin * (1 + 1.3 * wander)
    gap = (inward < limit + 0.05 * margin) & (wander > 1.0)
    return np.where((inward < limit) | gap, np.nan, elevation)
