"""Attack the pipeline and count what happens: python -m benchmarks.torture [--quick] [--seed N] [--only KIND ...].

Every case runs a stage in a process and a folder of its own and ends in one of

    correct     exit code 0, and the outputs are what an independent reading of the input says they should be
    refused     exit code 2 or 3 and a message
    traceback   an exception reached the user, or the process died of a signal
    hang        no end after LIMIT seconds
    silent      exit code 0, and the outputs are wrong
    stray       something was written outside the case's folder

The last four are faults of ours. --quick runs a thirtieth of the cases and none of the kills.
"""

import argparse
import contextlib
import copy
import csv
import ctypes
import hashlib
import importlib
import io
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pyproj
import rasterio
import yaml
from rasterio.transform import Affine, from_origin

from heatflow.errors import InputError

os.environ["GDAL_NUM_THREADS"] = "1"  # a process that has threads cannot be forked safely
ROOT = Path(__file__).resolve().parent.parent
LIMIT = 60  # seconds
MEMORY = 12 << 30  # bytes of address space that a case may take
CRS, LEFT, TOP, STEP = "EPSG:32611", 500_000.0, 4_400_000.0, 200.0
HEIGHT, WIDTH, WELLS = 66, 77, 80
ORDER = [
    "demo", "terrain", "wells", "tile", "filter", "split", "normalize", "train", "baselines", "evaluate", "saliency",
    "map", "report",
]  # fmt: skip
FAULTS = ("traceback", "hang", "silent", "stray")


@dataclass(frozen=True)
class Outcome:
    code: int | None
    text: str


def drop_override() -> None:
    """Bind this process to the permissions of files although it is root's (capabilities(7): CAP_DAC_OVERRIDE)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for effective_or_permitted in (0, 1):
        sets[effective_or_permitted] &= ~(1 << 1)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def taken() -> int:
    """Bytes of address space of this process (proc(5)); 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def isolated(
    task: Callable[[], int],
    folder: Path,
    limit: float = LIMIT,
    room: int | None = None,
    obey_permissions: bool = False,
    **limits: int,
) -> Outcome:
    """Exit code and output of a function run in a forked process in a folder; None where it hangs.

    Parameters
    ----------
    room : bytes of address space that it may take beyond what it has at the start
    obey_permissions : also where the process is root's
    limits : names and values of ``resource.RLIMIT_*``
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.dup2(theirs, 1)
            os.dup2(theirs, 2)
            os.chdir(folder)
            sys.stdout, sys.stderr = (open(k, "w", closefd=False) for k in (1, 2))  # noqa: SIM115
            memory = MEMORY if room is None else taken() + room
            for name, value in ({"RLIMIT_AS": memory} | limits).items():
                resource.setrlimit(getattr(resource, name), (value, value))
            if obey_permissions and os.getuid() == 0:
                drop_override()
            code = task()
            sys.stdout.flush()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)  # whatever happened: the parent's work must not be gone on with here
    os.close(theirs)
    os.set_blocking(ours, False)
    text, end, ended = b"", time.monotonic() + limit, None
    with open(ours, "rb", buffering=0) as pipe:
        while ended is None and time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            text += pipe.read(1 << 20) or b""
            if done:
                ended = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)
        if ended is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        while more := pipe.read(1 << 20):
            text += more
    return Outcome(ended, text.decode(errors="replace"))


def stage(name: str) -> Callable[[], int]:
    """What ``python -m stages.<name>`` does, once its modules are loaded."""

    def task():
        from stages import _stage

        module = importlib.import_module(f"stages.{name}")
        sys.argv = [f"stages/{name}.py"]
        _stage.run(module.main, getattr(module, "INPUTS", ()))
        return 0

    return task


class Campaign:
    """Runs cases and counts how they end; `faults` keeps the first few of ours, with what they printed."""

    def __init__(self, seed: int):
        self.seed, self.counts, self.faults = seed, Counter[tuple[str, str]](), list[str]()
        self.top = Path(tempfile.mkdtemp(prefix="torture-"))
        self.number = 0
        for name, variable in (("home", "HOME"), ("temporary", "TMPDIR")):
            (self.top / name).mkdir()
            os.environ[variable] = str(self.top / name)

    def around(self) -> set[Path]:
        """All that lies where a case could leave something behind, other than its own folder."""
        folders = [self.top, self.top / "home", self.top / "temporary", ROOT]
        return {path for folder in folders for path in folder.iterdir()} | set(self.top.parent.glob("escaped*"))

    def folder(self) -> Path:
        self.number += 1
        path = self.top / f"case{self.number}"
        path.mkdir()
        return path

    def case(self, kind: str, what: str, folder: Path, name: str, check: Callable[[], str | None], **limits) -> str:
        """Run a stage in a folder and `check` its outputs, which says what is wrong with them, or None."""
        before = self.around()
        outcome = isolated(stage(name), folder, **limits)
        stray = self.around() - before
        said = outcome.text.strip()
        if outcome.code is None:
            verdict = "hang"
        elif outcome.code not in (0, 2, 3) or "Traceback" in said or (outcome.code and not said):
            verdict = "traceback"
        elif stray:
            verdict = "stray"
        elif outcome.code:
            verdict = "refused"
        else:
            checked = isolated(lambda: print(wrong) or 9 if (wrong := check()) else 0, folder)
            verdict = "correct" if checked.code == 0 else "silent"
            said += "\n" + checked.text
        self.count(kind, verdict, what, said)
        shutil.rmtree(folder, ignore_errors=True)
        return verdict

    def count(self, kind, verdict, what, said):
        self.counts[kind, verdict] += 1
        if verdict in FAULTS and len(self.faults) < 40:
            self.faults.append(f"{kind}: {verdict}: {what}\n" + "\n".join(said.splitlines()[-12:]))

    def table(self) -> str:
        kinds = list(dict.fromkeys(kind for kind, _ in self.counts))
        verdicts = ("correct", "refused", *FAULTS)
        lines = ["| kind | cases | " + " | ".join(verdicts) + " |", "|" + " --- |" * (len(verdicts) + 2)]
        for kind in [*kinds, None]:
            of_kind = [sum(n for (k, v), n in self.counts.items() if v == w and kind in (k, None)) for w in verdicts]
            lines.append(f"| {kind or 'all'} | {sum(of_kind)} | " + " | ".join(map(str, of_kind)) + " |")
        return "\n".join(lines)


def write_params(folder: Path, **changes) -> None:
    """The committed params with sections changed, in a folder."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    small = {
        "terrain": {"detrend_radius": None, "resolution": 200},
        "tile": {"size": 11, "edges": [0], "binary_edge": 0},
        "model": {"channels": [3]},
        "split": {"folds": 2, "block_size": 1, "buffer": 0, "validation": 0.3},
        "train": {"epochs": 2},
    }
    for section, values in [*small.items(), *changes.items()]:
        params[section] = params[section] | values
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def terrain_array() -> np.ndarray:
    """Hills with a hole in them, float32."""
    rng = np.random.default_rng(5)
    rough = rng.normal(0, 60, (HEIGHT, WIDTH)).cumsum(axis=0).cumsum(axis=1)
    array = (rough / np.abs(rough).max() * 900).astype(np.float32)
    array[20:26, 30:39] = np.nan
    return array


