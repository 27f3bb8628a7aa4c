"""The report's experiments, one after the other, and a table of what each of its claims comes to.

    python -m benchmarks.ablation NAME [-S key=value ...] [--rows ROW ...]

NAME is that of the region in the table; what follows -S holds for every run, such as the region's files. Each run is a
DVC experiment `ablation-NAME-<row>`. Runs that are there already for the committed code are not run again, so that an
interrupted ablation goes on where it was.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvc.api
import numpy as np
import pandas as pd
import pyogrio
import yaml
from dvc.exceptions import DvcException

from heatflow.config.schema import Params
from heatflow.errors import InputError
from heatflow.evaluation.intervals import ALPHA, RELEVANT, beyond, draw_blocks, holm, interval, p_value
from heatflow.evaluation.skill import Resamples, scores
from heatflow.io.atomic import replacing
from heatflow.io.text import markdown_table, write_csv
from heatflow.learning.folds import block_of

EPOCHS = 26  # of every run, as by default; a region takes most of an hour on two cores
COMPARED = ("accuracy", "auc_high")
PLAIN = ("augment.resample=false", "augment.flip=false", "augment.rotation=0", "train.dropout=0")
AUGMENTED = ("augment.resample=false", "augment.flip=true", "augment.rotation=90", "train.dropout=0")
GRID = (*AUGMENTED[:3], "train.dropout=0.2")  # the report's tiles, flips, turns and dropout
REPORT = (
    *GRID, "train.optimizer=sgd", "train.lr=0.01", "train.schedule=constant", "train.weight_decay=0",
    "train.site_weight=0", "tile.margin=0", "model.layout=report", "model.batch_norm=false", "model.head_relu=true",
    "model.pooling=mean", "normalize.method=max",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One experiment: what it changes, and the row that it is compared with."""

    title: str
    changes: tuple[str, ...]
    against: str = ""
    claim: str = "nothing"


@dataclass(frozen=True)
class Result:
    """What came out of an experiment."""

    evaluation: dict[str, Any]
    train: dict[str, Any]
    predictions: pd.DataFrame
    seeds: pd.DataFrame  # scores of each seed's networks alone
    params: Params


UNFILTERED = ("filter.min_valid=0", "filter.min_relief=null", "filter.max_constant=null")
ROWS = {
    "plain": Row("plain Network-in-Network", PLAIN, claim="overfits heavily"),
    "augmented": Row("and augmentation", AUGMENTED, "plain", "slightly better"),
    "dropout": Row("and dropout", GRID, "augmented", "overfits less"),
    "report": Row("the report's final recipe", REPORT, "dropout", "45.2 % accuracy"),
    "max": Row("normalised by the maximum", (*GRID, "normalize.method=max"), "none", "accuracy +1.2 %"),
    "none": Row("not normalised", (*GRID, "normalize.method=none"), "dropout"),
    "unfiltered": Row("low-data tiles kept", (*GRID, *UNFILTERED), "dropout", "accuracy -2.3 %"),
    "noise": Row("noise added", (*GRID, "augment.noise=0.1"), "dropout", "cost without benefit"),
    "head_relu": Row("ReLU after the last convolution", (*GRID, "model.head_relu=true"), "dropout", "(not noticed)"),
    "random": Row("tiles dealt to folds at random", (*GRID, "split.scheme=random"), "dropout", "(not noticed)"),
    "resampled": Row("heatflow's default: resampled patches", (), "dropout"),
    "mean": Row("the same, class maps pooled by their mean", ("model.pooling=mean",), "resampled"),
    "frame": Row("the same without terrain around a tile", ("tile.margin=0",), "resampled"),
    "trend": Row("the same with the regional trend", ("model.inputs=[detrended,trend]",), "resampled"),
    "tiles": Row("the same without a loss at sites", ("train.site_weight=0",), "resampled"),
    "layout": Row("the same in the report's layout", ("model.layout=report",), "resampled"),
    "alone": Row("the same, one network a fold", ("train.seeds=1",), "resampled"),
    "ordinal": Row("the same with an ordinal loss", ("train.loss=ordinal",), "resampled"),
    "two_stage": Row("the same, low or high first", ("train.loss=two_stage",), "resampled", "an open question"),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="The report's experiments.")
    parser.add_argument("name", help="of the region in the table")
    parser.add_argument("-S", dest="common", action="append", default=[], metavar="key=value", help="for every run")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="some of the runs alone")
    options = parser.parse_args()
    if not options.name.isidentifier():
        raise InputError(f"the name of the region is {options.name!r}; use letters, digits and underscores")
    if _call("git", "status", "--porcelain", "--untracked-files=no"):
        raise InputError("the working tree differs from the last commit; commit first, so that the table has a commit")
    experiments = {row: _experiment(options.name, row, options.common) for row in ROWS if row in options.rows}
    _run_missing(experiments, options.common)
    results = {row: _result(name) for row, name in experiments.items()}
    table = _table(results)
    path = Path(__file__).with_name(f"ABLATION_{options.name}.md")
    with replacing(path) as beside:
        beside.write_text(_page(options.name, options.common, table, results.get("resampled")), encoding="utf-8")
    write_csv(path.with_suffix(".csv"), table)
    print(path)


