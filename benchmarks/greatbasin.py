"""The Great Basin from raw files: python -m benchmarks.greatbasin ELEVATION WELLS [--faults FILE] [--structures FILE].

Runs all stages by the params of README.md in a folder of its own, and keeps the metrics in benchmarks/greatbasin.json,
where README.md has its numbers from. The files are those of data/sources.yaml; none of them is part of the project.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.measure import run_stages
from heatflow.io.text import read_json, write_json
from stages import _paths as at

RESULTS = Path(__file__).with_name("greatbasin.json")
STAGES = (
    "terrain", "wells", "tile", "filter", "split", "normalize", "train", "baselines", "evaluate", "saliency",
)  # fmt: skip
TABLES = ("drilling", "recall", "prediction_sets", "near_wells")
TERRAIN = {
    "detrend_radius": 100_000, "min_elevation": 0,
    "crs": "+proj=aea +lat_0=37.5 +lon_0=-117 +lat_1=29.5 +lat_2=45.5 +datum=NAD83 +units=m",
}  # fmt: skip


def measure(files: dict[str, str | None], folder: Path) -> dict[str, Any]:
    """Metrics of a run in a folder, from the files of section `data` of the params."""
    params = yaml.safe_load((at.CODE / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {name: str(Path(path).resolve()) for name, path in files.items() if path}
    params["terrain"] |= TERRAIN
    run_stages(folder, params, STAGES)
    tables = {name: pd.read_csv(folder / at.TABLES / f"{name}.csv") for name in TABLES}
    return {
        "evaluation": read_json(folder / at.EVALUATION), "saliency": read_json(folder / at.METRICS / "saliency.json"),
        **{name: table.to_dict("records") for name, table in tables.items()},
    }  # fmt: skip


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.greatbasin", description=__doc__)
    parser.add_argument("elevation", help="etopo-30s or another raster of elevation")
    parser.add_argument("wells", help="ghfdb, usgs-wells or another table of heat flow")
    parser.add_argument("--faults", help="vector file of faults")
    parser.add_argument("--structures", help="vector file of structural settings or geothermal systems")
    files = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as name:
        write_json(RESULTS, measure(files, Path(name).resolve()))


if __name__ == "__main__":
    main()
