"""The README's numbers are those of the committed metrics: of the demo the pipeline's, of the Great Basin those of
benchmarks/greatbasin.json."""

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


GREAT_BASIN = json.loads((ROOT / "benchmarks/greatbasin.json").read_text())


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


@pytest.mark.parametrize("region", ["demo region", "Great Basin, from raw data"])
def test_scores(evaluation, region):
    evaluation = evaluation if region == "demo region" else GREAT_BASIN["evaluation"]
    tiles, accuracy, guess, auc, site, ceiling = cells(region)[:6]
    assert numbers(tiles) == [evaluation["tiles"]]
    assert numbers(accuracy) == interval(evaluation, "accuracy", 100)
    assert numbers(guess) == pytest.approx([100 * evaluation["baseline"]["constant"]["accuracy"]], abs=0.051)
    assert numbers(auc) == interval(evaluation, "auc_high")
    assert numbers(site) == interval(evaluation, "site_auc")
    assert numbers(ceiling) == pytest.approx([evaluation["site_ceiling"]], abs=0.00056)


def test_every_baseline_is_in_the_table(evaluation):
    assert set(BASELINES.values()) == set(evaluation["baseline"])


@pytest.mark.parametrize(("title", "name"), BASELINES.items())
def test_differences_from_baselines(evaluation, title, name):
    for column, of in ((0, evaluation), (2, GREAT_BASIN["evaluation"])):
        skill = of["skill"][name]
        for cell, metric in zip(cells(title)[column : column + 2], ("auc_high", "site_auc"), strict=True):
            auc, *difference = numbers(cell)
            assert auc == pytest.approx(of["baseline"][name][metric], abs=0.00056)
            assert difference == interval(skill, metric)
        assert cells(title)[column].endswith(skill["verdict"].removesuffix(" of"))


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
    assert numbers(cells("smoothing the known structures away")[0]) == interval(effect, "lost")
    assert numbers(cells("smoothing terrain of the same shape")[0]) == interval(effect, "lost_elsewhere")
    assert numbers(cells("smoothing look-alikes away")[0]) == interval(effect, "lost_lookalikes")
    assert numbers(cells("effect: structures minus")[0])[:3] == interval(effect, "effect")
    assert numbers(cells("as if look-alikes were not known")[0]) == interval(effect, "beyond_relief")
    for title, score in (("AUC of Grad-CAM", "auc"), ("the same among equally steep", "auc_as_steep")):
        *of_map, control = numbers(cells(title)[0])
        best = max(saliency["controls"], key=lambda name: saliency["controls"][name][score])
        assert of_map == interval(cam, score)
        assert f"{best}, {saliency['controls'][best][score]:.3f}" in cells(title)[0], control
    failed = [name for name, method in saliency["methods"].items() if not method["passed"]]
    assert cells("maps that fail")[0] == ", ".join(TITLES[name] for name in failed)


def test_what_the_great_basin_says_of_structure():
    saliency = GREAT_BASIN["saliency"]
    answer = saliency["verdict"]["answer"]
    assert cells("verdict")[1].startswith(f"**{answer}**")
    assert numbers(cells("effect: structures minus")[1])[:3] == interval(saliency["effects"]["range_front"], "effect")
    failed = [name for name, method in saliency["methods"].items() if not method["passed"]]
    assert cells("maps that fail")[1] == ", ".join(TITLES[name] for name in failed)


def test_what_the_readme_says_of_drilling_on_the_great_basin():
    rows = [row for row in GREAT_BASIN["drilling"] if row["places"] == 1]
    hits = {row["rule"]: round(100 * row["hits"]) for row in rows}
    low, high = (round(100 * rows[0][f"hits_{end}"]) for end in ("low", "high"))
    order = [hits[name] for name in ("network", "distance to hot sites", "number of wells", "at random")]
    words = "On the Great Basin: {} % ({} to {}), {} %, {} %, {} %.".format(order[0], low, high, *order[1:])
    assert words in " ".join(README.split())


def test_what_the_page_says_of_sets_and_known_wells_on_the_great_basin():
    page = " ".join((ROOT / "docs/evaluation.md").read_text().split())
    every, _, plain = GREAT_BASIN["prediction_sets"][:3]
    held = "{:.1f} % ({:.1f} to {:.1f})".format(*(100 * every[f"coverage{end}"] for end in ("", "_low", "_high")))
    assert f"the sets hold {held} by {every['mean_size']:.2f} classes" in page
    assert f"all {plain['sites']:,} sites, most of them" in page
    assert f"drilled most, {100 * plain['coverage']:.0f} %" in page
    known = {(row["known"], row["km"]): row for row in GREAT_BASIN["near_wells"]}
    row = known["all other sites", "all"]
    assert (
        f"is {row['network']:.3f}, with all other sites {row['both']:.3f}, and of kriging alone {row['wells']:.3f}"
        in page
    )
    gain = known["sites of other folds", "all"]
    assert "it is {:.3f} ({:.3f} to {:.3f})".format(*(gain[f"gain{end}"] for end in ("", "_low", "_high"))) in page
