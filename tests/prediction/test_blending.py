"""Windows blended into the layers of a map."""

import numpy as np
import pandas as pd
import pytest

from heatflow.prediction.blending import Layers, blend, entropy


def test_a_blend_of_constants_is_constant_and_nan_has_no_weight(window_grid):
    corners = [(top, left) for top in window_grid.starts(83) for left in window_grid.starts(110)]
    windows = pd.DataFrame(corners, columns=["top", "left"]).assign(p=0.3)
    windows["q"] = np.where(windows["left"] < 50, 7.0, np.nan)
    mean = blend(windows, window_grid, ["p", "q"])
    np.testing.assert_allclose(mean[0], 0.3, rtol=1e-6)
    assert np.isfinite(mean[1][:, :10]).all()
    assert np.isnan(mean[1][:, 14:]).all()


def test_entropy_is_a_share():
    assert entropy(np.array([[0.25], [0.25], [0.25], [0.25]]))[0] == pytest.approx(1)
    assert np.isnan(entropy(np.array([[np.nan], [np.nan]])))[0]


def test_layers_of_one_window(window_grid, tile):
    window = {"top": 20, "left": 60, "p0": 0.2, "p1": 0.8, "disagreement": np.nan, "networks": 1, "dissimilarity": 2.0}
    valid = np.ones(window_grid.map_grid.shape)
    valid[4, 12] = 0.4  # less than half is terrain
    layers = Layers.from_windows(pd.DataFrame([window]), window_grid, valid, tile, threshold=1.0)
    place = np.zeros(valid.shape, dtype=bool)
    place[4:8, 12:16] = True
    place[4, 12] = False
    for layer, value in ((layers.above, 0.8), (layers.networks, 1), (layers.dissimilarity, 2), (layers.inside, 0)):
        np.testing.assert_allclose(layer[place], value)
        assert np.isnan(layer[~place]).all()
    assert np.isnan(layers.disagreement).all()
    rasters = layers.rasters(tile)
    assert list(rasters) == ["probability", "uncertainty", "applicability"]
    assert list(rasters["probability"]) == [
        f"probability of {what} mW/m2" for what in ("<=50", ">50", "above 50")
    ]  # in the order of the bands
