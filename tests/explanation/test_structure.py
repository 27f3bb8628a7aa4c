"""The known answer: maps that point at features, networks that need them, and verdicts by the stated rules."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from heatflow.explanation.structure import (
    TERRAIN,
    Known,
    Places,
    bins_of,
    by_distance,
    distance_table,
    find_places,
    known_answer,
    pointing_game,
    ranking,
    verdict,
    worth,
)

RNG = np.random.default_rng(0)
SIZE = 80


def disc(row, column, radius=10):
    r, c = np.ogrid[:SIZE, :SIZE]
    return (r - row) ** 2 + (c - column) ** 2 <= radius**2


def test_ranking_is_the_area_under_the_curve_of_each_tile():
    maps, near = RNG.random((3, 20, 20)), RNG.random((3, 20, 20)) < 0.2
    near[2] = False
    found = ranking(maps, near)
    ranks, n = rankdata(maps[0].ravel()), near[0].sum()
    assert found[0] == pytest.approx((ranks[near[0].ravel()].sum() - n * (n + 1) / 2) / (n * (400 - n)))
    assert np.isnan(found[2])
    assert ranking(near.astype(float), near)[0] == 1
    assert ranking(np.zeros((1, 20, 20)), near[:1])[0] == 0.5


def test_slope_says_nothing_among_equally_steep_surroundings():
    near = np.stack([disc(40, 40)] * 5)
    slope = gaussian_filter(RNG.random(near.shape), (0, 3, 3)) + 0.05 * near
    scores = known_answer(slope, near, bins_of(slope), softness=0.1)
    assert scores["auc"].mean() > 0.8
    assert abs(scores["auc_as_steep"].mean() - 0.5) < 0.1
    told = known_answer(near.astype(float), near, bins_of(slope), softness=0.1)
    assert told["auc_as_steep"].mean() > 0.99
    assert told["pointing"].all()


def test_pointing_game_and_missing_data():
    maps, near = np.zeros((2, SIZE, SIZE)), np.stack([disc(20, 20)] * 2)
    maps[0, 22, 22] = 1
    maps[1, 70, 70] = 1
    assert pointing_game(maps, near).tolist() == [True, False]
    maps[1, 70, 70] = np.nan
    maps[1, 20, 20] = 0.5
    assert pointing_game(maps, near)[1]


def test_strength_by_distance_is_relative_to_the_tile():
    distance = np.broadcast_to(np.arange(SIZE) * 100.0, (2, SIZE, SIZE))
    strength = np.where(distance < 2000, 3.0, 1.0) * np.array([1, 50])[:, None, None]
    found = by_distance(strength, distance, np.array([0, 1000, 2000, 3000, 99_000, 100_000]))
    assert found[0] == found[1] == pytest.approx(2.0)
    assert found[2] == found[3] == pytest.approx(2 / 3)
    assert np.isnan(found[4])


def test_places_elsewhere_are_as_large_as_steep_and_off_the_features():
    near = np.stack([disc(20, 20)] * 4)
    steep = np.zeros(near.shape)
    steep[:, disc(20, 20, 14) | disc(60, 56, 14)] = 30  # one other place is as steep
    found = find_places(near, steep, softness=1.0)
    for mask in found.elsewhere.reshape(-1, SIZE, SIZE):
        assert mask.sum() == pytest.approx(found.features[0].sum(), rel=0.01)
    steepness = (found.elsewhere * steep).sum(axis=(2, 3)) / found.elsewhere.sum(axis=(2, 3))
    overlap = (found.elsewhere * found.features).sum(axis=(2, 3)) / (found.features**2).sum(axis=(1, 2))
    assert overlap.max() < 0.4
    np.testing.assert_allclose(steepness, 30, rtol=0.15)


@pytest.mark.parametrize(("uses", "least", "most"), [("features", 0.5, 9), ("steep", -0.2, 0.2)])
def test_worth_tells_a_network_that_needs_features_from_one_that_needs_slopes(uses, least, most):
    near = np.stack([disc(20, 20)] * 6)
    steep = (near | np.stack([disc(60, 56)] * 6)).astype(float)
    terrain = steep * 100 * RNG.random(near.shape)
    wanted = near if uses == "features" else steep > 0

    def evidence(z):
        return np.array([np.abs(tile[mask]).mean() / 20 for tile, mask in zip(z, wanted, strict=True)])

    places = find_places(near, steep, softness=0.5)
    lost, elsewhere = worth(evidence, terrain, np.zeros_like(terrain), places)
    assert least < (lost - elsewhere).mean() < most


def test_worth_of_everything_is_the_whole_evidence():
    z = RNG.random((2, SIZE, SIZE))
    every = Places(np.ones(z.shape), np.zeros((4, *z.shape)))
    lost, elsewhere = worth(lambda t: t.sum(axis=(1, 2)), z, np.zeros_like(z), every)
    np.testing.assert_allclose(lost, z.sum(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(elsewhere, 0, atol=1e-3)


def effect(low, high):
    return {"effect": (low + high) / 2, "effect_low": low, "effect_high": high, "tiles": 40, "tiles_with_features": 60}


def matched(low):
    return {"auc_as_steep": low + 0.05, "auc_as_steep_low": low, "auc_as_steep_high": low + 0.1}


@pytest.mark.parametrize(
    ("skill_low", "features", "found", "method", "low", "answer"),
    [
        (0.6, "structures", effect(0.1, 0.3), "Grad-CAM", 0.55, "uses structure"),
        (0.6, "structures", effect(0.1, 0.3), "Grad-CAM", 0.48, "cannot be told"),
        (0.6, "structures", effect(0.1, 0.3), None, 0.55, "cannot be told"),
        (0.49, "structures", effect(0.1, 0.3), "Grad-CAM", 0.55, "cannot be told"),
        (0.6, "faults", effect(-0.05, 0.05), "Grad-CAM", 0.55, "does not use structure"),
        (0.6, "faults", effect(-0.05, 0.3), "Grad-CAM", 0.55, "cannot be told"),
        (0.6, "faults", effect(-0.5, -0.15), "Grad-CAM", 0.55, "cannot be told"),  # worth less than other terrain
        (0.6, "faults", effect(np.nan, np.nan), "Grad-CAM", 0.55, "cannot be told"),
        (0.6, None, {}, "Grad-CAM", 0.55, "cannot be told"),
    ],
)
def test_verdict_by_the_stated_rules(skill_low, features, found, method, low, answer):
    controls = {"slope": {"auc_as_steep": 0.5}, "relief": {"auc_as_steep": 0.58}}
    given = verdict(skill_low, features, found, method, matched(low), effect(0.1, 0.3), controls)
    assert given["answer"] == answer
    assert any("range front" in reason for reason in given["reasons"]) == (features is None)
    assert all(reason.endswith(".") and "nan" not in reason for reason in given["reasons"])


def test_effect_counts_only_tiles_with_terrain_as_steep_elsewhere():
    """A network that counts rough pixels, whatever they are: features are worth what terrain as steep is."""
    n = 60
    near = np.stack([disc(20, 20)] * n)
    steep = np.where(near, 30.0, 1.0)
    steep[:40, disc(60, 56)] = 30.0  # the other twenty have nothing as steep
    around = dict.fromkeys(TERRAIN, steep) | {"steepness": steep, "background": np.zeros(near.shape)}
    distance = np.where(near, 0.0, 9_000.0)
    known = Known.find("x", 1_000.0, around | {"x": distance}, np.arange(n), np.arange(n) // 3, 1.0, 0)

    class Rough:
        data = SimpleNamespace(elevation=lambda index: steep[index].astype(np.float32))

        @staticmethod
        def evidence(index, terrain):
            return (terrain > 15).sum(axis=(1, 2)) / 100

    found = known.effect(Rough)
    assert (found["tiles"], found["tiles_with_features"]) == (40, n)
    assert found["lost"] > 1
    assert abs(found["effect"]) < 0.1 * found["lost"]
    assert abs(found["steepness"] - found["steepness_elsewhere"]) < 1
    steep[:] = np.where(near, 30.0, 1.0)
    few = Known.find("x", 1_000.0, around | {"x": distance}, np.arange(n), np.arange(n) // 3, 1.0, 0)
    assert np.isnan(few.effect(Rough)["effect"])


def test_scores_are_means_less_slopes_and_those_of_tiles_called_high():
    near = np.stack([disc(20, 20)] * 40)
    slope = RNG.random(near.shape).astype(np.float32)
    around = dict.fromkeys(TERRAIN, slope) | {"steepness": slope, "background": slope}
    known = Known.find("x", 1_000.0, around | {"x": np.where(near, 0.0, 9e3)}, np.arange(40), np.arange(40), 2.0, 0)
    called = np.arange(40) < 10
    maps = np.where(called[:, None, None], near * 1.0, RNG.random(near.shape))
    found = known.score(maps, called)
    assert found["auc_called_high"] == 1
    assert found["auc"] == pytest.approx(0.25 + 0.75 * 0.5, abs=0.03)
    assert found["auc_against_slope"] == pytest.approx(found["auc"] - 0.5, abs=0.03)
    table = distance_table({"m": maps}, known.distance, np.array([0, 1e3, 1e4]), {"all": called | True, "high": called})
    assert table["tiles"].tolist() == [40, 40, 10, 10]
    assert table["strength"][2] > 20 * table["strength"][3]
