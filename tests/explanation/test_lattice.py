"""The lattice of strides: its share of a map, and averages over shifts that remove it."""

import numpy as np
import pytest
import torch

from heatflow.explanation.lattice import lattice_share, over_shifts


def test_averages_over_shifts_put_maps_back_in_their_places():
    place = np.zeros((1, 48, 48), dtype=np.float32)
    place[0, 20, 31] = 1
    same = over_shifts(lambda t: t[:, 0].numpy(), torch.from_numpy(place)[:, None], 4)
    np.testing.assert_allclose(same, place, atol=1e-6)


def test_averages_over_shifts_remove_the_lattice():
    comb = np.zeros((48, 48), dtype=np.float32)
    comb[::12, ::12] = 1

    def latticed(t):
        return np.broadcast_to(comb, (len(t), 48, 48)) * np.abs(t[:, 0].numpy())

    tiles = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(0)) + 1
    before, some, all_of_them = (lattice_share(over_shifts(latticed, tiles, n)) for n in (1, 4, 12))
    assert before > 0.8
    assert all_of_them < 0.1 < some < before
    comb[::3, ::3] = 1  # of the first layer alone
    assert lattice_share(over_shifts(latticed, tiles, 1)) > 0.8
    assert lattice_share(over_shifts(latticed, tiles, 3)) < 0.2
    for n in (2, 4, 5):  # uneven, but not all on the same of the three
        assert lattice_share(over_shifts(latticed, tiles, n)) < 0.7, n


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
    assert np.isnan(lattice_share(comb[:, :11, :11], 12))
