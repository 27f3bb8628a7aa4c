import pandas as pd
import pytest

from heatflow.config.schema import Data
from heatflow.present.report import make_report, shown_method
from tests.pages import BROWSER, check_page, in_browser
from tests.present.helpers import EVIL, make_evaluation


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


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_page_works_on_a_phone_and_in_the_dark(make_report_inputs, params, tmp_path, width, dark):
    assert in_browser(make_report(make_report_inputs(), params), tmp_path, width, dark) == {
        "images": 0, "first": "Tile 0", "clicked": True, "zoomed": True, "whole": True, "moved": True,
        "layers": "visible hidden hidden", "scrolls": False, "faults": [],
    }  # fmt: skip
