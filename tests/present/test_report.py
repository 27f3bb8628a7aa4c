"""The report: honest words, nothing from outside, nothing from data that could run."""

import json

import numpy as np
import pandas as pd
import pytest

from heatflow.present import report
from heatflow.present.charts import COLOURS, interval_chart, line_chart
from tests.pages import BROWSER, check_page, in_browser

NAN = float("nan")


def evaluation(auc, low, high, against="above", best="within noise of"):
    scores = {
        "accuracy": 0.45,
        "auc_high": 0.5,
        "auc_high_low": 0.5,
        "auc_high_high": 0.5,
        "quadratic_kappa": 0.0,
        "loss": 1.2,
    }
    skill = {"auc_high": auc - 0.5, "auc_high_low": low - 0.5, "auc_high_high": high - 0.5}
    return {
        "tiles": 222, "accuracy": 0.46, "accuracy_low": 0.4, "accuracy_high": 0.52,
        "auc_high": auc, "auc_high_low": low, "auc_high_high": high,
        "baseline": {"constant": scores, "count": scores | {"auc_high": 0.8}},
        "skill": {"constant": skill | {"verdict": against}, "count": skill | {"verdict": best}},
    }  # fmt: skip


def test_words_follow_the_numbers():
    none = " ".join(report.headline(evaluation(0.51, 0.45, 0.58, "within noise of", "below"), ["a", "b"], "above 50"))
    assert "not surely above the 0.5 of a guess: no skill can be told from guessing" in none
    assert "the network is below it" in none
    some = " ".join(report.headline(evaluation(0.7, 0.62, 0.78), ["a", "b"], "above 50"))
    assert "0.700 (0.620 to 0.780), above the 0.5 of a guess" in some
    assert "“number of wells” does best, with 0.800; the network is within noise of it: +0.200" in some
    assert "46.0 % (40.0 % to 52.0 %)" in some
    assert "45.0 %" in some


def test_one_side_of_the_edge_alone_is_said_and_not_charted():
    one_sided = evaluation(0.5, 0.5, 0.5) | {"auc_high": None, "auc_high_low": None, "auc_high_high": None}
    assert "Either all tiles are above 50 or none is" in " ".join(report.headline(one_sided, ["a", "b"], "above 50"))
    charts = report.skill_charts(one_sided, pd.DataFrame(), pd.DataFrame(), "above 50")
    assert not any(charts.values())


def test_numbers_that_do_not_exist_are_dashes_and_nothing_is_certain():
    assert (report.number(float("nan")), report.percent(None), report.signed(float("inf"))) == ("–", "–", "–")
    assert report.within({"a": 0.5, "a_low": 0.5, "a_high": 0.5}, "a") == "0.500"
    assert report.within({"a": 0.5, "a_low": None, "a_high": None}, "a") == "0.500"
    assert report.within({"a": 0.5, "a_low": 0.4999, "a_high": 0.5001}, "a") == "0.500"
    assert report.within({"a": NAN, "a_low": NAN, "a_high": NAN}, "a") == "–"
    assert (report.number(np.float32("nan")), report.number(np.int64(1200)), report.number(567.209, 0)) == (
        "–", "1,200", "567",
    )  # fmt: skip
    assert (report.chance(0.9999), report.chance(0.0), report.chance(0.42)) == (">0.99", "<0.01", "0.42")


def test_json_of_a_script_cannot_end_it():
    text = report.script_json({"name": "</script><script>alert(1)</script>&"})
    assert "<" not in text
    assert json.loads(text)["name"] == "</script><script>alert(1)</script>&"


def test_charts_say_what_they_show_and_escape_names():
    chart = interval_chart([("<b>", 0.7, 0.6, 0.8), ("x", 0.5, None, float("nan"))], "AUC", 0.5, 'two "rows"')
    assert "<b>" not in chart
    assert 'aria-label="two &quot;rows&quot;"' in chart
    assert chart.count("<circle") == 2
    lines = line_chart({"a": ([0, 1], [0, float("nan")]), "b": ([0, 1], [0, 1])}, "x", "y", "l")
    assert "nan" not in lines
    assert lines.count("<polyline") == 2


