"""The effect's interval and p-values: exact cases, and how often chance alone is found."""

import numpy as np
import pytest

from heatflow.explanation.effect import exchange_p, ground_weights, label_p, mean_difference
from tests.explanation.test_ablation import Losses


def test_a_difference_of_paired_tiles_has_the_interval_of_its_differences():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(1, 200))
    second, block = first - 0.3 - 0.01 * rng.normal(size=(1, 200)), np.arange(200) // 4
    found = mean_difference("d", first, second, block, block, 0)
    assert found["d"] == pytest.approx(0.3, abs=0.01)
    assert found["d_high"] - found["d_low"] < 0.01  # what tiles have in common falls out


def test_intervals_hold_the_luck_of_networks():
    tiles, block = np.zeros((3, 100)), np.arange(100) // 4
    lucky = tiles + np.array([[-0.1], [0.0], [0.1]])
    widths = []
    for first in (tiles, lucky):
        found = mean_difference("d", first, None, block, block, 0)
        widths.append(found["d_high"] - found["d_low"])
    assert widths[0] == 0
    assert widths[1] > 0.15
    assert np.isnan(mean_difference("d", lucky, None, block * 0, block * 0, 0)["d_low"])


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_p_values_find_a_difference_and_keep_their_level(shift):
    rng, found = np.random.default_rng(1), []
    for seed in range(60):
        own, others = shift + rng.normal(size=40), rng.normal(size=(40, 4))
        found.append((label_p(own, others[:, 0], seed) < 0.05, exchange_p(own, others, seed) < 0.05))
    times = np.sum(found, axis=0)
    assert (times <= 9).all() if shift == 0 else (times >= 55).all()  # 3 of 60 expected by chance


def test_ground_is_regressed_out_within_tiles():
    rng = np.random.default_rng(0)
    ground, weight = rng.normal(size=(50, 8, 3)), np.array([0.5, -0.2, 0.1])
    lost = ground @ weight + 3 * rng.normal(size=(50, 1))  # tiles differ by more than ground does
    losses = Losses(lost[None, :, 0], lost[None, :, :4], lost[None, :, 4:], ground[:, 0], ground[:, :4], ground[:, 4:],
                    np.arange(50), 50)  # fmt: skip
    np.testing.assert_allclose(ground_weights(losses), weight, atol=1e-9)
