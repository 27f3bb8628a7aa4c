"""The numbers of the pages are those of the committed metrics: of the demo the pipeline's, of the Great Basin those of
benchmarks/greatbasin.json. `tests.docs.numbers` has those that stand in tables."""

import re

import pandas as pd
import pytest

from benchmarks import regions, stability
from benchmarks.calibration import VERDICTS
from benchmarks.regions import interval_of_mean
from heatflow.explanation.verdict import USES
from tests.docs.numbers import BASELINES, ENDS, GREAT_BASIN, IN_README, finished, interval, rows, staged, written
from tests.helpers import ROOT

DEFAULT = "heatflow's default: resampled patches"
OVER = {"network": "+.3f", "hottest_site": "+.3f", "baseline": ".3f"}
README, EVALUATION = ((ROOT / name).read_text() for name in ("README.md", "docs/evaluation.md"))


@pytest.fixture(scope="module")
def evaluation():
    return staged("metrics/evaluation.json")


def numbers(cell):
    """Numbers of a cell."""
    return [float(number) for number in re.findall(r"[+-]?\d+(?:\.\d+)?", cell)]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]}-{row[2]}")
def test_tables_hold_the_numbers_of_the_metrics(row):
    page = (ROOT / row[0]).read_text()
    assert written(page, row) == page, "git add metrics; python -m tests.docs.numbers"


def test_a_number_that_is_wrong_is_found():
    row = next(rows())
    place, cell = next(iter(row[3].items()))
    assert written(README, (*row[:3], {place: f"1{cell}"})) != README


def test_tiles_by_their_sites(evaluation):
    of, page = evaluation["by_sites"], " ".join(EVALUATION.split())
    assert of["baseline"] == "random_features"
    over = [interval(of, f"over_{other}", form) for other, form in OVER.items()]
    assert f"its AUC is {interval(of, 'auc_high')}, {over[0]} over the score of the tile, and {over[1]} over" in page
    assert f"random features, has {of['baseline_auc_high']:.3f}, which is {over[2]} less" in page


def test_every_baseline_is_in_the_table(evaluation):
    assert set(BASELINES.values()) == set(evaluation["baseline"])


def test_the_readme_has_some_of_these_rows():
    table = README.split("| baseline | demo, tiles |")[1].split("\n\n")[0]
    shown = table.splitlines()[2:]
    assert len(shown) == len(IN_README)
    assert set(shown) <= set(EVALUATION.splitlines())


def test_tables_of_campaigns_are_those_of_their_rows():
    for name, page in (("regions", regions.page), ("stability", stability.page)):
        table = pd.read_csv(ROOT / f"benchmarks/{name}.csv", dtype={"key": str})
        assert page(table) == (ROOT / f"benchmarks/{name.upper()}.md").read_text()


def test_what_the_page_says_of_the_experiments_of_the_source_report():
    table = pd.read_csv(ROOT / "benchmarks/ABLATION_demo.csv").set_index("run")
    page = " ".join((ROOT / "docs/experiments.md").read_text().split())
    auc = table["auc_high"]
    plain, turned, recipe = auc["plain Network-in-Network"], auc["and augmentation"], auc["the report's final recipe"]
    assert f"AUC {plain:.3f} without and {turned:.3f} with them, surely below a guess." in page
    assert table.loc["and augmentation", "auc_high_high"] < 0.5
    assert f"as a whole is as good as a guess ({recipe:.3f})." in page
    assert f"good*: {auc[DEFAULT]:.3f}. The tiles of the grid as they are have {plain:.3f}." in page
    others = table[table["against"].isin([DEFAULT, "and dropout"])].drop(index=DEFAULT)
    assert (others["auc_high_more_p"] >= 0.05).all()


def test_what_the_readme_says_of_other_machines():
    table = pd.read_csv(ROOT / "benchmarks/stability.csv")
    assert table["processor"].value_counts().tolist() == [11, 11]
    ends = {name: (table[name].min(), table[name].max()) for name in ("auc_high", "site_auc", "structures.effect")}
    said = "have tile AUC from {:.3f} to {:.3f}, site AUC from {:.3f} to {:.3f}, and an effect from {:+.3f} to {:+.3f}."
    words = " ".join(README.split())
    assert said.format(*(end for pair in ends.values() for end in pair)) in words
    changed = [name for name in table.columns[table.columns.get_loc("above constant") :] if table[name].nunique() > 1]
    assert ("All draw the same conclusions." in words) == (not changed)


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


def test_verdicts_are_those_of_the_metrics():
    page = (ROOT / "docs/saliency.md").read_text()
    verdicts = re.search(r"^\| verdict \| (.*?) \| (.*?) \|$", README, re.M).groups()
    both = {"demo": staged("metrics/saliency.json"), "Great Basin": GREAT_BASIN["saliency"]}
    for (region, saliency), cell in zip(both.items(), verdicts, strict=True):
        answer = f"**{saliency['verdict']['answer']}**"
        assert cell.startswith(answer)
        assert answer in page.split(f"## Results on the {region}\n")[1].split("\n## ")[0]


