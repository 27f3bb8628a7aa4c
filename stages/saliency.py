"""Map what each tile's network looks at, test whether the maps can be trusted, and whether it is structure."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from heatflow.explanation import structure
from heatflow.explanation.association import associate, attribute_ranks, standard_ranks
from heatflow.explanation.attribution import PER_ELEVATION, TITLES, lattice_share, mosaic, surest_examples
from heatflow.explanation.out_of_fold import Unseen, spread
from heatflow.explanation.randomisation import dead_units
from heatflow.explanation.sanity import BLIND, REMEMBERED, Trial, strength
from heatflow.geo.attributes import STEEPNESS, block_mean
from heatflow.geo.features import read_shapes
from heatflow.geo.tile_attributes import TileAttributes
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written, write_cog
from heatflow.io.text import read_json, write_csv, write_json
from heatflow.io.vectors import read_table
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of
from heatflow.learning.models import load_networks
from heatflow.present.figures import save
from heatflow.present.qgis import write_style
from heatflow.present.saliency_figures import (
    SALIENCY_COLOURS,
    association_figure,
    saliency_figure,
    structure_figure,
    trust_figure,
)
from stages._paths import (
    DEMO,
    EVALUATION,
    FOLDS,
    KEPT,
    METRICS,
    MODELS,
    PREDICTIONS,
    SALIENCY,
    SCALING,
    TABLES,
    TERRAIN,
    TILE_TABLE,
    TILES,
)
from stages._runner import progress, read_params, run, say, warn

PARAMS = (
    "data.elevation", "data.faults", "data.structures", "saliency", "split.block_size", "split.seed", "tile.edges",
    "tile.binary_edge", "tile.size", "tile.stride", "train.device",
)  # fmt: skip
INPUTS = (TERRAIN, TILES, TILE_TABLE, KEPT, FOLDS, SCALING, MODELS, PREDICTIONS, EVALUATION)
FIGURES = METRICS / "saliency"
LOOKED = 300  # tiles, at most, whose surroundings are held against the maps
GAPS = 0.05  # share of a tile without data above which its map is held against no attribute
COARSE = 4  # pixels along each edge of the squares whose means are held against attributes
STRIP = 512  # rows of the map at a time
DISTANCES = np.arange(0, 21_000, 1_000)  # m
PLAIN = 60  # tiles of which maps are made without averaging over shifts as well, to compare
REACH = {"structures": structure.NEAR_POINT, "faults": structure.NEAR_LINE, "range_front": structure.NEAR_LINE}


def main():
    p = read_params(PARAMS)
    seed, shifts = p.split.seed, p.saliency.smooth_shifts
    words = p.tile.explained(p.saliency.target)
    data = FoldData.load(TILES, TILE_TABLE, KEPT, FOLDS, SCALING)
    predictions = read_table(PREDICTIONS)
    every = np.arange(len(predictions))
    with open_written(TERRAIN) as terrain:
        tiles = TileGrid(Grid.from_dataset(terrain), p.tile.size, p.tile.step)
    row, col, predicted = (predictions[name].to_numpy(dtype=np.int64) for name in ("row", "col", "predicted"))
    block = block_of(row, col, p.split.block_size, tiles.size, tiles.stride)
    engine = Engine.choose(p.train.device, "float32", compile=False)
    first_high = p.tile.first_high
    networks = [load_networks(MODELS, fold) for fold in range(data.folds)]
    unseen = Unseen(data, networks, engine, first_high, p.saliency.batch_size)
    missing = np.isnan(data.elevation(every))
    looked = spread(every, LOOKED)
    with progress(len(looked), "surroundings", "tile") as bar:
        features = _features(p.data, tiles.grid.crs)
        around = TileAttributes(TERRAIN, tiles, row, col, features).compute(looked, on_tile=bar.update)
    known = _known(around, looked, block[looked], STEEPNESS / tiles.grid.resolution, seed)
    asked = next((found for name, found in known.items() if name != "range_front"), None)
    ranks = attribute_ranks({name: block_mean(array, COARSE) for name, array in around.items()})
    groups = _groups(predictions.iloc[looked], p.tile.class_ranges)
    whole = missing[looked].mean(axis=(1, 2)) <= GAPS

    def terrain_of(index):
        here = np.searchsorted(looked, index)
        elevation, background = data.elevation(index), around["background"][here]
        return np.where(np.isfinite(elevation), elevation, background), background, around["slope"][here]

    trial = Trial(unseen, predicted, looked, terrain_of, block, seed)
    methods, curves, profiles, pooled, single = {}, dict(trial.controls), {}, [], []
    controls = {}
    if asked:
        called_high = predicted[asked.index] >= first_high
        controls = {name: asked.score(control, called_high) for name, control in asked.controls().items()}
        profiles = {name: asked.around[name] for name in ("slope", "edge")}

    def associated(name, size):
        ranked = standard_ranks(block_mean(size, COARSE))
        table, each = associate(ranked, ranks, groups, block[looked], p.saliency.draws, seed, whole)
        pooled.append(table.assign(method=name))
        single.append(each.assign(method=name, tile=predictions["tile"].to_numpy()[looked][each["index"]]))

    def draw(path, title, maps, warnings):
        save(_examples(predictions, data, maps, title, p, tiles.grid.resolution, warnings), path)

    with replacing(SALIENCY) as folder, replacing(FIGURES) as figures, ThreadPoolExecutor(1) as beside:
        folder.mkdir()
        figures.mkdir()
        # one method is written, drawn and held against the terrain while the next is computed
        later = [beside.submit(associated, "edge_detector", around["edge"])]
        for method in p.saliency.methods:
            with progress(len(every), TITLES[method], "tile") as bar:
                target = _target(p.saliency.target, predicted)
                maps = unseen.maps(method, every, target, shifts, bar.update)
            found = _numbers(maps)
            if shifts > 1:
                few = spread(every, PLAIN)
                plain = unseen.maps(method, few, None if target is None else target[few])
                for when, shown in (("before", plain), ("after", maps[few])):
                    found[f"lattice_share_{when}"] = lattice_share(shown[shown.any(axis=(1, 2))])
            same = p.saliency.target == "predicted"  # which the tests are of, whatever is drawn
            tested, curves[method] = trial.of(method, maps if same else unseen.maps(method, every, predicted, shifts))
            maps[missing] = np.nan
            if asked:
                evidence = unseen.maps(method, asked.index, None, shifts)
                profiles[method] = np.abs(evidence)
                tested[asked.name] = asked.score(strength(method, evidence), called_high)
            methods[method] = found | tested
            bands = [
                (f"{TITLES[method]} of {words}", maps),
                (f"size of {TITLES[method]} of {words}", np.abs(maps)),
            ]
            for k, name in enumerate(p.tile.class_ranges if p.saliency.per_class else []):
                of_class = unseen.maps(method, every, np.full(len(every), k), shifts)
                bands.append((f"{TITLES[method]} of class {k}, {name} mW/m2", np.where(missing, np.nan, of_class)))
            units = "score per km" if method in PER_ELEVATION else "score"
            later.append(beside.submit(associated, method, np.abs(maps[looked])))
            later.append(beside.submit(_write, folder / f"{method}.tif", bands, units, predictions, tiles))
            later.append(beside.submit(draw, figures / f"{method}.png", TITLES[method], maps, tested["warnings"]))
        for job in later:  # in their order; an error in one of them ends the stage
            job.result()
        pooled_table = pd.concat(pooled, ignore_index=True)
        save(trust_figure(methods, curves, BLIND, REMEMBERED), figures / "trust.png")
        failed = [method for method, found in methods.items() if not found["passed"]]
        save(association_figure(pooled_table[pooled_table["group"] == "all"], failed), figures / "association.png")
        effects = {name: found.effect(unseen) for name, found in known.items()}
        skill = read_json(EVALUATION, ("auc_high_low",))
        answer = _answer(skill, asked, effects, methods, controls)
        if asked:
            of_class = _groups(predictions.iloc[asked.index], p.tile.class_ranges)
            distances = structure.distance_table(profiles, asked.distance, DISTANCES, of_class)
            write_csv(folder / "distance.csv", distances)
            profiles = {
                name: part["strength"].to_numpy()
                for name, part in distances[distances["group"] == "all"].groupby("map", sort=False)
            }
        if effects:
            name = asked.name if asked else None
            save(
                structure_figure(name, methods, controls, profiles, DISTANCES, effects, answer),
                figures / "structure.png",
            )
        columns = ["tile", "method", "attribute", "correlation", "p"]
        write_csv(folder / "association.csv", pd.concat(single, ignore_index=True)[columns])
    order = ["method", "attribute", "group", *(c for c in pooled_table if c not in ("method", "attribute", "group"))]
    write_csv(TABLES / "association.csv", pooled_table[order])
    write_json(
        METRICS / "saliency.json",
        {
            "verdict": answer, "tiles": len(every), "methods": methods, "controls": controls, "effects": effects,
            "dead_channels": _dead(unseen),
        },
    )  # fmt: skip
    _tell(methods, effects, answer)


def _features(paths, crs):
    """Known structures and faults, by name. Those of the demo say nothing of another region, and are left out there."""
    at_demo = Path(paths.elevation).is_relative_to(DEMO)
    found = {}
    for name in ("structures", "faults"):
        path = getattr(paths, name)
        if at_demo or not Path(path).is_relative_to(DEMO):
            found[name] = read_shapes(path, f"data.{name}", crs)
    return found


def _known(around, looked, block, softness, seed):
    found = {
        name: structure.Known.find(name, reach, around, looked, block, softness, seed)
        for name, reach in REACH.items()
        if name in around
    }
    return {name: tiles for name, tiles in found.items() if tiles is not None}


def _groups(table, ranges):
    """Which tiles are pooled: all, those of each class, those called right and wrong."""
    label, right = table["label"].to_numpy(), (table["label"] == table["predicted"]).to_numpy()
    classes = {f"class {name}": label == k for k, name in enumerate(ranges)}
    return {"all": np.ones(len(table), dtype=bool), **classes, "correct": right, "incorrect": ~right}


def _target(target, predicted):
    """The class explained for each tile; None: the log-odds of being high."""
    if target == "high":
        return None
    return predicted if target == "predicted" else np.full(len(predicted), target)


def _numbers(maps):
    zero = ~maps.any(axis=(1, 2))
    return {
        "all_zero_maps": int(zero.sum()),
        "all_zero_share": float(zero.mean()),
        "zero_pixel_share": float(np.mean(maps == 0)),
        "lattice_share": lattice_share(maps[~zero]),
    }


def _write(path, bands, units, predictions, tiles):
    height = tiles.grid.height
    strips = (
        (top, np.stack([mosaic(maps, predictions, tiles, top, min(top + STRIP, height)) for _, maps in bands]))
        for top in range(0, height, STRIP)
    )
    write_cog(path, tiles.grid, strips, bands=tuple(name for name, _ in bands), units=units)
    limit = float(np.nanquantile(bands[1][1][:: max(1, len(bands[1][1]) // PLAIN)], 0.98)) or 1.0
    write_style(path.with_suffix(".qml"), 1, -limit, limit, SALIENCY_COLOURS)


def _tell(methods, effects, answer):
    for method, found in methods.items():
        if found["all_zero_maps"]:
            warn(f"{TITLES[method]}: {found['all_zero_maps']} maps are all zero, and say nothing of their tiles")
        for complaint in found["warnings"]:
            warn(f"{TITLES[method]}: {complaint}")
    passed = [TITLES[method] for method, found in methods.items() if found["passed"]]
    say(f"{len(passed)} of {len(methods)} methods pass their tests: {', '.join(passed) or 'none'} -> {FIGURES}")
    lost = [
        f"{name.replace('_', ' ')} {effect['lost']:+.3f} ({effect['lost_elsewhere']:+.3f})"
        for name, effect in effects.items()
        if np.isfinite(effect["lost"])
    ]
    if lost:
        say(f"log-odds lost without (and without terrain as steep elsewhere): {', '.join(lost)}")
    say(f"{answer['answer']} -> {METRICS / 'saliency.json'}")


def _answer(skill, asked, effects, methods, controls):
    """The verdict, by the map that passed its tests and whose deletion lowers the probability most."""
    passed = {name: found for name, found in methods.items() if found["passed"]}
    best = min(passed, key=lambda name: passed[name]["deletion"], default=None)
    answer = structure.verdict(
        skill["auc_high_low"],
        asked.name if asked else None,
        effects[asked.name] if asked else {},
        TITLES[best] if best else None,
        methods[best][asked.name] if asked and best else {},
        effects.get("range_front"),
        controls,
    )
    return {"answer": answer["answer"], "method": best, "reasons": answer["reasons"]}


def _dead(unseen):
    """Mean over the folds of the share of dead channels of each ReLU, on the tiles that each fold tests."""
    shares = []
    for fold, here, networks in unseen.folds(np.arange(len(unseen.data.table))):
        tiles = unseen.inputs(fold, unseen.data.elevation(here))
        shares.append(dead_units(networks[0], tiles))
    mean = np.mean(shares, axis=0)
    if mean.any():
        warn(f"share of dead channels, ReLU by ReLU: {', '.join(f'{share:.0%}' for share in mean)}")
    return {f"relu_{k}": share for k, share in enumerate(mean.tolist(), start=1)}


def _examples(predictions, data, maps, title, p, resolution, warnings):
    words = p.tile.explained(p.saliency.target)
    ranges = p.tile.class_ranges
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
        elevation = data.elevation(np.array([tile]))[0]
        examples.append({"elevation": elevation, "saliency": maps[tile], "caption": caption})
    return saliency_figure(examples, ranges, ["correct", "incorrect"], f"{title} of {words}", resolution, warnings)


if __name__ == "__main__":
    run(main, INPUTS)
