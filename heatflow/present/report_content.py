"""Sentences, charts and tables of the report, from the numbers of a run."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from heatflow.present.charts import interval_chart, line_chart
from heatflow.present.wording import compared, named, number, percent, short, signed, within

Row = tuple[str, list[str]]  # its title, its cells

CHECKS = {  # sanity checks in metrics/saliency.json
    "lattice_share": "lattice artefacts of the stride, share of energy ↓",
    "after_shuffled_labels": "rank correlation, labels shuffled ↓",
    "between_folds": "rank correlation, another fold ↑",
    "between_seeds": "rank correlation, another seed ↑",
    "deletion": "deletion ↓",
    "insertion": "insertion ↑",
}
KNOWN = ("auc", "auc_called_high", "auc_as_steep")  # scores of a map against known features


def headline(evaluation: dict[str, Any], classes: int, high: str) -> list[str]:
    """The skill of the predictions in sentences.

    Parameters
    ----------
    evaluation : dict
        Content of metrics/evaluation.json.
    classes : int
        Number of classes.
    high : str
        What is ranked, such as "above 50 mW/m²".

    Returns
    -------
    list of str
    """
    baseline, skill = evaluation["baseline"], evaluation["skill"]
    sentences = [
        f"The networks predict the correct one of {classes} classes for {within(evaluation, 'accuracy', percent)} of "
        f"{evaluation['tiles']} tiles that they were not trained on. "
        f"The most common class alone is correct for {percent(baseline['constant']['accuracy'])}."
    ]
    if evaluation["auc_high"] is None:
        return [*sentences, f"Either all tiles are {high} or none is, so there is nothing to rank."]
    better = skill["constant"]["verdict"] == "above"
    conclusion = "better than the 0.5 of" if better else "no skill: it is not clearly better than the 0.5 of"
    sentences.append(
        f"The probability that a tile {high} is ranked above one that is not (AUC) is "
        f"{within(evaluation, 'auc_high')}. This is {conclusion} guessing."
    )
    others = {name: scores["auc_high"] for name, scores in baseline.items() if name != "constant"}
    if others:
        best = max(others, key=others.__getitem__)
        sentences.append(
            f"The best baseline is “{named(best)}” with an AUC of {number(others[best])}. Difference of the network "
            f"to it: {within(skill[best], 'auc_high', signed)}, {compared(skill[best]['verdict'])}."
        )
        rest = [named(name) for name in others if skill[name]["verdict"] != "above" and name != best]
        if rest:
            sentences.append(f"The network is not clearly better than these baselines either: {', '.join(rest)}.")
    return sentences


def skill_charts(
    evaluation: dict[str, Any], success: pd.DataFrame, reliability: pd.DataFrame, high: str
) -> dict[str, Markup]:
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
        return {"auc": Markup(""), "success": Markup(""), "reliability": Markup("")}
    scored = {"network": evaluation} | evaluation["baseline"]
    rows = [(named(name), *(s[f"auc_high{end}"] for end in ("", "_low", "_high"))) for name, s in scored.items()]
    label = "AUC: " + "; ".join(f"{name} {value:.3f}" for name, value, *_ in rows)
    groups = success[success["prediction"] != "constant"].groupby("prediction", sort=False)
    curves = {named(str(name)): (part["searched"].tolist(), part["found"].tolist()) for name, part in groups}
    observed = {"network": (reliability["predicted"].tolist(), reliability["observed"].tolist())}
    axes = f"predicted probability of {high}", "observed share"
    return {
        "auc": Markup(interval_chart(rows, f"AUC for {high}, with 95 % confidence interval", 0.5, label)),
        "success": Markup(line_chart(
            curves, "share of tiles searched, most probable first", f"share of the tiles {high} found",
            "Success rate: share of high tiles found by share of tiles searched, for each prediction",
        )),
        "reliability": Markup(line_chart(
            observed, *axes, "Calibration: observed share of high tiles by predicted probability; ideal: the diagonal"
        )),
    }  # fmt: skip


def confusion_table(confusion: pd.DataFrame, classes: list[str]) -> list[list[int]]:
    """Number of tiles of each true class (row) by predicted class, from metrics/confusion.csv."""
    counts = confusion.groupby(["actual", "predicted"]).size()
    return [[int(counts.get((actual, predicted), 0)) for predicted in classes] for actual in classes]


def check_rows(methods: dict[str, dict[str, Any]]) -> list[Row]:
    """Sanity checks of the saliency maps, with a cell for each method.

    Parameters
    ----------
    methods : dict
        Of metrics/saliency.json.
    """
    checked = list(methods.values())
    rows = [("passed all checks", ["yes" if checks["passed"] else "no" for checks in checked])]
    for step in checked[0]["after_randomised"]:
        title = f"rank correlation, randomised down to {step.replace('_', ' ')} ↓"
        rows.append((title, [short(checks["after_randomised"].get(step)) for checks in checked]))
    given = [(key, title) for key, title in CHECKS.items() if any(key in checks for checks in checked)]
    return rows + [(title, [number(checks.get(key)) for checks in checked]) for key, title in given]


def known_rows(methods: dict[str, dict[str, Any]], controls: dict[str, dict[str, Any]]) -> tuple[str, list[Row]]:
    """How well each map finds known features: a row of scores for each method, then for each control.

    Parameters
    ----------
    methods, controls : dict
        Of metrics/saliency.json.

    Returns
    -------
    name : str
        "structures" or "faults"; empty where none are known.
    rows : list of (str, list of str)
        Name of the map, its `KNOWN` scores with their intervals.
    """
    name = next((f for f in ("structures", "faults") if any(f in checks for checks in methods.values())), "")
    if not name:
        return "", []
    maps = [(named(m), checks.get(name, {})) for m, checks in methods.items()]
    maps += [(f"{named(c)} (no network)", scores) for c, scores in controls.items()]
    return name, [(title, [within(scores, key) for key in KNOWN]) for title, scores in maps]


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
