"""Ablation effect: places on equally steep terrain, and networks that need features or slopes."""

from types import SimpleNamespace

import numpy as np
import pytest

from heatflow.explanation.ablation import Places, ablation_effect, find_places, losses
from heatflow.explanation.known_features import CONTROLS, find_known_features
from tests.explanation.shapes import SIZE, disc

RNG = np.random.default_rng(0)


def test_places_elsewhere_are_as_large_as_steep_and_off_the_features():
    near = np.stack([disc(20, 20)] * 4)
    steep = np.zeros(near.shape)
    steep[:, disc(20, 20, 14) | disc(60, 56, 14)] = 30  # one other place is as steep
    found = find_places(near, steep, sigma=1.0)
    for mask in found.elsewhere.reshape(-1, SIZE, SIZE):
        assert mask.sum() == pytest.approx(found.features[0].sum(), rel=0.01)
    steepness = (found.elsewhere * steep).sum(axis=(2, 3)) / found.elsewhere.sum(axis=(2, 3))
    overlap = (found.elsewhere * found.features).sum(axis=(2, 3)) / (found.features**2).sum(axis=(1, 2))
    assert overlap.max() < 0.4
    np.testing.assert_allclose(steepness, 30, rtol=0.15)


@pytest.mark.parametrize(("uses", "least", "most"), [("features", 0.5, 9), ("steep", -0.2, 0.2)])
def test_losses_tell_a_network_that_needs_features_from_one_that_needs_slopes(uses, least, most):
    near = np.stack([disc(20, 20)] * 6)
    steep = (near | np.stack([disc(60, 56)] * 6)).astype(float)
    terrain = steep * 100 * RNG.random(near.shape)
    wanted = near if uses == "features" else steep > 0

    def evidence(z):
        return np.array([np.abs(tile[mask]).mean() / 20 for tile, mask in zip(z, wanted, strict=True)])

    places = find_places(near, steep, sigma=0.5)
    lost, elsewhere = losses(evidence, terrain, np.zeros_like(terrain), places)
    assert least < (lost - elsewhere).mean() < most


def test_loss_without_everything_is_the_whole_evidence():
    z = RNG.random((2, SIZE, SIZE))
    every = Places(np.ones(z.shape), np.zeros((4, *z.shape)))
    lost, elsewhere = losses(lambda t: t.sum(axis=(1, 2)), z, np.zeros_like(z), every)
    np.testing.assert_allclose(lost, z.sum(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(elsewhere, 0, atol=1e-3)


def test_effect_counts_only_tiles_with_terrain_as_steep_elsewhere():
    """A network that counts rough pixels, whatever they are: the effect is nothing beyond equally steep terrain."""
    n = 60
    near = np.stack([disc(20, 20)] * n)
    steep = np.where(near, 30.0, 1.0)
    steep[:40, disc(60, 56)] = 30.0  # the other twenty have nothing as steep
    attributes = dict.fromkeys([*CONTROLS, "steepness"], steep)
    attributes |= {"background": np.zeros(near.shape), "faults": np.where(near, 0.0, 9_000.0)}
    every = np.arange(n)
    tiles = SimpleNamespace(attributes=attributes, sample=every, block=every // 3, resolution=2_400.0, seed=0)

    class Rough:
        @staticmethod
        def without_gaps(index, background):
            return steep[index].astype(np.float32)

        @staticmethod
        def high_log_odds(index, terrain):
            return (terrain > 15).sum(axis=(1, 2)) / 100

    found = ablation_effect(find_known_features(tiles)["faults"], Rough)
    assert (found["tiles"], found["tiles_with_features"]) == (40, n)
    assert found["lost"] > 1
    assert abs(found["effect"]) < 0.1 * found["lost"]
    assert abs(found["steepness"] - found["steepness_elsewhere"]) < 1
    steep[:] = np.where(near, 30.0, 1.0)
    assert np.isnan(ablation_effect(find_known_features(tiles)["faults"], Rough)["effect"])