def flipped(rng: random.Random, raw: bytes, first: int | None = None) -> bytes:
    """Some bits changed, anywhere or among the `first` bytes."""
    changed = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 4, 16, 64])):
        changed[rng.randrange(min(len(raw), first or len(raw)))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damaged(rng: random.Random, raw: bytes) -> tuple[str, bytes]:
    """Bytes as a bad disk, a broken download or an enemy leaves them."""
    at, length = rng.randrange(len(raw)), rng.choice([1, 3, 17, 200, 4000])
    kinds = {
        "bits flipped": lambda: flipped(rng, raw),
        "bits of the header flipped": lambda: flipped(rng, raw, 400),
        "cut short": lambda: raw[:at],
        "cut short by a little": lambda: raw[: len(raw) - rng.randrange(1, 64)],
        "bytes put in": lambda: raw[:at] + rng.randbytes(length) + raw[at:],
        "bytes taken out": lambda: raw[:at] + raw[at + length :],
        "zeros": lambda: raw[:at] + bytes(min(length, len(raw) - at)) + raw[at + length :],
        "doubled": lambda: raw + raw,
        "empty": lambda: b"",
        "noise": lambda: rng.randbytes(length),
    }
    what = rng.choice([*kinds])
    return what, kinds[what]()


# ---- rasters


def base_rasters(folder: Path) -> list[Path]:
    array, transform = terrain_array(), from_origin(LEFT, TOP, STEP, STEP)
    common = {"crs": CRS, "transform": transform, "width": WIDTH, "height": HEIGHT, "count": 1}
    whole = np.where(np.isnan(array), -32768, array.round()).astype(np.int16)
    written = [
        ("tiled.tif", array, {"driver": "GTiff", "nodata": np.nan, "compress": "DEFLATE", "tiled": True,
                              "blockxsize": 32, "blockysize": 32, "predictor": 3}),
        ("strips.tif", whole, {"driver": "GTiff", "nodata": -32768}),
        ("lzw.tif", whole, {"driver": "GTiff", "nodata": -32768, "compress": "LZW"}),
    ]  # fmt: skip
    paths = []
    for name, values, options in written:
        with rasterio.open(folder / name, "w", dtype=values.dtype.name, **common, **options) as out:
            out.write(values, 1)
        paths.append(folder / name)
    rows = "\n".join(" ".join(map(str, row)) for row in whole.tolist())
    header = f"ncols {WIDTH}\nnrows {HEIGHT}\nxllcorner {LEFT}\nyllcorner {TOP - HEIGHT * STEP}\ncellsize {STEP}\n"
    (folder / "grid.asc").write_text(f"{header}NODATA_value -32768\n{rows}\n")
    (folder / "grid.prj").write_text(pyproj.CRS(CRS).to_wkt("WKT1_ESRI"))
    return [*paths, folder / "grid.asc"]


def wrong_tags(rng: random.Random, folder: Path) -> tuple[str, str]:
    """A raster that says something odd of itself."""
    array = terrain_array()
    options: dict = {
        "driver": "GTiff", "crs": CRS, "transform": from_origin(LEFT, TOP, STEP, STEP), "nodata": np.nan,
        "dtype": "float32", "count": 1, "width": WIDTH, "height": HEIGHT,
    }  # fmt: skip
    tags: dict = {}
    choices: dict[str, dict] = {
        "no CRS": {"crs": None}, "degrees that are metres": {"crs": "EPSG:4326"}, "feet": {"crs": "EPSG:2225"},
        "upside down": {"transform": Affine(STEP, 0, LEFT, 0, STEP, TOP)},
        "turned": {"transform": Affine(STEP, 40, LEFT, 40, -STEP, TOP)},
        "no width": {"transform": Affine(0, 0, LEFT, 0, -STEP, TOP)},
        "infinite": {"transform": Affine(STEP, 0, 1e300, 0, -STEP, TOP)},
        "not a number": {"transform": Affine(STEP, 0, math.nan, 0, -STEP, TOP)},
        "oblong": {"transform": Affine(STEP, 0, LEFT, 0, -137.0, TOP)},
        "tiny pixels": {"transform": from_origin(LEFT, TOP, 1e-6, 1e-6)},
        "huge pixels": {"transform": from_origin(LEFT, TOP, 1e7, 1e7)},
        "nodata 0": {"nodata": 0}, "nodata infinite": {"nodata": math.inf}, "complex": {"dtype": "complex64"},
        "scale": {}, "scale not a number": {}, "offset infinite": {}, "million": {}, "VRT": {},
        "three bands": {"count": 3},
        "float64": {"dtype": "float64"}, "all nodata": {},
    }  # fmt: skip
    what = rng.choice([*choices])
    options.update(choices[what])
    path = folder / "tags.tif"
    if what == "VRT":
        path.write_text(
            f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}"><SRS>{CRS}</SRS><GeoTransform>'
            f"{LEFT},{STEP},0,{TOP},0,-{STEP}</GeoTransform>"
            '<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename>'
            f"/vsicurl/http://127.0.0.1:9/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
        )
        return what, str(path)
    if what == "million":
        options |= {"width": 10**6, "height": 10**6, "sparse_ok": True, "tiled": True, "bigtiff": "YES"}
        if rng.random() < 0.5:
            options["transform"] = from_origin(LEFT, TOP, 1.0, 1.0)
        with rasterio.open(path, "w", **options):
            return what, str(path)
    if what == "all nodata":
        array[:] = np.nan
    tags = {"scale": (0.1, -40.0), "scale not a number": (math.nan, 0.0), "offset infinite": (1.0, math.inf)}
    with rasterio.open(path, "w", **options) as out:
        for band in range(1, options["count"] + 1):
            out.write(array.astype(options["dtype"]), band)
        if what in tags:
            out.scales, out.offsets = [tags[what][0]], [tags[what][1]]
    return what, str(path)


