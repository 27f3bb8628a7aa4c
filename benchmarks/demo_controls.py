"""Does relief give the demo's answer away? Local terrain against the arrangement of structures, on ten regions.

    python -m benchmarks.demo_controls [FIRST LAST]

makes the regions of seeds FIRST to LAST (1 to 10), two minutes each. It writes benchmarks/demo_controls.csv (a row for
each seed, as it comes; seeds that it holds are not computed again), benchmarks/DEMO.md and demo_controls.png.

A site is the wells of one cell of 2 km on the terrain's grid, positive where the median of their residuals is above 50
mW/m2. Residuals are the truth, not those that the wells stage estimates from heat flow. Every AUC is that of telling
positive sites from others.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import ndimage
from scipy.spatial import cKDTree
from sklearn.base import ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from heatflow.config.schema import Demo
from heatflow.demo.region import Region, make_region
from heatflow.geo.terrain_statistics import terrain_statistics
from heatflow.geo.trend import detrend
from heatflow.grid.grids import Grid
from heatflow.io.text import markdown_table, write_csv
from heatflow.present.figures import hillshade, save

HERE = Path(__file__).resolve().parent
TABLE, PAGE, PICTURE = (HERE / name for name in ("demo_controls.csv", "DEMO.md", "demo_controls.png"))
CELL, HIGH, BLOCK, FOLDS = 2e3, 50.0, 160e3, 5  # m, mW/m2, m
RADII = (1, 2, 5, 13, 26)  # km
STATISTICS = ("elevation", "spread", "relief", "slope", "curvature", "roughness")
WINDOWS = (13, 26)  # km, edges of the squares whose `terrain_statistics` are taken too
TREND = 40e3  # m, radius
MARGIN = 2e3  # m
SMOOTH = 1e3  # m, standard deviation of the Gaussian that roughness is left from
HEAD = ("distance", "relief_5", "linear", "trees", "best")
LIMITS = {"distance": (0.8, 1.0), "relief_5": (0.42, 0.58), "best": (0.0, 0.62)}
PAGE_TEXT = """# Does relief give the demo's answer away?

`python -m benchmarks.demo_controls` wrote this page and [demo_controls.csv](demo_controls.csv). A site is the wells of
one cell of {cell:g} km. It is high where the median of their residuals (the truth, not what the wells stage estimates)
is above {high:g} mW/m². All numbers are the AUC of high sites:

- `distance`: by nearness to a true structure, hot or not;
- `relief_5`: by the relief within 5 km;
- `linear`, `trees`: by a logistic regression and by extremely randomised trees on all local statistics together, out
  of fold ({folds} folds of blocks of {block:g} km, pairs within folds); `best` is the larger one.

{seeds}

{limits}

AUC of each statistic alone within a radius, mean of the seeds (smallest to largest):

{single}

![Structures beside look-alikes](demo_controls.png)

