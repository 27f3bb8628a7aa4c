"""Statistics of a tile's terrain."""

import numpy as np

from heatflow.geo.terrain_statistics import statistics_of_tiles, terrain_statistics


def test_terrain_statistics_do_not_mind_turns_and_know_a_slope():
    tile = np.random.default_rng(0).normal(0, 50, (64, 64)).cumsum(axis=0)
    plain = terrain_statistics(tile, 200.0)
    for turned in (np.rot90(tile), tile[::-1], tile.T):
        np.testing.assert_allclose(terrain_statistics(turned, 200.0), plain, rtol=1e-9)
    ramp = np.outer(np.arange(64.0) * 20, np.ones(64))
    slopes = terrain_statistics(ramp, 200.0)[5::4]
    np.testing.assert_allclose(slopes, 0.1)
    ramp[:, :20] = np.nan
    assert np.isfinite(terrain_statistics(ramp, 200.0)).all()
    assert (terrain_statistics(np.full((64, 64), np.nan), 200.0) == 0).all()
    assert terrain_statistics(tile[:11, :11], 200.0).shape == plain.shape


def test_every_tile_has_its_row():
    tiles, seen = np.random.default_rng(0).normal(0, 50, (3, 2, 20, 20)), []
    rows = statistics_of_tiles(iter(tiles), 200.0, lambda: seen.append(1))
    np.testing.assert_array_equal(rows[2, :-1], terrain_statistics(tiles[2, 0], 200.0))
    np.testing.assert_allclose(rows[:, -1], tiles[:, 1].mean(axis=(1, 2)))  # of what lies beside the terrain
    assert len(rows) == len(seen) == 3
