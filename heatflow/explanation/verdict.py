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
        For each kind of features its `ablation_effect`. That of range fronts decides nothing; it is told where neither
        structures nor faults are given.
    controls : dict of str to dict
        Scores of maps that need no network, the best of which is told beside the map's.

    Returns
    -------
    dict
        ``answer`` ("uses structure", "does not use structure" or "cannot be told"), ``method`` (the map that is
        described, by name, or None) and ``reasons``, sentences.

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
            f"Too few tiles with {feature} have equally steep terrain elsewhere ({effects[feature]['tiles']} of "
            f"{effects[feature]['tiles_with_features']}), or they lie in too few blocks, to measure an effect."
        )
    else:
        effect, alike = effects[feature], effects.get("lookalikes")
        above = alike is None or not _has_interval(alike) or effect["effect_low"] > alike["effect_high"]
        reasons.append(
            f"Smoothing the {feature} away costs {_with_interval(effect, 'effect', '+.3f')} in log-odds of the high "
            f"classes beyond the cost of smoothing equally steep terrain elsewhere ({effect['tiles']} tiles)."
        )
        if alike is not None and _has_interval(alike):
            reasons.append(
                f"The effect of look-alikes is {_with_interval(alike, 'effect', '+.3f')}: that of {feature} is "
                f"{'' if above else 'not '}surely above it."
            )
        reasons.append(_map(best, feature, methods[best][feature] if best else None, controls))
        if skill_low > 0.5 and effect["effect_low"] > 0 and above:
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
        f"The network's AUC is {'' if low > 0.5 else 'not '}significantly above that of a guess, 0.5 "
        f"(lower end of its interval {low:.3f})."
    )


def _range_fronts(effect: dict[str, float] | None) -> list[str]:
    if effect is None or not _has_interval(effect):
        return []
    return [
        f"Smoothing range fronts away costs {_with_interval(effect, 'effect', '+.3f')} in log-odds of the high classes "
        f"beyond the cost of smoothing equally steep terrain elsewhere ({effect['tiles']} tiles). A range front is no "
        "structural setting, so this decides nothing."
    ]


def _map(
    method: str | None, feature: str, scores: dict[str, float] | None, controls: dict[str, dict[str, float]]
) -> str:
    if method is None or scores is None:
        return "No saliency map passed its sanity checks, so none is described."
    best = max(controls, key=lambda name: controls[name]["auc_as_steep"])
    score = _with_interval(scores, "auc_as_steep", ".3f").removesuffix(")")
    return (
        f"Of the maps that passed their sanity checks, the one with the lowest deletion ({TITLES[method]}) ranks "
        f"terrain near {feature} above terrain with equally steep surroundings with a chance of {score}; "
        f"{best.replace('_', ' ')} alone has {controls[best]['auc_as_steep']:.3f}). "
        "This decides nothing."
    )
