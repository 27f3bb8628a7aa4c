"""Predict every place of the region, with or without wells."""

import geopandas
import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.windows import Window
from scipy.stats import spearmanr

from heatflow.analysis.baselines import terrain_statistics
from heatflow.analysis.regional import Applicability, Blend, Ensemble, Lattice, best_apart, entropy, survey
from heatflow.analysis.skill import auc
from heatflow.errors import InputError
from heatflow.files import replacing, write_json
from heatflow.geo.grid import Grid
from heatflow.geo.raster import write_cog
from heatflow.geo.tiles import class_ranges
from heatflow.geo.vector import read_features, read_table, write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
from heatflow.learning.training import reproducible
from heatflow.present.figures import save
from heatflow.present.regional import map_figure
from heatflow.present.style import write_style
from stages._stage import (
    FOLDS,
    KEPT,
    MAP,
    METRICS,
    MODELS,
    PREDICTIONS,
    SCALING,
    TERRAIN,
    TILE_TABLE,
    TILES,
    WELLS,
    progress,
    read_params,
    run,
    say,
)

PARAMS = ("filter.min_valid", "map", "tile.binary_edge", "tile.edges", "tile.size", "tile.stride", "train.device")
INPUTS = (TERRAIN, WELLS, TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, PREDICTIONS)
BATCH = 20
SHADE = 1000  # pixels, at most, along an edge of the hillshade of the figure


