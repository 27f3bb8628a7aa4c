"""Map what each tile's network looks at, from the network that has not seen the tile."""

import numpy as np
import rasterio
import torch

from heatflow.analysis.saliency import TITLES, attribute, mosaic, surest_examples
from heatflow.files import replacing, write_json
from heatflow.geo.grid import Grid, TileGrid
from heatflow.geo.raster import write_cog
from heatflow.geo.tiles import class_ranges
from heatflow.geo.vector import read_table
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks
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

PARAMS = ("saliency", "tile.edges", "tile.size", "tile.stride", "train.device")
STRIP = 512  # rows of the map at a time
INPUTS = (TERRAIN, TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, PREDICTIONS)


def main():
    p = read_params(PARAMS)
    engine = Engine.choose(p.train.device, "float32", compile=False)
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
                for fold in np.unique(data.test_fold).tolist():  # of repeated splits the first
                    index = data.members(fold, "test")
                    inputs = torch.from_numpy(data.normalised(fold, index))[:, None].to(engine.device)
                    target = torch.from_numpy(predictions["predicted"].to_numpy(dtype=np.int64)[index])
                    networks = load_networks(MODELS, fold)
                    saliency = np.mean(
                        [
                            attribute(engine.place(n), inputs, target.to(engine.device), method, p.saliency.batch_size)
                            for n in networks
                        ],
                        axis=0,
                    )
                    bar.update(len(index))
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
            _figure(predictions, elevation, maps, method, class_ranges(p.tile.edges), tiles.grid.resolution)
            say(f"{method}: {zero.sum()} of {len(zero)} maps are all zero -> {SALIENCY / f'{method}.tif'}")
            if zero.any():
                warn(f"{method}: a map that is all zero says nothing about its tile")
    write_json(METRICS / "saliency.json", {"tiles": len(predictions), **results})


def _figure(predictions, elevation, maps, method, ranges, resolution):
    probability = predictions[[f"p{k}" for k in range(len(ranges))]].to_numpy()
    examples = []
    for tile in surest_examples(predictions["label"].to_numpy(), probability):
        if tile is None:
            examples.append(None)
            continue
        called = int(predictions["predicted"][tile])
        n_wells = predictions["n_wells"][tile]
        wells = "1 well" if n_wells == 1 else f"{n_wells} wells"
        caption = f"called {ranges[called]}, p = {probability[tile, called]:.2f}, {wells}"
        examples.append({"elevation": elevation[tile], "saliency": maps[tile], "caption": caption})
    figure = saliency_figure(examples, ranges, ["correct", "incorrect"], TITLES[method], resolution)
    save(figure, METRICS / f"saliency_{method}.png")


if __name__ == "__main__":
    run(main, INPUTS)
