"""Classes of tiles from class probabilities of their sites."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from heatflow.evaluation.by_sites import fit_correlation, log_probability, tile_probabilities


@pytest.mark.parametrize("r", [0.0, 0.3, 0.8])
def test_the_probability_is_the_integral_over_what_sites_have_in_common(r):
    above, p = np.array([True, False, False]), np.array([0.6, 0.1, 0.3])

    def given(factor):
        each = norm.cdf((norm.ppf(p) + np.sqrt(r) * factor) / np.sqrt(1 - r))
        return np.where(above, each, 1 - each).prod() * norm.pdf(factor)

    found = log_probability(above, p, np.array([1, 1, 1]), 2, r)
    assert np.exp(found[1]) == pytest.approx(quad(given, -8, 8)[0], rel=0.003)
    assert found[0] == pytest.approx(0)  # has no sites


@pytest.mark.parametrize("r", [0.05, 0.4, 0.8])
def test_the_correlation_is_found_that_made_the_sites(r):
    rng = np.random.default_rng(0)
    tile = np.repeat(np.arange(3000), rng.integers(1, 7, 3000))
    p = rng.uniform(0.1, 0.9, (len(tile), 1))
    common, own = rng.normal(size=(3000, 1))[tile], rng.normal(size=(len(tile), 1))
    above = np.sqrt(r) * common + np.sqrt(1 - r) * own < norm.ppf(p)
    assert fit_correlation(above, p, tile, 3000) == pytest.approx(r, abs=0.04)


def test_a_tile_is_no_colder_than_its_hottest_site_and_grows_with_the_number_of_sites():
    rng = np.random.default_rng(1)
    number, fold = np.tile([1, 2, 4, 8], 100), np.arange(400) // 4 % 3
    tile = np.repeat(np.arange(400), number)
    common = rng.normal(size=400)[tile]
    hot = common + rng.normal(size=len(tile)) > 1.4 * norm.ppf(0.7)
    alike = np.tile([0.5, 0.2, 0.3], (len(tile), 1))
    high = tile_probabilities(alike, np.where(hot, 2, 0), tile, fold)[:, 2].reshape(100, 4)
    assert high[:, 0] == pytest.approx(0.3)
    assert (np.diff(high, axis=1) > 0.01).all()
    assert (high[:, 3] < 1 - 0.7**8 - 0.1).all()  # they are alike
    p_high = rng.uniform(0.01, 0.99, len(tile))
    unlike = np.column_stack([0.8 * (1 - p_high), 0.2 * (1 - p_high), p_high])
    found = tile_probabilities(unlike, np.where(hot, 2, 0), tile, fold)
    assert (found[:, 2] >= np.maximum.reduceat(p_high, np.searchsorted(tile, np.arange(400))) - 1e-9).all()


def test_probabilities_are_positive_sum_to_one_and_do_not_look_at_their_own_fold():
    rng = np.random.default_rng(2)
    tile, fold = np.repeat(np.arange(200), 3), np.arange(200) % 2
    sites = rng.dirichlet([1, 1, 1], 600)
    label = rng.integers(0, 3, 200)[tile]
    found = tile_probabilities(sites, label, tile, fold)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found > 0).all()
    changed = np.where(fold[tile] == 0, rng.integers(0, 3, 600), label)
    again = tile_probabilities(sites, changed, tile, fold)
    np.testing.assert_array_equal(again[fold == 0], found[fold == 0])
    assert not np.array_equal(again[fold == 1], found[fold == 1])
