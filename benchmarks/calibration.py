"""How often does the verdict err? python -m benchmarks.calibration [--seeds 101 120] [--kinds structure null ...]

It makes synthetic regions of four kinds, whose right answer is known, trains the networks of each, and asks by the
rules of docs/saliency.md whether they use structure. Only the stages that the verdict needs are run, with one network
for each fold. Regions run side by side, each in one process with one thread. A region is a row of
benchmarks/calibration.csv as soon as it is done; rows that are there for the same code and params are not computed
again. The verdicts follow from the numbers of a row by the rules of today. benchmarks/CALIBRATION.md counts them.
"""

import argparse
import io
import os
import tempfile
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import binomtest

from heatflow.compute.mapping import WORKERS, map_in_order
from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.evaluation.intervals import Prediction, Target, compare
from heatflow.evaluation.predictions import predict_out_of_fold
from heatflow.explanation.ablation import measure_losses
from heatflow.explanation.effect import structure_effect
from heatflow.explanation.explained_tiles import SAMPLE, ExplainedTiles
from heatflow.explanation.known_features import find_known_features
from heatflow.explanation.out_of_fold import OutOfFoldNetworks, spread
from heatflow.explanation.verdict import NOT, OPEN, RELIEF, USES, answer
from heatflow.geo.tile_attributes import TileAttributes, read_shapes
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import markdown_table, read_csv, write_csv
from heatflow.learning.checkpoints import fingerprint
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of
from heatflow.learning.models import load_networks
from heatflow.pipeline import code_of
from stages import _paths as at
from stages import demo, filter, normalize, split, terrain, tile, train, wells

RESULTS = Path(__file__).with_name("calibration.csv")
MEMORY = 3.2e9  # bytes that a process takes after three regions
KINDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {  # what differs from the section demo of params.yaml
    "structure": lambda demo: {},
    "null": lambda demo: {"signal": 0.0},
    "erased": lambda demo: {"erase": True},
    "relief": lambda demo: {"lookalike_heat": demo["active"]},
}
ORDER = {kind: number for number, kind in enumerate(KINDS)}
NETWORKS = 1  # of each fold: the luck of training, which no interval holds then, is larger than with the default three
STAGES = (demo, terrain, wells, tile, filter, split, normalize, train)
NUMBERS = ("excess", "effect", "beyond_relief")
VERDICTS = ["verdict", "verdict_without_lookalikes"]
ANSWERS = (USES, RELIEF, NOT, OPEN)
TRUTH = {  # what decides heat, in words of the table
    "structure": "structures", "null": "nothing in the terrain", "erased": "structures that the terrain does not show",
    "relief": "structures and look-alikes alike",
}  # fmt: skip


def key_of_regions(params: dict[str, Any]) -> str:
    """Digest of the code and the params that a row comes from."""
    paths = [Path(str(stage.__file__)) for stage in STAGES] + [at.CODE / "heatflow/explanation/effect.py"]
    code = sorted({name for path in paths for name in code_of(path, at.CODE)})
    return fingerprint([params], [at.CODE / name for name in code])[:7]


def measure(case: tuple[str, int], params: dict[str, Any]) -> dict[str, Any]:
    """Make a region of a kind from a seed, train its networks, and judge them; a row of the results."""
    kind, seed = case
    params = params | {"demo": params["demo"] | KINDS[kind](params["demo"]) | {"seed": seed}}
    os.environ[WORKERS] = "1"  # of the tasks of a region: regions run side by side
    with tempfile.TemporaryDirectory() as name, chdir(name):
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        at.METRICS.mkdir()
        at.DATA.mkdir()
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            for stage in STAGES:
                stage.main()
        return {"kind": kind, "seed": seed} | judge(load("params.yaml"))


def judge(p: Params) -> dict[str, Any]:
    """The numbers that decide the verdict on the region in this folder."""
    data, engine = FoldData.load(at.FOLD_DATA, p.tile.margin), Engine.choose(p.train.device, "float32", compile=False)
    predicted = predict_out_of_fold(data, partial(load_networks, at.MODELS), engine)
    label, (row, col) = (data.table["label"].to_numpy(), (data.table[name].to_numpy() for name in ("row", "col")))
    block, n = block_of(row, col, p.split.block_size, p.tile.size, p.tile.step), len(label)
    target = Target(label, p.tile.first_high, np.ones(n, dtype=int), data.test_fold, block, np.arange(n),
                    np.zeros(n), p.tile.binary_edge)  # fmt: skip
    table = compare(target, {"network": Prediction(predicted.members())}, p.split.seed)
    (auc,) = table.query("prediction == 'network' and metric == 'auc_high'").to_dict("records")
    with tempfile.TemporaryDirectory(dir=at.DATA) as name, open_written(at.TERRAIN) as raster:
        grid = TileGrid(Grid.from_dataset(raster), p.tile.size, p.tile.step)
        features = {key: read_shapes(p.data.features[key], key, grid.grid.crs) for key in ("structures", "lookalikes")}
        loaded = [load_networks(at.MODELS, fold) for fold in range(data.folds)]
        networks = OutOfFoldNetworks(data, loaded, engine, p.tile.first_high, p.saliency.batch_size)
        tiles = ExplainedTiles(networks, data.table, block, spread(np.arange(n), SAMPLE), Path(name),
                               grid.grid.resolution, p.tile, p.split.seed)  # fmt: skip
        tiles.write_attributes(TileAttributes(at.TERRAIN, grid, row, col, features))
        known = find_known_features(tiles)
        structures, alike = (measure_losses(known[key], networks, key == "structures") for key in features)
    effect, alone = (structure_effect(structures, controls, p.split.seed) for controls in (alike, None))
    numbers = {f"{name}{end}": effect[f"{name}{end}"] for name in NUMBERS for end in ("", "_low", "_high")}
    return {
        "auc": auc["value"], "auc_low": auc["low"], "tiles": effect["tiles"], "p": effect["p"],
        "p_without_lookalikes": alone["p"], **numbers,
    }  # fmt: skip


