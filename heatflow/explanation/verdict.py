"""The verdict: do the networks use structure? Rules and thresholds are those of docs/saliency.md."""

from typing import Any

import numpy as np

from heatflow.explanation.attribution import TITLES

NO_EFFECT = 0.1  # log-odds: an effect that is surely smaller, either way, is none


def verdict(
    skill_low: float, feature: str | None, methods: dict[str, dict[str, Any]], effects: dict[str, dict[str, float]],
    controls: dict[str, dict[str, float]],
) -> dict[str, Any]:  # fmt: skip
    """The answer and its reasons.

    Parameters
    ----------
    skill_low : float
        Lower end of the interval of the network's AUC.
    feature : str or None
        The known features that decide, "structures" or "faults"; None where there are none.
    methods : dict of str to dict
        For each method ``passed``, ``deletion`` and, under the name of the feature, scores of `KnownFeatures`.
    effects : dict of str to dict
        For each kind of features its `ablation_effect`. That of range fronts is told where there are no others; it
        decides nothing.
    controls : dict of str to dict
        Scores of maps that need no network, the best of which is told beside the map's.

    Returns
    -------
    dict
        ``answer`` ("uses structure", "does not use structure" or "cannot be told"), ``method`` (the map that was asked,
        by name, or None) and ``reasons``, sentences.

    Examples
    --------
    >>> verdict(0.6, None, {}, {}, {})["answer"]
    'cannot be told'
    """
    passed = {name: scores for name, scores in methods.items() if scores["passed"]}
    best = min(passed, key=lambda name: passed[name]["deletion"], default=None)
    answer, reasons = "cannot be told", [_skill(skill_low)]
    if feature is None:
        reasons.append("Neither structures nor faults were given for this region (data.structures, data.faults).")
        reasons += _range_fronts(effects.get("range_front"))
    elif not _has_interval(effects[feature]):
        reasons.append(
            f"There are too few tiles with {feature} and terrain as steep elsewhere ({effects[feature]['tiles']} of "
            f"{effects[feature]['tiles_with_features']}), or too few blocks of them, to tell what they are worth."
        )
    else:
        effect, scores = effects[feature], methods[best][feature] if best else None
        reasons.append(
            f"Smoothing the {feature} away costs {_with_interval(effect, 'effect', '+.3f')} in log-odds of being high, "
            f"beyond what it costs to smooth terrain as steep elsewhere ({effect['tiles']} tiles have any)."
        )
        reasons.append(_map(best, feature, scores, controls))
        points = scores is not None and scores["auc_as_steep_low"] > 0.5
        if skill_low > 0.5 and effect["effect_low"] > 0 and points:
            answer = "uses structure"
        elif effect["effect_low"] > -NO_EFFECT and effect["effect_high"] < NO_EFFECT:
            answer = "does not use structure"
    return {"answer": answer, "method": best, "reasons": reasons}


def _has_interval(effect: dict[str, float]) -> bool:
    return bool(np.isfinite([effect["effect_low"], effect["effect_high"]]).all())


def _with_interval(scores: dict[str, float], name: str, form: str) -> str:
    return f"{scores[name]:{form}} ({scores[f'{name}_low']:{form}} to {scores[f'{name}_high']:{form}})"


def _skill(low: float) -> str:
    return (
        f"The network's AUC is {'above' if low > 0.5 else 'not surely above'} that of a guess "
        f"(lower end of its interval {low:.3f}, a guess has 0.5)."
    )


def _range_fronts(effect: dict[str, float] | None) -> list[str]:
    if effect is None or not _has_interval(effect):
        return []
    return [
        f"Smoothing range fronts away costs {_with_interval(effect, 'effect', '+.3f')} in log-odds of being high, "
        f"beyond what terrain as steep elsewhere does ({effect['tiles']} tiles have any); a range front is no "
        "structural setting, so this decides nothing."
    ]


def _map(
    method: str | None, feature: str, scores: dict[str, float] | None, controls: dict[str, dict[str, float]]
) -> str:
    if method is None or scores is None:
        return "No saliency map passed its tests, so none was asked where it looks."
    best = max(controls, key=lambda name: controls[name]["auc_as_steep"])
    score = _with_interval(scores, "auc_as_steep", ".3f").removesuffix(")")
    return (
        f"The map that passed its tests and names best what matters ({TITLES[method]}) ranks terrain near {feature} "
        f"above terrain with equally steep surroundings with a chance of {score}; {best.replace('_', ' ')} alone has "
        f"{controls[best]['auc_as_steep']:.3f})."
    )
