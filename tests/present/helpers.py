"""Numbers of a small run that tests of this folder share; fixtures are in conftest."""

import pandas as pd

NAN = float("nan")
EVIL = "<script>alert(1)</script>"


def make_evaluation(auc=0.7, low=0.6, high=0.8, guess="above", best="within noise of"):
    """Content of metrics/evaluation.json with one baseline besides the constant guess; auc None: nothing to rank."""
    interval = {f"{name}{end}": value for name in ("auc_high", "site_auc")
                for end, value in (("", auc), ("_low", low), ("_high", high))}  # fmt: skip
    if auc is None:
        interval = dict.fromkeys(interval)
    shift = {key: None if value is None else value - 0.5 for key, value in interval.items()}
    half, more = ({"auc_high": v, "site_auc": v} if auc is not None else {"auc_high": None, "site_auc": None}
                  for v in (0.5, 0.8))  # fmt: skip
    return {
        "tiles": 222, "sites": 444, "accuracy": 0.46, "accuracy_low": 0.4, "accuracy_high": 0.52,
        "quadratic_kappa": NAN, "loss": 1.2, "area_for_half": 1.3, "site_ceiling": 0.9, "detectable": 0.05,
        "added": {"loss": -0.1, "loss_low": -0.2, "loss_high": 0.0}, **interval,
        "baseline": {"constant": {"accuracy": 0.45} | half, "count": more},
        "skill": {"constant": shift | {"verdict": guess}, "count": shift | {"verdict": best}},
    }  # fmt: skip


def make_baselines():
    """Content of data/tables/baselines.csv with one baseline besides the constant guess."""
    metrics = ("accuracy", "auc_high", "auc_equal_count", "site_auc", "loss", "area_for_half", "calibration_error")
    rows = [
        {"prediction": name, "metric": metric, "value": 0.6, "low": 0.5, "high": NAN, "verdict": word}
        | dict.fromkeys(("difference", "difference_low", "difference_high"), NAN if name == "network" else 0.1)
        for name, word in (("network", ""), ("constant", "above"), ("count", "within noise of"))
        for metric in metrics
    ]
    alone = {"prediction": "other sites of the tile", "metric": "site_auc", "value": 0.9, "low": 0.8, "high": 0.95}
    return pd.DataFrame([*rows, alone])


def make_method(**more):
    """Results of the sanity checks of an attribution method, in metrics/saliency.json."""
    return {"passed": False, "warnings": ["It is <i>blind</i>."], "after_randomised": {"block_1": NAN}} | more
