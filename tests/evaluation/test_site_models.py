"""Baselines of places: what they learn, and that wells of a test tile have no part in its score."""

from dataclasses import replace

import numpy as np
import pytest

from heatflow.evaluation.site_models import POINTS, Places, linear_model, nearest_model


@pytest.fixture
def places():
    """Forty tiles in a row; heat is in the even ones, the first column tells it, the other is noise."""
    rng = np.random.default_rng(0)
    tile = np.repeat(np.arange(40), 3)
    high = tile % 2 == 0
    sites = np.column_stack([high + rng.normal(0, 0.1, 120), rng.normal(size=120)])
    points = np.zeros((40, POINTS**2, 2))
    points[:, :, 0] = (np.arange(40) % 2 == 0)[:, None]
    return Places(tile, high, sites, points)


def test_a_linear_model_learns_sites_and_scores_tiles(places):
    known, test = np.arange(40) < 28, np.arange(40) >= 28
    of_known, of_test, of_sites = places.fold(linear_model, known, test, np.arange(40) // 2)
    assert of_known.shape == (28,)
    assert ((of_test > 0) == (np.arange(28, 40) % 2 == 0)).all()
    assert ((of_known > 0) == (np.arange(28) % 2 == 0)).all()
    asked = places.high[test[places.tile]]
    assert of_sites[asked].min() > 0.5 > of_sites[~asked].max()


def test_wells_of_a_test_tile_have_no_part_in_its_score(places):
    known, test, block = np.arange(40) < 28, np.arange(40) >= 28, np.arange(40) // 2
    before = places.fold(linear_model, known, test, block)
    unknown = test[places.tile]
    changed = replace(
        places, high=np.where(unknown, ~places.high, places.high),
        sites=np.where(unknown[:, None], 9.0, places.sites),
    )  # fmt: skip
    after = changed.fold(linear_model, known, test, block)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_the_score_of_a_known_tile_is_that_of_a_model_without_its_part(places):
    known, test, block = np.arange(40) < 28, np.arange(40) >= 28, np.arange(40) // 2
    asked = []

    def spy(columns, high, weight, new):
        asked.append((len(columns), len(new)))
        return np.full(len(new), 0.5)

    places.fold(spy, known, test, block)
    *inner, last = [n for n, _ in asked]
    assert last == 28 * 3
    assert sum(last - n for n in inner) == last  # each known site is left out once


def test_kriging_recovers_a_field_and_falls_back_on_the_mean_far_away():
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 400, (300, 2))
    high = (place[:, 0] > 200).astype(float)
    new = np.array([[50.0, 200.0], [350.0, 200.0], [1e5, 1e5]])
    p = nearest_model(place, high, np.ones(300), new)
    assert p[0] < 0.15
    assert p[1] > 0.85
    assert p[2] == pytest.approx(high.mean())


def test_sites_of_one_side_alone_give_a_constant(places):
    cold = replace(places, high=np.zeros(120, dtype=bool))
    p, sites = cold.predict(linear_model, np.arange(40) < 20, np.arange(40) >= 20)
    assert len(set(p)) == len(set(sites)) == 1
