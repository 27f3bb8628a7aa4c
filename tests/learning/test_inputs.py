"""Scaling and the fill of nodata."""

import numpy as np
import pytest
import torch

from heatflow.learning.inputs import network_inputs


def test_nodata_takes_the_mean_of_its_own_tile():
    tiles = np.array([[[1.0, 3.0], [np.nan, 5.0]], [[np.nan] * 2] * 2], dtype=np.float32)[:, None]
    inputs = network_inputs(tiles, {"offset": 1.0, "scale": 2.0})
    assert inputs.tolist() == [[[[0, 1], [1, 2]]], [[[0, 0], [0, 0]]]]
    assert np.isnan(tiles).sum() == 5


def test_a_tile_has_the_same_inputs_alone_and_among_others_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    tiles = rng.normal(0, 100, (8, 2, 200, 200)).astype(np.float32)
    tiles[rng.random(tiles.shape) < 0.1] = np.nan
    scaling, threads = {"offset": [3.0, 5.0], "scale": [70.0, 7.0]}, torch.get_num_threads()
    together = network_inputs(tiles, scaling)
    try:
        torch.set_num_threads(2)
        alone = torch.cat([network_inputs(tile[None], scaling) for tile in tiles])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(alone, together)


def test_each_channel_has_its_own_scaling_and_takes_the_mean_of_its_own_gaps():
    tiles = np.array([[[[1.0, 3.0]], [[np.nan, 40.0]]], [[[5.0, np.nan]], [[np.nan, np.nan]]]], dtype=np.float32)
    inputs = network_inputs(tiles, {"offset": [1.0, 20.0], "scale": [2.0, 10.0]})
    assert inputs.tolist() == [[[[0, 1]], [[2, 2]]], [[[2, 2]], [[0, 0]]]]
    one = network_inputs(tiles[:, :1], {"offset": 1.0, "scale": 2.0})
    assert torch.equal(inputs[:, :1], one)  # what lies beside the terrain changes nothing of it
    with pytest.raises(ValueError, match="zip"):
        network_inputs(tiles, {"offset": 1.0, "scale": 2.0})