def check_terrain(source: str) -> Callable[[], str | None]:
    """What the terrain stage should have made of a raster, by a plain reading of it."""

    def check():
        try:
            with rasterio.open(source) as raw:
                values = raw.read(1).astype(np.float64) * raw.scales[0] + raw.offsets[0]
                values[raw.read_masks(1) == 0] = np.nan
                transform, crs = raw.transform, raw.crs
        except Exception as error:
            return f"cannot be read otherwise: {error}"
        values = values.astype(np.float32)
        values[~np.isfinite(values)] = np.nan
        with rasterio.open("data/terrain.tif") as made:
            got = made.read(1)
            if made.crs == crs and made.transform == transform and made.shape == values.shape:
                same = np.array_equal(got, values, equal_nan=True)
                return None if same else "pixels differ"
        low, high = np.nanmin(values), np.nanmax(values)
        slack = 0.3 * (high - low) + 1e-3 * abs(high)
        inside = np.nanmin(got) >= low - slack and np.nanmax(got) <= high + slack
        return None if inside else f"{np.nanmin(got)} to {np.nanmax(got)} out of {low} to {high}"

    return check


def rasters(campaign: Campaign, n: int) -> None:
    """Bits, lengths and tags of elevation rasters."""
    rng = random.Random(f"{campaign.seed} rasters")
    source = campaign.folder()
    bases = base_rasters(source)
    for _ in range(n):
        folder = campaign.folder()
        if rng.random() < 0.3:
            what, path = wrong_tags(rng, folder)
        else:
            base = rng.choice(bases)
            how, content = damaged(rng, base.read_bytes())
            what, path = f"{base.name} {how}", str(folder / base.name)
            Path(path).write_bytes(content)
            if base.suffix == ".asc":
                shutil.copy(base.with_suffix(".prj"), folder)
        write_params(folder, data={"elevation": path}, terrain={"resolution": rng.choice([200, 200, 350])})
        campaign.case("raster", what, folder, "terrain", check_terrain(path))


