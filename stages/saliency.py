"""Map what each tile's network looks at, from the network that has not seen the tile."""

import numpy as np
import rasterio
import torch

from heatflow.analysis.saliency import (
    PER_ELEVATION,
    TITLES,
    attribute,
    lattice_share,
    mosaic,
    over_shifts,
    surest_examples,
)
from heatflow.analysis.trust import BLIND, dead_units, randomisation_test
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
FIGURES = METRICS / "saliency"
SAMPLE = 24  # tiles of the randomisation test
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
    with replacing(SALIENCY) as folder, replacing(FIGURES) as figures:
        folder.mkdir()
        figures.mkdir()
        for method in p.saliency.methods:
            with progress(len(predictions), TITLES[method], "tile") as bar, reproducible(0):
                maps = np.full(elevation.shape, np.nan, dtype=np.float32)
                for fold in np.unique(data.test_fold).tolist():  # of repeated splits the first
                    index = np.flatnonzero(data.test_fold == fold)
                    inputs = torch.from_numpy(data.normalised(fold, index))[:, None].to(engine.device)
                    target = torch.from_numpy(predictions["predicted"].to_numpy(dtype=np.int64)[index])
                    target = target.to(engine.device)
                    found = []
                    for network in load_networks(MODELS, fold):
                        engine.place(network)

                        def explain(tiles, network=network, target=target, method=method):
                            return attribute(network, tiles, target, method, p.saliency.batch_size)

                        found.append(over_shifts(explain, inputs, p.saliency.smooth_shifts))
                    bar.update(len(index))
                    # per kilometre of elevation, so that folds with different scalings share one map
                    unit = data.scalings[fold]["scale"] / 1000 if method in PER_ELEVATION else 1
                    maps[index] = np.mean(found, axis=0) / unit
            zero = ~np.any(maps, axis=(1, 2))
            trust = _randomise(data, predictions, method, engine, p.saliency.batch_size)
            results[method] = {
                "all_zero_maps": int(zero.sum()),
                "all_zero_share": float(zero.mean()),
                "zero_pixel_share": float(np.mean(maps == 0)),
                "lattice_share": lattice_share(maps[~zero]),
                "after_randomised": {name.replace(" ", "_"): value for name, value in trust.items()},
            }
            maps[np.isnan(elevation)] = np.nan
            height = tiles.grid.height
            strips = (
                (top, mosaic(maps, predictions, tiles, top, min(top + STRIP, height)))
                for top in range(0, height, STRIP)
            )
            description = f"{TITLES[method]} of the predicted class"
            units = "score per km" if method in PER_ELEVATION else "score"
            write_cog(folder / f"{method}.tif", tiles.grid, strips, bands=(description,), units=units)
            picture = _figure(predictions, elevation, maps, method, class_ranges(p.tile.edges), tiles.grid.resolution)
            save(picture, figures / f"{method}.png")
            share = results[method]["lattice_share"]
            if np.isfinite(share):
                where = SALIENCY / f"{method}.tif"
                say(f"{TITLES[method]}: {share:.1%} of its energy on the lattice of the network's strides -> {where}")
            if trust["classifier"] > BLIND:
                warn(
                    f"{TITLES[method]}: with the classifier drawn at random its maps stay the same (rank correlation "
                    f"{trust['classifier']:.2f}): it does not show what the network has learnt"
                )
            if zero.any():
                say(f"{TITLES[method]}: {zero.sum()} of {len(zero)} maps are all zero")
                warn(f"{TITLES[method]}: a map that is all zero says nothing about its tile")
    dead = _dead_units(data, engine)
    say(f"share of dead channels, ReLU by ReLU: {', '.join(f'{share:.0%}' for share in dead)}")
    layers = {f"relu_{k}": share for k, share in enumerate(dead, start=1)}
    write_json(METRICS / "saliency.json", {"tiles": len(predictions), **results, "dead_channels": layers})


def _randomise(data, predictions, method, engine, batch_size):
    """Randomisation test on a sample of the tiles that the first fold tests."""
    index = np.flatnonzero(data.test_fold == 0)[:SAMPLE]
    tiles = torch.from_numpy(data.normalised(0, index))[:, None].to(engine.device)
    target = torch.from_numpy(predictions["predicted"].to_numpy(dtype=np.int64)[index]).to(engine.device)
    network = engine.place(load_networks(MODELS, 0)[0])
    with reproducible(0):
        return randomisation_test(network, tiles, lambda n: attribute(n, tiles, target, method, batch_size))


def _dead_units(data, engine):
    """Mean over the folds of the share of dead channels of each ReLU, on the tiles that each fold tests."""
    shares = []
    for fold in np.unique(data.test_fold).tolist():
        tiles = torch.from_numpy(data.normalised(fold, np.flatnonzero(data.test_fold == fold)))[:, None]
        network = engine.place(load_networks(MODELS, fold)[0])
        shares.append(dead_units(network, tiles.to(engine.device)))
    return np.mean(shares, axis=0).tolist()


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
    return saliency_figure(examples, ranges, ["correct", "incorrect"], TITLES[method], resolution)


if __name__ == "__main__":
    run(main, INPUTS)
