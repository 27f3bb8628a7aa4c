"""The verdict: do the networks use structure? Rules and thresholds are those of docs/saliency.md."""

from typing import Any

import numpy as np

from heatflow.evaluation.intervals import ALPHA
from heatflow.explanation.attribution import TITLES

USES, RELIEF, NOT, OPEN = (
    "uses structure", "uses local relief, not its arrangement", "does not use structure", "cannot be told",
)  # fmt: skip
MARGIN = 0.1  # standard deviations of the log-odds: an effect that is surely smaller, either way, is none
LEAST = 0.05  # of the same: an effect that is not surely larger may be the luck of training


def answer(skill_low: float, effect: dict[str, Any]) -> str:
    """The answer by the numbers alone; no more than one of the conditions can hold.

    Parameters
    ----------
    skill_low : float
        Lower end of the interval of the networks' AUC.
    effect : dict
        Of `heatflow.explanation.effect.structure_effect`.

    Examples
    --------
    >>> sure, none = {"excess_low": 0.1, "excess_high": 0.2}, {"effect_low": -0.05, "effect_high": 0.05, "p": 0.6}
    >>> answer(0.7, sure | {"effect_low": 0.1, "effect_high": 0.3, "p": 0.001})
    'uses structure'
    >>> answer(0.7, sure | none), answer(0.4, sure | none)
    ('uses local relief, not its arrangement', 'cannot be told')
    """
    arrangement, relief = size(effect, "effect"), size(effect, "excess")
    if arrangement == "none" and relief == "none":
        return NOT
    if skill_low > 0.5 and relief == "positive":
        if arrangement == "positive" and effect["p"] < ALPHA:
            return USES
        if arrangement == "none":
            return RELIEF
    return OPEN


def size(effect: dict[str, Any], name: str) -> str:
    """ "none" where the interval lies within MARGIN of 0, "positive" where it lies above LEAST and not below MARGIN; or
    "open"."""
    low, high = effect[f"{name}_low"], effect[f"{name}_high"]
    if low > -MARGIN and high < MARGIN:
        return "none"
    return "positive" if low > LEAST else "open"


def verdict(
    skill_low: float, feature: str | None, methods: dict[str, dict[str, Any]], effects: dict[str, dict[str, Any]],
    controls: dict[str, dict[str, float]],
) -> dict[str, Any]:  # fmt: skip
    """The answer and its reasons.

    Parameters
    ----------
    skill_low : float
        Lower end of the interval of the networks' AUC.
    feature : str or None
        The known features that decide, "structures" or "faults"; None where there are none.
    methods : dict of str to dict
        For each method ``passed``, ``deletion`` and, under the name of the feature, scores of `KnownFeatures`.
    effects : dict of str to dict
        `structure_effect` of the features. That of range fronts decides nothing; it is told where neither structures
        nor faults are given.
    controls : dict of str to dict
        Scores of maps that need no network, the best of which is told beside the map's.

    Returns
    -------
    dict
        ``answer``, ``method`` (the map that is described, by name, or None) and ``reasons``, sentences.

    Examples
    --------
    >>> verdict(0.6, None, {}, {}, {})["answer"]
    'cannot be told'
    """
    passed = {name: scores for name, scores in methods.items() if scores["passed"]}
    best = min(passed, key=lambda name: passed[name]["deletion"], default=None)
    given, reasons = OPEN, [_skill(skill_low)]
    if feature is None:
        reasons.append("Neither structures nor faults were given for this region (data.structures, data.faults).")
        reasons += _range_fronts(effects.get("range_front"))
    elif not _has_interval(effects[feature]):
        reasons.append(
            f"Too few tiles with {feature} can be compared with masks of other tiles ({effects[feature]['tiles']} of "
            f"{effects[feature]['tiles_with_features']}), or they lie in too few blocks, to measure an effect."
        )
    else:
        given = answer(skill_low, effects[feature])
        reasons += _effect(feature, effects[feature])
        reasons.append(_map(best, feature, methods[best][feature] if best else None, controls))
    return {"answer": given, "method": best, "reasons": reasons}


def best_control(controls: dict[str, dict[str, float]]) -> str:
    """The map without a network that ranks features highest among equally steep terrain."""
    return max(controls, key=lambda name: controls[name]["auc_as_steep"])


def _has_interval(effect: dict[str, Any]) -> bool:
    return bool(np.isfinite([effect["effect_low"], effect["effect_high"]]).all())


def _with_interval(scores: dict[str, Any], name: str, form: str) -> str:
    return f"{scores[name]:{form}} ({scores[f'{name}_low']:{form}} to {scores[f'{name}_high']:{form}})"


def _skill(low: float) -> str:
    return (
        f"The interval of the network's AUC {'lies' if low > 0.5 else 'does not lie'} above 0.5, that of a guess "
        f"(lower end {low:.3f})."
    )


def _effect(feature: str, effect: dict[str, Any]) -> list[str]:
    words = {
        "positive": f"surely more than {LEAST}",
        "none": f"no more, within {MARGIN} either way",
        "open": "not sure to be either",
    }
    return [
        f"Smoothing the {feature} away costs {_with_interval(effect, 'excess', '+.3f')} standard deviations of the "
        f"log-odds beyond smoothing terrain under masks of other tiles: {words[size(effect, 'excess')]} "
        f"({effect['tiles']} tiles).",
        f"Beyond {effect['control']} it costs {_with_interval(effect, 'effect', '+.3f')}: "
        f"{words[size(effect, 'effect')]} (p = {effect['p']:.2g}).",
    ]


def _range_fronts(effect: dict[str, Any] | None) -> list[str]:
    if effect is None or not _has_interval(effect):
        return []
    return [
        f"Smoothing range fronts away costs {_with_interval(effect, 'effect', '+.3f')} standard deviations of the "
        f"log-odds beyond {effect['control']} ({effect['tiles']} tiles, p = {effect['p']:.2g}). A range front is no "
        "structural setting, so this decides nothing."
    ]


def _map(
    method: str | None, feature: str, scores: dict[str, float] | None, controls: dict[str, dict[str, float]]
) -> str:
    if method is None or scores is None:
        return "No saliency map passed its sanity checks, so none is described."
    best = best_control(controls)
    title, difference = best.replace("_", " "), _with_interval(scores, "beyond_control", "+.3f")
    return (
        f"Of the maps that passed their sanity checks, the one with the lowest deletion ({TITLES[method]}) ranks "
        f"terrain near {feature} above terrain with equally steep surroundings with a chance of "
        f"{_with_interval(scores, 'auc_as_steep', '.3f')}. The best map that needs no network ({title}) has "
        f"{controls[best]['auc_as_steep']:.3f}; the difference, tile by tile, is {difference}. This decides nothing."
    )
