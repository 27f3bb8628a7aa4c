"""Numbers of a small run that tests of this folder share; fixtures are in conftest."""

NAN = float("nan")
EVIL = "<script>alert(1)</script>"


def make_evaluation(auc=0.7, low=0.6, high=0.8, guess="above", best="within noise of"):
    """Content of metrics/evaluation.json with one baseline besides the constant guess; auc None: nothing to rank."""
    interval = {"auc_high": auc, "auc_high_low": low, "auc_high_high": high}
    if auc is None:
        interval = dict.fromkeys(interval)
    shift = {key: None if value is None else value - 0.5 for key, value in interval.items()}
    half = {key: None if value is None else 0.5 for key, value in interval.items()}
    scores = {"accuracy": 0.45, "quadratic_kappa": 0.0, "loss": 1.2} | half
    return {
        "tiles": 222, "accuracy": 0.46, "accuracy_low": 0.4, "accuracy_high": 0.52, "quadratic_kappa": NAN,
        "loss": 1.2, "auc_equal_count": NAN, "area_for_half": 0.3, "calibration_error": 0.1, **interval,
        "baseline": {"constant": scores, "count": scores | {"auc_high": None if auc is None else 0.8}},
        "skill": {"constant": shift | {"verdict": guess}, "count": shift | {"verdict": best}},
    }  # fmt: skip


def make_method(**more):
    """Results of the sanity checks of an attribution method, in metrics/saliency.json."""
    return {"passed": False, "warnings": ["It is <i>blind</i>."], "after_randomised": {"block_1": NAN}} | more
