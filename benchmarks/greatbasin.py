"""The Great Basin from raw files: python -m benchmarks.greatbasin ELEVATION WELLS [--faults FILE] [--structures FILE].

Runs all stages by the params of docs/own-region.md in a folder of its own, and keeps the metrics in
benchmarks/greatbasin.json, where README.md has its numbers from. With --halves it trains on the western half, predicts
the eastern one, and goes back, and keeps only what comes of that. The files are those of data/sources.yaml; none of
them is part of the project.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import rasterio
import yaml
from rasterio.warp import transform_bounds

from benchmarks.measure import processor, run_stages
from heatflow.io.text import read_json, write_json
from stages import _paths as at

RESULTS = Path(__file__).with_name("greatbasin.json")
STAGES = (
    "terrain", "wells", "tile", "filter", "split", "normalize", "train", "baselines", "evaluate", "saliency",
)  # fmt: skip
TABLES = ("drilling", "recall", "prediction_sets", "near_wells")
SCORES = ("auc_high", "site_auc", "tiles", "sites")  # of a half, out of fold; with the ends of their intervals
TERRAIN = {
    "detrend_radius": 100_000, "min_elevation": 0,
    "crs": "+proj=aea +lat_0=37.5 +lon_0=-117 +lat_1=29.5 +lat_2=45.5 +datum=NAD83 +units=m",
}  # fmt: skip


def params_of(files: dict[str, str | None], **terrain: Any) -> dict[str, Any]:
    """Params of a run, from the files of their section `data` and changes of their section `terrain`."""
    params = yaml.safe_load((at.CODE / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {name: str(Path(path).resolve()) for name, path in files.items() if path}
    params["terrain"] |= TERRAIN | terrain
    return params


def measure(files: dict[str, str | None], folder: Path) -> dict[str, Any]:
    """Metrics of a run in a folder."""
    run_stages(folder, params_of(files), STAGES)
    tables = {name: pd.read_csv(folder / at.TABLES / f"{name}.csv") for name in TABLES}
    of_sites = pd.read_csv(folder / at.TABLES / "baselines.csv").query("metric == 'site_auc'")
    return {
        "evaluation": read_json(folder / at.EVALUATION), "saliency": read_json(folder / at.METRICS / "saliency.json"),
        "site_verdicts": of_sites.set_index("prediction")["verdict"].dropna().to_dict(),
        **{name: table.to_dict("records") for name, table in tables.items()},
    }  # fmt: skip


def of_processor(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run for each kind of processor, so that conclusions that change with it are seen."""
    evaluation, hits = found["evaluation"], [row for row in found["drilling"] if row["places"] == 1]
    return {
        **{name: value for name, value in evaluation.items() if name.startswith(SCORES)},
        "than_a_guess": evaluation["skill"]["constant"]["verdict"], "verdict": found["saliency"]["verdict"]["answer"],
        "drilling": {row["rule"]: row["hits"] for row in hits},
    }  # fmt: skip


def halves_of(elevation: str) -> dict[str, list[float]]:
    """The western and the eastern half of a raster: west, south, east and north in degrees."""
    with rasterio.open(elevation) as raster:
        west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    middle = (west + east) / 2
    return {"west": [west, south, middle, north], "east": [middle, south, east, north]}


def measure_halves(files: dict[str, str | None], folder: Path) -> dict[str, Any]:
    """Scores of the networks of each half, out of fold on their own and on the other one."""
    halves, found = halves_of(str(files["elevation"])), {}
    for own, other in (("west", "east"), ("east", "west")):
        (folder / own).mkdir()
        params = params_of(files, bounds=halves[own])
        run_stages(folder / own, params, (*STAGES, "map", "bundle"))
        options = {
            "--model": "data/bundle", "--elevation": params["data"]["elevation"], "--wells": params["data"]["wells"],
            "--out": "other", "--crs": TERRAIN["crs"], "-S": f"terrain.bounds={halves[other]}",
        }  # fmt: skip
        words = [word for option in options.items() for word in option]
        command = [sys.executable, "-m", "heatflow.cli", "predict", "--near-wells", *words]
        environment = os.environ | {"PYTHONPATH": str(at.CODE)}
        subprocess.run(command, cwd=folder / own, env=environment, check=True)
        evaluation, summary = read_json(folder / own / at.EVALUATION), read_json(folder / own / "other/summary.json")
        found[f"{own} to {other}"] = {
            "out_of_fold": {name: value for name, value in evaluation.items() if name.startswith(SCORES)},
            "predicted": {name: summary[name] for name in ("map", "wells")},
        }
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.greatbasin", description=__doc__)
    parser.add_argument("elevation", help="etopo-30s or another raster of elevation")
    parser.add_argument("wells", help="ghfdb, usgs-wells or another table of heat flow")
    parser.add_argument("--faults", help="vector file of faults")
    parser.add_argument("--structures", help="vector file of structural settings or geothermal systems")
    parser.add_argument("--halves", action="store_true", help="train on each half, and predict the other one")
    files = vars(parser.parse_args())
    halves, kept = files.pop("halves"), read_json(RESULTS) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        found = {"halves": measure_halves(files, folder)} if halves else measure(files, folder)
        if not halves:
            found["processors"] = kept.get("processors", {}) | {processor(): of_processor(found)}
        write_json(RESULTS, kept | found)


if __name__ == "__main__":
    main()
