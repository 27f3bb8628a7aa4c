"""One page that holds everything: what was asked, what came out, and what made it."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import rasterio
import shapely
import yaml

from heatflow.geo.labels import classify
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import Grid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import read_csv, read_json
from heatflow.io.vectors import read_features, read_table
from heatflow.present import report
from stages._paths import (
    DEMO,
    EVALUATION,
    MAP,
    METRICS,
    MODELS,
    PREDICTIONS,
    REPORT,
    SALIENCY,
    TABLES,
    TERRAIN,
    TILE_TABLE,
    TILES,
    WELLS,
)
from stages._runner import read_params, run, say

DEMO_ABLATION = "benchmarks/ABLATION_demo.csv"
SECTIONS = (
    "augment",
    "demo",
    "filter",
    "map",
    "model",
    "normalize",
    "saliency",
    "split",
    "terrain",
    "tile",
    "train",
    "wells",
)
PARAMS = ("data.ablation", "data.elevation", "data.faults", "data.structures", "data.wells", *SECTIONS)
CONTENT = {  # tables, and what is read of them
    "strata": ("wells", "prediction", "tiles", "high_share", "auc", "auc_low", "auc_high"),
    "statistics": ("wells", "prediction", "statistic", "auc", "auc_low", "auc_high"),
    "success_rate": ("prediction", "searched", "found"),
    "reliability": ("predicted", "observed"),
    "confusion": ("actual", "predicted"),
}
NUMBERS = {
    "wells": ("read", "kept", "dropped"),
    "tiles": ("tiles",),
    "filter": ("kept", "dropped", "classes"),
    "saliency": ("verdict", "methods", "controls"),
    "map": ("mapped_share", "inside_applicability", "networks_per_window", "correlation_with_out_of_fold"),
}


def _table(name):
    return (TABLES if name in ("strata", "statistics") else METRICS) / f"{name}.csv"


PICTURES = ("folds.png", "curves.png", "map.png")
INPUTS = (
    TERRAIN, WELLS, TILES, TILE_TABLE, MODELS, PREDICTIONS, SALIENCY, MAP, EVALUATION,
    *(METRICS / f"{name}.json" for name in NUMBERS), *(_table(name) for name in CONTENT),
    *(METRICS / name for name in PICTURES), METRICS / "saliency",
)  # fmt: skip
PACKAGES = (
    "captum", "dvc", "geopandas", "matplotlib", "numpy", "pandas", "pyogrio", "rasterio", "scikit-learn", "scipy",
    "shapely", "torch", "torchvision",
)  # fmt: skip


def main():
    p = read_params(PARAMS)
    numbers = {name: read_json(METRICS / f"{name}.json", keys) for name, keys in NUMBERS.items()}
    evaluation = read_json(EVALUATION, ("auc_high", "baseline", "skill", "tiles"))
    tables = {name: read_csv(_table(name), columns) for name, columns in CONTENT.items()}
    predictions, top = read_table(PREDICTIONS), read_table(MAP / "top.fgb")
    ranges, at_demo = p.tile.class_ranges, Path(p.data.elevation).is_relative_to(DEMO)
    words = p.tile.explained(p.saliency.target).replace("m2", "m²")
    statistic = {"max": "largest", "p90": "90th percentile"}.get(p.tile.statistic, p.tile.statistic)
    ablation = report.ablation_rows(read_csv(p.data.ablation)) if _counts(p.data.ablation, at_demo) else []
    high = f"above {p.tile.binary_edge:g}"
    with open_written(TERRAIN) as terrain:
        grid = Grid.from_dataset(terrain)
        shrink = max(1, -(-max(grid.shape) // report.MOST_PIXELS))
        elevation = terrain.read(1, out_shape=(grid.height // shrink, grid.width // shrink))
    km = grid.resolution / 1000
    extent = [grid.width * km, grid.height * km]
    stride, size = p.tile.step * km, p.tile.size * km
    method = "grad_cam" if "grad_cam" in p.saliency.methods else p.saliency.methods[0]
    maps = _maps_of(predictions, SALIENCY / f"{method}.tif", p.tile.step, p.tile.size)
    sheets = report.thumbnails(*maps, grid.resolution)
    placed = predictions.assign(x=predictions["col"] * stride, y=predictions["row"] * stride)
    classes = [f"p{k}" for k in range(len(ranges))]
    rows = placed.iloc[: report.MOST_ROWS].assign(p=placed[classes].iloc[: report.MOST_ROWS].to_numpy().tolist())
    saliency = numbers["saliency"]
    images = {name: report.picture(METRICS / name) for name in PICTURES}
    images |= {path.name: report.picture(path) for path in sorted((METRICS / "saliency").glob("*.png"))}
    content = {
        "headline": report.headline(evaluation, ranges, f"{high} mW/m²"),
        "verdict": saliency["verdict"], "methods": saliency["methods"],
        "trust_rows": report.trust_rows(saliency["methods"]),
        "known": report.known_rows(saliency["methods"], saliency["controls"]),
        "synthetic": at_demo, "explained": words, "ablation": ablation,
        "notes": report.limits(len(predictions), numbers["wells"]["kept"]),
        "blocks": p.split.scheme == "blocks", "buffer": p.split.buffer, "probabilities": [f"p({r})" for r in ranges],
        "images": images, "evaluation": evaluation, "classes": ranges, "high": high,
        "charts": report.skill_charts(evaluation, tables["success_rate"], tables["reliability"], f"{high} mW/m²"),
        "confusion": report.confusion_table(tables["confusion"], p.tile.class_names),
        "strata": report.strata_rows(tables["strata"]), "statistics": report.statistics_rows(tables["statistics"]),
        "wells": numbers["wells"], "tiles": numbers["tiles"], "kept": numbers["filter"], "map": numbers["map"],
        "top": top.sort_values("rank").to_dict("records"), "tile_km": size, "statistic": statistic,
        "extent": extent, "terrain": report.terrain_layer(elevation, grid.resolution * shrink), "sheets": sheets,
        "overlays": _overlays(km, shrink, method, high, words), "rows": rows.to_dict("records"),
        "map_data": report.map_data(
            placed, _wells(grid, km, p.tile.edges), size, ranges, sheets, f"{statistic} residual"
        ),
        "sources": {key: Path(_name(getattr(p.data, key))).name for key in ("elevation", "wells")},
        "checksums": [(name, _md5(path)) for name, path in _files(p.data)],
        "versions": [
            ("Python", platform.python_version()), ("GDAL", rasterio.__gdal_version__),
            *((name, version(name)) for name in PACKAGES),
        ],
        "params": yaml.safe_dump(_params(p, at_demo), sort_keys=False, allow_unicode=True),
    }  # fmt: skip
    page = report.render(content)
    with replacing(REPORT) as beside:
        beside.write_text(page, encoding="utf-8")
    say(f"{len(page) / 1e6:.1f} MB, one file that needs no network -> {REPORT}")


def _maps_of(predictions, path, stride, size):
    """Terrain and signed saliency of each tile."""
    packed = PackedTiles.load(TILES, TILE_TABLE)
    tiles = [np.asarray(packed.pixels[k]) for k in packed.rows(predictions["tile"].to_numpy())]
    if len(tiles) > report.MOST_THUMBNAILS:
        return [], []
    with open_written(path) as raster:
        windows = [
            rasterio.windows.Window(col * stride, row * stride, size, size)
            for row, col in zip(predictions["row"], predictions["col"], strict=True)
        ]
        return tiles, [raster.read(1, window=window) for window in windows]


def _overlays(km, shrink, method, high, words):
    """Pictures of the region to lay over the terrain, in km of it, each with its colours and what their ends are."""
    found = []

    def add(key, title, raster, values, colours, low, high, ends, cell, alpha=0.75, ramp=None):
        uri = report.layer(values, colours, low, high, alpha=alpha)
        size = raster.width * cell, raster.height * cell
        found.append(
            {"key": key, "title": title, "uri": uri, "width": size[0], "height": size[1], "ends": ends,
             "ramp": ramp or report.ramp(colours)}
        )  # fmt: skip

    with open_written(MAP / "probability.tif") as raster:
        add(
            "probability", f"probability {high} mW/m²", raster, raster.read(raster.count), "viridis", 0, 1,
            "probability from 0 to 1", raster.res[0] / 1000,
        )  # fmt: skip
    with open_written(MAP / "applicability.tif") as raster:
        outside = np.where(raster.read(2) == 0, 1.0, np.nan)
        add(
            "outside", "unlike what was learnt from", raster, outside, "Greys", 0, 1,
            "outside the area of applicability", raster.res[0] / 1000, ramp="#000",
        )  # fmt: skip
    with open_written(SALIENCY / f"{method}.tif") as raster:
        values = raster.read(1, out_shape=(raster.height // shrink, raster.width // shrink))
        limit = float(np.nanquantile(np.abs(values), 0.98)) or 1.0
        add(
            "saliency", f"{report.named(method)} of {words}", raster, values, "PuOr_r", -limit, limit,
            f"{report.named(method)} from −{limit:.2g} to +{limit:.2g}, {raster.units[0]}", km, alpha=0.65,
        )  # fmt: skip
    return found


def _counts(path, at_demo):
    """Whether a file is given for this region: the demo's count for the demo alone."""
    return at_demo or path != DEMO_ABLATION


