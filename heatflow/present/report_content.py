"""Charts and tables of the report, from the numbers of a run."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from heatflow.present.charts import interval_chart, line_chart
from heatflow.present.wording import named, short, within


def skill_charts(evaluation: dict[str, Any], success: pd.DataFrame, reliability: pd.DataFrame,
                 high: str) -> dict[str, Markup]:  # fmt: skip
    """Charts of AUC, success rate and calibration; empty where all tiles are high or none is.

    Parameters
    ----------
    evaluation : dict
        Content of metrics/evaluation.json.
    success : DataFrame
        Content of metrics/success_rate.csv.
    reliability : DataFrame
        Content of metrics/reliability.csv.
    high : str
        Such as "above 50 mW/m²".

    Returns
    -------
    dict of str to Markup
        ``auc``, ``success``, ``reliability``
    """
    if evaluation["auc_high"] is None:
        return dict.fromkeys(("auc", "success", "reliability"), Markup(""))
    scored = {"network": evaluation} | evaluation["baseline"]
    rows = [(named(name), *(s[f"auc_high{end}"] for end in ("", "_low", "_high"))) for name, s in scored.items()]
    summary = "AUC: " + "; ".join(f"{name} {value:.3f}" for name, value, *_ in rows)
    groups = success[success["prediction"] != "constant"].groupby("prediction", sort=False)
    curves = {named(str(name)): (part["searched"].tolist(), part["found"].tolist()) for name, part in groups}
    found = "Success rate: share of high tiles found by share of tiles searched, for each prediction"
    axes = "share of tiles searched, most probable first", f"share of the tiles {high} found"
    observed = {"network": (reliability["predicted"].tolist(), reliability["observed"].tolist())}
    ideal = "Calibration: observed share of high tiles by predicted probability; ideal: the diagonal"
    return {
        "auc": interval_chart(rows, f"AUC for {high}, with 95 % confidence interval", 0.5, summary),
        "success": line_chart(curves, *axes, found),
        "reliability": line_chart(observed, f"predicted probability of {high}", "observed share", ideal),
    }


def confusion_table(confusion: pd.DataFrame, classes: list[str]) -> list[list[int]]:
    """Number of tiles of each true class (row) by predicted class, from metrics/confusion.csv."""
    counts = confusion.groupby(["actual", "predicted"]).size()
    return [[int(counts.get((actual, predicted), 0)) for predicted in classes] for actual in classes]


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
