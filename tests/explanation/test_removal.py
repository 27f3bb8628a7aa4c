"""Deletion and insertion of terrain in the order of a map."""

import numpy as np

from heatflow.explanation.removal import STEPS, Curves, area, removal_curves, removal_scores


def curves_of_a_sum(importance):
    """Curves of a network that adds up its tile, whose detail lies in one corner."""
    tile = np.zeros((2, 40, 40), dtype=np.float32)
    tile[:, :10, :10] = 1

    def probability(z):
        return z.sum(axis=(1, 2)) / 100

    ends = probability(tile), probability(0 * tile)
    return removal_curves(probability, tile, np.zeros_like(tile), importance(tile), ends)


def test_deletion_and_insertion_of_a_sum_are_known():
    curves = curves_of_a_sum(lambda tile: tile)
    deletion, insertion = curves.deletion, curves.insertion
    assert deletion.shape == insertion.shape == (2, len(STEPS))
    np.testing.assert_allclose(deletion[:, 0], 1)
    np.testing.assert_allclose(deletion[:, 1:], 1 - insertion[:, 1:], atol=1e-5)  # what is gone there is here
    assert (area(deletion) < 0.15).all()  # 1 / 16 of the terrain holds everything
    assert (area(insertion) > 0.85).all()
    backwards = curves_of_a_sum(lambda tile: -tile)
    assert (area(backwards.deletion) > 0.75).all()  # a trapezium between the last two shares
    none = removal_curves(lambda z: z.sum(), *[np.empty((0, 40, 40))] * 3, [np.empty(0)] * 2)
    assert none.deletion.shape == (0, len(STEPS))


def test_deletion_is_better_where_it_is_lower():
    steps = np.linspace(1, 0, len(STEPS))
    good, bad = np.tile(steps**4, (30, 1)), np.tile(steps, (30, 1))
    found = removal_scores(Curves(good, good), {"random": Curves(bad, bad)}, np.arange(30), 0)
    assert found["deletion_against_random_high"] < 0
    assert found["deletion"] < area(bad).mean()