def verdicts(row: pd.Series) -> pd.Series:
    """The verdict on a region, and as it would be without look-alikes, from its numbers."""
    alone = {f"effect{end}": row[f"beyond_relief{end}"] for end in ("", "_low", "_high")}
    effects = dict(row), dict(row) | alone | {"p": row["p_without_lookalikes"]}
    return pd.Series([answer(row["auc_low"], effect) for effect in effects], VERDICTS)


def share(times: int, of: int) -> str:
    """A share with its exact 95 % interval (Clopper and Pearson, 1934).

    >>> share(1, 20)
    '1 of 20 (0.1 % to 24.9 %)'
    """
    low, high = binomtest(times, of).proportion_ci(0.95, "exact")
    return f"{times} of {of} ({100 * low:.1f} % to {100 * high:.1f} %)"


def page(table: pd.DataFrame) -> str:
    """How often each answer was given, with look-alikes and without, and the numbers that decided."""
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]

    def counted(column: str) -> list[str]:
        rows = []
        for kind in kinds:
            given = table.loc[table["kind"] == kind, column]
            times = [int((given == each).sum()) for each in ANSWERS]
            rows.append((kind, TRUTH[kind], share(times[0], len(given)), *map(str, times[1:])))
        return markdown_table(("kind", "heat follows", *ANSWERS), rows)

    columns = ("auc", *NUMBERS)
    of_kinds = [(kind, table[table["kind"] == kind]) for kind in kinds]
    spread = [
        (kind, *(f"{rows[n].median():.3f} ({rows[n].min():.3f} to {rows[n].max():.3f})" for n in columns))
        for kind, rows in of_kinds
    ]
    seeds = table["seed"].astype(int)
    return "\n".join([
        "# How often does the verdict err?", "",
        f"`python -m benchmarks.calibration --seeds {seeds.min()} {seeds.max()}`: {len(table)} synthetic regions of",
        "the size of the demo, with one network for each fold. The rules are those of docs/saliency.md. Shares of",
        f"\"{USES}\" have exact 95 % intervals (Clopper and Pearson, 1934).", "",
        *counted("verdict"), "",
        "The same networks, judged as if no look-alikes were known, as on a real region: structures are compared with",
        "masks of other tiles on similar ground.", "",
        *counted("verdict_without_lookalikes"), "",
        "Median, smallest and largest of the numbers that decided, but for the AUC in standard deviations of the",
        "log-odds:", "",
        *markdown_table(("kind", *columns), spread),
    ]) + "\n"  # fmt: skip


def keep(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write the rows, in order, with the verdicts by the rules of today."""
    table = table.sort_values(["kind", "seed"], key=lambda of: of.map(ORDER.get) if of.name == "kind" else of)
    table[VERDICTS] = table.apply(verdicts, axis=1)
    write_csv(path, table)
    return table


def main() -> None:
    """Compute the regions that are missing, and write the table and the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(102, 121), metavar=("FIRST", "LAST"))
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--results", type=Path, default=RESULTS, help="table of rows, beside which the page is written")
    options = parser.parse_args()
    params = yaml.safe_load((at.CODE / "params.yaml").read_text(encoding="utf-8"))
    params["train"]["seeds"] = NETWORKS
    key, table = key_of_regions(params), pd.DataFrame({"key": [], "kind": [], "seed": []})
    if options.results.exists():
        table = read_csv(options.results, dtype={"key": str}, keep_default_na=False, na_values=[""]).query(
            "key == @key"
        )
    there = set(zip(table["kind"], table["seed"], strict=True))
    first, last = options.seeds
    todo = [case for case in product(options.kinds, range(first, last + 1)) if case not in there]
    todo.sort(key=lambda case: case[1])  # all kinds of a seed, then those of the next
    for result in map_in_order(partial(measure, params=params), todo, memory=MEMORY):
        row = pd.DataFrame([{"key": key} | dict.fromkeys(VERDICTS) | result])
        table = keep(pd.concat([table, row]) if len(table) else row, options.results)
        print(f"{result['kind']} {result['seed']}", flush=True)
    table = keep(table, options.results)
    with replacing(options.results.with_name("CALIBRATION.md")) as beside:
        beside.write_text(page(table), encoding="utf-8")
    print(page(table))


if __name__ == "__main__":
    main()
