import geopandas
import pandas as pd
import pytest
import shapely

from heatflow.explanation.verdict import NOT, RELIEF, USES
from heatflow.present import answers
from tests.helpers import LEFT, TOP
from tests.present.helpers import NAN, make_baselines, make_evaluation

HIGH = "above 50 mW/m²"


def with_relief(**verdicts):
    """Content of metrics/evaluation.json and of the table of baselines, with statistics of terrain by verdict."""
    evaluation, baselines = make_evaluation(), make_baselines()
    count = baselines[baselines["prediction"] == "count"]
    for k, (name, verdict) in enumerate(verdicts.items()):
        evaluation["baseline"][name] = evaluation["baseline"]["count"] | {"auc_high": 0.6 + k / 100}
        evaluation["skill"][name] = evaluation["skill"]["count"] | {"verdict": verdict}
    return evaluation, pd.concat([baselines, *(count.assign(prediction=name) for name in verdicts)])


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        ({}, "Yes, more than a guess."),
        ({"terrain": "above", "local": "above"}, "Yes, more than both."),
        ({"terrain": "above", "local": "within noise of"}, "More than a guess, but not clearly more than relief."),
    ],
)
def test_terrain_is_compared_with_a_guess_and_with_relief(verdicts, answer):
    found = answers.skill(*with_relief(**verdicts), HIGH)
    assert (found.answer, found.number) == (answer, "0.700 (0.600\u00a0to\u00a00.800)")
    assert "It is not clearly better than: number of wells" in " ".join(found.more)
    assert ("terrain around each place) have 0.610" in " ".join(found.more)) == ("local" in verdicts)


def test_no_skill_is_said_and_so_is_a_region_where_nothing_can_be_ranked():
    found = answers.skill(make_evaluation(guess="within noise of"), make_baselines(), HIGH)
    assert found.answer == "It is not shown to be better than a guess."
    assert (
        found.more[0]
        == "The interval lies above 0.5. A yes needs more: surely more than 0.02 above it, at 2 comparisons."
    )
    found = answers.skill(make_evaluation(None), make_baselines(), HIGH)
    assert found.answer.startswith("It cannot be told")
    assert (found.number, found.picture) == ("–", "")


def test_best_statistics_of_relief_are_always_in_the_picture():
    evaluation, baselines = with_relief(terrain="above", a="above", b="above", c="above")
    picture = answers.skill(evaluation, baselines, HIGH).picture
    assert "network 0.600 (0.500" not in picture  # the made-up intervals have no upper end
    assert "network 0.600; number of wells 0.600; c 0.600; terrain statistics, trees 0.600" in picture


def effect(value, low, high, **lookalikes):
    """As metrics/saliency.json has it."""
    ends = {"": value, "_low": low, "_high": high}
    numbers = {f"{name}{end}": of for name in ("effect", "lost", "lost_elsewhere") for end, of in ends.items()}
    return {"tiles": 30, "control": "similar ground"} | numbers | lookalikes


LOOKALIKES = {"lost_lookalikes": -0.05, "lost_lookalikes_low": -0.06, "lost_lookalikes_high": -0.04}


@pytest.mark.parametrize(
    ("verdict", "effects", "answer", "number"),
    [
        ("uses structure", {"structures": effect(0.2, 0.1, 0.3, control="look-alikes", **LOOKALIKES)},
         "Yes, it uses structure.", "+0.200 (+0.100\u00a0to\u00a0+0.300)"),
        ("uses local relief, not its arrangement", {"faults": effect(0.0, -0.05, 0.05)},
         "No: it uses relief, not its arrangement.", "+0.000 (−0.050\u00a0to\u00a0+0.050)"),
        ("does not use structure", {"faults": effect(0.0, -0.05, 0.05)}, "No, it does not.",
         "+0.000 (−0.050\u00a0to\u00a0+0.050)"),
        ("cannot be told", {"structures": effect(None, None, None)}, "It cannot be told.", "–"),
        ("cannot be told", {}, "It cannot be told.", "–"),
        ("cannot be told", {"range_front": effect(0.0, -0.1, 0.1)}, "It cannot be told.", "–"),
        ("cannot be told", {"faults": effect(0.1, -0.1, 0.3)}, "It cannot be told.",
         "+0.100 (−0.100\u00a0to\u00a0+0.300)"),
    ],
)  # fmt: skip
def test_structure_is_answered_by_the_verdict_and_the_effect(verdict, effects, answer, number):
    found = answers.structure({"verdict": {"answer": verdict, "reasons": ["a", "b"]}, "effects": effects})
    assert (found.answer, found.number) == (answer, number)
    undecided, measured = verdict == "cannot be told", bool(effects.get("faults", {}).get("effect"))
    assert ("b" in found.more) == (undecided and not measured)
    assert (answers.UNDECIDED in found.more) == (undecided and measured)
    alike = any("lost_lookalikes" in one for one in effects.values())
    assert ("same hills" in " ".join(found.more)) == alike == ("without look-alikes" in found.picture)
    deciding = [one for name, one in effects.items() if name in answers.DECIDING]
    assert bool(found.picture) == any(one["effect"] is not None for one in deciding)
    assert ("data.faults" in found.meaning) == (not set(effects) & set(answers.DECIDING))
    for one in effects.values():
        assert (one["control"] in found.meaning) == bool(found.picture)


def test_each_verdict_that_is_no_doubt_has_an_answer():
    assert set(answers.ANSWERS) == {USES, RELIEF, NOT}


def top(**changes):
    row = {"rank": 1, "p_high": 0.95, "p_cautious": 0.92, "networks": 4, "n_wells": 2, "lat": 39.2, "lon": -116.341}
    return pd.DataFrame([row | changes, row | {"rank": 2, "n_wells": 0}])


def test_the_best_place_has_its_probability_with_the_interval_of_its_networks():
    found = answers.places(top(), "", HIGH, 40.0, skilled=True)
    assert (found.answer, found.number) == ("39.20° N, 116.34° W", "0.95 (0.89\u00a0to\u00a01.00)")
    assert "2 wells" in found.meaning
    assert found.more[1:] == ("The first without a well is number 2.",)
    assert answers.places(top(networks=1, p_cautious=NAN), "", HIGH, 40.0, skilled=True).number == "0.95"


def test_the_best_place_of_a_network_without_skill_has_no_probability():
    found = answers.places(top(), "", HIGH, 40.0, skilled=False)
    assert (found.answer, found.number) == ("39.20° N, 116.34° W", "–")
    assert "The network has no clear skill, so its probability is not shown." in found.meaning
    assert answers.places(top()[:0], "", HIGH, 40.0, skilled=True).answer.startswith("Nowhere")


def test_the_map_has_a_number_at_each_of_the_best_places(rasters):
    places = geopandas.GeoDataFrame({"rank": [2, 1], "x": [LEFT + 6000, LEFT + 12000], "y": [TOP - 8000, TOP]},
                                    geometry=[shapely.Point(0, 0)] * 2)  # fmt: skip
    picture = answers.map_picture(rasters["terrain"], rasters["probability"], places, HIGH)
    assert 'viewBox="0 0 60 40"' in picture  # the raster has 60 by 40 pixels of 200 m
    assert picture.index('cx="60.0" cy="0.0"') < picture.index('cx="30.0" cy="40.0"')
    assert picture.index(">1</text>") < picture.index(">2</text>")
