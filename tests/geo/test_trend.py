"""Detrending: the trend of the definition, planes removed exactly, nothing invented, strips without a seam."""

import numpy as np
import pytest

from heatflow.geo import trend
from heatflow.geo.trend import detrend
from tests.geo.definition import trend_at

# (shape, radius in pixels): cells of one pixel; of two; radius beyond the raster; cells of several, not dividing it
CASES = [((90, 110), 7.3), ((220, 200), 199.0), ((60, 50), 400.0), ((431, 333), 317.3)]


def rough(shape, seed=0):
    """Terrain of a realistic spectrum, standard deviation 500 m."""
    rng = np.random.default_rng(seed)
    wave = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    wave[0, 0] = 1
    z = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * wave**-1.6, shape)
    return (1500 + 500 * z / z.std()).astype(np.float32)


def with_gaps(z, seed=1):
    """A corner, a strip along an edge and scattered pixels without data, and a lone pixel in the corner of the gap."""
    z = z.copy()
    height, width = z.shape
    z[: height // 3, : width // 4] = np.nan
    z[height // 2 :, -width // 8 :] = np.nan
    z[np.random.default_rng(seed).random(z.shape) < 0.05] = np.nan
    z[-1, -1] = 1000
    return z


def run(z, radius, rows=37):
    strips = ((top, z[top : top + rows]) for top in range(0, len(z), rows))
    done = list(detrend(strips, z.shape, radius))
    assert [top for top, _ in done] == list(range(0, len(z), rows))
    return np.concatenate([strip for _, strip in done])


@pytest.mark.parametrize(("shape", "radius"), CASES)
def test_trend_is_that_of_the_definition(shape, radius):
    z = with_gaps(rough(shape))
    out = run(z, radius)
    rng = np.random.default_rng(2)
    row, column = np.nonzero(np.isfinite(z))
    some = np.r_[rng.integers(0, len(row), 60), 0, len(row) - 2]
    row, column = row[some], column[some]
    error = z[row, column].astype(float) - out[row, column] - trend_at(z, row, column, radius)
    tolerance = 2e-4 if radius < 200 else 3e-4 * np.nanstd(z)
    assert np.abs(error).max() < tolerance


@pytest.mark.parametrize(("shape", "radius"), CASES)
def test_plane_is_removed_exactly_beside_missing_data_and_nothing_is_invented(shape, radius):
    y, x = np.indices(shape, dtype=np.float64)
    z = with_gaps(3 * x - 2 * y + 4000)
    z[-1, -1] = (3 * x - 2 * y + 4000)[-1, -1]
    out = run(z, radius)
    assert (np.isnan(out) == np.isnan(z)).all()
    assert np.nanmax(np.abs(out)) < 1e-6


def test_strips_leave_no_seam():
    z = with_gaps(rough((400, 150)))
    one = run(z, 170.0, rows=400)
    for rows in (1, 64, 399):
        np.testing.assert_allclose(run(z, 170.0, rows), one, atol=1e-3)


def test_blocks_leave_no_seam(monkeypatch):
    z = with_gaps(rough((300, 260)))
    one = run(z, 60.0)
    monkeypatch.setattr("heatflow.geo.trend.BLOCK", 50)
    monkeypatch.setattr("heatflow.geo.trend.BATCH", 20)
    np.testing.assert_allclose(run(z, 60.0), one, atol=1e-3)


def test_single_pixels_and_lines_have_no_slope_to_go_wrong():
    z = np.full((40, 60), np.nan, dtype=np.float32)
    z[5, 7] = 123.0
    z[30, 20:50] = 2.0 * np.arange(30)
    out = run(z, 12.0)
    assert out[5, 7] == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(out[30, 20:50], 0, atol=1e-3)
    assert np.isfinite(out).sum() == 31


def test_raster_without_data_stays_without():
    assert np.isnan(run(np.full((50, 30), np.nan, dtype=np.float32), 9.0)).all()


def test_definition_by_hand():
    z = np.array([[0.0, 4.0, 0.0]])
    w = (1 - 0.5**3) ** 3
    assert trend_at(z, np.array([0]), np.array([1]), 2.0)[0] == pytest.approx(4 / (1 + 2 * w))


@pytest.mark.parametrize("radius", [7.3, 317.3])
def test_a_wide_raster_in_parts_has_the_trend_of_the_whole(monkeypatch, radius):
    z = with_gaps(rough((331, 433)))
    whole = run(z, radius)
    monkeypatch.setattr(trend, "WIDE", 64)
    monkeypatch.setattr(trend, "NODES", 2000)
    np.testing.assert_allclose(run(z, radius), whole, atol=1e-3)
