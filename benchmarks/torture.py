"""Attack the stages and count how they end: python -m benchmarks.torture [--quick] [--seed N] [--only KIND ...].

Every case runs a stage in a process and a folder of its own and ends in one of

    correct     exit code 0, and the outputs are what an independent reading of the input says they should be
    refused     exit code 2 or 3 and a message
    traceback   an exception reached the user, or the process died of a signal
    hang        no end after LIMIT seconds
    silent      exit code 0, and the outputs are wrong

The last three are faults of the project. --quick runs a thirtieth of the cases and none of the kills.
"""

import argparse
import copy
import hashlib
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import rasterio.shutil
import yaml
from rasterio.transform import from_origin

from heatflow.errors import InputError
from heatflow.io.text import markdown_table
from stages import _runner, terrain, tile, wells

os.environ["GDAL_NUM_THREADS"] = "1"  # a process that has threads cannot be forked safely
ROOT = Path(__file__).resolve().parent.parent
LIMIT = 60  # seconds
CRS, LEFT, TOP, STEP = "EPSG:32611", 500_000.0, 4_400_000.0, 200.0
HEIGHT, WIDTH, WELLS = 66, 77, 80
Sections = dict[str, dict[str, Any]]
FAULTS = ("traceback", "hang", "silent")
SPLIT = {"folds": 2, "block_size": 1, "buffer": 0, "validation": 0.3}
TINY: Sections = {  # params of the cases
    "terrain": {"detrend_radius": None, "resolution": 200}, "tile": {"size": 11, "edges": [0], "binary_edge": 0},
    "model": {"channels": [3], "layout": "report"}, "split": SPLIT, "train": {"epochs": 2, "seeds": 1},
}  # fmt: skip
PROJECT: Sections = {  # params of the project that is killed
    "demo": {"width": 320, "height": 320, "resolution": 1000}, "terrain": {"resolution": 1000},
    "tile": {"size": 40, "edges": [50], "binary_edge": 50}, "filter": {"min_valid": 0.2}, "split": SPLIT,
    "model": {"channels": [4, 4, 4]}, "train": {"epochs": 40, "seeds": 1},
}  # fmt: skip
REPRO = ("dvc", "repro", "--no-run-cache")
FORCED = (*REPRO, "--single-item", "--force")  # runs one stage, whatever DVC knows of it
Check = Callable[[Path], str | None]  # of the input; says what is wrong with the outputs, or None
Outcome = tuple[int | None, str]  # exit code of a process, None where it hangs, and what it printed


def isolated(task: Callable[[], object], folder: Path) -> Outcome:
    """Run a function in a forked process in a folder, LIMIT seconds at most."""
    with tempfile.TemporaryFile() as log:

        def run_in_folder() -> None:
            os.chdir(folder)
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
            sys.stdout, sys.stderr = (open(k, "w", closefd=False) for k in (1, 2))  # noqa: SIM115
            task()

        process = multiprocessing.get_context("fork").Process(target=run_in_folder)
        process.start()
        process.join(LIMIT)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        log.seek(0)
        return code, log.read().decode(errors="replace")


def run_stage(stage: ModuleType, folder: Path) -> Outcome:
    """What ``python -m stages.<name>`` does in a folder; its modules are loaded once, rather than in every case."""
    sys.argv = [str(stage.__file__)]
    return isolated(partial(_runner.run, stage.main, getattr(stage, "INPUTS", ())), folder)


def require(outcome: Outcome) -> None:
    """End the campaign where a run that nothing disturbs fails."""
    if outcome[0]:
        raise InputError(f"a run that nothing disturbs fails: {outcome[1]}")


