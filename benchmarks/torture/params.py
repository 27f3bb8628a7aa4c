"""Random values for random params, read by the tile stage."""

import copy
import json
import math
import random
from functools import partial
from pathlib import Path
from typing import Any

import pyogrio
import yaml

from benchmarks.torture.campaign import Campaign, damaged, require, run_stage, write_params
from benchmarks.torture.files import WELLS, base_tables, with_terrain
from stages import tile, wells


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
        campaign.case("params", what, run_stage(tile, path.parent), path.parent, partial(check_tiles, path))
