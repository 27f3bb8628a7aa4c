import pandas as pd

from heatflow.present import report_content
from tests.present.helpers import NAN, make_baselines, make_evaluation


def test_nothing_is_ranked_where_all_tiles_are_high():
    charts = report_content.skill_charts(
        make_evaluation(None), pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), "above 50"
    )
    assert not any(charts.values())


def test_charts_of_auc_have_a_row_for_each_prediction_and_the_ceiling_of_sites():
    success = pd.DataFrame({"prediction": ["network"], "searched": [0], "found": [0]})
    reliability = pd.DataFrame({"predicted": [0.5], "observed": [0.5]})
    charts = report_content.skill_charts(make_evaluation(), make_baselines(), success, reliability, "above 50")
    assert charts["auc"].count("<circle") == 3
    assert charts["sites"].count("<circle") == 4
    assert "other sites of the tile" in charts["sites"]


def test_rows_of_skill_are_those_of_the_table():
    rows = report_content.skill_rows(make_baselines())
    assert list(rows) == ["network", "constant", "count", "other sites of the tile"]
    assert rows["count"]["loss"]["verdict"] == "within noise of"
    assert rows["network"]["loss"]["difference"] is None
    assert (rows["network"]["loss"]["value_low"], rows["network"]["loss"]["value_high"]) == (0.5, None)


def test_confusion_counts_every_pair_of_classes():
    table = pd.DataFrame({"actual": ["a", "b", "b"], "predicted": ["b", "b", "b"]})
    assert report_content.confusion_table(table, ["a", "b"]) == [[0, 1], [0, 2]]


def test_strata_and_statistics_have_a_row_each_with_the_auc_of_every_prediction():
    auc = {"auc_low": NAN, "auc_high": NAN, "tiles": 3, "high_share": 0.5, "wells": "equal", "statistic": "max"}
    table = pd.DataFrame([
        auc | {"prediction": "network", "auc": 0.7}, auc | {"prediction": "count", "auc": 0.6},
        auc | {"prediction": "network", "auc": 0.8, "wells": "all"},
    ])  # fmt: skip
    first, second = report_content.strata_rows(table)
    assert first["auc"] == {"network": "0.70", "count": "0.60"}
    assert (first["wells"], first["tiles"], first["share"], second["auc"]) == ("equal", 3, 0.5, {"network": "0.80"})
    (row,) = report_content.statistics_rows(table)
    assert (row["statistic"], row["auc"]) == ("max", {"network": "0.70", "count": "0.60"})


def test_an_experiment_that_is_compared_with_none_has_no_text_for_it():
    rows = report_content.ablation_rows(pd.DataFrame({"run": ["a", "b"], "against": [None, "a"], "auc": [0.5, NAN]}))
    assert rows == [{"run": "a", "against": None, "auc": 0.5}, {"run": "b", "against": "a", "auc": None}]
