"""A raster larger than memory should have to hold: python -m benchmarks.large_raster [--only PART].

The part `stages` takes it through all stages of the pipeline. `predict` takes it through ``heatflow predict``, which is
also killed on its way, and has to end in the same bytes when it is asked again.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import rasterio
import yaml
from rasterio.windows import Window

from benchmarks.geography import UTM, terrain_strips
from benchmarks.measure import ROOT, Rows, run_stages
from heatflow.grid.grids import Grid

STAGES = (
    "terrain", "wells", "tile", "filter", "split", "normalize", "train", "baselines", "evaluate", "saliency", "map",
)  # fmt: skip
WIDTH, HEIGHT, RESOLUTION = 38_000, 35_000, 30
WELLS = 2_080  # at random over 33,250 tiles: some 2,000 tiles hold one
TRAINED = (4_000, 4_000, 200)  # width, height and wells of the region that the model of `predict` was trained on
PREDICT = ("predict", "--model", "trained/data/bundle", "--elevation", "dem.tif", "--all-networks", "--out")
CHANGES = {  # less work, as much memory
    "terrain": {"resolution": RESOLUTION}, "train": {"epochs": 1}, "map": {"stride": 400},
    "wells": {"x": "x", "y": "y", "crs": "EPSG:32611"},
}  # fmt: skip
KILLED_AFTER = 0.6  # of the time that the whole takes
EVERY = 0.1  # seconds between two looks at the memory of a stage


def compare(width: int = WIDTH, height: int = HEIGHT, wells: int = WELLS) -> Rows:
    """Rows of the table of results: anonymous memory of the largest process of each stage, and its time."""
    return [*measure_stages(width, height, wells), *measure_predict(width, height, wells)]


def measure_stages(width: int = WIDTH, height: int = HEIGHT, wells: int = WELLS) -> Iterator[tuple[str, str]]:
    """The rows of the stages, each as soon as it is known."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        write_inputs(folder, width, height, wells)
        for stage in STAGES:
            start = time.perf_counter()
            peak = peak_memory([sys.executable, "-m", f"stages.{stage}"], folder)
            yield f"{stage}: memory of its largest process", f"{peak:.2f} GB"
            yield "- wall time", f"{time.perf_counter() - start:.0f} s"


def measure_predict(
    width: int = WIDTH, height: int = HEIGHT, wells: int = WELLS, trained: tuple[int, int, int] = TRAINED
) -> Iterator[tuple[str, str]]:
    """The rows of ``heatflow predict``, by a model of a smaller region with the same pixels."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        (folder / "trained").mkdir()
        write_inputs(folder / "trained", *trained)
        params = yaml.safe_load((folder / "trained/params.yaml").read_text())
        run_stages(folder / "trained", params, (*STAGES, "bundle"))
        write_inputs(folder, width, height, wells)
        command, start = [sys.executable, "-m", "heatflow.cli", *PREDICT], time.perf_counter()
        peak = peak_memory([*command, "whole"], folder)
        seconds = time.perf_counter() - start
        yield "heatflow predict: memory of its largest process", f"{peak:.2f} GB"
        yield "- wall time", f"{seconds:.0f} s"
        kill([*command, "resumed"], folder, seconds * KILLED_AFTER)
        start = time.perf_counter()
        peak_memory([*command, "resumed"], folder)
        yield (
            f"- when it was killed after {KILLED_AFTER:.0%} of that, wall time of the rest",
            (f"{time.perf_counter() - start:.0f} s"),
        )
        same = digests(folder / "whole") == digests(folder / "resumed")
        yield "- and its files have the same bytes", "yes" if same else "NO"


def kill(command: list[str], folder: Path, after: float) -> None:
    """Start a command and kill it, with all its processes, after so many seconds."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def digests(folder: Path) -> dict[str, str]:
    """Checksums of the files of a folder, by their names."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def write_inputs(folder: Path, width: int, height: int, wells: int) -> None:
    """A raster of 30 m pixels, wells and params in a folder."""
    left, top = 200_000, 4_900_000
    grid = Grid(left, top, RESOLUTION, width, height, UTM)
    with rasterio.open(
        folder / "dem.tif", "w", driver="GTiff", width=width, height=height, count=1, dtype="float32", crs=UTM,
        transform=grid.transform, nodata=-9999, tiled=True, compress="ZSTD", bigtiff="IF_SAFER", num_threads="ALL_CPUS",
    ) as out:  # fmt: skip
        for first, strip in terrain_strips(width, height):
            out.write(strip, 1, window=Window(0, first, width, len(strip)))
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(0, pixels * RESOLUTION, wells) for pixels in (width, height))
    table = pd.DataFrame({"x": left + x, "y": top - y, "residual": rng.normal(40, 80, wells)})
    table.to_csv(folder / "wells.csv", index=False)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"elevation": str(folder / "dem.tif"), "wells": str(folder / "wells.csv")}
    for section, values in CHANGES.items():
        params[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "metrics").mkdir()


def peak_memory(command: list[str], folder: Path) -> float:
    """Run a command; GB of anonymous memory (RssAnon: mapped files apart) that the largest of its processes held."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process, peak = subprocess.Popen(command, cwd=folder, env=environment), 0.0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            all_of_it = psutil.Process(process.pid)
            peak = max(peak, *(anonymous_memory(one.pid) for one in [all_of_it, *all_of_it.children(recursive=True)]))
        time.sleep(EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak


def anonymous_memory(pid: int) -> float:
    """GB that a process holds now; 0 for one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024 / 1e9
    return 0.0


if __name__ == "__main__":
    parts = {"stages": measure_stages, "predict": measure_predict}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_raster", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    for part in parser.parse_args().only:
        for what, measured in parts[part]():
            print(f"{what}: {measured}", flush=True)
