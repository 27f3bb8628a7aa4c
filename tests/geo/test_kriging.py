"""Kriging from the nearest points, compared with an exact Gaussian process."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from heatflow.geo import kriging
from heatflow.geo.kriging import Covariance, Neighbours


def exact(covariance):
    kernel = ConstantKernel(covariance.share) * Matern(covariance.range, nu=0.5)
    return GaussianProcessRegressor(kernel, alpha=1 - covariance.share, optimizer=None)


def field(rng, n, covariance):
    """Places in a square of 100 km, and values with that covariance."""
    place = rng.uniform(0, 100e3, (n, 2))
    between = exact(covariance).kernel(place) + (1 - covariance.share) * np.eye(n)
    return place, np.linalg.cholesky(between) @ rng.normal(size=n)


@pytest.mark.parametrize("covariance", [Covariance(0.5, 10e3), Covariance(0.95, 30e3)])
def test_nearest_points_do_almost_as_well_as_all(covariance):
    rng = np.random.default_rng(0)
    place, value = field(rng, 500, covariance)
    known, new = place[:400], place[400:]
    all_points = exact(covariance).fit(known, value[:400]).predict(new)
    nearest = covariance.predict(known, value[:400], new)
    assert np.abs(nearest - all_points).max() < 0.25 * value.std()
    errors = [np.mean((p - value[400:]) ** 2) for p in (nearest, all_points, np.zeros(100))]
    assert errors[0] < 1.03 * errors[1] < errors[2]


def test_with_few_points_it_is_the_exact_process():
    place, value = field(np.random.default_rng(1), 9, Covariance(0.8, 20e3))
    covariance, new = Covariance(0.8, 20e3), np.array([[5e4, 5e4], [0.0, 0.0]])
    np.testing.assert_allclose(covariance.predict(place, value, new), exact(covariance).fit(place, value).predict(new))
    others = [
        exact(covariance).fit(np.delete(place, k, 0), np.delete(value, k)).predict(place[[k]])[0] for k in range(9)
    ]
    np.testing.assert_allclose(covariance.predict_others(place, value), others)


def test_a_point_is_never_its_own_neighbour_not_even_where_points_coincide():
    place = np.zeros((30, 2))
    neighbours = Neighbours.nearest(place, place, others=True)
    own = neighbours.index == np.arange(30)[:, None]
    assert not (own & neighbours.there).any()


def test_the_covariance_of_a_field_is_found():
    true = Covariance(0.8, 10e3)
    place, value = field(np.random.default_rng(2), 1000, true)
    found = Covariance.fit(place, value)
    assert 0.6 <= found.share <= 0.95
    assert 5e3 <= found.range <= 20e3
    noise = Covariance.fit(place, np.random.default_rng(3).normal(size=1000))
    assert np.abs(noise.predict_others(place, np.ones(1000))).max() < 0.6


def test_without_points_or_differences_nothing_is_expected():
    nothing = Covariance.fit(np.zeros((0, 2)), np.zeros(0))
    assert nothing.share == Covariance.fit(np.zeros((5, 2)), np.zeros(5)).share == 0
    assert nothing.predict(np.zeros((0, 2)), np.zeros(0), np.zeros((3, 2))).tolist() == [0, 0, 0]
    assert nothing.predict_others(np.zeros((0, 2)), np.zeros(0)).tolist() == []


def test_parts_of_many_places_are_predicted_alike(monkeypatch):
    rng = np.random.default_rng(4)
    place, value = field(rng, 100, Covariance(0.8, 10e3))
    new = rng.uniform(0, 100e3, (50, 2))
    whole = Covariance(0.8, 10e3).predict(place, value, new)
    monkeypatch.setattr(kriging, "AT_ONCE", 7)
    np.testing.assert_array_equal(Covariance(0.8, 10e3).predict(place, value, new), whole)
