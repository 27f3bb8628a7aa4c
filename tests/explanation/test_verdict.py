"""The verdict by the stated rules."""

import numpy as np
import pytest

from heatflow.explanation.verdict import verdict


def effect(low, high):
    return {"effect": (low + high) / 2, "effect_low": low, "effect_high": high, "tiles": 40, "tiles_with_features": 60}


def matched(low):
    return {"auc_as_steep": low + 0.05, "auc_as_steep_low": low, "auc_as_steep_high": low + 0.1}


@pytest.mark.parametrize(
    ("skill_low", "feature", "ablation", "passed", "low", "answer"),
    [
        (0.6, "structures", effect(0.1, 0.3), True, 0.55, "uses structure"),
        (0.6, "structures", effect(0.1, 0.3), True, 0.48, "uses structure"),  # maps decide nothing
        (0.6, "structures", effect(0.1, 0.3), False, 0.55, "uses structure"),
        (0.49, "structures", effect(0.1, 0.3), True, 0.55, "cannot be told"),
        (0.6, "faults", effect(-0.05, 0.05), True, 0.55, "does not use structure"),
        (0.6, "faults", effect(-0.05, 0.3), True, 0.55, "cannot be told"),
        (
            0.6,
            "faults",
            effect(-0.5, -0.15),
            True,
            0.55,
            "cannot be told",
        ),  # below other terrain
        (0.6, "faults", effect(np.nan, np.nan), True, 0.55, "cannot be told"),
        (0.6, None, {}, True, 0.55, "cannot be told"),
    ],
)
def test_verdict_by_the_stated_rules(skill_low, feature, ablation, passed, low, answer):
    controls = {"slope": {"auc_as_steep": 0.5}, "relief": {"auc_as_steep": 0.58}}
    failed = {"passed": False, "deletion": 0.1, feature: matched(0.9)}
    methods = {"gradient": failed, "grad_cam": {"passed": passed, "deletion": 0.2, feature: matched(low)}}
    given = verdict(skill_low, feature, methods, {feature: ablation, "range_front": effect(0.1, 0.3)}, controls)
    assert given["answer"] == answer
    assert given["method"] == ("grad_cam" if passed else None)
    assert any("range front" in reason for reason in given["reasons"]) == (feature is None)
    assert all(reason.endswith(".") and "nan" not in reason for reason in given["reasons"])


def test_the_map_that_passed_with_the_lowest_deletion_is_asked():
    methods = {
        name: {"passed": True, "deletion": deletion, "faults": matched(low)}
        for name, deletion, low in (("gradient", 0.3, 0.6), ("grad_cam", 0.2, 0.4))
    }
    given = verdict(0.6, "faults", methods, {"faults": effect(0.1, 0.3)}, {"slope": {"auc_as_steep": 0.5}})
    assert (given["method"], given["answer"]) == ("grad_cam", "uses structure")
    assert "(Grad-CAM) ranks terrain near faults" in given["reasons"][2]
    assert "0.450 (0.400 to 0.500; slope alone has 0.500)" in given["reasons"][2]


@pytest.mark.parametrize(
    ("structures", "lookalikes", "answer"),
    [
        (effect(0.1, 0.3), effect(-0.1, 0.05), "uses structure"),
        (effect(0.1, 0.3), effect(0.02, 0.2), "cannot be told"),
        (effect(0.01, 0.08), effect(0.0, 0.05), "does not use structure"),
        (effect(0.1, 0.3), effect(np.nan, np.nan), "uses structure"),
    ],
)
def test_the_effect_of_structures_is_above_that_of_lookalikes(structures, lookalikes, answer):
    methods = {"gradient": {"passed": False, "deletion": 0.1}}
    given = verdict(0.6, "structures", methods, {"structures": structures, "lookalikes": lookalikes}, {})
    assert given["answer"] == answer
    said = [reason for reason in given["reasons"] if "look-alikes" in reason]
    assert len(said) == np.isfinite(lookalikes["effect"])
