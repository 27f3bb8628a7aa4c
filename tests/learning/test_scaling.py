"""Normalisation by hand."""

import numpy as np
import pytest

from heatflow.errors import InputError
from heatflow.geo.tiles import PackedTiles
from heatflow.learning.scaling import fit_folds, fit_scaling

TILES = np.array([[[-1.0, 2.0]], [[3.0, np.nan]], [[8.0, np.nan]]])  # values -1, 2, 3 and 8


@pytest.mark.parametrize(
    ("method", "offset", "scale"),
    # the mean is 3 and the variance 10.5; the quartiles lie at 1.25, 2.5 and 4.25
    [("max", 0, 8), ("standard", 3, np.sqrt(10.5)), ("robust", 2.5, 3), ("none", 0, 1)],
)
def test_scaling_by_hand(method, offset, scale):
    fit = fit_scaling(TILES, method)
    assert fit == {"offset": pytest.approx(offset), "scale": pytest.approx(scale), "low": -1, "high": 8}


def test_scaling_refuses_what_gives_no_scale():
    with pytest.raises(InputError, match="would divide by"):
        fit_scaling([np.full((2, 2), -3.0)], "max")
    with pytest.raises(InputError, match="no data at all"):
        fit_scaling([np.full((2, 2), np.nan)], "standard")


def test_each_fold_is_fitted_to_its_training_tiles():
    tiles = PackedTiles(TILES.astype(np.float32)[:, None], np.array([4, 5, 9]))
    roles = np.array([["train", "train", "test"], ["test", "validation", "train"]], dtype=object)
    scalings = fit_folds(tiles, np.array([4, 5, 9]), roles, "max")
    assert [fit["scale"] for fit in scalings.fits] == [3, 8]
    assert scalings.content["fold1"] == scalings.fits[1]
    assert scalings.metrics == {"before": {"low": -1, "high": 8}, "after": {"low": pytest.approx(-1 / 3), "high": 1}}


def test_each_channel_is_fitted_by_itself_and_a_fault_names_it():
    both = np.stack([TILES, np.full_like(TILES, 5.0)], axis=1).astype(np.float32)
    both[:, 1, 0, 1] = np.nan
    both[2, 1] = 7.0
    tiles, roles = PackedTiles(both, np.array([4, 5, 9])), np.array([["train"] * 3], dtype=object)
    (fit,) = fit_folds(tiles, np.array([4, 5, 9]), roles, "max").fits
    assert fit == {"offset": [0, 0], "scale": [8, 7], "low": [-1, 5], "high": [8, 7]}
    assert fit_folds(tiles, np.array([4, 5, 9]), roles, "max").metrics["before"] == {"low": -1, "high": 8}
    both[:, 1] = 5.0
    with pytest.raises(InputError, match=r"would divide by 0 .*\(input 2 of the network"):
        fit_folds(tiles, np.array([4, 5, 9]), roles, "standard")