def _run_missing(experiments: dict[str, str], common: list[str]) -> None:
    """Run the experiments that the committed code has no results of, by row."""

    def missing() -> dict[str, str]:
        there = _call("dvc", "exp", "list", "--all-commits", "--name-only").split()
        return {row: name for row, name in experiments.items() if name not in there}

    todo = missing()
    print(f"{len(experiments) - len(todo)} of {len(experiments)} runs are there, {len(todo)} to go", flush=True)
    if not todo:
        return
    for row, name in todo.items():
        changes = [f"--set-param={change}" for change in (f"train.epochs={EPOCHS}", *common, *ROWS[row].changes)]
        # not by DVC's queue, whose worker was seen to stand still after a task
        subprocess.run(["dvc", "exp", "run", "--temp", "--name", name, *changes, "evaluate"], check=False)
    if failed := missing():
        raise InputError(f"did not end well: {', '.join(failed)}; run again")


def _experiment(region: str, row: str, common: Sequence[str]) -> str:
    """Name of a run: another one where the committed code, the params or what is changed differ."""
    content = [_call("git", "rev-parse", f"HEAD:{path}") for path in ("heatflow", "stages", "params.yaml", "dvc.yaml")]
    key = hashlib.sha256(json.dumps([content, EPOCHS, common, ROWS[row].changes]).encode()).hexdigest()[:7]
    return f"ablation-{region}-{row}-{key}".replace("_", "-").lower()


def _table(results: dict[str, Result]) -> pd.DataFrame:
    """A row for each run, and what it adds to the one that it is compared with; `data.ablation` of params.yaml."""
    rows = []
    for row, result in results.items():
        spec, e = ROWS[row], result.evaluation
        values = {"run": spec.title, "tiles": e["tiles"], "guess": e["baseline"]["constant"]["accuracy"]}
        for key in ("accuracy", "auc_high", "quadratic_kappa"):
            values |= {name: e[name] for name in (key, f"{key}_low", f"{key}_high")}
        values |= {key: result.train[key] for key in ("train_loss", "stuck_folds", "dead_classes")}
        values["claim"] = spec.claim
        if spec.against in results:
            values["against"] = ROWS[spec.against].title
            values |= _difference(result, results[spec.against])
        rows.append(values)
    table = pd.DataFrame(rows)
    for key in COMPARED:
        if (p := f"{key}_more_p") in table:
            table[p] = holm(table[p].to_numpy())
    return table


def _page(region: str, common: Sequence[str], table: pd.DataFrame, resampled: Result | None) -> str:
    command = " ".join(["python -m benchmarks.ablation", region, *(f"-S {_without_folder(c)}" for c in common)])
    head = f"""# The report's experiments: {region}

`{command}`, out of fold, with 95 % intervals of a block bootstrap.
Every network at the default's width, {EPOCHS} epochs; three networks a fold unless a row says otherwise.
A difference is taken tile by tile, on the tiles that both runs have. Its interval holds the luck of training.
It is called better or worse where p, corrected for the number of rows (Holm), is below {ALPHA}; of an AUC, where it is
so of what exceeds {RELEVANT["auc_high"]}.
"""
    rows = table.to_dict("records")
    names = ("run", "tiles", "accuracy", "constant guess", "AUC of above 50 mW/m²", "quadratic kappa", "training loss")
    runs = [
        (r["run"], r["tiles"], f"{_span(r, 'accuracy', 100)} %", f"{100 * r['guess']:.1f} %", _span(r, "auc_high"),
         _span(r, "quadratic_kappa"), f"{r['train_loss']:.3f}", r["stuck_folds"], r["dead_classes"])
        for r in rows
    ]  # fmt: skip
    changes = [
        (r["run"], r["against"], r["claim"], _change(r, "accuracy_more", 100), _change(r, "auc_high_more"))
        for r in rows
        if isinstance(r.get("against"), str)
    ]
    lines = [head, *markdown_table((*names, "stuck folds", "dead classes"), runs), ""]
    lines += markdown_table(("what", "compared with", "the report says", "accuracy, points", "AUC"), changes)
    return "\n".join(lines + _baselines(resampled)) + "\n"


