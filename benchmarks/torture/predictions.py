"""``heatflow predict`` with damaged bundles, files and words of its command line."""

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.errors import RasterioError
from rasterio.windows import Window

import heatflow.predict  # noqa: F401 - loaded once, rather than in every case
from benchmarks.measure import ROOT, run_stages
from benchmarks.torture.campaign import (
    SPLIT,
    Campaign,
    Outcome,
    Sections,
    contents,
    damaged,
    isolated,
    require,
    with_sections,
)
from benchmarks.torture.params import junk
from heatflow import cli
from heatflow.prediction.bundle import MANIFEST, signed

PROJECT: Sections = {  # params of a region that is small, and has all that the default one has
    "demo": {"width": 320, "height": 320, "resolution": 1000}, "terrain": {"resolution": 1000},
    "tile": {"size": 40, "edges": [50], "binary_edge": 50}, "filter": {"min_valid": 0.2}, "split": SPLIT,
    "model": {"channels": [4, 4, 4]}, "train": {"epochs": 40, "seeds": 1},
}  # fmt: skip
STAGES = (
    "demo", "terrain", "wells", "tile", "filter", "split", "normalize", "train", "baselines", "evaluate", "saliency",
    "map", "bundle", "report",
)  # fmt: skip
WORDS = ("predict", "--model", "bundle", "--elevation", "dem.tif", "--wells", "wells.fgb", "--all-networks", "--out")
OUT = "out"
EDGE = 80  # pixels of the raster that is predicted
FORGED = "forged: "
Attack = Callable[[random.Random, Path], tuple[str, list[str]]]  # of a folder; what it did, and more words


def finished(campaign: Campaign) -> Path:
    """A folder in which all stages have run, once for all kinds."""
    folder = campaign.top / "finished"
    if not folder.exists():
        (folder / "benchmarks").mkdir(parents=True)
        shutil.copy(ROOT / "benchmarks/ABLATION_demo.csv", folder / "benchmarks")
        run_stages(folder, with_sections(PROJECT), STAGES)
    return folder


def region(campaign: Campaign) -> Path:
    """A folder with a bundle, and a small raster and wells of its own region."""
    folder, made = campaign.folder(), finished(campaign)
    shutil.copytree(made / "data/bundle", folder / "bundle")
    with rasterio.open(made / "data/demo/elevation.tif") as whole:
        corner = Window(100, 100, EDGE, EDGE)
        profile = whole.profile | {"width": EDGE, "height": EDGE, "transform": whole.window_transform(corner)}
        with rasterio.open(folder / "dem.tif", "w", **profile) as part:
            part.write(whole.read(window=corner))
    shutil.copy(made / "data/demo/wells.fgb", folder)
    (folder / "places.csv").write_text("longitude,latitude\n-117.5,39.1\n-117.2,39.4\n")
    return folder


def predict(folder: Path, words: list[str]) -> Outcome:
    """What the command does in a folder, in one process."""

    def run() -> None:
        os.environ["HEATFLOW_WORKERS"] = "1"
        sys.exit(cli.main([*WORDS, OUT, *words]))

    return isolated(run, folder)


def predictions(attack: Attack, campaign: Campaign, n: int) -> None:
    """Attack a region that is to be predicted; what is accepted as it was has to give the bytes that it gave before."""
    kind = attack.__name__
    rng, ready = random.Random(f"{campaign.seed} {kind}"), region(campaign)
    require(predict(ready, []))
    whole = contents(ready, (OUT,))
    shutil.rmtree(ready / OUT)
    for _ in range(n):
        folder = campaign.folder()
        shutil.copytree(ready, folder, dirs_exist_ok=True)
        what, words = attack(rng, folder)
        there = contents(folder, (".",))
        same = not words and all(is_same(folder / name, ready / name) for name in ("dem.tif", "wells.fgb"))
        known = whole if same and not what.startswith(FORGED) else {}
        out = next((word.removeprefix("--out=") for word in words if word.startswith("--out=")), OUT)
        outcome = predict(folder, words)
        campaign.case(kind, what, outcome, folder, partial(check_prediction, Path(out), known), partial(strays, there))


def is_same(attacked: Path, whole: Path) -> bool:
    """Whether a raster has the same pixels at the same place, and any other file the same bytes."""
    if attacked.suffix != ".tif" or attacked.read_bytes() == whole.read_bytes():
        return attacked.read_bytes() == whole.read_bytes()
    try:
        with rasterio.open(attacked, driver="GTiff") as one, rasterio.open(whole) as other:
            a, b = (raster.read(masked=True).filled(np.nan) for raster in (one, other))
            return one.profile == other.profile and np.array_equal(a, b, equal_nan=True)
    except (RasterioError, ValueError):
        return False


def check_prediction(out: Path, whole: dict[str, str]) -> str | None:
    """All rasters can be read and hold probabilities, nothing else is left, and the bytes are those of `whole`."""
    for path in sorted(out.glob("*.tif")):
        with rasterio.open(path) as raster:
            values = raster.read(masked=True)
        if path.stem in ("probability", "sites") and values.count() and not 0 <= values.min() <= values.max() <= 1:
            return f"{path}: {values.min()} to {values.max()}"
    json.loads((out / "summary.json").read_text())
    if hidden := [path.name for path in [*Path().iterdir(), *out.iterdir()] if path.name.startswith(".")]:
        return f"{hidden} are left"
    now = contents(Path(), (OUT,)) if whole else {}
    return f"{[name for name in whole if now.get(name) != whole[name]]} differ" if now != whole else None


