"""The verdict by the stated rules."""

from itertools import product

import numpy as np
import pytest

from heatflow.explanation.verdict import LEAST, MARGIN, NOT, OPEN, RELIEF, USES, answer, size, verdict


def effect(excess, arrangement, p=0.001):
    """An effect with intervals."""
    names = {"excess": excess, "effect": arrangement}
    found = {f"{name}{end}": value for name, (low, high) in names.items()
             for end, value in (("", (low + high) / 2), ("_low", low), ("_high", high))}  # fmt: skip
    return found | {"p": p, "tiles": 40, "tiles_with_features": 60, "control": "look-alikes"}


SURE, SMALL, WIDE, SLIGHT = (0.06, 0.3), (-0.04, 0.06), (-0.05, 0.3), (0.01, 0.12)


@pytest.mark.parametrize(
    ("skill_low", "excess", "arrangement", "p", "given"),
    [
        (0.6, SURE, SURE, 0.001, USES),
        (0.6, SURE, SURE, 0.06, OPEN),
        (0.49, SURE, SURE, 0.001, OPEN),
        (0.6, WIDE, SURE, 0.001, OPEN),
        (0.6, SMALL, SURE, 0.001, OPEN),
        (0.6, SURE, SMALL, 0.6, RELIEF),
        (0.49, SURE, SMALL, 0.6, OPEN),
        (0.6, SURE, (0.01, 0.09), 0.001, RELIEF),  # above 0, and surely within the margin
        (0.6, SURE, WIDE, 0.2, OPEN),
        (0.6, SURE, SLIGHT, 0.02, OPEN),  # above 0, but it may be the luck of training
        (0.6, SLIGHT, SURE, 0.001, OPEN),
        (0.6, SMALL, SMALL, 0.6, NOT),
        (0.49, SMALL, SMALL, 0.6, NOT),
        (0.6, (-0.3, -0.1), SMALL, 0.6, OPEN),
        (0.6, SURE, (-0.3, -0.1), 0.001, OPEN),  # look-alikes matter more
        (0.6, SURE, (np.nan, np.nan), np.nan, OPEN),
    ],
)
def test_answers_by_the_stated_rules(skill_low, excess, arrangement, p, given):
    assert answer(skill_low, effect(excess, arrangement, p)) == given


def test_an_interval_is_of_one_size_only():
    grid = np.linspace(-0.3, 0.3, 25)
    for low, high in ((a, b) for a, b in product(grid, grid) if a <= b):
        inside, above = low > -MARGIN and high < MARGIN, low > LEAST and high >= MARGIN
        assert not (inside and above)
        expected = "none" if inside else "positive" if above else "open"
        assert size({"effect_low": low, "effect_high": high}, "effect") == expected


def scores(low, deletion, passed=True):
    of = {"auc_as_steep": low + 0.05, "auc_as_steep_low": low, "auc_as_steep_high": low + 0.1}
    of |= {"beyond_control": low - 0.45, "beyond_control_low": low - 0.5, "beyond_control_high": low - 0.4}
    return {"passed": passed, "deletion": deletion, "faults": of}


@pytest.mark.parametrize("passed", [True, False])
def test_maps_decide_nothing(passed):
    methods = {"gradient": scores(0.9, 0.1, passed=False), "grad_cam": scores(0.4, 0.2, passed)}
    given = verdict(0.6, "faults", methods, {"faults": effect(SURE, SURE)}, {"slope": {"auc_as_steep": 0.5}})
    assert given["answer"] == USES
    assert given["method"] == ("grad_cam" if passed else None)
    assert all(reason.endswith(".") and "nan" not in reason for reason in given["reasons"])


def test_the_map_that_passed_with_the_lowest_deletion_is_described():
    methods = {"gradient": scores(0.6, 0.3), "grad_cam": scores(0.4, 0.2)}
    given = verdict(0.6, "faults", methods, {"faults": effect(SURE, SURE)}, {"slope": {"auc_as_steep": 0.5}})
    assert given["method"] == "grad_cam"
    assert "(Grad-CAM) ranks terrain near faults" in given["reasons"][-1]
    assert "a chance of 0.450 (0.400 to 0.500). The best map" in given["reasons"][-1]
    assert "(slope) has 0.500; the difference, tile by tile, is -0.050 (-0.100 to +0.000)." in given["reasons"][-1]


def test_without_features_range_fronts_are_told_and_decide_nothing():
    given = verdict(0.6, None, {}, {"range_front": effect(SURE, SURE)}, {})
    assert given["answer"] == OPEN
    assert "range front" in given["reasons"][-1]
    assert verdict(0.6, None, {}, {}, {})["answer"] == OPEN
    unknown = effect((np.nan, np.nan), (np.nan, np.nan), np.nan)
    few = verdict(0.6, "faults", {}, {"faults": unknown}, {})
    assert few["answer"] == OPEN
    assert "Too few tiles with faults" in few["reasons"][-1]