def _baselines(resampled: Result | None) -> list[str]:
    if resampled is None:
        return []
    guesses, rows = resampled.evaluation["baseline"], []
    for name, against in resampled.evaluation["skill"].items():
        aucs = [f"{guesses[name][metric]:.3f}" for metric in ("auc_high", "site_auc")]
        rows.append((name, *aucs, _span(against, "auc_high", sign="+"), f"{against['verdict']} it"))
    table = markdown_table(
        ("baseline", "AUC of tiles", "AUC of sites", "the network's minus it", "the network is"), rows
    )
    return ["", "AUC of what needs no network, beside resampled patches:", "", *table]


def _result(name: str) -> Result:
    """Read metrics, out-of-fold predictions and params of an experiment."""
    parts = ("evaluation", "train")
    metrics = {p: json.loads(dvc.api.read(f"metrics/{p}.json", rev=name, encoding="utf-8")) for p in parts}
    seeds = pd.read_csv(io.StringIO(dvc.api.read("data/tables/seeds.csv", rev=name, encoding="utf-8")))
    content = dvc.api.read("data/predictions.fgb", rev=name, mode="rb")
    predictions = pyogrio.read_dataframe(io.BytesIO(content), read_geometry=False).set_index("tile")
    params = Params.model_validate(yaml.safe_load(dvc.api.read("params.yaml", rev=name, encoding="utf-8")))
    return Result(**metrics, predictions=predictions, seeds=seeds, params=params)


def _difference(one: Result, other: Result) -> dict[str, float]:
    """Accuracy and AUC of one run minus those of another with intervals and p, on the tiles that both have."""
    tile, split = one.params.tile, one.params.split
    both = one.predictions.index.intersection(other.predictions.index)
    a, b = one.predictions.loc[both], other.predictions.loc[both]
    block = block_of(a["row"].to_numpy(), a["col"].to_numpy(), split.block_size, tile.size, tile.step)
    drawn = draw_blocks(block, split.seed)
    drawn = Resamples(drawn.block, np.concatenate([np.ones((1, drawn.counts.shape[1])), drawn.counts]))

    def scored(table: pd.DataFrame) -> dict[str, np.ndarray]:
        label, fold, n_wells = (table[name].to_numpy() for name in ("label", "fold", "n_wells"))
        return scores(label, table[tile.class_columns].to_numpy(), tile.first_high, fold, n_wells, drawn)

    s, t = scored(a), scored(b)
    values = {}
    rng = np.random.default_rng(split.seed)
    for key in COMPARED:
        more = s[key] - t[key]
        more[1:] += rng.normal(0, _luck(one.seeds[key], other.seeds[key]), len(more) - 1)
        values[f"{key}_more"] = more[0]
        values[f"{key}_more_low"], values[f"{key}_more_high"] = interval(more[1:])
        values[f"{key}_more_p"] = p_value(beyond(more, RELEVANT.get(key, 0))[1:])
    return values


def _luck(one: pd.Series, other: pd.Series) -> float:
    """Standard error of a difference between means of networks, from the scores of each alone.

    Means have less luck than the root of their number tells, if anything. A single network is as lucky as one of the
    other run.

    >>> round(_luck(pd.Series([0.8, 0.9, 1.0]), pd.Series([0.7])), 3)
    0.115
    """
    singles = pd.Series([one.var(), other.var()])
    singles = singles.fillna(singles.max()).fillna(0)
    return float(np.sqrt((singles / [len(one), len(other)]).sum()))


def _without_folder(change: str) -> str:
    """A param as it stands in the table: of a file its name, not where it lies on this machine."""
    key, _, value = change.partition("=")
    return f"{key}={Path(value).name}" if value.startswith("/") else change


def _span(metrics: dict[Any, Any], key: str, scale: int = 1, sign: str = "") -> str:
    kind = f"{sign}.{1 if scale == 100 else 3}f"
    low, value, high = (scale * metrics[name] for name in (f"{key}_low", key, f"{key}_high"))
    return f"{value:{kind}} ({low:{kind}} to {high:{kind}})"


def _change(metrics: dict[Any, Any], key: str, scale: int = 1) -> str:
    word = "better" if metrics[key] > 0 else "worse"
    return f"{_span(metrics, key, scale, '+')}, {word if metrics[f'{key}_p'] < ALPHA else 'within noise'}"


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{' '.join(command)}:\n{done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        main()
    except (InputError, DvcException) as error:
        print(f"ablation: {error}", file=sys.stderr)
        sys.exit(2)
