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
        return {"flips": _draw_flips(flat_inputs[0])}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """(n, channels, height, width) -> the same shape."""
        across, down = params["flips"][:, 0, None, None, None], params["flips"][:, 1, None, None, None]
        inpt = torch.where(across, inpt.flip(-1), inpt)
        return torch.where(down, inpt.flip(-2), inpt)


class RandomTurns(v2.Transform):
    """Turn each tile of a batch counter-clockwise by an angle from 0 to `degrees`, flipped before if `flip` says so.

    Flips and turn are one affine map and the whole batch is sampled once. What a corner needs from outside the tile is
    reflected at its edge: terrain rather than an invented constant.
    """

    def __init__(self, degrees: float, flip: bool = False) -> None:
        super().__init__()
        self.degrees, self.flip = degrees, flip

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        tiles = flat_inputs[0]
        none = torch.zeros(len(tiles), 2, dtype=torch.bool, device=tiles.device)
        flips = _draw_flips(tiles) if self.flip else none
        return {"flips": flips, "angle": torch.rand(len(tiles)).to(tiles.device) * self.degrees}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """(n, channels, size, size) -> the same shape."""
        size = inpt.shape[-1]
        angle = torch.deg2rad(params["angle"]).to(inpt.dtype)[:, None]
        # Places in the result, from -1 to 1 across the tile, lead to places in the tile that it is sampled at: back
        # through the turn, then through the flips. (functional.affine_grid does the same by a slow matrix product.)
        centre = (torch.arange(size, device=inpt.device, dtype=inpt.dtype) * 2 + 1) / size - 1
        cos, sin = angle.cos() * centre, angle.sin() * centre
        flips = 1 - 2 * params["flips"].to(inpt.dtype)[:, :, None, None]
        grid = inpt.new_empty(len(inpt), size, size, 2)
        torch.mul(cos[:, None, :] - sin[:, :, None], flips[:, 0], out=grid[..., 0])
        torch.mul(sin[:, None, :] + cos[:, :, None], flips[:, 1], out=grid[..., 1])
        return functional.grid_sample(inpt, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _draw_flips(tiles: torch.Tensor) -> torch.Tensor:
    """Whether to flip each tile across and down, bool (n, 2). Drawn on the CPU, so that every device draws the same."""
    return (torch.rand(len(tiles), 2) < 0.5).to(tiles.device)


class AddNoise(v2.Transform):
    """Add Gaussian noise of a given standard deviation, in normalised units."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        return inpt + self.sigma * torch.randn_like(inpt)


def pipeline(*, flip: bool, rotation: float, noise: float) -> v2.Transform:
    """The augmentation of a batch of tiles, (n, channels, size, size) -> the same shape.

    Parameters
    ----------
    flip : bool
        Horizontal and vertical flips.
    rotation : float
        Degrees: turns by an angle from 0 to this.
    noise : float
        Standard deviation of Gaussian noise, normalised units.
    """
    steps: list[v2.Transform] = []
    if rotation:
        steps.append(RandomTurns(rotation, flip))
    elif flip:
        steps.append(RandomFlips())
    if noise:
        steps.append(AddNoise(noise))
    return v2.Compose(steps or [v2.Identity()])