# ---- wells


def wells_table() -> list[dict[str, str]]:
    rng = np.random.default_rng(11)
    x = LEFT + STEP * rng.uniform(2, WIDTH - 2, WELLS)
    y = TOP - STEP * rng.uniform(2, HEIGHT - 2, WELLS)
    lon, lat = pyproj.Transformer.from_crs(CRS, 4326, always_xy=True).transform(x, y)
    residual = rng.normal(20, 60, WELLS)
    columns = {"longitude": (lon, 6), "latitude": (lat, 6), "residual": (residual, 2)}
    return [
        {"name": f"w\u00e9ll {k}"} | {name: f"{values[k]:.{digits}f}" for name, (values, digits) in columns.items()}
        for k in range(WELLS)
    ]


def as_text(rows: list[dict[str, str]], separator=",", quote=csv.QUOTE_MINIMAL, end="\n") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*rows[0]], delimiter=separator, quoting=quote, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


JUNK = [
    "",
    "n/a",
    "NaN",
    "-9999",
    "--",
    "1e999",
    "inf",
    "-inf",
    "12..5",
    "0x1F",
    "1,2,3",
    "twelve",
    "\u221e",
    "=1+1",
    "<script>",
]


def equal_tables(rng: random.Random) -> tuple[str, bytes, dict[int, float]]:
    """Some other way to write the table, with some cells that are no numbers; and the residuals that are to be found,
    by row."""
    rows = wells_table()
    wanted = {k: float(row["residual"]) for k, row in enumerate(rows)}
    what = []
    if rng.random() < 0.5:
        for k in rng.sample(range(WELLS), rng.randrange(1, 12)):
            rows[k]["residual"] = rng.choice(JUNK)
            what.append(f"row {k + 1} {rows[k]['residual']!r}")
            del wanted[k]
    if rng.random() < 0.3:
        for k in rng.sample(range(WELLS), 5):
            rows[k]["residual"] = text = rng.choice(["1e300", "-1e300", "1e-300", "123456789012345678901234567890"])
            what.append(f"row {k + 1} {text}")
            wanted[k] = float(text)
    if rng.random() < 0.3:
        order = rng.sample([*rows[0]], 4)
        rows = [{name: row[name] for name in order} for row in rows]
    if rng.random() < 0.3:
        rows = [{f"more {rng.randrange(9)}": "x,;\ty", **row} for row in rows]
        keys = [*rows[0]]
        rows = [dict(zip(keys, row.values(), strict=True)) for row in rows]
    separator = rng.choice(",;\t")
    text = as_text(rows, separator, rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), rng.choice(["\n", "\r\n"]))
    if rng.random() < 0.2:
        text += "\n\n"
    encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16"])
    return f"{encoding} {separator!r} {' '.join(what)}", text.encode(encoding), wanted


def check_rows(wanted: dict[int, float]) -> Callable[[], str | None]:
    def check():
        kept = geopandas.read_file("data/wells.fgb")
        with open("data/wells_dropped.csv", newline="") as file:
            dropped = [*csv.DictReader(file)]
        if len(kept) + len(dropped) != WELLS:
            return f"{len(kept)} kept and {len(dropped)} dropped of {WELLS}"
        got = dict(zip((kept["id"] - 1).tolist(), kept["residual"].tolist(), strict=True))
        if got.keys() != wanted.keys():
            return f"rows {sorted(got.keys() ^ wanted.keys())}"
        wrong = [k for k in wanted if not math.isclose(got[k], wanted[k], rel_tol=1e-9)]
        return f"values of rows {wrong}" if wrong else None

    return check


