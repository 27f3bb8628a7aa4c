"""Does another seed, precision or processor draw other conclusions? python -m benchmarks.stability [RUN ...].

It takes what the last `dvc repro` made up to the baselines, and runs train, evaluate and saliency once for each of
RUNS, in folders of their own: DVC knows neither the precision that a machine chooses nor its vector units. A run is a
row of benchmarks/stability.csv; rows of this kind of processor that are there for the same code, params and inputs are
not run again, and rows of other processors stay. benchmarks/STABILITY.md says how far each headline number spreads, and
which conclusions change.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.measure import processor, run_stages
from heatflow.config.load import load
from heatflow.errors import InputError
from heatflow.io.atomic import replacing
from heatflow.io.text import markdown_table, read_csv, read_json, write_csv
from heatflow.learning.checkpoints import fingerprint
from heatflow.pipeline import code_of
from stages import _paths as at

RESULTS = Path(__file__).with_name("stability.csv")
STAGES = ("train", "evaluate", "saliency")
SALIENCY_METRICS = at.METRICS / "saliency.json"
OWN = (at.MODELS, at.PREDICTIONS, at.SITE_PREDICTIONS, at.SALIENCY, at.TABLES, at.CHECKPOINTS)  # of each run
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
NUMBERS = (
    "auc_high", "site_auc", "accuracy", "quadratic_kappa", "loss", "area_for_half", "added.loss",
    "structures.effect",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What differs from the default run: params of training, and the environment."""

    train: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)


RUNS = {
    **{f"seed {seed}": Run({"seed": seed}) for seed in range(1, 6)},
    **{f"float32, seed {seed}": Run({"seed": seed, "precision": "float32"}) for seed in range(1, 4)},
    **{f"AVX2, seed {seed}": Run({"seed": seed, "precision": "float32"}, AVX2) for seed in range(1, 4)},
}


def key_of_runs() -> str:
    """Digest of the code, the params and the inputs of the stages that are run."""
    code = sorted({path for stage in STAGES for path in code_of(at.CODE / f"stages/{stage}.py", at.CODE)})
    inputs = [at.TERRAIN, at.WELLS, at.SITES, *at.FOLD_DATA, at.BASELINES, at.SITE_BASELINES]
    return fingerprint([load("params.yaml")], [*inputs, *(at.CODE / path for path in code)])[:7]


def measure(run: Run) -> dict[str, Any]:
    """Run the stages in a folder beside the data, and return the headline numbers and the conclusions in words."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["train"] |= run.train
    with tempfile.TemporaryDirectory(dir=at.DATA) as name:
        folder = Path(name)
        (folder / "data").mkdir()
        for path in at.DATA.resolve().iterdir():
            if path.name not in {folder.name, *(own.name for own in OWN)}:
                (folder / "data" / path.name).symlink_to(path)
        run_stages(folder, params, STAGES, run.environment)
        return headline(*(read_json(folder / path) for path in (at.EVALUATION, SALIENCY_METRICS)))


def headline(evaluation: dict[str, Any], saliency: dict[str, Any]) -> dict[str, Any]:
    """NUMBERS, and every conclusion that is put in words, by name.

    >>> headline({"auc_high": 0.7, "skill": {"count": {"verdict": "above"}}},
    ...          {"verdict": {"answer": "cannot be told"}, "methods": {"gradient": {"passed": True}}, "effects": {}})
    {'auc_high': 0.7, 'above count': 'above', 'verdict': 'cannot be told', 'gradient passes': 'yes'}
    """
    flat = pd.json_normalize(evaluation | saliency["effects"]).to_dict("records")[0]
    found = {name: flat[name] for name in NUMBERS if name in flat}
    found |= {f"above {name}": of["verdict"] for name, of in evaluation["skill"].items()}
    found["verdict"] = saliency["verdict"]["answer"]
    return found | {f"{name} passes": "yes" if of["passed"] else "no" for name, of in saliency["methods"].items()}


def page(table: pd.DataFrame) -> str:
    """The table of spreads, for each processor, and the table of conclusions."""
    numbers = [name for name in NUMBERS if name in table]
    spread = [
        (name, kind, *(f"{value:.3f}" for value in (of.get("seed 1"), of.mean(), of.std(), of.min(), of.max())))
        for name in numbers
        for kind, of in table.set_index("run").astype({name: float}).groupby("processor", sort=False)[name]
        if "seed 1" in of
    ]
    kinds = table[["processor", "key"]].value_counts(sort=False).reset_index().itertuples(index=False)
    made = [f"- {kind}: {runs} runs (digest of code, params and inputs: {key})" for kind, key, runs in kinds]
    words = [name for name in table.columns if name not in (*numbers, "processor", "key", "run")]
    counted = [(name, _counted(table[name]), "no" if table[name].nunique() == 1 else "**yes**") for name in words]
    lines = [
        "# Do conclusions hang on a seed or a machine?", "",
        "`make stability`: runs of train, evaluate and saliency on the demo region, one with each of",
        f"{'; '.join(table['run'].unique())}. AVX2 stands for a processor without AVX-512.", "",
        *made, "",
        *markdown_table(("number", "processor", "seed 1", "mean", "deviation", "least", "largest"), spread), "",
        *markdown_table(("conclusion", "in so many runs", "changes"), counted),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _counted(words: pd.Series) -> str:
    return ", ".join(f"{word}: {times}" for word, times in words.value_counts(sort=False).items())


def main() -> None:
    """Run what is missing, and write both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stability", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"some of: {', '.join(RUNS)}")
    chosen = parser.parse_args().runs or [*RUNS]
    if unknown := set(chosen) - set(RUNS):
        raise InputError(f"no such run: {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    key, here, table = key_of_runs(), processor(), pd.DataFrame({"processor": [], "key": [], "run": []})
    if RESULTS.exists():
        table = read_csv(RESULTS, dtype={"key": str}).query("key == @key or processor != @here")
    for name in chosen:
        if name not in set(table.loc[table["processor"] == here, "run"]):
            row = pd.DataFrame([{"processor": here, "key": key, "run": name} | measure(RUNS[name])])
            table = pd.concat([table, row]) if len(table) else row
            order = [*RUNS].index
            table = table.sort_values("run", key=lambda run: run.map(order)).sort_values("processor", kind="stable")
            write_csv(RESULTS, table)
    with replacing(RESULTS.with_name("STABILITY.md")) as beside:
        beside.write_text(page(table), encoding="utf-8")
    print(page(table))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"stability: {error}")
