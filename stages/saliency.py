"""Map what each tile's network looks at, from the network that has not seen the tile."""

import numpy as np
import rasterio
import torch

from heatflow.analysis.saliency import TITLES, attribute, mosaic
from heatflow.files import replacing, write_json
from heatflow.geo.grid import Grid, TileGrid
from heatflow.geo.raster import write_cog
from heatflow.geo.tiles import class_names
from heatflow.geo.vector import read_table
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_network
from heatflow.learning.training import reproducible
from heatflow.present.figures import saliency_figure, save
from stages._stage import (
    FOLDS,
    KEPT,
    METRICS,
    MODELS,
    PREDICTIONS,
    SALIENCY,
    SCALING,
    TERRAIN,
    TILE_TABLE,
    TILES,
    progress,
    read_params,
    run,
    say,
    warn,
)

PARAMS = ("saliency", "tile.edges", "tile.size", "tile.stride")
STRIP = 512  # rows of the map at a time
INPUTS = (TERRAIN, TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, PREDICTIONS)


def main():
    p = read_params(PARAMS)
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    predictions = read_table(PREDICTIONS)
    with rasterio.open(TERRAIN) as terrain:
        tiles = TileGrid(Grid.of(terrain), p.tile.size, p.tile.stride or p.tile.size)
    elevation = data.elevation(np.arange(len(predictions)))
    results = {}
    with replacing(SALIENCY) as folder:
        folder.mkdir()
        for method in p.saliency.methods:
            with progress(len(predictions), method, "tile") as bar, reproducible(0):
                maps = np.full(elevation.shape, np.nan, dtype=np.float32)
                for fold in range(data.folds):
                    index = data.members(fold, "test")
                    inputs = torch.from_numpy(data.normalised(fold, index))[:, None]
                    target = torch.from_numpy(predictions["predicted"].to_numpy(dtype=np.int64)[index])
                    saliency = attribute(
                        load_network(MODELS, fold), inputs, target, method, p.saliency.batch_size, bar.update
                    )
                    # per kilometre of elevation, so that folds with different scalings share one map
                    maps[index] = saliency / data.scalings[fold]["scale"] * 1000
            zero = ~np.any(maps, axis=(1, 2))
            maps[np.isnan(elevation)] = np.nan
            results[method] = {
                "all_zero_maps": int(zero.sum()),
                "all_zero_share": float(zero.mean()),
                "zero_pixel_share": float(np.mean(maps[np.isfinite(maps)] == 0)),
            }
            height = tiles.grid.height
            strips = (
                (top, mosaic(maps, predictions, tiles, top, min(top + STRIP, height)))
                for top in range(0, height, STRIP)
            )
            description = f"{TITLES[method]} of the predicted class"
            write_cog(folder / f"{method}.tif", tiles.grid, strips, bands=(description,), units="score per km")
            _figure(data, predictions, elevation, maps, method, class_names(p.tile.edges), tiles.grid.resolution)
            say(f"{method}: {zero.sum()} of {len(zero)} maps are all zero -> {SALIENCY / f'{method}.tif'}")
            if zero.any():
                warn(f"{method}: a map that is all zero says nothing about its tile")
    write_json(METRICS / "saliency.json", {"tiles": len(predictions), **results})


def _figure(data, predictions, elevation, maps, method, names, resolution):
    """For each class the correct and the incorrect tile that the network is surest of."""
    examples = []
    for k, _ in enumerate(names):
        for correct in (True, False):
            here = predictions[(predictions["label"] == k) & ((predictions["predicted"] == k) == correct)]
            if here.empty:
                examples.append(None)
                continue
            sure = here[[f"p{c}" for c in range(len(names))]].max(axis=1).idxmax()
            tile = predictions.loc[sure]
            called = int(tile["predicted"])
            caption = f"called {names[called][3:]}, p = {tile[f'p{called}']:.2f}, {int(tile['n_wells'])} wells"
            examples.append({"elevation": elevation[sure], "saliency": maps[sure], "caption": caption})
    rows = [name.split(" ", 1)[1] for name in names]
    figure = saliency_figure(examples, rows, ["correct", "incorrect"], TITLES[method], resolution)
    save(figure, METRICS / f"saliency_{method}.png")


if __name__ == "__main__":
    run(main, INPUTS)
