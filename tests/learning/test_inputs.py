"""Scaling and the fill of nodata."""

import numpy as np
import torch

from heatflow.learning.inputs import network_inputs


def test_nodata_takes_the_mean_of_its_own_tile():
    tiles = np.array([[[1.0, 3.0], [np.nan, 5.0]], [[np.nan] * 2] * 2], dtype=np.float32)
    inputs = network_inputs(tiles, {"offset": 1.0, "scale": 2.0})
    assert inputs.tolist() == [[[[0, 1], [1, 2]]], [[[0, 0], [0, 0]]]]
    assert np.isnan(tiles).sum() == 5


def test_a_tile_has_the_same_inputs_alone_and_among_others_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    tiles = rng.normal(0, 100, (8, 200, 200)).astype(np.float32)
    tiles[rng.random(tiles.shape) < 0.1] = np.nan
    scaling, threads = {"offset": 3.0, "scale": 70.0}, torch.get_num_threads()
    together = network_inputs(tiles, scaling)
    try:
        torch.set_num_threads(2)
        alone = torch.cat([network_inputs(tile[None], scaling) for tile in tiles])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(alone, together)
