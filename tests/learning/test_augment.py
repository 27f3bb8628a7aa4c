"""Augmentation agrees with the library tile by tile."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from heatflow.learning.augment import AddNoise, RandomFlips, RandomTurns, pipeline


def test_flips_agree_with_the_library_tile_by_tile():
    tiles = torch.rand(12, 1, 9, 9)
    torch.manual_seed(3)
    flips = RandomFlips()
    params = flips.make_params([tiles])
    out = flips.transform(tiles, params)
    assert len(set(map(tuple, params["flips"].tolist()))) == 4
    for tile, result, (across, down) in zip(tiles, out, params["flips"], strict=True):
        expected = functional.horizontal_flip(tile) if across else tile
        expected = functional.vertical_flip(expected) if down else expected
        assert torch.equal(result, expected)


@pytest.mark.parametrize("flip", [False, True])
def test_turns_agree_with_the_library_tile_by_tile_inside_and_invent_nothing_outside(flip):
    torch.manual_seed(1)
    smooth = functional.gaussian_blur(torch.rand(12, 1, 41, 41), [7, 7], [2.0, 2.0])
    turns = RandomTurns(90, flip)
    params = turns.make_params([smooth])
    out = turns.transform(smooth, params)
    r, c = np.mgrid[:41, :41] - 20
    disc = torch.from_numpy(np.hypot(r, c) < 18)
    assert len(set(map(tuple, params["flips"].tolist()))) == (4 if flip else 1)
    for tile, result, angle, (across, down) in zip(smooth, out, params["angle"], params["flips"], strict=True):
        tile = functional.horizontal_flip(tile) if across else tile
        tile = functional.vertical_flip(tile) if down else tile
        expected = functional.rotate(tile, float(angle), interpolation=v2.InterpolationMode.BILINEAR)
        assert torch.allclose(result[0][disc], expected[0][disc], atol=1e-4)
    assert out.min() >= smooth.min()
    assert len(set(params["angle"].tolist())) == 12
    constant = torch.full((4, 1, 20, 20), 7.0)
    assert torch.allclose(turns(constant), constant)


def test_pipeline_holds_what_is_asked_for():
    tiles = torch.rand(5, 1, 8, 8)
    assert torch.equal(pipeline(flip=False, rotation=0, noise=0)(tiles), tiles)
    noisy = AddNoise(0.5)(torch.zeros(50, 1, 40, 40))
    assert abs(noisy.std().item() - 0.5) < 0.01
    assert not torch.equal(pipeline(flip=True, rotation=30, noise=0)(tiles), tiles)