class Campaign:
    """Runs cases and counts how they end; `faults` keeps the first few faults, with what they printed."""

    def __init__(self, seed: int, top: Path) -> None:
        self.seed, self.top, self.counts, self.faults = seed, top, Counter[tuple[str, str]](), list[str]()

    def folder(self, ready: Path | None = None) -> Path:
        """A new folder, with the data of one where stages have run."""
        path = Path(tempfile.mkdtemp(dir=self.top))
        if ready:
            shutil.copytree(ready / "data", path / "data")
        return path

    def case(self, kind: str, what: str, stage: ModuleType, file: Path, check: Check) -> None:
        """Run a stage in the folder of the file that is attacked, check its outputs and count how it ends."""
        folder = file.parent
        code, said = run_stage(stage, folder)
        if code is None:
            verdict = "hang"
        elif code not in (0, 2, 3) or "Traceback" in said or (code and not said.strip()):
            verdict = "traceback"
        elif code:
            verdict = "refused"
        else:
            wrong, why = isolated(lambda: sys.exit(check(file)), folder)  # a text is printed, and the code is 1
            verdict, said = "silent" if wrong != 0 else "correct", f"{said}\n{why}"
        self.count(kind, verdict, what, said)
        shutil.rmtree(folder, ignore_errors=True)

    def count(self, kind: str, verdict: str, what: str, said: str) -> None:
        """Count a case."""
        self.counts[kind, verdict] += 1
        if verdict in FAULTS and len(self.faults) < 40:
            self.faults.append(f"{kind}: {verdict}: {what}\n" + "\n".join(said.splitlines()[-12:]))

    def table(self) -> str:
        """How the cases ended, a row for each kind, as Markdown."""
        verdicts = ("correct", "refused", *FAULTS)
        numbers = {kind: [self.counts[kind, v] for v in verdicts] for kind, _ in self.counts}
        numbers["all"] = [sum(column) for column in zip(*numbers.values(), strict=True)]
        rows = [(kind, sum(n), *n) for kind, n in numbers.items()]
        return "\n".join(markdown_table(("kind", "cases", *verdicts), rows))


