"""Augmentation: a torchvision pipeline that treats a whole batch at once, each tile in its own way.

The library's random transforms draw once per call, so that a batch would turn as one. These draw for each tile.
"""

from typing import Any

import torch
from torch.nn import functional
from torchvision.transforms import v2


class RandomFlips(v2.Transform):
    """Flip each tile of a batch left to right and top to bottom, each with probability one half."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        n = len(flat_inputs[0])
        device = flat_inputs[0].device
        return {"flips": (torch.rand(n, 2) < 0.5).to(device)}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """(n, channels, height, width) -> the same shape."""
        across, down = params["flips"][:, 0, None, None, None], params["flips"][:, 1, None, None, None]
        inpt = torch.where(across, inpt.flip(-1), inpt)
        return torch.where(down, inpt.flip(-2), inpt)


class RandomTurns(v2.Transform):
    """Turn each tile of a batch counter-clockwise by an angle from 0 to `degrees`.

    What a corner needs from outside the tile is reflected at its edge: terrain rather than an invented constant.
    """

    def __init__(self, degrees: float):
        super().__init__()
        self.degrees = degrees

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"angle": torch.rand(len(flat_inputs[0])).to(flat_inputs[0].device) * self.degrees}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """(n, channels, size, size) -> the same shape."""
        angle = torch.deg2rad(params["angle"]).to(inpt.dtype)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
        grid = functional.affine_grid(matrix, list(inpt.shape), align_corners=False)
        return functional.grid_sample(inpt, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


class AddNoise(v2.Transform):
    """Add Gaussian noise of a given standard deviation, in normalised units."""

    def __init__(self, sigma: float):
        super().__init__()
        self.sigma = sigma

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        return inpt + self.sigma * torch.randn_like(inpt)


def pipeline(*, flip: bool, rotation: float, noise: float) -> v2.Transform:
    """The augmentation of a batch of tiles, (n, 1, size, size) -> the same shape.

    Parameters
    ----------
    flip : horizontal and vertical flips
    rotation : degrees; turns by an angle from 0 to this; 0: none
    noise : standard deviation of Gaussian noise, normalised units; 0: none
    """
    steps: list[v2.Transform] = []
    if flip:
        steps.append(RandomFlips())
    if rotation:
        steps.append(RandomTurns(rotation))
    if noise:
        steps.append(AddNoise(noise))
    return v2.Compose(steps or [v2.Identity()])