def main():
    p = read_params(PARAMS)
    size, stride = p.tile.size, p.tile.stride or p.tile.size
    first_high, ranges = p.tile.edges.index(p.tile.binary_edge) + 1, class_ranges(p.tile.edges)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    row, col = (data.table[name].to_numpy() for name in ("row", "col"))
    networks = {k: [engine.place(network) for network in load_networks(MODELS, k)] for k in data.split.scored.tolist()}
    ensemble = Ensemble(data, networks, row * stride, col * stride, size, first_high, engine, BATCH)
    with rasterio.open(TERRAIN) as terrain:
        grid = Grid.of(terrain)
        lattice = Lattice(grid, size, p.map.stride or size // 2)
        known = [terrain_statistics(data.elevation(np.array([k]))[0], grid.resolution) for k in range(len(row))]
        applicability = Applicability.fit(np.array(known), data.test_fold)
        total = len(lattice.starts(grid.height)) * len(lattice.starts(grid.width))
        with progress(total, "map", "window") as bar, reproducible(0):
            windows, counts = survey(
                lambda top: terrain.read(1, window=Window(0, top, grid.width, size)),
                lattice, grid.shape, ensemble, applicability, p.filter.min_valid, bar.update,
            )  # fmt: skip
        shrink = max(1, max(grid.shape) // SHADE)
        shade = terrain.read(1, out_shape=(grid.height // shrink, grid.width // shrink))
    if windows.empty:
        raise InputError(
            f"{TERRAIN}: no window of {size} pixels has data enough and a network that has not learnt from it"
        )
    classes = [f"p{k}" for k in range(len(ranges))]
    blend = Blend(lattice, len(classes) + 3)
    for top, left, *values in windows[
        ["top", "left", *classes, "disagreement", "networks", "dissimilarity"]
    ].to_numpy():
        blend.add(int(top), int(left), np.array(values))
    *probability, disagreement, number, unlike = blend.mean()
    above = np.sum(probability[first_high:], axis=0)
    inside = np.where(np.isnan(unlike), np.nan, unlike <= applicability.threshold).astype(np.float32)
    unsure = entropy(np.array(probability)).astype(np.float32)
    high = f"above {p.tile.binary_edge:g} mW/m2"
    top_places = _top(windows, lattice, applicability.threshold, classes, first_high, p.map.top)
    with replacing(MAP) as folder:
        folder.mkdir()
        rasters = {
            "probability": (
                [*(f"probability of {r} mW/m2" for r in ranges), f"probability of {high}"],
                [*probability, above],
            ),
            "uncertainty": (
                ["entropy, share of ln K", f"disagreement: sd of the probability of {high}", "number of networks"],
                [unsure, disagreement, number],
            ),
            "applicability": (["dissimilarity index", "inside the area of applicability: 1"], [unlike, inside]),
        }
        for name, (bands, layers) in rasters.items():
            strip = np.stack(layers).astype(np.float32)
            write_cog(folder / f"{name}.tif", lattice.map_grid, [(0, strip)], bands=tuple(bands), units="1")
        write_style(folder / "probability.qml", len(ranges) + 1, 0, 1, "viridis")
        write_style(folder / "uncertainty.qml", 1, 0, 1, "cividis")
        write_style(folder / "applicability.qml", 1, 0, 2 * applicability.threshold, "cividis_r")
        write_features(folder / "top.fgb", top_places, "top")
    save(
        map_figure(shade, above, disagreement, inside, top_places, lattice.map_grid, grid.bounds, high),
        METRICS / "map.png",
    )
    write_json(
        METRICS / "map.json", _numbers(windows, counts, above, inside, data, lattice, stride, first_high, classes)
    )
    say(
        f"{len(windows)} of {counts['windows']} windows predicted ({counts['low_data']} with too little data, "
        f"{counts['learnt_from']} learnt from by every network) -> {MAP / 'probability.tif'}"
    )
    if top_places.empty:
        return
    best = top_places.iloc[0]
    where = f"latitude {best['lat']:.2f}, longitude {best['lon']:.2f}"
    say(f"the best of {len(top_places)} places: {where}, p = {best['p_high']:.2f} -> {MAP / 'top.fgb'}")


def _top(windows, lattice, threshold, classes, first_high, most):
    """The windows with the highest probability of being high that do not overlap, inside the area of applicability."""
    p_high = windows[classes[first_high:]].sum(axis=1).to_numpy()
    usable = np.where(windows["dissimilarity"].to_numpy() <= threshold, p_high, np.nan)
    chosen = best_apart(usable, windows["top"].to_numpy(), windows["left"].to_numpy(), lattice.size, most)
    table = windows.iloc[chosen].reset_index(drop=True)
    res = lattice.grid.resolution
    west, north = lattice.grid.left + table["left"] * res, lattice.grid.top - table["top"] * res
    edge = lattice.size * res
    wells = read_features(WELLS)
    x, y = shapely.get_coordinates(wells.geometry.array).T
    row, column = lattice.grid.pixel(x, y)
    held = [
        int(((row >= t) & (row < t + lattice.size) & (column >= k) & (column < k + lattice.size)).sum())
        for t, k in zip(table["top"], table["left"], strict=True)
    ]
    to_degrees = Transformer.from_crs(lattice.grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform((west + edge / 2).to_numpy(), (north - edge / 2).to_numpy())
    columns = {
        "rank": np.arange(1, len(table) + 1), "p_high": p_high[chosen], **{name: table[name] for name in classes},
        "entropy": entropy(table[classes].to_numpy().T), "disagreement": table["disagreement"],
        "networks": table["networks"].astype(int), "dissimilarity": table["dissimilarity"], "n_wells": held,
        "lon": np.round(lon, 5), "lat": np.round(lat, 5),
    }  # fmt: skip
    boxes = shapely.box(west, north - edge, west + edge, north)
    return geopandas.GeoDataFrame(columns, geometry=boxes, crs=lattice.grid.crs.to_wkt())


def _numbers(windows, counts, above, inside, data, lattice, stride, first_high, classes):
    """How much is mapped, and whether the map says of tiles with wells what was predicted of them out of fold."""
    predictions = read_table(PREDICTIONS)
    out_of_fold = predictions[classes[first_high:]].sum(axis=1).to_numpy()
    centre = [(data.table[k].to_numpy() * stride + lattice.size // 2) // lattice.cell for k in ("row", "col")]
    rows, columns = lattice.map_grid.shape
    on_map = (centre[0] < rows) & (centre[1] < columns)
    at_tiles = np.full(len(predictions), np.nan)
    at_tiles[on_map] = above[centre[0][on_map], centre[1][on_map]]
    there = np.isfinite(at_tiles)
    high = predictions["label"].to_numpy()[there] >= first_high
    return {
        **counts,
        "mapped_share": float(np.isfinite(above).mean()),
        "inside_applicability": float(np.nanmean(inside)),
        "mean_probability": float(np.nanmean(above)),
        "networks_per_window": float(windows["networks"].mean()),
        "tiles_on_map": int(there.sum()),
        "auc_high_at_tiles": float(auc(high, at_tiles[there], np.ones((1, there.sum())))[0]),
        "correlation_with_out_of_fold": float(spearmanr(at_tiles[there], out_of_fold[there]).statistic),
    }


if __name__ == "__main__":
    run(main, INPUTS)
