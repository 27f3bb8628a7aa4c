"""Numbers in the tables of the pages, from the committed metrics: python -m tests.docs.numbers writes them there.

Those of the demo are read from git's index, because a run on another machine has replaced the files by its own, which
differ a little: stage them (git add metrics) before you write or test the pages.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pandas as pd
import yaml

from heatflow.explanation.attribution import TITLES
from tests.helpers import ROOT

GREAT_BASIN = json.loads((ROOT / "benchmarks/greatbasin.json").read_text())
BASELINES = {
    "constant guess": "constant", "position of the tile": "position", "nearest sites": "nearest_sites",
    "number of wells": "count", "terrain statistics, trees": "terrain", "terrain statistics, linear": "terrain_linear",
    "terrain statistics and the regional trend, trees": "terrain_trend",
    "terrain statistics and the regional trend, linear": "terrain_trend_linear", "terrain around points": "local",
    "random convolutional features": "random_features",
}  # fmt: skip
IN_README = ("constant guess", "number of wells", "terrain statistics, linear", "random convolutional features")
ENDS = ("", "_low", "_high")

Row = tuple[str, str, str, dict[int, str]]  # page, heading of a section, beginning of a row, and cells by their place


def of_index(path: str) -> bytes:
    """What git has of a file in its index; the file itself outside a repository."""
    found = subprocess.run(["git", "show", f":{path}"], cwd=ROOT, capture_output=True, check=False)
    return (ROOT / path).read_bytes() if found.returncode else found.stdout


def staged(path: str) -> Any:
    """The values of a staged JSON file."""
    return json.loads(of_index(path))


def finished(name: str) -> pd.DataFrame | None:
    """A table of the run whose metrics are staged; None where that run was made elsewhere."""
    path = f"data/tables/{name}.csv"
    outs = yaml.safe_load(of_index("dvc.lock"))["stages"]["evaluate"]["outs"]
    (made,) = (out["md5"] for out in outs if out["path"] == path)
    found = (ROOT / path).read_bytes() if (ROOT / path).exists() else b""
    same = hashlib.md5(found, usedforsecurity=False).hexdigest() == made
    return pd.read_csv(ROOT / path) if same else None


def interval(values: dict[str, float], name: str, form: str = ".3f", unit: str = "") -> str:
    """A value of the metrics with the ends of its interval."""
    value, low, high = (format((100 if unit else 1) * values[name + end], form) for end in ENDS)
    return f"{value}{unit} ({low} to {high})"


def rows() -> Iterator[Row]:
    """All rows of the pages that hold numbers of the metrics."""
    evaluation, saliency = staged("metrics/evaluation.json"), staged("metrics/saliency.json")
    yield from _scores("demo region", evaluation)
    yield from _scores("Great Basin", GREAT_BASIN["evaluation"])
    table, of_sites = finished("baselines"), dict[str, str]()
    if table is not None:
        of_sites = table[table["metric"] == "site_auc"].set_index("prediction")["verdict"].to_dict()
    regions = (1, evaluation, of_sites), (3, GREAT_BASIN["evaluation"], GREAT_BASIN["site_verdicts"])
    for title, name in BASELINES.items():
        cells = {}
        for first, of, verdicts in regions:
            words = {"auc_high": of["skill"][name]["verdict"], "site_auc": verdicts.get(name, "")}
            for place, (metric, word) in enumerate(words.items(), start=first):
                auc, more = of["baseline"][name][metric], interval(of["skill"][name], metric, "+.3f")
                cells[place] = f"{auc:.3f}; {more}, {word.removesuffix(' of')}"
        yield "docs/evaluation.md", "### Every baseline", title, cells
        if title in IN_README:
            yield "README.md", "## Results", title, cells
    yield from _structure(saliency)
    for name in saliency["methods"]:
        yield "docs/saliency.md", "## Results on the demo", TITLES[name], _checks(saliency["methods"][name])
        method = GREAT_BASIN["saliency"]["methods"][name]
        yield "docs/saliency.md", "## Results on the Great Basin", TITLES[name], _checks(method)


def _scores(title: str, of: dict[str, Any]) -> Iterator[Row]:
    guess = f"{100 * of['baseline']['constant']['accuracy']:.1f} %"
    scores = (interval(of, "accuracy", ".1f", " %"), guess, interval(of, "auc_high"), interval(of, "site_auc"))
    cells = (str(of["tiles"]), *scores, f"{of['site_ceiling']:.3f}")
    yield "README.md", "## Results", title, dict(enumerate(cells, start=1))


def _structure(saliency: dict[str, Any]) -> Iterator[Row]:
    effect, cam = saliency["effects"]["structures"], saliency["methods"]["grad_cam"]["structures"]
    fronts = GREAT_BASIN["saliency"]["effects"]["range_front"]
    of_fronts = f"of steep range fronts: {interval(fronts, 'effect', '+.3f')}, {fronts['tiles']} tiles"
    cells = {
        "smoothing the known structures away": {1: interval(effect, "lost")},
        "smoothing other terrain": {1: interval(effect, "lost_elsewhere")},
        "smoothing look-alikes away": {1: interval(effect, "lost_lookalikes")},
        "effect: structures": {1: f"{interval(effect, 'effect', '+.3f')}, {effect['tiles']} tiles"},
        "without look-alikes: structures": {1: interval(effect, "beyond_relief", "+.3f"), 2: of_fronts},
    }
    for title, score in (("AUC of Grad-CAM", "auc"), ("the same among equally steep", "auc_as_steep")):
        control = {name: scores[score] for name, scores in saliency["controls"].items()}
        best = max(control, key=lambda name: control[name])
        cells[title] = {1: f"{interval(cam, score)}; best without a network: {best}, {control[best]:.3f}"}
    both = [of["methods"] for of in (saliency, GREAT_BASIN["saliency"])]
    failed = [[TITLES[name] for name, of in methods.items() if not of["passed"]] for methods in both]
    cells["maps that fail a sanity check"] = {place: ", ".join(names) for place, names in enumerate(failed, start=1)}
    for title, by_place in cells.items():
        yield "README.md", "## Results", title, by_place


def _checks(method: dict[str, Any]) -> dict[int, str]:
    """Cells of a saliency method in docs/saliency.md; those on structures where they are known."""
    known = (
        [f"{method['structures'][score]:.3f}" for score in ("auc", "auc_as_steep")] if "structures" in method else []
    )
    plain = [f"{of:.2f}" for of in (method["between_seeds"], method["after_randomised"]["head"])]
    against = [interval(method, f"deletion_against_{order}", "+.3f") for order in ("random", "slope")]
    cells = [*known, *plain, interval(method, "beyond_head", "+.2f"), *against, "no" if method["passed"] else "yes"]
    return dict(enumerate(cells, start=1))


def written(page: str, row: Row) -> str:
    """The text of a page with the cells of a row in it. A cell that ends in a comma keeps the words after its own."""
    _, heading, title, cells = row
    before, section = page.split(f"\n{heading}\n", 1)
    (line,) = re.findall(rf"^\| {re.escape(title)}.*\|$", section.split("\n## ")[0], re.M)
    parts = line.strip("|").split("|")
    for place, cell in cells.items():
        kept = parts[place].rsplit(", ", 1)[1].strip() if cell.endswith(", ") else ""
        parts[place] = f" {cell}{kept} "
    return f"{before}\n{heading}\n" + section.replace(line, "|" + "|".join(parts) + "|", 1)


def main() -> None:
    """Write the cells of all rows."""
    for row in rows():
        path = ROOT / row[0]
        path.write_text(written(path.read_text(), row))


if __name__ == "__main__":
    main()
