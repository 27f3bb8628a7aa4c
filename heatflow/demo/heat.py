"""Hot systems of the synthetic region, and the wells drilled into it."""

import numpy as np
import pandas as pd

from heatflow.grid.grids import Grid

KIND_SHARE = {"step-over": 0.32, "tip": 0.25, "intersection": 0.22}  # of hot systems; what is left is blind
MEDIAN_PEAK = {"step-over": 900.0, "tip": 75.0, "intersection": 500.0}  # residual over a hot system, mW/m2
ACTIVE = 0.92  # share of the structures that are hot at full signal


def hot_systems(
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


def drill_wells(
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
    x = np.repeat(centre_x, sizes) + rng.normal(0, 1, sizes.sum()) * np.repeat(spread, sizes)
    y = np.repeat(centre_y, sizes) + rng.normal(0, 1, sizes.sum()) * np.repeat(spread, sizes)
    x, y = np.round(x, 1), np.round(y, 1)
    residual = np.clip(-10 + 10 * rng.standard_t(4, len(x)), -95, 95)
    for system in systems.itertuples():
        distance = np.hypot(x - system.x, y - system.y)
        near = distance < 20e3
        residual[near] += system.peak * np.exp(-distance[near] / 3e3) * rng.lognormal(0, 0.4, near.sum())
    return pd.DataFrame({"x": x, "y": y, "residual": np.round(residual, 2)})


def _cluster_sizes(rng: np.random.Generator, n: int, factor: float) -> np.ndarray:
    """Heavy-tailed whole numbers from 1 on: a Pareto law of exponent 1.1, at most 150."""
    return np.minimum(150, 1 + factor * 0.9 * rng.pareto(1.1, n)).astype(int)