def luminance(colour):
    """Relative luminance of a colour (WCAG 2.1)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("paper", ["#ffffff", "#17191c"])
def test_lines_of_charts_stand_out_on_light_and_dark(paper):
    for colour in COLOURS:
        low, high = sorted([luminance(colour), luminance(paper)])
        assert (high + 0.05) / (low + 0.05) >= 3, colour


def test_every_class_has_a_colour_of_its_own():
    assert all(len(set(report.class_colours(n))) == n for n in range(2, 13))


def method(**more):
    return {"passed": False, "warnings": ["It is <i>blind</i>."], "after_randomised": {"block_1": NAN}} | more


def test_maps_stand_beside_what_needs_no_network():
    known = {"auc": 0.7576, "auc_called_high": 0.79, "auc_as_steep": NAN}
    slope = {"auc": 0.7481, "auc_called_high": 0.73, "auc_as_steep": 0.5}
    name, rows = report.known_rows({"grad_cam": method(structures=known)}, {"slope": slope})
    assert name == "structures"
    assert rows == [("Grad-CAM", ["0.758", "0.790", "–"]), ("slope (no network)", ["0.748", "0.730", "0.500"])]
    assert report.known_rows({"grad_cam": method()}, {}) == ("", [])
    rows = report.trust_rows({"grad_cam": method(deletion=0.25), "gradient": method()})
    assert rows == [
        ("passed", ["no", "no"]), ("likeness, drawn anew down to block 1 (lower)", ["–", "–"]),
        ("deletion (lower)", ["0.250", "–"]),
    ]  # fmt: skip


def test_what_the_map_leaves_out_is_said():
    assert report.limits(report.MOST_THUMBNAILS, report.MOST_WELLS) == []
    tiles, wells = report.limits(1001, 7000)[::-1]
    assert wells == "6,000 of 7,000 wells are drawn."
    assert tiles == "With more than 1,000 tiles there are no pictures of them."


def test_thumbnails_stop_where_the_page_would_be_too_large():
    tile = np.random.default_rng(0).normal(size=(40, 40)).cumsum(axis=0)
    few = report.thumbnails([tile] * 5, [tile] * 5, 200.0)
    assert few is not None
    assert few["columns"] == 3
    assert report.thumbnails([tile] * (report.MOST_THUMBNAILS + 1), [tile], 200.0) is None
    noise = [np.random.default_rng(k).normal(size=(72, 72)) * 100 for k in range(report.MOST_THUMBNAILS)]
    many = report.thumbnails(noise, noise, 200.0)
    assert many is not None
    assert len(many["terrain"]) + len(many["saliency"]) < 10e6  # noise is the worst that terrain can do


def test_map_data_are_whole_numbers_and_few_wells():
    table = pd.DataFrame(
        {"x": [0.0], "y": [40.0], "tile": [7], "label": [1], "predicted": [0], "fold": [2], "n_wells": [3],
         "residual": [61.26], "p0": [0.75], "p1": [0.25]}
    )  # fmt: skip
    wells = pd.DataFrame({"x": np.arange(9000) / 10, "y": 1.0, "label": 1})
    found = json.loads(report.map_data(table, wells, 40.0, ["<=50", ">50"], None, "largest residual"))
    assert found["tiles"] == [
        {"x": 0, "y": 40, "id": 7, "label": 1, "called": 0, "fold": 2, "wells": 3, "residual": 61.26, "p": [0.75, 0.25]}
    ]
    assert len(found["wells"]) == report.MOST_WELLS
    assert not json.loads(report.map_data(table, wells[:0], 40.0, ["<=50", ">50"], None, "largest residual"))["wells"]


def page(auc=0.7, **more):
    """A page of two tiles and one place, with numbers missing and names that would run if they could."""
    scored = evaluation(auc or 0.7, 0.6, 0.8) | {
        "quadratic_kappa": NAN, "loss": 1.2, "auc_equal_count": NAN, "area_for_half": 0.3, "calibration_error": 0.1,
    }  # fmt: skip
    if auc is None:
        nothing = dict.fromkeys(("auc_high", "auc_high_low", "auc_high_high"))
        scored |= nothing
        for part in (*scored["baseline"].values(), *scored["skill"].values()):
            part |= nothing
    tile = {"tile": [1, 2], "label": [0, 1], "predicted": [1, 1], "fold": [0, 1], "n_wells": [1, 3]}
    table = pd.DataFrame(
        tile | {"residual": [-3.0, 61.2], "x": [0.0, 80.0], "y": [0.0, 40.0], "p0": [0.001, 0.4], "p1": [0.999, 0.6]}
    )
    classes, evil = ["<=50", ">50"], "<script>alert(1)</script>"
    curve = pd.DataFrame({"prediction": "network", "searched": [0, 1], "found": [0, 1]})
    calibration = pd.DataFrame({"predicted": [0.2, 0.8], "observed": [0.3, NAN]})
    picture = report.layer(np.array([[0.0, NAN], [1.0, 0.5]]), "viridis", 0, 1)
    overlay = {"key": "probability", "title": evil, "uri": picture, "width": 120, "height": 80, "ends": "0 to 1",
               "ramp": report.ramp("viridis")}  # fmt: skip
    wells = pd.DataFrame({"x": [10.0, 100.0], "y": [10.0, 50.0], "label": [0, 1]})
    methods = {"grad_cam": method(structures={"auc": 0.7}), "gradient": method()}
    place = {"rank": 1, "p_high": 0.9999, "p_cautious": 0.0001, "networks": 1, "disagreement": NAN,
             "dissimilarity": NAN, "n_wells": 0, "lat": 39.2, "lon": -116.3}  # fmt: skip
    return report.render({
        "headline": report.headline(scored, classes, "above 50 mW/m²"), "evaluation": scored, "classes": classes,
        "verdict": {"answer": "cannot be told", "reasons": [evil]}, "methods": methods, "synthetic": True,
        "trust_rows": report.trust_rows(methods), "known": report.known_rows(methods, {"slope": {"auc": 0.6}}),
        "explained": "the class predicted", "ablation": [], "notes": [], "blocks": True, "buffer": 1,
        "probabilities": ["p0", "p1"], "images": {"map.png": picture, "grad_cam.png": picture}, "high": "above 50",
        "charts": report.skill_charts(scored, curve, calibration, "above 50 mW/m²"), "confusion": [[0, 1], [0, 1]],
        "strata": [], "statistics": [], "wells": {"read": 4, "kept": 3, "dropped": {evil: 1}}, "tiles": {"tiles": 2},
        "kept": {"kept": 2, "dropped": {}, "classes": {"0": 1, "1": 1}}, "top": [place], "tile_km": 40.0,
        "map": {"mapped_share": 0.9, "inside_applicability": NAN, "networks_per_window": 1.0,
                "correlation_with_out_of_fold": None},
        "statistic": "mean", "extent": [120, 80], "terrain": picture, "sheets": None, "overlays": [overlay],
        "rows": [row | {"p": [row["p0"], row["p1"]]} for row in table.to_dict("records")],
        "map_data": report.map_data(table, wells, 40.0, classes, None, "mean residual"),
        "sources": {"elevation": evil, "wells": evil}, "checksums": [(evil, "0")], "versions": [("Python", "3")],
        "params": evil, **more,
    })  # fmt: skip


@pytest.mark.parametrize("auc", [0.7, None])
def test_page_holds_with_numbers_missing_and_nothing_of_the_data_runs(auc):
    text = page(auc)
    check_page(text)
    assert "<script>alert" not in text
    assert "Synthetic demo region:" in text
    assert "Synthetic demo region:" not in page(auc, synthetic=False)
    assert ("nothing to rank" in text) == (auc is None)
    assert ('aria-label="Chart of AUC"' in text) == (auc is not None)
    assert "<td>&gt;0.99</td><td>&lt;0.01</td><td>1</td><td>–</td>" in text
    assert "The largest of many" not in text  # the class here is that of the mean


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_page_works_on_a_phone_and_in_the_dark(tmp_path, width, dark):
    assert in_browser(page(), tmp_path, width, dark) == {
        "images": 0, "first": "Tile 1", "clicked": True, "zoomed": True, "whole": True, "moved": True,
        "layers": "visible", "scrolls": False, "faults": [],
    }  # fmt: skip