def strays(there: dict[str, str]) -> str | None:
    """All files are as they were, and none is left, of a prediction that is refused."""
    left = {path.name for path in Path().iterdir()} - {name.split("/")[0] for name in there}
    changed = [name for name, digest in contents(Path(), (".",)).items() if there.get(name) != digest]
    return f"{sorted(left)} are left, {changed} differ" if left or changed else None


# ---- attacks


def bundles(rng: random.Random, folder: Path) -> tuple[str, list[str]]:
    """A file of the bundle is damaged, gone or another one, or its manifest says something else.

    In a forged bundle the manifest is made to fit: what is asked of it is a message, or a prediction.
    """
    bundle, names = folder / "bundle", sorted(path.name for path in (folder / "bundle").iterdir())
    path = bundle / rng.choice([*names, MANIFEST, MANIFEST])
    how = rng.choice(["bytes", "bytes", "gone", "values", "values", "values", "swapped", "shapes", "link", "beside"])
    if how == "gone":
        path.unlink()
    elif how == "swapped":
        other = bundle / rng.choice(names)
        path.write_bytes(other.read_bytes())
        how = f"swapped for {other.name}"
    elif how == "values":
        path = bundle / rng.choice([MANIFEST, MANIFEST, "network.json"])
        content = json.loads(path.read_text())
        how = change(rng, content)
        path.write_text(json.dumps(content))
    elif how == "shapes":
        path = bundle / rng.choice([name for name in names if name.endswith(".pt")])
        how = other_shapes(rng, path)
    elif how == "link":
        target = rng.choice([folder / f"moved-{path.name}", Path("/dev/zero"), path, folder])
        if target.name.startswith("moved"):
            shutil.copy(path, target)
        path.unlink()
        path.symlink_to(target)
        how = f"a link to {target.name}"
    elif how == "beside":
        path = bundle / rng.choice([".hidden", "fold9_0.pt", "tiles.fgb.aux.xml", "wells.qix"])
        path.write_bytes(rng.randbytes(99))
    else:
        how, content = damaged(rng, path.read_bytes())
        path.write_bytes(content)
    return f"{forge(bundle) if rng.random() < 0.4 else ''}{path.name} {how}", []


def other_shapes(rng: random.Random, path: Path) -> str:
    """Weights of other shapes, types or names, or that are no numbers."""
    state = torch.load(path, weights_only=True)
    name = rng.choice([*state])
    value = state[name]
    how = rng.choice(["cut", "double", "nan", "gone", "list", "renamed", "scalar"])
    state[name] = {
        "cut": value[:1] if value.ndim else value[None], "double": value.double(),
        "nan": torch.full_like(value.float(), torch.nan), "list": [1, 2], "scalar": torch.tensor(1.0),
    }.get(how, value)  # fmt: skip
    if how in ("gone", "renamed"):
        del state[name]
    if how == "renamed":
        state["other"] = value
    torch.save(state, path)
    return f"{name} {how}"


def forge(bundle: Path) -> str:
    """Make the digests of the manifest fit the files, where there is a manifest that says any."""
    if not (bundle / MANIFEST).is_file():  # such as /dev/zero, which has no end
        return ""
    try:
        content = json.loads((bundle / MANIFEST).read_text())
        for name in content["files"]:
            if (bundle / name).is_file():
                content["files"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        (bundle / MANIFEST).write_text(json.dumps(signed(content)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ""
    return FORGED


def change(rng: random.Random, content: dict[str, Any]) -> str:
    """Replace a value of a nested dictionary by any other, or take it out; says which."""
    part, keys = content, [rng.choice([*content])]
    while isinstance(part[keys[-1]], dict) and part[keys[-1]] and rng.random() < 0.8:
        part = part[keys[-1]]
        keys.append(rng.choice([*part]))
    value = junk(rng)
    if rng.random() < 0.3:
        del part[keys[-1]]
        return f"without {'.'.join(keys)}"
    part[keys[-1]] = value
    return f"with {'.'.join(keys)} = {value!r:.60}"


def regions(rng: random.Random, folder: Path) -> tuple[str, list[str]]:
    """The raster, the wells or the table of places are damaged."""
    path = folder / rng.choice(["dem.tif", "dem.tif", "wells.fgb", "places.csv"])
    how, content = damaged(rng, path.read_bytes())
    path.write_bytes(content)
    return f"{path.name} {how}", (["--at", "places.csv"] if path.name == "places.csv" else [])


def words(rng: random.Random, folder: Path) -> tuple[str, list[str]]:
    """Odd words on the command line."""
    terrain = rng.choice(["crs", "bounds", "min_elevation", "band", "nodata", "driver", "unknown", ""])
    wells = rng.choice(["unit", "x", "residual", "background", "background.radius", "min_depth"])
    odd = rng.choice([
        "", " ", "nan,nan", "39,-117", "-117,39", "999,0", "1e5,1e5", "a,b", "-117.5;39.1", "/dev/null", ".", "/",
        "x" * 300, "bundle", "dem.tif", "wells.fgb", "EPSG:4326", "EPSG:32611", "EPSG:0", "+proj=moon", "a=b",
        "gravity=dem.tif", f"terrain.{terrain}={junk(rng)}", f"wells.{wells}={junk(rng)}",
        f"map.{rng.choice(['stride', 'top', 'near_wells', 'unknown'])}={junk(rng)}",
    ])  # fmt: skip
    option = rng.choice(["--at", "--crs", "-S", "-S", "-S", "--layer", "--wells", "--elevation", "--model", "--out"])
    word = odd.replace("\u0000", "0")
    return f"{option} {word!r:.80}", [f"{option}={word}" if option.startswith("--") else f"-S{word}"]
