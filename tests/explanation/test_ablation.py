"""Losses and effects of networks whose answer is known: they need structures, anything rough, or nothing."""

from types import SimpleNamespace

import numpy as np
import pytest

from heatflow.explanation.ablation import Losses, measure_losses, terrain_of
from heatflow.explanation.effect import structure_effect
from heatflow.explanation.known_features import CONTROLS, find_known_features
from heatflow.explanation.masks import OTHERS
from heatflow.explanation.verdict import NOT, RELIEF, USES, answer
from tests.explanation.shapes import disc

TILES = 60
FAR, NEAR = 40_000.0, 1_000.0  # m


@pytest.fixture(scope="module")
def region():
    """Tiles with a structure, most of them also with a look-alike that is as rough."""
    rng = np.random.default_rng(0)
    row, column = rng.integers([[10], [58]], [[23], [71]], (2, TILES)), rng.integers(10, 71, (2, TILES))
    discs = (disc(*place, 9) for place in zip(row.ravel(), column.ravel(), strict=True))
    structure, alike = np.stack([*discs]).reshape(2, TILES, *disc(0, 0).shape)
    alike[::5] = False
    rough = np.where(structure | alike, 300.0, 30.0).astype(np.float32)
    attributes = dict.fromkeys([*CONTROLS, "steepness", "relief"], rough)
    attributes |= {"background": np.zeros_like(rough)}
    attributes |= {"structures": np.where(structure, NEAR, FAR), "lookalikes": np.where(alike, NEAR, FAR)}
    attributes["lookalikes"][::5] = np.nan
    every = np.arange(TILES)
    return SimpleNamespace(attributes=attributes, sample=every, block=every // 3, resolution=2_400.0, seed=0)


def networks_that_need(region, wanted):
    """Two networks, of which the second is a little more confident, whose evidence is the terrain of some pixels."""
    rng = np.random.default_rng(1)
    luck = {}

    class Networks:
        @staticmethod
        def without_gaps(index, background):
            return region.attributes["slope"][index]

        @staticmethod
        def standard_log_odds(index, elevation):
            luck.setdefault("noise", 0.02 * rng.normal(size=TILES))
            evidence = (elevation * wanted[index]).sum(axis=(1, 2)) / 2e5
            return np.stack([evidence, 1.1 * evidence]) + luck["noise"][index]

    return Networks


@pytest.mark.parametrize("needs", ["structures", "rough", "nothing"])
def test_networks_whose_answer_is_known_get_it(region, needs):
    structure = region.attributes["structures"] <= NEAR
    wanted = {"structures": structure, "rough": np.ones_like(structure), "nothing": np.zeros_like(structure)}[needs]
    known, networks = find_known_features(region), networks_that_need(region, wanted)
    structures = measure_losses(known["structures"], networks)
    lookalikes = measure_losses(known["lookalikes"], networks, others=False)
    effect = structure_effect(structures, lookalikes, seed=0)
    assert answer(0.6, effect) == {"structures": USES, "rough": RELIEF, "nothing": NOT}[needs]
    assert effect["control"] == "look-alikes"
    if needs == "structures":
        assert effect["p"] < 0.01
        assert effect["lost"] == pytest.approx(effect["effect"] + effect["lost_lookalikes"], abs=0.05)
    alone = structure_effect(structures, None, seed=0)
    assert alone["effect"] == alone["beyond_relief"] == effect["beyond_relief"]
    if needs == "rough":  # ground as rough costs as much
        assert abs(alone["effect"]) < 0.1 * alone["excess"]


def test_losses_are_those_of_each_network_and_mask(region):
    known = find_known_features(region)["structures"]
    losses = measure_losses(known, networks_that_need(region, known.near))
    tiles = losses.own.shape[1]
    assert losses.own.shape == (2, tiles)
    assert losses.similar.shape == losses.as_they_come.shape == (2, tiles, OTHERS)
    assert losses.own_ground.shape == (tiles, 3)
    np.testing.assert_allclose(losses.own[1], 1.1 * losses.own[0], rtol=1e-4)
    assert losses.own.min() > 3 * np.abs(losses.similar).mean()
    assert measure_losses(known, networks_that_need(region, known.near), others=False).similar.shape == (2, TILES, 0)


def test_terrain_belongs_to_the_nearer_of_structure_and_lookalike(region):
    known = find_known_features(region)
    near, either = terrain_of(known["structures"])
    alike, same = terrain_of(known["lookalikes"])
    both = np.isin(known["structures"].index, known["lookalikes"].index)
    assert not (near[both] & alike).any()
    assert (either[both] == same).all()
    assert (either[both] == (near[both] | alike)).all()


def test_features_that_no_tile_can_be_used_of_have_no_effect():
    effect = structure_effect(Losses.none(25), None, seed=0)
    assert np.isnan([effect["effect"], effect["effect_low"], effect["p"]]).all()
    assert (effect["tiles"], effect["tiles_with_features"]) == (0, 25)
