"""Charts and tables of the report, from the numbers of a run."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from heatflow.present.charts import interval_chart, line_chart
from heatflow.present.wording import named, short, within


def skill_charts(evaluation: dict[str, Any], baselines: pd.DataFrame, success: pd.DataFrame, reliability: pd.DataFrame,
                 high: str) -> dict[str, Markup]:  # fmt: skip
    """Charts of AUC, success rate and calibration; empty where all tiles are high or none is.

    Parameters
    ----------
    evaluation : dict
        Content of metrics/evaluation.json.
    baselines : DataFrame
        Content of data/tables/baselines.csv.
    success : DataFrame
        Content of metrics/success_rate.csv.
    reliability : DataFrame
        Content of metrics/reliability.csv.
    high : str
        Such as "above 50 mW/m²".

    Returns
    -------
    dict of str to Markup
        ``auc`` (of tiles), ``sites`` (the same of sites), ``success``, ``reliability``
    """
    if evaluation["auc_high"] is None:
        return dict.fromkeys(("auc", "sites", "success", "reliability"), Markup(""))
    aucs = [
        _auc_chart(baselines[baselines["metric"] == metric], f"AUC of {what} {high}")
        for metric, what in (("auc_high", "tiles"), ("site_auc", "sites"))
    ]
    groups = success[success["prediction"] != "constant"].groupby("prediction", sort=False)
    curves = {named(str(name)): (part["searched"].tolist(), part["found"].tolist()) for name, part in groups}
    found = "Success rate: share of high tiles found by share of tiles searched, for each prediction"
    axes = "share of tiles searched, most probable first", f"share of the tiles {high} found"
    observed = {"network": (reliability["predicted"].tolist(), reliability["observed"].tolist())}
    ideal = "Calibration: observed share of high tiles by predicted probability; ideal: the diagonal"
    return {
        "auc": aucs[0], "sites": aucs[1],
        "success": line_chart(curves, *axes, found),
        "reliability": line_chart(observed, f"predicted probability of {high}", "observed share", ideal),
    }  # fmt: skip


def _auc_chart(table: pd.DataFrame, title: str) -> Markup:
    """A row for each prediction but the nested fits."""
    own = table[~table["prediction"].str.startswith("count_")]
    rows = [(named(name), *ends) for name, *ends in own[["prediction", "value", "low", "high"]].values.tolist()]
    summary = f"{title}: " + "; ".join(f"{name} {value:.3f}" for name, value, *_ in rows)
    return interval_chart(rows, f"{title}, with 95 % confidence interval", 0.5, summary)


def skill_rows(table: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows of data/tables/baselines.csv by prediction and metric, None where there is no number."""
    rows = records(table.astype(object).where(table.notna(), None))
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        ends = {"value_low": row["low"], "value_high": row["high"]}
        found.setdefault(row["prediction"], {})[row["metric"]] = row | ends
    return found


def confusion_table(confusion: pd.DataFrame, classes: list[str]) -> list[list[int]]:
    """Number of tiles of each true class (row) by predicted class, from metrics/confusion.csv."""
    counts = confusion.groupby(["actual", "predicted"]).size()
    return [[int(counts.get((actual, predicted), 0)) for predicted in classes] for actual in classes]


def never_predicted(table: list[list[int]], classes: list[str]) -> list[str]:
    """Classes that tiles have and that no tile is predicted to have, from `confusion_table`.

    >>> never_predicted([[3, 0, 1], [2, 0, 2], [0, 0, 0]], ["low", "middle", "high"])
    ['middle']
    """
    return [name for k, name in enumerate(classes) if sum(table[k]) and not sum(row[k] for row in table)]


def strata_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """AUC by number of wells, from data/tables/strata.csv: a row for each stratum, a text for each prediction."""
    rows = _rows(table, "wells")
    return [row | {"tiles": int(row["tiles"]), "share": float(row["high_share"])} for row in rows]


def statistics_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """AUC between tiles with a similar number of wells by statistic of the residuals, from data/tables/statistics.csv.

    A row for each statistic, a text for each prediction.
    """
    return _rows(table[table["wells"] == "equal"], "statistic")


def _rows(table: pd.DataFrame, key: str) -> list[dict[str, Any]]:
    """The first row of each group, with AUC of all its predictions as texts."""
    groups = [records(part) for _, part in table.groupby(key, sort=False)]
    return [rows[0] | {"auc": {row["prediction"]: within(row, "auc", short) for row in rows}} for rows in groups]


def ablation_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table that ``benchmarks.ablation`` wrote, None where a run is compared with no other."""
    return records(table.astype(object).where(table.notna(), None))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, by column name."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
