"""Background heat flow: recovered from wells of which many are hot."""

import numpy as np
import pytest

from heatflow.config.schema import Background
from heatflow.errors import InputError
from heatflow.geo import background as module
from heatflow.geo.background import fit_background, fit_without_own_block, robust_weight
from heatflow.grid.grids import Grid


def params(radius, decluster):
    return Background(radius=radius, decluster=decluster)


def wells(n=1500, hot=0.3, seed=0):
    """Wells on 500 x 500 km over a background of 60 to 110 mW/m2, a share of them hot and in clusters."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 500e3, n), rng.uniform(0, 500e3, n)
    k = int(hot * n)
    fields = rng.uniform(0, 500e3, (k // 15 + 1, 2))
    which = rng.integers(0, len(fields), k)
    x[:k], y[:k] = (fields[which] + rng.normal(0, 2e3, (k, 2))).T
    truth = level(x, y)
    heat = truth + rng.normal(0, 12, n)
    heat[:k] += rng.lognormal(5.5, 1.0, k)
    return x, y, heat, truth


def level(x, y):
    return 85 + 25 * np.sin(x / 250e3) * np.cos(y / 300e3)


def test_weights_are_the_published_law():
    np.testing.assert_allclose(robust_weight(np.array([0, 50, -50, 75, -100, 300])), [1, 1, 1, 0.1, 0.01, 1e-10])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_thirty_percent_of_hot_wells_do_not_pull_the_background_up(seed):
    x, y, heat, truth = wells(seed=seed)
    error = fit_background(x, y, heat, params(100e3, 5e3)).predict(x, y) - truth
    assert abs(np.median(error)) < 2
    assert abs(error.mean()) < 3
    assert error.std() < 5
    plain = np.median(heat - truth)
    assert heat.mean() - truth.mean() > 80  # what an average would say
    assert plain > 4


def test_hot_field_is_not_its_own_background():
    x, y, heat, _ = wells(n=800, hot=0)
    cluster = np.random.default_rng(5).normal([250e3, 250e3], 1.5e3, (600, 2))
    x, y = np.r_[x, cluster[:, 0]], np.r_[y, cluster[:, 1]]
    heat = np.r_[heat, np.full(600, 230.0)]
    at = np.array([250e3])
    assert fit_background(x, y, heat, params(60e3, 5e3)).predict(at, at)[0] == pytest.approx(level(250e3, 250e3), abs=8)
    assert fit_background(x, y, heat, params(60e3, 0)).predict(at, at)[0] > level(250e3, 250e3) + 50


def test_plane_is_recovered_exactly_and_wells_may_come_in_any_order():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1e6, -8e5, (2, 400))
    heat = 80 + x / 2e4 - y / 3e4
    heat -= heat.mean() - 80
    fit = fit_background(x, y, heat, params(80e3, 0))
    np.testing.assert_allclose(fit.predict(x, y), heat, atol=1e-6)
    order = rng.permutation(400)
    again = fit_background(x[order], y[order], heat[order], params(80e3, 0))
    np.testing.assert_allclose(again.predict(x, y), fit.predict(x, y), atol=1e-9)


def test_too_few_wells_give_no_background():
    x, y = np.array([0.0, 1e3, 2e3, 0.0, 1e3, 500e3]), np.array([0.0, 0, 0, 1e3, 1e3, 0])
    fit = fit_background(x, y, np.full(6, 70.0), params(50e3, 0))
    at = fit.predict(np.array([0.0, 500e3, 250e3]), np.zeros(3))
    assert at[0] == pytest.approx(70)
    assert np.isnan(at[1:]).all()


def test_wells_of_one_place_and_on_a_line_have_a_background():
    heat, zero = np.array([60.0, 70, 80, 70, 70]), np.zeros(5)
    one_place = fit_background(zero, zero, heat, params(10e3, 0))
    assert one_place.predict([0.0], [0.0])[0] == pytest.approx(70)
    x = np.arange(5) * 1e3
    line = fit_background(x, zero, 60 + x / 500, params(10e3, 0))
    assert line.predict([2e3], [0.0])[0] == pytest.approx(64)


def test_chunks_change_nothing(monkeypatch):
    x, y, heat, _ = wells(300)
    one = fit_background(x, y, heat, params(100e3, 5e3)).predict(x, y)
    monkeypatch.setattr(module, "CHUNK", 37)
    np.testing.assert_allclose(fit_background(x, y, heat, params(100e3, 5e3)).predict(x, y), one, atol=1e-9)


def test_more_pairs_than_memory_holds_are_refused(monkeypatch):
    x, y, heat, _ = wells(200)
    monkeypatch.setattr(module, "MAX_PAIRS", 1000)
    with pytest.raises(InputError, match=r"wells\.background\.radius: 200 wells make"):
        fit_background(x, y, heat, params(100e3, 5e3))


@pytest.mark.parametrize("decluster", [0, 5e3])
def test_without_its_own_block_a_well_has_the_background_of_the_others(decluster):
    x, y, heat, _ = wells(600)
    grid, edge, buffer, own = Grid(0, 500e3, 1000, 500, 500, None), 120e3, 30e3, params(150e3, decluster)
    found = fit_without_own_block(fit_background(x, y, heat, own), x, y, grid, edge, buffer, decluster)
    column, row = np.floor(x / edge), np.floor((500e3 - y) / edge)
    for k in np.random.default_rng(0).integers(0, 600, 8):
        left, top = column[k] * edge - buffer, 500e3 - row[k] * edge + buffer
        wide = edge + 2 * buffer
        rest = ~((x >= left) & (x <= left + wide) & (y <= top) & (y >= top - wide))
        expected = fit_background(x[rest], y[rest], heat[rest], own).predict(x[[k]], y[[k]])[0]
        assert found[k] == pytest.approx(expected, abs=0.5)  # both stop where nothing changes by 0.01


def test_heat_of_a_block_has_no_part_in_its_own_background():
    x, y, heat, _ = wells(600)
    grid, own = Grid(0, 500e3, 1000, 500, 500, None), params(200e3, 0)
    here = (x < 100e3) & (y > 400e3)
    fits = [fit_background(x, y, heat + more * here, own) for more in (0, 40)]
    with_it = [fit.predict(x[here], y[here]) for fit in fits]
    without = [fit_without_own_block(fit, x[here], y[here], grid, 100e3, 0, 0) for fit in fits]
    assert np.abs(with_it[1] - with_it[0]).max() > 5
    np.testing.assert_allclose(*without, atol=0.2)
