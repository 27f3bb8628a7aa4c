"""Training patches cut anew from the terrain: anywhere, at any angle, inside the training part of a fold.

Turned tiles of a fixed grid lack terrain in their corners, and there are only as many of them as there are tiles. A
patch cut from the raster has real terrain everywhere, and the class of the wells that fall inside it as cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from torch.nn import functional
from torchvision.transforms import v2

from heatflow.geo.labels import STATISTICS, classify
from heatflow.grid.grids import TileGrid
from heatflow.learning.inputs import normalise

TRIES = 24  # places tried around a tile before it is taken as it lies on the grid
PROBE = 16  # points along each edge at which a place is looked at before it is taken
REACH = 1.5  # pixels beyond its edge that a bilinear sample of a patch may read


@dataclass(frozen=True)
class Patches:
    """Places of patches: `centre` (n, 2), row and column in pixels from the raster's corner; `angle` (n,), radians
    clockwise on the map; `mirrored` bool (n,); `label` int64 (n,)."""

    centre: np.ndarray
    angle: np.ndarray
    mirrored: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Terrain:
    """The whole raster in memory and the wells on it.

    `elevation`: float32 (height, width), metres, NaN for no data. `well`: float64 (n, 2), row and column in pixels from
    the raster's corner. `residual`: float64 (n,), mW/m2. `tiles`: the tile grid.
    """

    elevation: np.ndarray
    well: np.ndarray
    residual: np.ndarray
    tiles: TileGrid


@dataclass(frozen=True)
class Rules:
    """What makes a place a patch; the meaning of each field stands in heatflow/config/schema.py.

    `degrees`: patches are turned by an angle from 0 to this. `flip`: and mirrored, one in two.
    """

    statistic: str
    edges: list[float]
    min_wells: int
    min_valid: float
    min_relief: float | None
    max_constant: float | None
    degrees: float
    flip: bool


class PatchSampler:
    """Draws the places of an epoch's patches, one near each training tile.

    Parameters
    ----------
    terrain : Terrain
    rules : Rules
    row, col, label : int arrays, shape (n,), the training tiles
    closed : float array, shape (m, 3): row and column of the centre (pixels) and half the edge (pixels) of the squares
        that no patch may touch: test tiles with their buffer, and validation tiles
    """

    def __init__(self, terrain: Terrain, rules: Rules, row, col, label, closed: np.ndarray):
        self.terrain, self.rules, self.closed = terrain, rules, closed
        self.size = terrain.tiles.size
        self.home = terrain.tiles.centres(row, col)
        self.home_label = np.asarray(label, dtype=np.int64)
        self.tree = cKDTree(terrain.well)

    def draw(self, rng: np.random.Generator) -> Patches:
        """A patch near each training tile, in the order of the tiles.

        A place is taken if it touches no closed square, holds enough wells and enough data. Where none of TRIES random
        places will do, the patch is the tile itself, unturned.
        """
        n = len(self.home)
        centre, angle = self.home.copy(), np.zeros(n)
        mirrored = rng.random(n) < 0.5 if self.rules.flip else np.zeros(n, dtype=bool)
        label, open_ = self.home_label.copy(), np.arange(n)
        for _ in range(TRIES):
            place = self.home[open_] + rng.uniform(-self.size / 2, self.size / 2, (len(open_), 2))
            turn = np.deg2rad(rng.uniform(0, self.rules.degrees, len(open_)))
            good = ~self.touches(place, turn)
            found = np.full(len(open_), -1)
            found[good] = self.labels(place[good], turn[good])
            good &= found >= 0
            good[good] = self.enough_data(place[good], turn[good])
            taken = open_[good]
            centre[taken], angle[taken], label[taken] = place[good], turn[good], found[good]
            open_ = open_[~good]
            if not len(open_):
                break
        return Patches(centre, angle, mirrored, label)

    def touches(self, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Whether each patch, with all that its samples read, shares a point with a closed square; bool (n,).

        Two squares are apart if and only if an edge of one of them separates them (separating axis theorem).
        """
        down = self.closed[:, 0] - centre[:, :1]
        right = self.closed[:, 1] - centre[:, 1:]
        half, own = self.closed[:, 2], self.size / 2 + REACH
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        across = np.abs(cos) + np.abs(sin)
        near = (np.abs(down) < half + own * across) & (np.abs(right) < half + own * across)
        near &= np.abs(right * cos + down * sin) < own + half * across
        near &= np.abs(down * cos - right * sin) < own + half * across
        return near.any(axis=1)

    def labels(self, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Class of the wells inside each patch, int64 (n,); -1 where there are too few."""
        label = np.full(len(centre), -1, dtype=np.int64)
        near = self.tree.query_ball_point(centre, self.size / 2 * np.sqrt(2), return_sorted=True)
        count = np.fromiter(map(len, near), dtype=np.int64, count=len(near))
        if not count.sum():
            return label
        patch, well = np.repeat(np.arange(len(centre)), count), np.concatenate([n for n in near if n]).astype(int)
        down, right = (self.terrain.well[well] - centre[patch]).T
        cos, sin = np.cos(angle[patch]), np.sin(angle[patch])
        u, v = right * cos + down * sin, down * cos - right * sin
        half = self.size / 2
        inside = (u >= -half) & (u < half) & (v >= -half) & (v < half)
        groups = pd.Series(self.terrain.residual[well[inside]]).groupby(patch[inside])
        size = groups.size()
        value = STATISTICS[self.rules.statistic](groups)[size >= self.rules.min_wells]
        label[value.index] = classify(value.to_numpy(), self.rules.edges)
        return label

    def enough_data(self, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Whether each patch passes the filter's tests at PROBE x PROBE points; bool (n,)."""
        if not len(centre):
            return np.zeros(0, dtype=bool)
        at = ((np.arange(PROBE) + 0.5) / PROBE - 0.5) * self.size
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        row = np.floor(centre[:, :1, None] + at * sin + at[:, None] * cos).astype(int)
        column = np.floor(centre[:, 1:, None] + at * cos - at[:, None] * sin).astype(int)
        height, width = self.terrain.elevation.shape
        on = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        value = self.terrain.elevation[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        value = np.sort(np.where(on, value, np.nan).reshape(len(centre), -1), axis=1)  # NaN comes last
        valid = np.isfinite(value).sum(axis=1)
        good = (valid > 0) & (valid >= self.rules.min_valid * PROBE**2)
        if self.rules.min_relief is not None:
            good &= value[np.arange(len(value)), np.maximum(valid - 1, 0)] - value[:, 0] >= self.rules.min_relief
        if self.rules.max_constant is not None:
            same = np.diff(value, axis=1) == 0
            run, longest = np.ones(len(value), dtype=int), np.ones(len(value), dtype=int)
            for step in same.T:
                run = np.where(step, run + 1, 1)
                longest = np.maximum(longest, run)
            good &= longest <= self.rules.max_constant * np.maximum(valid, 1)
        return good


def framed(elevation: np.ndarray) -> torch.Tensor:
    """The raster with a frame of one pixel without data, float32 (height + 2, width + 2): beyond it there is none."""
    return functional.pad(torch.from_numpy(elevation), (1, 1, 1, 1), value=torch.nan)


def cut(elevation: torch.Tensor, patches: Patches, size: int) -> torch.Tensor:
    """Elevation under patches, bilinear, float32 (n, 1, size, size), metres, NaN where there is no data.

    Parameters
    ----------
    elevation : as `framed` gives it, on the device
    """
    device, n = elevation.device, len(patches.angle)
    height, width = elevation.shape
    centre = torch.from_numpy(patches.centre + 1).to(device, torch.float32)  # past the frame
    angle = torch.from_numpy(patches.angle).to(device, torch.float32)
    side = torch.from_numpy(np.where(patches.mirrored, -1.0, 1.0)).to(device, torch.float32)[:, None]
    at = torch.arange(size, device=device, dtype=torch.float32) + 0.5 - size / 2
    cos, sin = angle.cos()[:, None] * at, angle.sin()[:, None] * at
    # places in the raster, from -1 to 1 across it: centre + right * (cos, sin) + down * (-sin, cos)
    x, y = (side * cos + centre[:, 1:]) * (2 / width) - 1, (side * sin + centre[:, :1]) * (2 / height) - 1
    grid = torch.empty(n, size, size, 2, device=device)
    torch.sub(x[:, None, :], sin[:, :, None] * (2 / width), out=grid[..., 0])
    torch.add(y[:, None, :], cos[:, :, None] * (2 / height), out=grid[..., 1])
    image = elevation.expand(n, 1, height, width)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


class PatchSource:
    """An epoch's batches of patches, cut, normalised and augmented.

    Parameters
    ----------
    sampler : PatchSampler
    elevation : as `framed` gives it, on the device, shared by all folds
    scaling : of the fold
    augment : what is done to a batch besides turns and flips, which the places bring
    dtype : of the tiles
    """

    def __init__(self, sampler: PatchSampler, elevation, scaling: dict[str, float], augment: v2.Transform, dtype):
        self.sampler, self.elevation, self.scaling = sampler, elevation, scaling
        self.augment, self.dtype = augment, dtype
        self.labels = torch.from_numpy(sampler.home_label)

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(self, order: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Tiles (batch, 1, size, size) and labels (batch,) for each row of `order`, (steps, batch)."""
        patches = self.sampler.draw(np.random.default_rng(int(torch.randint(2**62, ()))))
        for chosen in order.numpy():
            batch = Patches(*(getattr(patches, name)[chosen] for name in ("centre", "angle", "mirrored", "label")))
            tiles = normalise(cut(self.elevation, batch, self.sampler.size), self.scaling)
            label = torch.from_numpy(batch.label).to(self.elevation.device)
            yield self.augment(tiles.to(self.dtype)), label