def check_subset(read: Callable[[], list[float]]) -> Callable[[], str | None]:
    """Every residual that was kept stands in the input, no more often than there."""

    def check():
        kept = geopandas.read_file("data/wells.fgb")
        there = Counter(f"{v:.6g}" for v in read())
        more = Counter(f"{v:.6g}" for v in kept["residual"]) - there
        return f"{dict(more)} are not in the input" if more else None

    return check


def numbers_in(path: Path) -> list[float]:
    """Whatever looks like a number in a text."""
    raw = path.read_bytes()
    text = raw.decode("utf-16", "replace") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else raw.decode("latin-1")
    found = [float(t) for t in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)]
    plain = [float(t.replace(",", ".")) for t in re.findall(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", text)]
    joined = [float(t.replace(",", "")) for t in re.findall(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)]
    return [v for v in (*found, *plain, *joined) if math.isfinite(v)]


def with_terrain(campaign: Campaign) -> Path:
    """A folder in which the terrain stage has run."""
    folder = campaign.folder()
    path = base_rasters(folder)[0]
    write_params(folder, data={"elevation": str(path)})
    outcome = isolated(stage("terrain"), folder)
    assert outcome.code == 0, outcome.text
    return folder


def tables(campaign: Campaign, n: int) -> None:
    """Text tables of wells: written otherwise, with cells that are no numbers, and damaged."""
    rng = random.Random(f"{campaign.seed} tables")
    ready = with_terrain(campaign)
    for _ in range(n):
        folder = campaign.folder()
        shutil.copytree(ready / "data", folder / "data")
        path = folder / rng.choice(["wells.csv", "wells.txt"])
        write_params(folder, data={"wells": str(path)})
        if rng.random() < 0.45:
            what, content, wanted = equal_tables(rng)
            path.write_bytes(content)
            campaign.case("table", what, folder, "wells", check_rows(wanted))
            continue
        raw = as_text(wells_table(), rng.choice(",;\t")).encode(rng.choice(["utf-8", "utf-16"]))
        odd = rng.random()
        if odd < 0.1:
            what, content = "names twice", raw.replace(b"name", b"residual", 1)
        elif odd < 0.15:
            what, content = (
                "a line without end",
                b"longitude,latitude,residual," + b"x," * rng.randrange(10**6, 3 * 10**6),
            )
        elif odd < 0.2:
            what, content = "many columns", b",".join(b"c%d" % k for k in range(60_000)) + b"\n" + raw
        else:
            what, content = damaged(rng, raw)
        path.write_bytes(content)
        campaign.case("table", what, folder, "wells", check_subset(partial(numbers_in, path)))


def vectors(campaign: Campaign, n: int) -> None:
    """Vector files of wells and archives that hold them, damaged or pointing elsewhere."""
    rng = random.Random(f"{campaign.seed} vectors")
    ready, source = with_terrain(campaign), campaign.folder()
    rows = wells_table()
    table = geopandas.GeoDataFrame(
        {"name": [r["name"] for r in rows], "residual": [float(r["residual"]) for r in rows]},
        geometry=geopandas.points_from_xy([float(r["longitude"]) for r in rows], [float(r["latitude"]) for r in rows]),
        crs=4326,
    )
    for name in ("wells.gpkg", "wells.fgb", "wells.geojson", "wells.shp", "wells.kml", "wells.gml"):
        pyogrio.write_dataframe(table, source / name, driver="LIBKML" if name.endswith("kml") else None)
    with zipfile.ZipFile(source / "wells.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in source.glob("wells.[sdpc]??"):
            if part.suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
                archive.write(part, part.name)
    bases = [source / f"wells.{e}" for e in ("gpkg", "fgb", "geojson", "shp", "kml", "gml", "zip")]
    for _ in range(n):
        folder = campaign.folder()
        shutil.copytree(ready / "data", folder / "data")
        base = rng.choice(bases)
        path = folder / base.name
        if base.suffix == ".shp":
            for part in source.glob("wells.*"):
                if part.suffix in (".shx", ".dbf", ".prj", ".cpg"):
                    shutil.copy(part, folder)
        odd = rng.random()
        if odd < 0.06:
            what, path = "points at another file", folder / "wells.geojson"
            path.write_text(
                f'<OGRVRTDataSource><OGRVRTLayer name="wells"><SrcDataSource>{source / "wells.gpkg"}</SrcDataSource>'
                "</OGRVRTLayer></OGRVRTDataSource>"
            )
            check = check_subset(list)
        elif odd < 0.15:
            what, path = "archive with a path out of it", folder / "wells.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("../../escaped.csv", as_text(rows))
                archive.writestr(str(campaign.top / "escaped.txt"), "x")
            check = check_subset(lambda: table["residual"].tolist())
        elif odd < 0.17:
            what, path = "archive that swells", folder / "wells.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.csv", "w") as member:
                for _ in range(150):
                    member.write(bytes(10_000_000))
            check = check_subset(list)
        else:
            what, content = damaged(rng, base.read_bytes())
            what = f"{base.name} {what}"
            path.write_bytes(content)
            check = check_subset(partial(_residuals, path))
        write_params(folder, data={"wells": str(path)})
        campaign.case("vector", what, folder, "wells", check)


def _residuals(path):
    where = f"/vsizip/{path}" if path.suffix == ".zip" else path
    table = pyogrio.read_dataframe(where)
    column = next(c for c in table.columns if c.lower() == "residual")
    return [float(v) for v in table[column] if v is not None]


# ---- params


def junk(rng: random.Random):
    """Any value that YAML can hold."""
    return rng.choice(
        [
            None, True, False, 0, -1, 1, 2, 7, 10**9, 10**30, 0.0, 0.5, -0.5, 1.5, 1e-300, 1e300, math.nan, math.inf,
            "", "abc", "max", "auto", "../../etc/passwd", "\u0000", "x" * 5000, [], [1], [3, 2, 1], ["a"], [[1]], {},
            {"a": 1}, {"when": "always"}, [0.5, 0.5], [-180, -90, 180, 90], "EPSG:4326", "EPSG:99999", "2026-01-01",
            3.0, [25, 50],
        ]
    )  # fmt: skip


def params(campaign: Campaign, n: int) -> None:
    """Random values for random params, read by the tile stage; what is let through must still lose no well."""
    rng = random.Random(f"{campaign.seed} params")
    ready = with_terrain(campaign)
    path = ready / "wells.csv"
    path.write_text(as_text(wells_table()))
    write_params(ready, data={"wells": str(path)})
    outcome = isolated(stage("wells"), ready)
    assert outcome.code == 0, outcome.text
    plain = yaml.safe_load((ready / "params.yaml").read_text())

    def check():
        with open("metrics/tiles.json") as file:
            said = json.load(file)
        table = pyogrio.read_dataframe("data/tiles.fgb", read_geometry=False)
        changed = yaml.safe_load(Path("params.yaml").read_text())["tile"]
        if changed["min_wells"] == 1 and changed["stride"] in (None, changed["size"]):
            total = int(table["n_wells"].sum()) + said["wells_in_no_tile"]
            return None if total == WELLS else f"{total} of {WELLS} wells"
        return None

    for _ in range(n):
        folder = campaign.folder()
        shutil.copytree(ready / "data", folder / "data")
        changed, what = copy.deepcopy(plain), []
        for _ in range(rng.choice([1, 1, 2, 5])):
            section = rng.choice([*changed])
            if not isinstance(changed[section], dict) or rng.random() < 0.03:
                changed[section] = junk(rng)
                what.append(section)
                continue
            key = rng.choice([*changed[section], "unknown"]) if changed[section] else "unknown"
            if section == "tile" or rng.random() < 0.6:
                changed[section][key] = junk(rng)
                what.append(f"{section}.{key}={changed[section][key]!r:.40}")
            else:
                changed[section].pop(key, None)
                what.append(f"{section}.{key} left out")
        text = yaml.safe_dump(changed)
        if rng.random() < 0.2:
            how, content = damaged(rng, text.encode())
            what.append(how)
            (folder / "params.yaml").write_bytes(content)
        else:
            (folder / "params.yaml").write_text(text)
        campaign.case("params", " ".join(what), folder, "tile", check)


# ---- files between the stages


def small_world(campaign: Campaign) -> Path:
    """A folder in which every stage has run on small inputs."""
    folder = with_terrain(campaign)
    path = folder / "wells.csv"
    path.write_text(as_text(wells_table()))
    write_params(folder, data={"wells": str(path), "elevation": str(folder / "tiled.tif")})
    for name in ORDER[2:]:
        outcome = isolated(stage(name), folder, limit=300)
        assert outcome.code == 0, f"{name}: {outcome.text}"
    return folder


def contents(folder: Path, ignored: tuple[str, ...] = ()) -> dict[str, str]:
    """Digest of every file below data and metrics."""
    files = [p for top in ("data", "metrics") for p in sorted((folder / top).rglob("*")) if p.is_file()]
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if not str(p.relative_to(folder)).startswith(ignored)
    }


def intermediates(campaign: Campaign, n: int) -> None:
    """Files that one stage wrote and another reads: cut short, emptied, of another kind. DVC sees other changes."""
    rng = random.Random(f"{campaign.seed} intermediates")
    world = small_world(campaign)
    whole = contents(world)
    for _ in range(n):
        folder = campaign.folder()
        for name in ("data", "metrics", "params.yaml"):
            copied = shutil.copytree if (world / name).is_dir() else shutil.copy
            copied(world / name, folder / name)
        name = rng.choice([s for s in ORDER if s not in ("demo", "terrain", "wells")])
        inputs = importlib.import_module(f"stages.{name}").INPUTS
        files = [
            f for i in inputs for f in ([folder / i] if (folder / i).is_file() else sorted((folder / i).glob("*")))
        ]
        # the report shows pictures as they are, and of models their checksum
        shown = (folder / "data/models",) if name == "report" else ()
        victim = rng.choice([f for f in files if f.suffix != ".png" and f.parent not in shown and f.is_file()])
        relative = str(victim.relative_to(folder))
        raw = victim.read_bytes()
        ways: dict[str, Callable[[], bytes]] = {
            "cut short": partial(raw.__getitem__, slice(rng.randrange(len(raw)))),
            "emptied": lambda: b"",
            "of another kind": lambda: b"\x89PNG not at all\n" * 40,
            "a web page": lambda: b"<html>404</html>\n",
        }
        how = rng.choice([*ways])
        victim.write_bytes(ways[how]())

        def check(folder=folder, relative=relative):
            now = contents(folder)
            wrong = [f for f in whole if f != relative and now.get(f) != whole[f]]
            return f"{wrong} differ" if wrong else None

        campaign.case("intermediate", f"{name}: {relative} {how}", folder, name, check)


# ---- a machine that fails


def change_write_permission(folder: Path, given: bool) -> None:
    """Of everything below data and metrics, for its owner."""
    for path in [p for top in ("data", "metrics") for p in (folder / top, *(folder / top).rglob("*"))]:
        path.chmod(path.stat().st_mode | 0o200 if given else path.stat().st_mode & ~0o222)


def machine(campaign: Campaign, n: int) -> None:
    """Every stage with too little disk, too little memory, and in folders that cannot be written to.

    What the run before wrote has to stay.

    `n` is the number of disk sizes tried for each stage.
    """
    rng = random.Random(f"{campaign.seed} machine")
    world = small_world(campaign)
    write_params(
        world,
        data={"wells": str(world / "wells.csv"), "elevation": str(world / "tiled.tif")},
        demo={"width": 60, "height": 60, "resolution": 1000},
    )
    for name in ORDER:
        sizes = [0, 1, *(int(10 ** rng.uniform(1, 4.5)) for _ in range(n - 2))]
        # with less room a thread cannot start, and CPython and GDAL then wait for it for ever
        rooms = [int(10 ** rng.uniform(8.1, 8.7)) for _ in range(n // 2 if sys.platform == "linux" else 0)]
        faults: list[tuple[str, dict[str, Any]]] = [
            (f"no file over {size} bytes", {"RLIMIT_FSIZE": size}) for size in sizes
        ]
        faults += [(f"{room} bytes of memory", {"room": room}) for room in rooms]
        faults.append(("read-only", {"obey_permissions": True}))
        for what, limits in faults:
            folder = campaign.folder()
            for part in ("data", "metrics", "params.yaml", "wells.csv", "tiled.tif"):
                copied = shutil.copytree if (world / part).is_dir() else shutil.copy
                copied(world / part, folder / part)
            before = contents(folder)
            if what == "read-only":
                change_write_permission(folder, False)
            outcome = isolated(stage(name), folder, **limits)
            change_write_permission(folder, True)
            now = contents(folder)
            left = [f for f in now if ".partial" in f]
            if outcome.code is None:
                verdict = "hang"
            elif outcome.code == 0:
                verdict = "correct" if not left and before.items() <= now.items() else "silent"
            elif before.items() <= now.items() and not left and outcome.code == 3:
                verdict = "refused"
            elif before.items() <= now.items() and "room" in limits and outcome.code == -signal.SIGABRT:
                verdict = "refused"  # C++ ends a process that has no memory; what it left is cleared by the next run
            else:
                verdict = "traceback" if outcome.code not in (2, 3) else "silent"
            lost = [f for f in before if now.get(f) != before[f]]
            campaign.count(
                "machine", verdict, f"{name} {what} code {outcome.code} lost {lost} left {left}", outcome.text
            )
            shutil.rmtree(folder)


# ---- kills


def kills(campaign: Campaign, n: int) -> None:
    """Signals at random moments of `dvc repro`; the run after it has to end in the bytes of a run left alone."""
    rng = random.Random(f"{campaign.seed} kills")
    folder = campaign.folder()
    for name in (
        "heatflow",
        "stages",
        ".dvc/config",
        ".dvc/plots",
        ".dvcignore",
        ".gitignore",
        "dvc.yaml",
        "benchmarks/ABLATION_demo.csv",
    ):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    write_params(
        folder,
        demo={"width": 320, "height": 320, "resolution": 1000},
        terrain={"resolution": 1000, "detrend_radius": 40_000},
        tile={"size": 40, "edges": [50], "binary_edge": 50},
        filter={"min_valid": 0.2},
        model={"channels": [4, 4, 4]},
        train={"epochs": 40},
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip

    def start(*command):
        log = (campaign.top / "kills.log").open("w")
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def said():
        return (campaign.top / "kills.log").read_text()

    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, env=environment, check=True
        )

    git("init", "-q")
    git("add", "-A")
    assert start("dvc", "repro").wait() == 0, said()
    whole = contents(folder)
    git("add", "-A")
    git("commit", "-qm", "run")
    seconds = {}
    for name in ORDER:
        begin = time.monotonic()
        assert start("dvc", "repro", "--single-item", "--force", "--no-run-cache", name).wait() == 0, said()
        seconds[name] = time.monotonic() - begin
    assert contents(folder) == whole, "a run left alone gives other bytes"
    restored = 0
    for k in range(n):
        name = "train" if k % 4 == 0 else ORDER[k % len(ORDER)]
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        running = start("dvc", "repro", "--single-item", "--force", "--no-run-cache", name)
        moment = rng.uniform(0.3 if name != "train" else 2.5, seconds[name])
        time.sleep(moment)
        os.killpg(running.pid, number)
        try:
            running.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            campaign.count("kill", "hang", f"{name} {number.name} after {moment:.1f} s", said())
            continue
        first = said()
        states = sorted((folder / "data/.checkpoints").glob("*/fold*")) if name == "train" else []
        after = start("dvc", "repro", "--no-run-cache").wait()
        if after and "dvc.lock' validation failed" in said():
            # DVC does not write its own file in one step; the README says what to do
            restored += 1
            git("checkout", "-q", "dvc.lock")
            after = start("dvc", "repro", "--no-run-cache").wait()
        goes_on = said().count("goes on after epoch")
        now = contents(folder, ("data/.checkpoints",))
        left = [f for f in now if ".partial" in f]
        verdict = "correct"
        if "Traceback" in first or after:
            verdict = "traceback"
        elif any(now.get(f) != whole[f] for f in whole) or left or goes_on < len(states):
            verdict = "silent"
        differs = [f for f in whole if now.get(f) != whole[f]]
        when = f"{moment:.1f} of {seconds[name]:.1f} s"
        detail = f"{name} {number.name} after {when}, {len(states)} states, {goes_on} taken up"
        campaign.count("kill", verdict, f"{detail}, {differs} differ, {left} left", first + said())
        print(f"  kill {k + 1}: {detail}: {verdict}", flush=True)
    print(f"  DVC was killed while it wrote dvc.lock {restored} times: git checkout dvc.lock", flush=True)


# of each kind: what runs it, how many cases, and the stages that it needs loaded
KINDS: dict[str, tuple[Callable[[Campaign, int], None], int, list[str]]] = {
    "rasters": (rasters, 700, ["terrain"]),
    "tables": (tables, 700, ["terrain", "wells"]),
    "vectors": (vectors, 450, ["terrain", "wells"]),
    "params": (params, 450, ["terrain", "wells", "tile"]),
    "intermediates": (intermediates, 300, ORDER),
    "machine": (machine, 8, ORDER),
    "kills": (kills, 50, []),
}


def run(names: list[str], seed: int, share: float = 1.0) -> Campaign:
    """A campaign of some kinds, or a share of the cases of each."""
    campaign = Campaign(seed)
    try:
        for name in names:
            function, n, stages = KINDS[name]
            for needed in stages:
                importlib.import_module(f"stages.{needed}")  # once, rather than in every case
            begin = time.monotonic()
            function(campaign, max(2, round(n * share)))
            print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    finally:
        shutil.rmtree(campaign.top, ignore_errors=True)
    return campaign


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a thirtieth of the cases, and no kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=None)
    options = parser.parse_args()
    if not hasattr(os, "fork"):
        raise InputError("this needs a system with fork: Linux or macOS")
    names = options.only or [name for name in KINDS if not (options.quick and name == "kills")]
    campaign = run(names, options.seed, 1 / 30 if options.quick else 1.0)
    print("\n".join(campaign.faults))
    print(campaign.table())
    sys.exit(any(campaign.counts[k] for k in campaign.counts if k[1] in FAULTS))


if __name__ == "__main__":
    main()
