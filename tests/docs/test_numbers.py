"""The README's numbers are those of the committed metrics: of the demo the pipeline's, of the Great Basin those of
benchmarks/greatbasin.json. Those of the demo are read from git's index: a run on another machine has replaced the
files by its own, which differ a little."""

import json
import re
import subprocess

import pandas as pd
import pytest

from benchmarks.calibration import VERDICTS
from benchmarks.regions import interval_of_mean
from heatflow.explanation.attribution import TITLES
from heatflow.explanation.verdict import USES
from tests.helpers import ROOT

README, EVALUATION = ((ROOT / name).read_text() for name in ("README.md", "docs/evaluation.md"))
BASELINES = {
    "constant guess": "constant", "position of the tile": "position", "nearest sites": "nearest_sites",
    "number of wells": "count", "terrain statistics, trees": "terrain", "terrain statistics, linear": "terrain_linear",
    "terrain statistics and the regional trend, trees": "terrain_trend",
    "terrain statistics and the regional trend, linear": "terrain_trend_linear", "terrain around points": "local",
    "random convolutional features": "random_features",
}  # fmt: skip


GREAT_BASIN = json.loads((ROOT / "benchmarks/greatbasin.json").read_text())


def staged(path):
    """What git has of a file in its index; the file itself outside a repository."""
    found = subprocess.run(["git", "show", f":{path}"], cwd=ROOT, capture_output=True, check=False)
    return json.loads((ROOT / path).read_bytes() if found.returncode else found.stdout)


@pytest.fixture(scope="module")
def evaluation():
    return staged("metrics/evaluation.json")


@pytest.fixture(scope="module")
def saliency():
    return staged("metrics/saliency.json")


def interval(values, name, factor=1):
    """A value of the metrics and the ends of its interval, as numbers of the README: to three digits, or per cent."""
    given = [factor * values[key] for key in (name, f"{name}_low", f"{name}_high")]
    return pytest.approx(given, abs=0.051 if factor == 100 else 0.00056)  # what is rounded twice may be off by one


def cells(title, page=README):
    """Cells of the rows of a page's tables whose first cell begins with a title."""
    rows = re.findall(rf"^\| {re.escape(title)}.*\|$", page, re.M)
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


def test_tiles_by_their_sites(evaluation):
    by_sites = evaluation["by_sites"]
    section = " ".join(EVALUATION.split("### A tile by its sites")[1].split("`data/tables/by_sites.csv`")[0].split())
    found = numbers(section.split("its AUC is")[1])
    assert by_sites["baseline"] == "random_features"
    assert found[:3] == interval(by_sites, "auc_high")
    assert found[3:6] == interval(by_sites, "over_network")
    assert found[6:9] == interval(by_sites, "over_hottest_site")
    assert found[9] == pytest.approx(by_sites["baseline_auc_high"], abs=0.00056)
    assert found[10:13] == interval(by_sites, "over_baseline")


def test_every_baseline_is_in_the_table(evaluation):
    assert set(BASELINES.values()) == set(evaluation["baseline"])


@pytest.mark.parametrize(("title", "name"), BASELINES.items())
def test_differences_from_baselines(evaluation, title, name):
    for column, of in ((0, evaluation), (2, GREAT_BASIN["evaluation"])):
        skill = of["skill"][name]
        for cell, metric in zip(cells(title, EVALUATION)[column : column + 2], ("auc_high", "site_auc"), strict=True):
            auc, *difference = numbers(cell)
            assert auc == pytest.approx(of["baseline"][name][metric], abs=0.00056)
            assert difference == interval(skill, metric)
        assert cells(title, EVALUATION)[column].endswith(skill["verdict"].removesuffix(" of"))


def test_the_readme_has_some_of_these_rows():
    table = README.split("| baseline | demo, tiles |")[1].split("\n\n")[0]
    rows = table.splitlines()[2:]
    assert len(rows) == 4
    assert set(rows) <= set(EVALUATION.splitlines())


def test_what_the_readme_says_of_other_regions():
    table = pd.read_csv(ROOT / "benchmarks/regions.csv")
    words = " ".join(README.split())
    said = {
        ("site", "site_best"): "best baseline by {:.3f} ({:.3f} to {:.3f})",
        ("tile", "tile_terrain"): "random untrained filters, by {:.3f} ({:.3f} to {:.3f})",
        ("site", "site_known"): "{:+.3f} ({:+.3f} to {:+.3f}) for sites",
        ("tile", "tile_known"): "{:+.3f} ({:+.3f} to {:+.3f}) for tiles",
        ("tile_by_sites", "best_by_sites"): "baseline used in the same way by {:.3f} ({:.3f} to {:.3f})",
        ("tile_by_sites", "tile_known_by_sites"): "{:+.3f} ({:+.3f} to {:+.3f}) for tiles by their sites",
    }
    for (metric, other), text in said.items():
        apart = (table[metric] - table[other]).to_numpy()
        assert text.format(apart.mean(), *interval_of_mean(apart)) in words