def test_what_the_readme_says_that_the_network_adds_to_count_and_position(evaluation):
    words = " ".join(README.split())
    here, there = (interval(of["added"], "loss", "+.3f") for of in (evaluation, GREAT_BASIN["evaluation"]))
    assert f"the log loss (lower is better) by {there}, which is noise." in words
    assert f"On the demo it changes it by {here}." in words


def test_what_docs_saliency_says_of_the_effects():
    page = " ".join((ROOT / "docs/saliency.md").read_text().split())
    saliency = staged("metrics/saliency.json")
    effect, maps = saliency["effects"]["structures"], saliency["methods"]
    assert f"The effect is {interval(effect, 'effect', '+.3f')}." in page
    assert f"Without look-alikes it would be {interval(effect, 'beyond_relief', '+.3f')}." in page
    for name, words in {
        "grad_cam": "edges, by", "gradient": "the gradient by", "guided_backprop": "guided backpropagation by",
    }.items():  # fmt: skip
        assert f"{words} {interval(maps[name]['structures'], 'beyond_control', '+.3f')}" in page
    fronts = GREAT_BASIN["saliency"]["effects"]["range_front"]
    assert f"the effect is {interval(fronts, 'effect', '+.3f')} in {fronts['tiles']} tiles" in page


def table_of_the_run(name):
    """Rows of a table of the run whose metrics are committed, on the machine that made it."""
    if (table := finished(name)) is None:
        pytest.skip("the run whose metrics are committed was made elsewhere")
    return table.to_dict("records")


def hits(table):
    """Of each rule the share of blocks, in per cent, where its pick is hot; the network's with its interval."""
    of = {row["rule"]: row for row in table if row["places"] == 1}
    ends = [f"{100 * of['network'][f'hits{end}']:.0f}" for end in ENDS]
    others = ("distance to hot sites", "number of wells", "at random")
    return f"{ends[0]} %", f"({ends[1]} to {ends[2]})", *(f"{100 * of[name]['hits']:.0f} %" for name in others)


def test_what_the_readme_says_of_drilling():
    words = " ".join(README.split())
    ours, ends, nearest, most, chance = hits(GREAT_BASIN["drilling"])
    assert f"On the Great Basin these are {ours} {ends}, {nearest}, {most} and {chance}:" in words
    ours, ends, nearest, most, chance = hits(table_of_the_run("drilling"))
    assert (
        f"the network's pick is hot in {ours} of blocks {ends}, the site nearest to a known hot one in {nearest}"
        in words
    )
    assert re.search(rf"a site of the most drilled tile in {most} \([^)]*\), one at random in {chance}\.", words)


def test_what_the_pages_say_of_prediction_sets_on_the_demo():
    every = table_of_the_run("prediction_sets")[0]
    held = interval(every, "coverage", ".1f", " %")
    assert f"right for {held}, with {every['mean_size']:.1f} of 4 classes" in " ".join(README.split())
    assert f"the sets hold {held} of the sites, by {every['mean_size']:.2f} of 4" in " ".join(EVALUATION.split())


def test_the_great_basin_on_another_processor_is_said():
    words, tiles = " ".join(README.split()), " ".join(EVALUATION.split())
    other, here = GREAT_BASIN["processors"].values()
    assert here["auc_high"] == GREAT_BASIN["evaluation"]["auc_high"]
    assert (other["than_a_guess"], here["than_a_guess"]) == ("within noise of", "above")
    said = "is *above* it on an AMD EPYC, and was *within noise* on an Intel Xeon ({:.3f})"
    assert said.format(other["auc_high"]) in words
    assert min(of["drilling"]["at random"] - of["drilling"]["network"] for of in (other, here)) > 0  # no better
    by_sites = GREAT_BASIN["evaluation"]["by_sites"]
    auc, best = interval(by_sites, "auc_high"), by_sites["baseline_auc_high"]
    assert f"its AUC is {auc}, and that of the nearest sites used in the same way {best:.3f}" in tiles
    assert by_sites["baseline"] == "nearest_sites"


def test_the_table_of_known_wells_on_the_demo():
    rows = {row["km"]: row for row in table_of_the_run("near_wells") if row["known"] == "all other sites"}
    for km, row in rows.items():
        aucs = " | ".join(f"{row[name]:.3f}" for name in ("network", "wells", "both"))
        unit = "" if km == "all" else " km"
        assert f"| {km}{unit} | {row['sites']:,} | {aucs} | {interval(row, 'gain')} |" in EVALUATION


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
    table = pd.read_csv(ROOT / "benchmarks/calibration.csv", keep_default_na=False)  # a kind is "null"
    said = {column: table[table[column] == USES]["kind"].value_counts() for column in VERDICTS}
    assert table["kind"].value_counts().eq(20).all()
    assert said["verdict"].to_dict() == {"structure": 20}
    page = " ".join((ROOT / "docs/saliency.md").read_text().split())
    assert f'"uses structure" on {said["verdict"]["structure"]} of the 20 regions where structures decide' in page
    alone = said["verdict_without_lookalikes"]["relief"]
    assert f'"uses structure" on {alone} of 20 regions where relief decides' in page
    silent = (table["verdict"] == "cannot be told").sum()
    words = f"On {len(table)} other synthetic regions its rule was never wrong, and gave no answer on {silent};"
    assert words in " ".join(README.split())