def _wells(grid, km, edges):
    wells = read_features(WELLS)
    x, y = shapely.get_coordinates(wells.geometry.array).T
    label = classify(wells["residual"].to_numpy(), edges)
    return pd.DataFrame({"x": (x - grid.left) / 1000, "y": (grid.top - y) / 1000, "label": label})


def _files(paths):
    """Inputs by their names alone, for where they lie is nobody's business, and outputs."""
    at_demo = Path(paths.elevation).is_relative_to(DEMO)
    known = [k for k in ("faults", "structures") if at_demo or not Path(getattr(paths, k)).is_relative_to(DEMO)]
    for key in ("elevation", "wells", *known):
        path = Path(getattr(paths, key))
        if path.is_file():
            yield path.name, path
    for path in (TERRAIN, WELLS, MODELS, PREDICTIONS, MAP / "probability.tif", EVALUATION):
        yield str(path), path


def _md5(path):
    """Of a file, or of all files of a folder as one, in the order of their names."""
    total = hashlib.md5()
    for part in sorted(path.iterdir()) if path.is_dir() else [path]:
        with part.open("rb") as file:
            hashlib.file_digest(file, lambda: total)
    return total.hexdigest()


def _name(path):
    """A path inside the project as it is, another by its name alone; an address without names, passwords and tokens."""
    if "://" in path:
        address = urlsplit(path[path.lower().index("http") :] if "http" in path.lower() else path)
        return f"{address.scheme}://{address.hostname}{address.path}"
    return Path(path).name if Path(path).is_absolute() else path


def _params(p, at_demo):
    """The params that made this; those of the demo say nothing of another region."""
    data = {key: _name(value) for key, value in vars(p.data).items()}
    if not at_demo:
        data = {k: v for k, v in data.items() if not v.startswith(f"{DEMO}/") and v != DEMO_ABLATION}
    sections = {name: getattr(p, name).model_dump(mode="json") for name in SECTIONS}
    return {"data": data} | {name: values for name, values in sections.items() if at_demo or name != "demo"}


if __name__ == "__main__":
    run(main, INPUTS)