@pytest.mark.parametrize("region", ["demo", "Great Basin"])
@pytest.mark.parametrize("name", ["gradient", "guided_backprop", "grad_cam"])
def test_the_checks_of_maps_in_docs_saliency(saliency, name, region):
    of = {"demo": saliency, "Great Basin": GREAT_BASIN["saliency"]}[region]
    method, page = of["methods"][name], (ROOT / "docs/saliency.md").read_text()
    section = page.split(f"## Results on the {region}\n")[1].split("\n## ")[0]
    (row,) = re.findall(rf"^\| {re.escape(TITLES[name])} \|.*$", section, re.M)
    *columns, fails = (cell.strip() for cell in row.split("|")[2:-1])
    plain = [method["structures"]["auc"], method["structures"]["auc_as_steep"]] if region == "demo" else []
    plain += [method["between_seeds"], method["after_randomised"]["head"]]
    assert [numbers(cell)[0] for cell in columns[: len(plain)]] == pytest.approx(plain, abs=0.0056)
    keys = ("beyond_head", "deletion_against_random", "deletion_against_slope")
    for cell, key in zip(columns[len(plain) :], keys, strict=True):
        assert numbers(cell) == pytest.approx([method[key + end] for end in ("", "_low", "_high")], abs=0.0056)
    assert fails == ("no" if method["passed"] else "yes")
    assert f"**{of['verdict']['answer']}**" in section


def test_what_the_demo_says_of_structure(saliency):
    effect, cam = saliency["effects"]["structures"], saliency["methods"]["grad_cam"]["structures"]
    assert cells("verdict")[0] == f"**{saliency['verdict']['answer']}**"
    assert numbers(cells("smoothing the known structures away")[0]) == interval(effect, "lost")
    assert numbers(cells("smoothing other terrain, of the same shape")[0]) == interval(effect, "lost_elsewhere")
    assert numbers(cells("smoothing look-alikes away")[0]) == interval(effect, "lost_lookalikes")
    assert numbers(cells("effect: structures minus")[0])[:3] == interval(effect, "effect")
    assert numbers(cells("without look-alikes: structures")[0]) == interval(effect, "beyond_relief")
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
    of_fronts = numbers(cells("without look-alikes: structures")[1])[:3]
    assert of_fronts == interval(saliency["effects"]["range_front"], "effect")
    failed = [name for name, method in saliency["methods"].items() if not method["passed"]]
    assert cells("maps that fail")[1] == ", ".join(TITLES[name] for name in failed)


def test_what_the_readme_says_of_drilling_on_the_great_basin():
    rows = [row for row in GREAT_BASIN["drilling"] if row["places"] == 1]
    hits = {row["rule"]: round(100 * row["hits"]) for row in rows}
    low, high = (round(100 * rows[0][f"hits_{end}"]) for end in ("low", "high"))
    order = [hits[name] for name in ("network", "distance to hot sites", "number of wells", "at random")]
    words = "On the Great Basin these are {} % ({} to {}), {} %, {} % and {} %:".format(order[0], low, high, *order[1:])
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


def test_what_the_page_says_of_the_halves_of_the_great_basin():
    page = " ".join((ROOT / "docs/predict.md").read_text().split())
    halves = [GREAT_BASIN["halves"][name] for name in ("west to east", "east to west")]
    wells, maps = ([half["predicted"][name] for half in halves] for name in ("wells", "map"))
    own = [f"{half['out_of_fold']['site_auc']:.3f}" for half in halves]
    there, back = (f"{of['site_auc']:.3f}" for of in wells)
    ends = [f"({of['site_auc_low']:.3f} to {of['site_auc_high']:.3f})" for of in wells]
    assert f"a site AUC of {there} {ends[0]} in the east and of {own[0]} at home, out of fold." in page
    assert f"Those of the eastern half have {back} {ends[1]} in the west and {own[1]} at home." in page
    inside = [f"{100 * of['inside_applicability']:.0f} %" for of in maps]
    assert f"Of either map {inside[0]} lies in the area of applicability" in page
    assert inside[0] == inside[1]
    alone = [f"{of['wells_alone_auc']:.3f}" for of in wells]
    assert f"Known sites alone rank their neighbours with AUC of {alone[0]} and {alone[1]}, and" in page
    assert all(of["near_wells_auc"] - of["wells_alone_auc"] < 0.01 for of in wells)


def test_what_pages_say_of_the_error_rates_of_the_verdict():
    table = pd.read_csv(ROOT / "benchmarks/calibration.csv")
    said = {column: table[table[column] == USES]["kind"].value_counts() for column in VERDICTS}
    assert table["kind"].value_counts().eq(20).all()
    assert said["verdict"].to_dict() == {"structure": 20}
    page = " ".join((ROOT / "docs/saliency.md").read_text().split())
    assert f'"uses structure" on {said["verdict"]["structure"]} of the 20 regions where structures decide' in page
    alone = said["verdict_without_lookalikes"]["relief"]
    assert f'"uses structure" on {alone} of 20 regions where relief decides' in page
    assert f"wrong on none of {len(table)} other synthetic regions" in " ".join(README.split())
