"""Predict every place of the region, with or without wells."""

import numpy as np
import shapely
from rasterio.windows import Window
from scipy.stats import spearmanr

from heatflow.errors import InputError
from heatflow.evaluation.baselines import terrain_statistics
from heatflow.grid.grids import Grid, TileGrid, WindowGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written, write_cog
from heatflow.io.text import write_json
from heatflow.io.vectors import read_features, read_table, write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.learning.training import reproducible
from heatflow.prediction.region import (
    LEAST_TERRAIN,
    Applicability,
    Ensemble,
    Learnt,
    at_tiles,
    best_places,
    layers,
    survey,
)
from heatflow.present.figures import save
from heatflow.present.map_figure import map_figure
from heatflow.present.qgis import write_style
from stages._paths import FOLDS, KEPT, MAP, METRICS, MODELS, PREDICTIONS, SCALING, TERRAIN, TILE_TABLE, TILES, WELLS
from stages._runner import progress, read_params, run, say

PARAMS = (
    "augment.resample", "filter.min_valid", "map", "split.buffer", "tile.binary_edge", "tile.edges", "tile.size",
    "tile.stride", "train.device",
)  # fmt: skip
INPUTS = (TERRAIN, WELLS, TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, PREDICTIONS)
BATCH = 20
MOST_PIXELS = 100_000_000  # of the map, for which memory is asked at once
SHADE = 1000  # pixels, at most, along an edge of the hillshade of the figure


def main():
    p = read_params(PARAMS)
    size, stride = p.tile.size, p.tile.step
    first_high, ranges = p.tile.first_high, p.tile.class_ranges
    classes = [f"p{k}" for k in range(len(ranges))]
    engine = Engine.choose(p.train.device, "float32", compile=False)
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    every, scored = np.arange(len(data.table)), data.split.scored.tolist()
    with open_written(TERRAIN) as terrain:
        grid = Grid.from_dataset(terrain)
        lattice = WindowGrid(grid, size, p.map.stride or size // 2)
        if (pixels := lattice.map_grid.width * lattice.map_grid.height) > MOST_PIXELS:
            raise InputError(f"map.stride: a map of {pixels:,} pixels is more than {MOST_PIXELS:,}; increase it")
        wells = grid.pixel(*shapely.get_coordinates(read_features(WELLS).geometry.array).T)
        buffer = p.split.buffer if p.augment.resample else None
        tiles = TileGrid(grid, size, stride)
        ensemble = Ensemble(
            {k: [engine.place(network) for network in load_networks(MODELS, k)] for k in scored},
            {k: Learnt.by(data, k, tiles, wells, buffer) for k in scored},
            {k: data.scalings[k] for k in scored},
            size, first_high, engine, BATCH,
        )  # fmt: skip
        known = np.array([terrain_statistics(data.elevation(every[[k]])[0], grid.resolution) for k in every])
        learnt, tested = (
            {k: np.flatnonzero(np.isin(data.roles[k], roles)) for k in scored}
            for roles in (("train", "validation"), ("test",))
        )
        applicability = Applicability.fit(known, learnt, tested)
        total = len(lattice.starts(grid.height)) * len(lattice.starts(grid.width))
        with progress(total, "map", "window") as bar, reproducible(0):
            windows, valid, counts = survey(
                lambda top: terrain.read(1, window=Window(0, top, grid.width, size)),
                lattice, grid.shape, ensemble, applicability, p.filter.min_valid, bar.update,
            )  # fmt: skip
        shrink = max(1, max(grid.shape) // SHADE)
        shade = terrain.read(1, out_shape=(grid.height // shrink, grid.width // shrink))
    if windows.empty:
        raise InputError(
            f"{TERRAIN}: no window of {size} pixels has data enough and a network that has not learnt from it"
        )
    found = layers(windows, lattice, valid, classes, first_high, applicability.threshold)
    top = best_places(windows, lattice, applicability.threshold, classes, first_high, wells, p.map.top)
    high = f"above {p.tile.binary_edge:g} mW/m2"
    with replacing(MAP) as folder:
        folder.mkdir()
        rasters = {
            "probability": (
                [*(f"probability of {r} mW/m2" for r in ranges), f"probability of {high}"],
                [*found.probability, found.above],
            ),
            "uncertainty": (
                [
                    "entropy, share of ln K",
                    f"disagreement: sd of the probability of {high}",
                    "number of networks, mean over windows",
                ],
                [found.entropy, found.disagreement, found.networks],
            ),
            "applicability": (
                ["dissimilarity index", "inside the area of applicability: 1"],
                [found.dissimilarity, found.inside],
            ),
        }
        for name, (bands, arrays) in rasters.items():
            strip = np.stack(arrays).astype(np.float32)
            write_cog(folder / f"{name}.tif", lattice.map_grid, [(0, strip)], bands=tuple(bands), units="1")
        write_style(folder / "probability.qml", len(ranges) + 1, 0, 1, "viridis")
        write_style(folder / "uncertainty.qml", 1, 0, 1, "cividis")
        write_style(folder / "applicability.qml", 1, 0, 2 * applicability.threshold, "cividis_r")
        write_features(folder / "top.fgb", top, "top")
    save(
        map_figure(shade, found.above, found.disagreement, found.inside, top, lattice.map_grid, grid.bounds, high),
        METRICS / "map.png",
    )
    row, col = (data.table[name].to_numpy() for name in ("row", "col"))
    on_map = at_tiles(found.above, lattice, row * stride, col * stride)
    there = np.isfinite(on_map)
    out_of_fold = read_table(PREDICTIONS)[classes[first_high:]].sum(axis=1).to_numpy()
    write_json(
        METRICS / "map.json",
        {
            **counts,
            "mapped_share": float(np.isfinite(found.above)[valid >= LEAST_TERRAIN].mean()),
            "inside_applicability": float(np.nanmean(found.inside)),
            "applicability_threshold": applicability.threshold,
            "mean_probability": float(np.nanmean(found.above)),
            "networks_per_window": float(windows["networks"].mean()),
            "tiles_on_map": int(there.sum()),
            "correlation_with_out_of_fold": float(spearmanr(on_map[there], out_of_fold[there]).statistic),
        },
    )
    say(
        f"{len(windows)} of {counts['windows']} windows predicted ({counts['low_data']} with too little data, "
        f"{counts['learnt_from']} learnt from by every network) -> {MAP / 'probability.tif'}"
    )
    if top.empty:
        return
    best = top.iloc[0]
    where = f"latitude {best['lat']:.2f}, longitude {best['lon']:.2f}"
    probability, number = min(best["p_high"], 0.99), int(best["networks"])
    by = "1 network" if number == 1 else f"{number} networks"
    say(f"the best of {len(top)} places: {where}, p = {probability:.2f} by {by} -> {MAP / 'top.fgb'}")


if __name__ == "__main__":
    run(main, INPUTS)
