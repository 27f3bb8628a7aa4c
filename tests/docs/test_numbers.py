"""The README's numbers of the demo are those of the committed metrics."""

import json
import re

import pytest

from heatflow.explanation.attribution import TITLES
from tests.helpers import ROOT

README = (ROOT / "README.md").read_text()
BASELINES = {
    "constant guess": "constant", "position of the tile": "position", "nearest sites": "nearest_sites",
    "number of wells": "count", "terrain statistics, trees": "terrain", "terrain statistics, linear": "terrain_linear",
    "the same and the regional trend, trees": "terrain_trend",
    "the same and the regional trend, linear": "terrain_trend_linear", "terrain around points": "local",
    "random convolutional features": "random_features",
}  # fmt: skip


@pytest.fixture(scope="module")
def evaluation():
    return json.loads((ROOT / "metrics/evaluation.json").read_text())


@pytest.fixture(scope="module")
def saliency():
    return json.loads((ROOT / "metrics/saliency.json").read_text())


def interval(values, name, factor=1):
    """A value of the metrics and the ends of its interval, as numbers of the README: to three digits, or per cent."""
    given = [factor * values[key] for key in (name, f"{name}_low", f"{name}_high")]
    return pytest.approx(given, abs=0.051 if factor == 100 else 0.00056)  # what is rounded twice may be off by one


def cells(title):
    """Cells of the rows of the README's tables whose first cell begins with a title."""
    rows = re.findall(rf"^\| {re.escape(title)}.*\|$", README, re.M)
    assert rows, title
    return [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)[2:-1]]


def numbers(cell):
    """Numbers of a cell."""
    return [float(number) for number in re.findall(r"[+-]?\d+(?:\.\d+)?", cell)]


def test_scores_of_the_demo(evaluation):
    tiles, accuracy, guess, auc, site, ceiling = cells("demo region")[:6]
    assert numbers(tiles) == [evaluation["tiles"]]
    assert numbers(accuracy) == interval(evaluation, "accuracy", 100)
    assert numbers(guess) == pytest.approx([100 * evaluation["baseline"]["constant"]["accuracy"]], abs=0.051)
    assert numbers(auc) == interval(evaluation, "auc_high")
    assert numbers(site) == interval(evaluation, "site_auc")
    assert numbers(ceiling) == pytest.approx([evaluation["site_ceiling"]], abs=0.00056)


def test_every_baseline_is_in_the_table(evaluation):
    assert set(BASELINES.values()) == set(evaluation["baseline"])


@pytest.mark.parametrize(("title", "name"), BASELINES.items())
def test_differences_from_baselines_on_the_demo(evaluation, title, name):
    skill = evaluation["skill"][name]
    for cell, metric in zip(cells(title)[:2], ("auc_high", "site_auc"), strict=True):
        auc, *difference = numbers(cell)
        assert auc == pytest.approx(evaluation["baseline"][name][metric], abs=0.00056)
        assert difference == interval(skill, metric)
    assert cells(title)[0].endswith(skill["verdict"].removesuffix(" of"))


@pytest.mark.parametrize("name", ["gradient", "guided_backprop", "grad_cam"])
def test_the_checks_of_maps_in_docs_saliency(saliency, name):
    method = saliency["methods"][name]
    (row,) = re.findall(rf"^\| {re.escape(TITLES[name])} \|.*$", (ROOT / "docs/saliency.md").read_text(), re.M)
    *columns, fails = (cell.strip() for cell in row.split("|")[2:-1])
    plain = [method["structures"]["auc"], method["structures"]["auc_as_steep"], method["between_seeds"]]
    plain.append(method["after_randomised"]["head"])
    assert [numbers(cell)[0] for cell in columns[:4]] == pytest.approx(plain, abs=0.0056)
    keys = ("beyond_head", "deletion_against_random", "deletion_against_slope")
    for cell, key in zip(columns[4:], keys, strict=True):
        assert numbers(cell) == pytest.approx([method[key + end] for end in ("", "_low", "_high")], abs=0.0056)
    assert fails == ("no" if method["passed"] else "yes")


def test_what_the_demo_says_of_structure(saliency):
    effect, cam = saliency["effects"]["structures"], saliency["methods"]["grad_cam"]["structures"]
    assert cells("verdict")[0] == f"**{saliency['verdict']['answer']}**"
    assert numbers(cells("lost without the known structures")[0]) == interval(effect, "lost")
    assert numbers(cells("lost without terrain")[0]) == interval(effect, "lost_elsewhere")
    assert numbers(cells("lost without look-alikes")[0]) == interval(effect, "lost_lookalikes")
    assert numbers(cells("effect, structures minus")[0])[:3] == interval(effect, "effect")
    assert numbers(cells("beyond terrain of similar relief")[0]) == interval(effect, "beyond_relief")
    assert numbers(cells("AUC of Grad-CAM")[0]) == interval(cam, "auc")
    assert numbers(cells("the same among equally steep")[0]) == interval(cam, "auc_as_steep")
    failed = [name for name, method in saliency["methods"].items() if not method["passed"]]
    assert cells("maps that fail")[0] == ", ".join(TITLES[name] for name in failed)