def write_params(folder: Path, base: Sections = TINY, **changes: dict[str, Any]) -> None:
    """Write the committed params with sections changed into a folder."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in [*base.items(), *changes.items()]:
        params[section] = params[section] | values
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def damaged(rng: random.Random, raw: bytes) -> tuple[str, bytes]:
    """Bytes as a bad disk, a broken download or an enemy leaves them, and what was done to them."""
    at, length = rng.randrange(len(raw)), rng.choice([1, 3, 17, 200, 4000])
    before, after, noise, flipped = raw[:at], raw[at + length :], rng.randbytes(length), bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 4, 16, 64])):
        flipped[rng.randrange(min(len(raw), rng.choice([400, len(raw)])))] ^= 1 << rng.randrange(8)
    return rng.choice([
        ("as it is", raw), ("bits flipped", bytes(flipped)), ("bits flipped", bytes(flipped)), ("cut short", before),
        ("cut short by a little", raw[: -rng.randrange(1, 64)]), ("bytes put in", before + noise + raw[at:]),
        ("bytes taken out", before + after), ("zeros", before + bytes(min(length, len(raw) - at)) + after),
        ("doubled", raw + raw), ("empty", b""), ("noise", noise),
    ])  # fmt: skip


# ---- files of strangers


def base_rasters(folder: Path) -> list[Path]:
    """Write the terrain as GeoTIFFs of floats and of integers, and as text."""
    rng = np.random.default_rng(5)
    rough = rng.normal(0, 60, (HEIGHT, WIDTH)).cumsum(axis=0).cumsum(axis=1)
    array = (rough / np.abs(rough).max() * 900).astype(np.float32)
    array[20:26, 30:39] = np.nan
    whole = np.where(np.isnan(array), -32768, array.round()).astype(np.int16)
    tiled = {"compress": "DEFLATE", "tiled": True, "blockxsize": 32, "blockysize": 32, "predictor": 3}
    for name, values, nodata, options in (("tiled", array, np.nan, tiled), ("strips", whole, -32768, {})):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", dtype=values.dtype.name, nodata=nodata, crs=CRS, width=WIDTH,
            height=HEIGHT, count=1, transform=from_origin(LEFT, TOP, STEP, STEP), **options,
        ) as out:  # fmt: skip
            out.write(values, 1)
    rasterio.shutil.copy(folder / "strips.tif", folder / "grid.asc", driver="AAIGrid")
    return [folder / name for name in ("tiled.tif", "strips.tif", "grid.asc")]


def wells_table() -> geopandas.GeoDataFrame:
    """Wells in the terrain."""
    rng = np.random.default_rng(11)
    x = LEFT + STEP * rng.uniform(2, WIDTH - 2, WELLS)
    y = TOP - STEP * rng.uniform(2, HEIGHT - 2, WELLS)
    columns = {"name": [f"w\u00e9ll {k}" for k in range(WELLS)], "residual": rng.normal(20, 60, WELLS).round(2)}
    return geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(x, y, crs=CRS)).to_crs(4326)


def base_tables(folder: Path) -> list[Path]:
    """Write the wells as text with every separator and in every encoding."""
    made, paths = wells_table(), []
    table = pd.DataFrame(made[["name", "residual"]]).assign(longitude=made.geometry.x, latitude=made.geometry.y)
    for number, separator in enumerate(",;\t"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            paths.append(folder / f"{number}-{encoding}.csv")
            table.round(6).to_csv(paths[-1], index=False, sep=separator, encoding=encoding)
    return paths


def base_vectors(folder: Path) -> list[Path]:
    """Write the wells in every vector format, and as a zipped shapefile."""
    paths = [folder / f"{ending}.{ending}" for ending in ("gpkg", "fgb", "geojson", "shp", "kml", "gml")]
    for path in paths:
        driver = "LIBKML" if path.suffix == ".kml" else None
        pyogrio.write_dataframe(wells_table(), path, layer="shp" if path.suffix == ".shp" else "wells", driver=driver)
    with zipfile.ZipFile(folder / "zip.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in folder.glob("shp.*"):
            archive.write(part, part.name)
    return [*paths, folder / "zip.zip"]


def check_terrain(source: Path) -> str | None:
    """Compare what the terrain stage made of a raster with a plain reading of it."""
    with rasterio.open(source) as raw:
        values = raw.read(1).astype(np.float64) * raw.scales[0] + raw.offsets[0]
        values[raw.read_masks(1) == 0] = np.nan
        transform, crs = raw.transform, raw.crs
    values = values.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    with rasterio.open("data/terrain.tif") as made:
        got = made.read(1)
        if made.crs == crs and made.transform == transform and made.shape == values.shape:
            return None if np.array_equal(got, values, equal_nan=True) else "pixels differ"
    low, high = np.nanmin(values), np.nanmax(values)
    slack = 0.3 * (high - low) + 1e-3 * abs(high)
    inside = np.nanmin(got) >= low - slack and np.nanmax(got) <= high + slack
    return None if inside else f"{np.nanmin(got)} to {np.nanmax(got)} out of {low} to {high}"


def check_wells(source: Path) -> str | None:
    """Every residual that was kept stands in the input, no more often than there."""
    kept = pyogrio.read_dataframe("data/wells.fgb", read_geometry=False)
    there = numbers_in(source) if source.suffix == ".csv" else residuals(source)
    more = Counter(f"{v:.6g}" for v in kept["residual"]) - Counter(f"{v:.6g}" for v in there)
    return f"{dict(more)} are not in the input" if more else None


def numbers_in(path: Path) -> list[float]:
    """Whatever looks like a number in a text."""
    raw = path.read_bytes()
    text = raw.decode("utf-16", "replace") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else raw.decode("latin-1")
    numbers = re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)
    numbers += [number.replace(",", ".") for number in re.findall(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", text)]
    numbers += [number.replace(",", "") for number in re.findall(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)]
    return [float(number) for number in numbers if math.isfinite(float(number))]


def residuals(path: Path) -> list[float]:
    """Residuals of a vector file as GDAL reads it."""
    table = pyogrio.read_dataframe(f"/vsizip/{path}" if path.suffix == ".zip" else path)
    column = next(c for c in table.columns if c.lower() == "residual")
    return [float(v) for v in table[column] if v is not None]


def with_terrain(campaign: Campaign) -> Path:
    """A folder in which the terrain stage has run."""
    folder = campaign.folder()
    write_params(folder, data={"elevation": str(base_rasters(folder)[0])})
    require(run_stage(terrain, folder))
    return folder


def strangers(bases: Callable[[Path], list[Path]], campaign: Campaign, n: int) -> None:
    """Files of one kind, damaged; those that belong to them, such as .dbf to .shp, are whole."""
    rng = random.Random(f"{campaign.seed} {bases.__name__}")
    raster = bases is base_rasters
    stage, param, check = (terrain, "elevation", check_terrain) if raster else (wells, "wells", check_wells)
    ready = None if raster else with_terrain(campaign)
    whole = bases(campaign.folder())
    for _ in range(n):
        folder, base = campaign.folder(ready), rng.choice(whole)
        for part in base.parent.glob(f"{base.stem}.*"):
            shutil.copy(part, folder)
        what, content = damaged(rng, base.read_bytes())
        path = folder / base.name
        path.write_bytes(content)
        write_params(folder, data={param: str(path)}, terrain={"resolution": rng.choice([200, 200, 350])})
        campaign.case(bases.__name__.removeprefix("base_"), f"{base.name} {what}", stage, path, check)


# ---- params


def junk(rng: random.Random) -> Any:
    """Any value that YAML can hold."""
    return rng.choice([
        None, True, False, 0, -1, 1, 2, 7, 10**9, 10**30, 0.0, 0.5, -0.5, 1.5, 1e-300, 1e300, math.nan, math.inf, "",
        "abc", "max", "auto", "../../etc/passwd", "\u0000", "x" * 5000, [], [1], [3, 2, 1], ["a"], [[1]], {}, {"a": 1},
        {"when": "always"}, [0.5, 0.5], [-180, -90, 180, 90], "EPSG:4326", "EPSG:99999", "2026-01-01", 3.0, [25, 50],
    ])  # fmt: skip


def odd_params(rng: random.Random, plain: dict[str, Any]) -> tuple[str, bytes]:
    """Params with some values changed or left out, or damaged as a file."""
    changed, what = copy.deepcopy(plain), ""
    for _ in range(rng.choice([1, 1, 2, 5])):
        section = rng.choice([*changed])
        key = rng.choice([*changed[section], "unknown"])
        what += f"{section}.{key} "
        changed[section][key] = junk(rng)
        if section != "tile" and rng.random() < 0.4:
            del changed[section][key]
    content = yaml.safe_dump(changed).encode()
    how, content = damaged(rng, content) if rng.random() < 0.2 else ("", content)
    return what + how, content


def check_tiles(source: Path) -> str | None:
    """No well is lost where each has one tile."""
    said = json.loads(Path("metrics/tiles.json").read_text())
    table = pyogrio.read_dataframe("data/tiles.fgb", read_geometry=False)
    section = yaml.safe_load(source.read_text())["tile"]
    total = int(table["n_wells"].sum()) + said["wells_in_no_tile"]
    one_each = section["min_wells"] == 1 and section["stride"] in (None, section["size"])
    return f"{total} of {WELLS} wells" if one_each and total != WELLS else None


def params(campaign: Campaign, n: int) -> None:
    """Random values for random params, read by the tile stage; what is accepted must still lose no well."""
    rng = random.Random(f"{campaign.seed} params")
    ready = with_terrain(campaign)
    write_params(ready, data={"wells": str(base_tables(ready)[0])})
    require(run_stage(wells, ready))
    plain = yaml.safe_load((ready / "params.yaml").read_text())
    for _ in range(n):
        path = campaign.folder(ready) / "params.yaml"
        what, content = odd_params(rng, plain)
        path.write_bytes(content)
        campaign.case("params", what, tile, path, check_tiles)


# ---- kills


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below data and metrics, checkpoints left out."""
    files = [p for top in ("data", "metrics") for p in sorted((folder / top).rglob("*")) if p.is_file()]
    kept = [p for p in files if ".checkpoints" not in p.parts]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


