"""The lattice of strides: its share of a map, and averages over shifts that remove it."""

import numpy as np
import pytest
import torch

from heatflow.explanation.lattice import lattice_share, over_shifts


def test_averages_over_shifts_put_maps_back_in_their_places():
    place = np.zeros((1, 48, 48), dtype=np.float32)
    place[0, 20, 31] = 1
    same = over_shifts(lambda t: t[:, 0].numpy(), torch.from_numpy(place)[:, None], 4, 24, 3)
    np.testing.assert_allclose(same, place, atol=1e-6)


@pytest.mark.parametrize("period", [12, 24])
def test_averages_over_shifts_remove_the_lattice(period):
    def latticed(t):
        return np.broadcast_to(comb, (len(t), 48, 48)) * np.abs(t[:, 0].numpy())

    def share(shifts):
        return lattice_share(over_shifts(latticed, tiles, shifts, period, 3), period)

    tiles = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(0)) + 1
    comb = np.zeros((48, 48), dtype=np.float32)
    comb[::period, ::period] = 1
    assert share(1) > 0.9
    assert share(4) < 0.8
    if period == 12:
        assert share(12) < 0.1  # every pixel of the lattice
    comb[::3, ::3] = 1  # of the first layer alone
    assert share(1) > 0.9
    assert share(3) < 0.4
    for n in (2, 4, 5):  # uneven, but not all on the same of the three
        assert share(n) < 0.7, n


@pytest.mark.parametrize("period", [12, 24])
def test_share_of_white_noise_is_the_share_of_the_frequencies(period):
    white = np.random.default_rng(0).normal(size=(40, 192, 192))
    assert lattice_share(white, period) == pytest.approx((period / 192) ** 2, rel=0.1)


def test_rows_beyond_the_last_period_are_cut_and_empty_maps_left_out():
    comb = np.zeros((3, 53, 53))
    comb[0, ::12, ::12] = 1
    comb[1, 50, 50] = 1  # cut
    assert lattice_share(comb[:1], 12) == pytest.approx(1)
    assert lattice_share(comb[[0, 2]], 12) == pytest.approx(1)
    assert np.isnan(lattice_share(comb[2:], 12))
    assert np.isnan(lattice_share(comb[:1, :23, :23], 12))