*Four structures of the default region, and under each the look-alike of its kind with the most similar local
statistics, of those with no other place within 18 km; relief and mean slope within 5 km. The squares are 40 km wide.*
"""


def sites_of(region: Region) -> pd.DataFrame:
    """Sites on terrain: ``x``, ``y`` of the centre of the cell, ``residual``, ``distance`` to a structure, metres.

    Those beside missing data are left out.
    """
    grid = region.grid
    row, column = grid.position(region.wells.x, region.wells.y)
    cells = pd.DataFrame({"row": row // (CELL / grid.resolution), "column": column // (CELL / grid.resolution)})
    sites = cells.assign(residual=region.wells.residual).groupby(["row", "column"]).median().reset_index()
    sites["x"], sites["y"] = grid.left + (sites.column + 0.5) * CELL, grid.top - (sites.row + 0.5) * CELL
    sites["distance"] = cKDTree(region.structures[["x", "y"]]).query(sites[["x", "y"]])[0]
    return on_terrain(sites, region)


def on_terrain(places: pd.DataFrame, region: Region) -> pd.DataFrame:
    """Places (``x``, ``y``) of a region that are further than MARGIN from missing data."""
    grid, reach = region.grid, 2 * round(MARGIN / region.grid.resolution) + 1
    places = places[grid.contains(*grid.pixel(places.x, places.y))]
    missing = ndimage.maximum_filter(np.isnan(region.elevation), reach, mode="constant", cval=1)
    return places[~missing[grid.pixel(places.x, places.y)]].reset_index(drop=True)


def local_statistics(elevation: np.ndarray, grid: Grid, places: pd.DataFrame) -> pd.DataFrame:
    """Statistics of the detrended terrain within each of RADII of places (``x``, ``y``), and in WINDOWS around them.

    ``elevation`` (mean), ``spread`` (standard deviation), ``relief`` (range), ``slope`` (mean, degrees), ``curvature``
    (mean size of the Laplacian) and ``roughness`` (standard deviation of what is finer than SMOOTH), each with its
    radius, such as ``relief_5``, from pixels a twentieth of the radius apart, or all; the 17 statistics of the terrain
    baselines as ``window_13_0`` and so on.
    """
    res = grid.resolution
    ((_, z),) = detrend(iter([(0, elevation)]), grid.shape, TREND / res)
    layers = np.stack([z, _slope(z, res), np.abs(ndimage.laplace(z)) / res**2, z - _smooth(z, SMOOTH / res)])
    reach = round(RADII[-1] * 1000 / res)
    layers = np.pad(layers, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
    discs = {radius: _disc(radius * 1000 / res) for radius in RADII}
    rows = []
    for row, column in zip(*(pixel + reach for pixel in grid.pixel(places.x, places.y)), strict=True):
        found: dict[str, float] = {}
        for radius, (down, right) in discs.items():
            values = layers[:, row + down, column + right]
            height, slope, curvature, fine = values[:, np.isfinite(values).all(axis=0)]
            numbers = height.mean(), height.std(), np.ptp(height), slope.mean(), curvature.mean(), fine.std()
            found |= {f"{name}_{radius}": number for name, number in zip(STATISTICS, numbers, strict=True)}
        for edge in WINDOWS:
            half = round(edge * 500 / res)
            window = layers[0, row - half : row + half, column - half : column + half]
            found |= {f"window_{edge}_{k}": value for k, value in enumerate(terrain_statistics(window, res))}
        rows.append(found)
    return pd.DataFrame(rows)


def _disc(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets in rows and columns of the pixels within a radius, a twentieth of it apart."""
    step = max(1, round(radius / 20))
    offset = np.arange(-(radius // step), radius // step + 1).astype(int) * step
    down, right = np.meshgrid(offset, offset, indexing="ij")
    inside = np.hypot(down, right) <= radius
    return down[inside], right[inside]


def _slope(z: np.ndarray, resolution: float) -> np.ndarray:
    return np.degrees(np.arctan(np.hypot(*np.gradient(z, resolution)))).astype(np.float32)


def _smooth(z: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of the pixels with data."""
    there = np.isfinite(z).astype(np.float32)
    total = ndimage.gaussian_filter(np.nan_to_num(z), sigma)
    return np.where(there > 0, total / np.maximum(ndimage.gaussian_filter(there, sigma), 1e-6), np.nan)


def out_of_fold(model: ClassifierMixin, statistics: pd.DataFrame, high: np.ndarray, block: np.ndarray) -> float:
    """AUC of a model that is fitted without the fold of a site; only sites of one fold are compared."""
    won = pairs = 0.0
    for train, test in GroupKFold(FOLDS).split(statistics, high, block):
        score = model.fit(statistics.iloc[train], high[train]).predict_proba(statistics.iloc[test])[:, 1]
        weight = float(high[test].sum() * (~high[test]).sum())
        won, pairs = won + weight * roc_auc_score(high[test], score), pairs + weight
    return won / pairs


def measure(seed: int) -> dict[str, float]:
    """One row of the table of results."""
    region = make_region(Demo(seed=seed))
    sites = sites_of(region)
    statistics, high = local_statistics(region.elevation, region.grid, sites), (sites.residual > HIGH).to_numpy()
    block = (sites.x // BLOCK * 1e3 + sites.y // BLOCK).to_numpy()
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    trees = ExtraTreesClassifier(500, min_samples_leaf=5, random_state=0)
    models = {name: out_of_fold(m, statistics, high, block) for name, m in (("linear", linear), ("trees", trees))}
    single = {f"{s}_{radius}": roc_auc_score(high, statistics[f"{s}_{radius}"]) for s in STATISTICS for radius in RADII}
    head = {"seed": seed, "sites": len(sites), "high": high.mean(), "distance": roc_auc_score(high, -sites.distance)}
    return head | models | {"best": max(models.values())} | single


def page(table: pd.DataFrame) -> str:
    """The results as Markdown, of every seed and of every statistic."""
    form = "{:.3f}".format
    rows = [
        (f"{row.seed:g}", f"{row.sites:g}", *(form(row[name]) for name in ("high", *HEAD)))
        for _, row in table.iterrows()
    ]
    kept = [(name, table[name].between(*limits).sum(), *limits) for name, limits in LIMITS.items()]
    single = [
        (name, *(f"{form(each.mean())} ({form(each.min())} to {form(each.max())})" for each in columns))
        for name in STATISTICS
        for columns in [[table[f"{name}_{radius}"] for radius in RADII]]
    ]
    words = [f"- {name}: {n} of {len(table)} seeds from {low:g} to {high:g}" for name, n, low, high in kept]
    return PAGE_TEXT.format(
        cell=CELL / 1000, high=HIGH, folds=FOLDS, block=BLOCK / 1000, limits="\n".join(words),
        seeds="\n".join(markdown_table(("seed", "sites", "share high", *HEAD), rows)),
        single="\n".join(markdown_table(("statistic", *(f"{radius} km" for radius in RADII)), single)),
    )  # fmt: skip


def picture(region: Region) -> Figure:
    """Hillshade of four structures, and under each the look-alike of its kind with the most similar statistics."""
    grid, shown = region.grid, ("step-over", "tip", "intersection", "step-over")
    half = round(20e3 / grid.resolution)
    both = pd.concat([region.structures.assign(group=0), region.lookalikes.assign(group=1)], ignore_index=True)
    row, column = grid.pixel(both.x, both.y)
    alone = cKDTree(both[["x", "y"]]).query(both[["x", "y"]], k=2)[0][:, 1] > 18e3
    squares = [(slice(r - half, r + half), slice(c - half, c + half)) for r, c in zip(row, column, strict=True)]
    whole = np.array([np.isfinite(z := region.elevation[square]).all() and z.size == 4 * half**2 for square in squares])
    both = both[alone & whole]
    statistics = local_statistics(region.elevation, grid, both)
    scaled = StandardScaler().fit_transform(statistics.filter(regex="^(relief|slope|elevation|roughness)_(5|13)$"))
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    axes = figure.subplots(2, len(shown))
    taken: set[int] = set()
    for panel, kind in zip(axes.T, shown, strict=True):
        first, second = (np.flatnonzero((both.kind == kind) & (both.group == group)) for group in (0, 1))
        first, second = (np.setdiff1d(some, [*taken]) for some in (first, second))
        apart = np.linalg.norm(scaled[first, None] - scaled[None, second], axis=2)
        pair = [some[k] for some, k in zip((first, second), np.unravel_index(apart.argmin(), apart.shape), strict=True)]
        taken |= set(pair)
        for ax, k, name in zip(panel, pair, (kind, f"no {kind}"), strict=True):
            ax.imshow(hillshade(region.elevation[squares[both.index[k]]], grid.resolution), "gray", vmin=0, vmax=1)
            relief, slope = statistics.relief_5[k], statistics.slope_5[k]
            ax.set_title(f"{name}: {relief:.0f} m, {slope:.0f}°", fontsize=9)
            ax.set_axis_off()
    return figure


def main(first: int = 1, last: int = 10) -> None:
    """Measure the seeds that the table lacks; then the page and the picture."""
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame({"seed": []})
    for seed in range(first, last + 1):
        if seed not in set(table.seed):
            table = pd.concat([table, pd.DataFrame([measure(seed)])], ignore_index=True)
            write_csv(TABLE, table.round(4))
            print(table.iloc[-1][["seed", "sites", *LIMITS]].to_dict(), flush=True)
    PAGE.write_text(page(table), encoding="utf-8")
    save(picture(make_region()), PICTURE)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