class Project:
    """A copy of the project with tiny params in a git repository, reproduced once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder.parent / "kills.log"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | own
        tracked = ("heatflow", "stages", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore", "dvc.yaml")
        for name in (*tracked, "benchmarks/ABLATION_demo.csv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
        write_params(folder, PROJECT)
        self.git("init", "-q")
        self.require("dvc", "repro")
        self.whole = contents(folder)
        self.git("add", "-A")
        self.git("commit", "-qm", "run")

    def git(self, *words: str) -> None:
        """Run git."""
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command whose output goes to the log."""
        with self.log.open("w") as log:
            options: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True}
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, **options)

    def require(self, *command: str) -> None:
        """Run a command that nothing disturbs."""
        require((self.start(*command).wait(), self.log.read_text()))

    def again(self) -> int:
        """Reproduce after a kill, and return the exit code."""
        code = self.start(*REPRO).wait()
        if code and "dvc.lock' validation failed" in self.log.read_text():
            print("  DVC was killed while it wrote dvc.lock: git checkout dvc.lock", flush=True)
            self.git("checkout", "-q", "dvc.lock")  # DVC writes its own file in steps; the docs say what to do
            code = self.start(*REPRO).wait()
        return code


def kill(campaign: Campaign, project: Project, name: str, number: signal.Signals, after: float) -> None:
    """Send a signal to a stage after so many seconds; the run after it has to end in the bytes of a run left alone."""
    running, attack = project.start(*FORCED, name), f"{name} {number.name} after {after:.1f} s"
    time.sleep(after)
    os.killpg(running.pid, number)
    try:
        running.wait(LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        campaign.count("kill", "hang", attack, project.log.read_text())
        return
    said = project.log.read_text()
    saved = len([*(project.folder / "data/.checkpoints").glob("*/fold*")]) if name == "train" else 0
    code = project.again()
    resumed = project.log.read_text().count("goes on after epoch")
    now = contents(project.folder)
    differs = [file for file in project.whole if now.get(file) != project.whole[file]]
    left = [file for file in now if ".partial" in file]
    if code or "Traceback" in said:  # what ends by SIGTERM says nothing; an interrupt is said in a line
        verdict = "traceback"
    else:
        verdict = "silent" if differs or left or resumed < saved else "correct"
    detail = f"{attack}, {saved} states, {resumed} taken up: {verdict}"
    campaign.count("kill", verdict, f"{detail}, {differs} differ, {left} left", said + project.log.read_text())
    print(f"  {detail}", flush=True)


def kills(campaign: Campaign, n: int) -> None:
    """Signals at random moments of `dvc repro`."""
    rng = random.Random(f"{campaign.seed} kills")
    project = Project(campaign.folder())
    names = [*yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]]
    seconds = {}
    for name in names:
        begin = time.monotonic()
        project.require(*FORCED, name)
        seconds[name] = time.monotonic() - begin
    if contents(project.folder) != project.whole:
        raise InputError("a run that nothing disturbs gives other bytes")
    for k in range(n):
        name = "train" if k % 4 == 0 else names[k % len(names)]
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        kill(campaign, project, name, number, rng.uniform(0.3 if name != "train" else 2.5, seconds[name]))


# of each kind: what runs it, and how many cases
KINDS: dict[str, tuple[Callable[[Campaign, int], None], int]] = {
    "rasters": (partial(strangers, base_rasters), 700), "tables": (partial(strangers, base_tables), 700),
    "vectors": (partial(strangers, base_vectors), 450), "params": (params, 450), "kills": (kills, 50),
}  # fmt: skip


def run(names: list[str], seed: int, share: float = 1.0) -> Campaign:
    """Run a campaign of some kinds, or a share of the cases of each."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as top:
        campaign = Campaign(seed, Path(top))
        for name in names:
            function, n = KINDS[name]
            begin = time.monotonic()
            function(campaign, max(2, round(n * share)))
            print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    return campaign


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a thirtieth of the cases, and no kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=None)
    options = parser.parse_args()
    names = options.only or [name for name in KINDS if not (options.quick and name == "kills")]
    campaign = run(names, options.seed, 1 / 30 if options.quick else 1.0)
    print("\n".join(campaign.faults))
    print(campaign.table())
    sys.exit(any(campaign.counts[k] for k in campaign.counts if k[1] in FAULTS))


if __name__ == "__main__":
    main()
