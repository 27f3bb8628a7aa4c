import json

import pandas as pd
import pytest

from heatflow.config.schema import Data
from heatflow.present.report import make_report, page_environment, shown_method
from tests.pages import BROWSER, check_page, in_browser
from tests.present.helpers import EVIL, NAN, make_evaluation, make_method


@pytest.mark.parametrize("auc", [0.7, None])
def test_page_holds_with_numbers_missing_and_nothing_of_the_data_runs(make_report_inputs, params, auc):
    data = Data(elevation=f"{EVIL}.tif", wells=f"data/{EVIL}.csv")
    text = make_report(make_report_inputs(make_evaluation(auc)), params.model_copy(update={"data": data}))
    check_page(text)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5  # a reason, wells, two files, a unit, params
    assert ("nothing to rank" in text) == (auc is None)
    assert ('aria-label="Chart of AUC"' in text) == (auc is not None)
    assert "<td>&gt;0.99</td><td>&lt;0.01</td><td>1</td><td>–</td>" in text


def test_page_says_what_the_params_make_true(make_report_inputs, params):
    text = make_report(make_report_inputs(), params)
    assert "Synthetic demo region:" in text
    assert "contiguous spatial blocks" in text
    assert "The largest of many" not in text  # the class here is that of the mean
    assert "Experiments of the source report" not in text
    split = params.split.model_copy(update={"scheme": "random"})
    changed = {
        "split": split,
        "data": Data(elevation="dem.tif"),
        "tile": params.tile.model_copy(update={"statistic": "max"}),
    }
    rows = pd.DataFrame({"run": ["plain"], "accuracy": [0.5], "against": [None], "claim": ["none"]})
    text = make_report(make_report_inputs(ablation=rows), params.model_copy(update=changed))
    assert "Synthetic demo region:" not in text
    assert "too optimistic" in text
    assert "The largest of many" in text
    assert "Experiments of the source report" in text


def test_page_says_what_the_map_leaves_out(make_report_inputs, params, monkeypatch):
    assert "wells are shown" not in make_report(make_report_inputs(), params)
    monkeypatch.setattr("heatflow.present.interactive_map.MOST_WELLS", 1)
    monkeypatch.setattr("heatflow.present.interactive_map.MOST_THUMBNAILS", 1)
    text = make_report(make_report_inputs(), params)
    assert "Only 1 of 2 wells are shown." in text
    assert "There are too many tiles to show a picture of each." in text


def test_map_shows_grad_cam_where_there_is_one():
    assert shown_method(["gradient", "grad_cam"]) == "grad_cam"
    assert shown_method(["gradient"]) == "gradient"


@pytest.fixture
def sentences():
    """The macros of the page's sentences."""
    return page_environment().get_template("sentences.html").module


def test_headline_of_skill(sentences):
    text = sentences.headline(make_evaluation(0.7, 0.62, 0.78), 2, "above 50").striptags()
    assert "0.700 (0.620 to 0.780). This is better than the 0.5 of guessing." in text
    assert "“number of wells” with an AUC of 0.800" in text
    assert "+0.200 (+0.120 to +0.280), no clear difference." in text
    assert "46.0 % (40.0 % to 52.0 %)" in text
    assert "The most common class alone is correct for 45.0 %." in text


def test_headline_of_tiles_by_their_sites(sentences):
    scored = {"auc_high": 0.9, "auc_high_low": 0.8, "auc_high_high": 0.95}
    more = {"over_network": 0.1, "over_network_low": 0.05, "over_network_high": 0.15}
    evaluation = make_evaluation() | {"by_sites": scored | more}
    text = sentences.headline(evaluation, 2, "above 50").striptags()
    assert "an AUC of 0.900 (0.800 to 0.950). Difference to the score of the tile: +0.100 (+0.050 to +0.150)." in text


def test_headline_of_no_skill(sentences):
    text = sentences.headline(make_evaluation(0.51, 0.45, 0.58, "within noise of", "below"), 2, "above 50").striptags()
    assert "This is not surely better than the 0.5 of guessing." in text
    assert "+0.010 (−0.050 to +0.080), worse." in text


def test_headline_names_all_baselines_that_the_network_does_not_beat(sentences):
    evaluation = make_evaluation()
    for part in ("baseline", "skill"):
        evaluation[part]["position"] = evaluation[part]["count"] | ({"auc_high": 0.6} if part == "baseline" else {})
        evaluation[part]["terrain"] = evaluation[part]["position"]
    text = sentences.headline(evaluation, 2, "above 50").striptags()
    assert "either: position of the tile; terrain statistics, trees." in text
    assert "the other sites of the same tile have 0.900." in text


def test_no_sentence_ranks_where_all_tiles_are_high(sentences):
    text = sentences.headline(make_evaluation(None), 2, "above 50").striptags()
    assert text.endswith("Either all tiles are above 50 or none is, so there is nothing to rank.")


def test_checks_have_a_cell_for_each_method(sentences):
    rows = sentences.check_rows({"grad_cam": make_method(deletion=0.25), "gradient": make_method()}).splitlines()
    assert [row for row in rows if row] == [
        f'<tr><th scope="row">{title}</th><td>{first}</td><td>{second}</td></tr>'
        for title, first, second in (
            ("passed all checks", "no", "no"), ("rank correlation, randomised down to block 1 ↓", "–", "–"),
            ("deletion ↓", "0.250", "–"),
        )
    ]  # fmt: skip


def test_maps_stand_beside_controls_that_need_no_network(sentences):
    known = {"auc": 0.7576, "auc_called_high": 0.79, "auc_as_steep": NAN}
    slope = {"auc": 0.7481, "auc_called_high": 0.73, "auc_as_steep": 0.5}
    rows = sentences.known_rows("structures", {"grad_cam": make_method(structures=known)}, {"slope": slope})
    assert [row for row in rows.splitlines() if row] == [
        '<tr><th scope="row">Grad-CAM</th><td>0.758</td><td>0.790</td><td>–</td></tr>',
        '<tr><th scope="row">slope (no network)</th><td>0.748</td><td>0.730</td><td>0.500</td></tr>',
    ]


def test_page_names_the_known_features(make_report_inputs, params):
    assert "Do the maps mark known structures?" in make_report(make_report_inputs(), params)
    inputs = make_report_inputs()
    inputs.numbers["saliency"]["methods"] = {"grad_cam": make_method(faults={"auc": 0.7})}
    assert "Do the maps mark known faults?" in make_report(inputs, params)
    inputs.numbers["saliency"]["methods"] = {"grad_cam": make_method()}
    assert "Do the maps mark known" not in make_report(inputs, params)


def test_json_of_a_script_cannot_end_it():
    text = (
        page_environment().from_string("{{ data|tojson }}").render(data={"name": "</script><script>alert(1)</script>&"})
    )
    assert "<" not in text
    assert json.loads(text)["name"] == "</script><script>alert(1)</script>&"


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_page_works_on_a_phone_and_in_the_dark(make_report_inputs, params, tmp_path, width, dark):
    assert in_browser(make_report(make_report_inputs(), params), tmp_path, width, dark) == {
        "images": 0, "first": "Tile 0", "clicked": True, "zoomed": True, "whole": True, "moved": True,
        "layers": "visible hidden hidden", "scrolls": False, "faults": [],
    }  # fmt: skip
