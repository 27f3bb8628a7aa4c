"""Training patches cut from the terrain for every epoch: anywhere, at any angle, inside the training part of a fold.

Turned tiles of a fixed grid lack terrain in their corners, and there are only as many of them as there are tiles. A
patch cut from the raster has real terrain everywhere, and the class of the wells that fall inside it as cut.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import geopandas
import numpy as np
import shapely
import torch
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree
from torch.nn import functional
from torchvision.transforms import v2

from heatflow.config.schema import Augment, Filter, Tile
from heatflow.geo.labels import classify, label_squares
from heatflow.geo.low_data import data_statistics, low_data
from heatflow.geo.sites import correlation_within
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import open_written
from heatflow.io.vectors import read_features
from heatflow.learning.engine import Engine
from heatflow.learning.inputs import normalise
from heatflow.learning.scaling import Scaling
from heatflow.learning.training import Batch, BatchSites

TRIES = 24  # places tried around a tile before it is taken as it lies on the grid
PROBE = 16  # points along each edge of a place at which the low-data rule is applied
REACH = 1.5  # pixels beyond its edge that a bilinear sample of a patch may read


@dataclass(frozen=True)
class Patches:
    """Places of patches.

    Parameters
    ----------
    centre : float64 array, shape (n, 2)
        Row and column, pixels from the raster's corner.
    angle : float64 array, shape (n,)
        Radians, clockwise on the map.
    mirrored : bool array, shape (n,)
    label : int64 array, shape (n,)
    """

    centre: np.ndarray
    angle: np.ndarray
    mirrored: np.ndarray
    label: np.ndarray

    def __getitem__(self, index: np.ndarray) -> "Patches":
        return Patches(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Sites:
    """Sites, of which a patch holds some: see `heatflow.geo.sites`.

    Parameters
    ----------
    place : float64 array, shape (m, 2)
        Row and column, pixels from the raster's corner.
    label : int64 array, shape (m,)
        Class.
    tile : int array, shape (m,)
        Number of the tile of each.
    """

    place: np.ndarray
    label: np.ndarray
    tile: np.ndarray

    @classmethod
    def from_table(cls, table: geopandas.GeoDataFrame, grid: Grid, tile: Tile) -> "Sites":
        """Sites of the tile stage, each once where tiles overlap."""
        table = table.drop_duplicates(["row", "col", "residual"])
        place = np.column_stack(grid.position(*shapely.get_coordinates(table.geometry.array).T))
        return cls(place, classify(table["residual"].to_numpy(), tile.edges), table["tile"].to_numpy())

    def among(self, tile: np.ndarray) -> "Sites":
        """Those of some tiles, by their numbers."""
        here = np.isin(self.tile, tile)
        return Sites(self.place[here], self.label[here], self.tile[here])


@dataclass(frozen=True)
class Terrain:
    """The raster, and the wells on it.

    Parameters
    ----------
    channels : float32 array, shape (channels, height, width)
        Elevation in metres, then the other inputs of networks; NaN where there is no data. Mapped from a file, it holds
        what is around the tiles alone.
    well : float64 array, shape (m, 2)
        Row and column of each well, pixels from the raster's corner.
    residual : float64 array, shape (m,)
        mW/m2.
    tiles : TileGrid
    sites : Sites, optional
        From which networks learn beside the classes of patches.
    """

    channels: np.ndarray
    well: np.ndarray
    residual: np.ndarray
    tiles: TileGrid
    sites: Sites | None = None

    @classmethod
    def load(cls, terrain: str | Path, wells: str | Path, sites: str | Path | None, channels: str | Path,
             tile: Tile = Tile()) -> "Terrain":  # fmt: skip
        """Read what the terrain, wells and tile stages wrote, with the channels that `write_surroundings` wrote."""
        with open_written(terrain) as raster:
            grid = Grid.from_dataset(raster)
        table = read_features(wells)
        place = np.column_stack(grid.position(*shapely.get_coordinates(table.geometry.array).T))
        mapped, tiles = np.load(channels, mmap_mode="r"), TileGrid(grid, tile.size, tile.step)
        of_sites = None if sites is None else Sites.from_table(read_features(sites), grid, tile)
        return cls(mapped, place, table["residual"].to_numpy(), tiles, of_sites)


def write_surroundings(terrain: str | Path, path: Path, tile: Tile, row: np.ndarray, col: np.ndarray) -> None:
    """Write the raster that patches around tiles can reach into a file that processes map and share.

    The file is as large as the raster, but only blocks within reach of a tile are written: where a file system knows
    holes, the others take no space. A compressed raster would be decompressed again for every patch.

    Parameters
    ----------
    terrain : str or Path
        Raster that the terrain stage wrote.
    path : Path
        Of an npy file.
    tile : Tile
        Size and step of the tiles.
    row, col : int array, shape (n,)
        The tiles.
    """
    with open_written(terrain) as raster:
        grid = Grid.from_dataset(raster)
        centre = TileGrid(grid, tile.size, tile.step).centres(row, col)
        reach = tile.size / 2 * (1 + np.sqrt(2)) + REACH  # a patch's centre may be half a tile away
        channels = np.lib.format.open_memmap(path, "w+", np.float32, (raster.count, *grid.shape))
        for _, window in raster.block_windows(1):
            middle = np.array([window.row_off + window.height / 2, window.col_off + window.width / 2])
            half = np.array([window.height / 2, window.width / 2]) + reach
            if (np.abs(centre - middle) <= half).all(axis=1).any():
                channels[:, *window.toslices()] = raster.read(window=window)
        channels.flush()


class PatchSampler:
    """Draws the places of an epoch's patches, one near each training tile.

    Parameters
    ----------
    terrain : Terrain
    row, col, label : int arrays, shape (n,)
        The training tiles. How sites of a tile are alike is estimated from theirs.
    excluded : float array, shape (m, 3)
        Row and column of the centre and half the edge (pixels) of the squares that no patch may touch: test tiles with
        their buffer, and validation tiles.
    tile : Tile
        How wells give a class.
    rules : Filter
        How much data a patch must have.
    augment : Augment
        How patches are turned and mirrored.

    Examples
    --------
    >>> from rasterio.crs import CRS
    >>> tiles = TileGrid(Grid(0, 100, 1, 100, 100, CRS.from_epsg(32611)), size=20, stride=20)
    >>> elevation = np.add.outer(np.arange(100.0), np.arange(100.0)).astype(np.float32)
    >>> terrain = Terrain(elevation[None], well=np.array([[50.0, 50.0]]), residual=np.array([70.0]), tiles=tiles)
    >>> sampler = PatchSampler(terrain, [2], [2], [2], np.zeros((0, 3)), Tile(size=20), Filter(min_relief=None))
    >>> patches = sampler.draw(np.random.default_rng(0))
    >>> patches.centre.round(1).tolist(), patches.label.tolist()
    ([[53.0, 45.0]], [2])
    """

    def __init__(
        self, terrain: Terrain, row: ArrayLike, col: ArrayLike, label: ArrayLike, excluded: np.ndarray,
        tile: Tile = Tile(), rules: Filter = Filter(), augment: Augment = Augment(),
    ) -> None:  # fmt: skip
        self.terrain, self.excluded = terrain, excluded
        self.tile, self.rules, self.augment = tile, rules, augment
        self.size = terrain.tiles.size
        self.home = terrain.tiles.centres(row, col)
        self.home_label = np.asarray(label, dtype=np.int64)
        self.tree = cKDTree(terrain.well)
        self.site_labels, self.site_tree, self.correlation = None, None, 0.0
        if terrain.sites is not None:
            own = terrain.sites.among(terrain.tiles.ids(np.asarray(row), np.asarray(col)))
            self.site_labels, self.site_tree = torch.from_numpy(own.label), cKDTree(terrain.sites.place)
            self.correlation = correlation_within(own.tile, own.label >= tile.first_high)

    def draw(self, rng: np.random.Generator) -> Patches:
        """A patch near each training tile, in the order of the tiles.

        A place is taken if it touches no excluded square and holds enough wells and enough data. Where none of TRIES
        random places will do, the patch is the tile itself, unturned. Patches that are not turned lie on whole pixels.
        """
        n = len(self.home)
        centre, angle, label = self.home.copy(), np.zeros(n), self.home_label.copy()
        mirrored = rng.random(n) < 0.5 if self.augment.flip else np.zeros(n, dtype=bool)
        left = np.arange(n)
        for _ in range(TRIES):
            shift = rng.uniform(-self.size / 2, self.size / 2, (len(left), 2))
            turn = np.deg2rad(rng.uniform(0, self.augment.rotation, len(left)))
            place = self.home[left] + (shift if self.augment.rotation else np.round(shift))
            good = np.flatnonzero(~self.touches(place, turn))
            labels = self.labels(place[good], turn[good])
            good, labels = good[labels >= 0], labels[labels >= 0]
            enough = self.enough_data(place[good], turn[good])
            good, labels = good[enough], labels[enough]
            taken = left[good]
            centre[taken], angle[taken], label[taken] = place[good], turn[good], labels
            left = np.delete(left, good)
            if not len(left):
                break
        return Patches(centre, angle, mirrored, label)

    def touches(self, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Whether each patch, with all that its samples read, shares a point with an excluded square; bool (n,).

        Two squares are apart if and only if an edge of one of them separates them (separating axis theorem).
        """
        down = self.excluded[:, 0] - centre[:, :1]
        right = self.excluded[:, 1] - centre[:, 1:]
        half, own = self.excluded[:, 2], self.size / 2 + REACH
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        across = np.abs(cos) + np.abs(sin)
        near = (np.abs(down) < half + own * across) & (np.abs(right) < half + own * across)
        near &= np.abs(right * cos + down * sin) < own + half * across
        near &= np.abs(down * cos - right * sin) < own + half * across
        return near.any(axis=1)

    def labels(self, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Class of the wells inside each patch, int64 (n,); -1 where there are too few."""
        label = np.full(len(centre), -1, dtype=np.int64)
        patch, well, _ = self._inside(self.terrain.well, self.tree, centre, angle)
        if len(well):
            table = label_squares(patch, self.terrain.residual[well], self.tile)
            label[table.index] = table["label"]
        return label

    def _inside(
        self, point: np.ndarray, tree: cKDTree, centre: np.ndarray, angle: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points of a tree that patches hold: the patch and the point of each pair, int (k,), and the place of the
        point in the unmirrored patch, row and column from its upper-left corner, float64 (k, 2)."""
        near = tree.query_ball_point(centre, self.size / 2 * np.sqrt(2), return_sorted=True)
        count = np.fromiter(map(len, near), dtype=np.int64, count=len(near))
        patch, index = np.repeat(np.arange(len(centre)), count), np.fromiter(chain(*near), int, count.sum())
        down, right = (point[index] - centre[patch]).T
        cos, sin = np.cos(angle[patch]), np.sin(angle[patch])
        place = np.column_stack([down * cos - right * sin, right * cos + down * sin]) + self.size / 2
        inside = ((place >= 0) & (place < self.size)).all(axis=1)
        return patch[inside], index[inside], place[inside]

    def sites(self, patches: Patches) -> BatchSites | None:
        """The sites that patches hold; None where the terrain has none.

        Sites of a patch are alike. Each weighs one over the design effect (Kish, 1965) of their number m and their
        correlation r, 1 + (m - 1) r, so that together they count as many as they would be if they were independent.
        """
        if self.terrain.sites is None or self.site_tree is None:
            return None
        patch, site, place = self._inside(self.terrain.sites.place, self.site_tree, patches.centre, patches.angle)
        mirrored = patches.mirrored[patch]
        place[mirrored, 1] = self.size - place[mirrored, 1]
        number = np.bincount(patch, minlength=len(patches.label))[patch]
        weight = 1 / (1 + (number - 1) * self.correlation)
        label = self.terrain.sites.label[site].astype(np.int64)
        return BatchSites(*(torch.from_numpy(each) for each in (patch, place, label, weight)))

    def enough_data(self, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Whether PROBE x PROBE points of each patch hold enough data by the low-data rule; bool (n,)."""
        if not len(centre):
            return np.zeros(0, dtype=bool)
        at = ((np.arange(PROBE) + 0.5) / PROBE - 0.5) * self.size
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        row = np.floor(centre[:, :1, None] + at * sin + at[:, None] * cos).astype(int)
        column = np.floor(centre[:, 1:, None] + at * cos - at[:, None] * sin).astype(int)
        grid = self.terrain.tiles.grid
        value = self.terrain.channels[0][np.clip(row, 0, grid.height - 1), np.clip(column, 0, grid.width - 1)]
        value = np.where(grid.contains(row, column), value, np.nan).reshape(len(centre), -1)
        return low_data(data_statistics(value), self.rules).to_numpy() == ""


def cut(
    channels: np.ndarray, patches: Patches, size: int, device: torch.device | str = "cpu"
) -> torch.Tensor:  # fmt: skip
    """What lies under patches: a small window around each is read, and all are sampled at once, bilinear.

    Patches that lie on whole pixels, unturned, are cut as tiles are, without a sample.

    Parameters
    ----------
    channels : float32 array, shape (channels, height, width)
        Of a `Terrain`.
    patches : Patches
    size : int
        Edge of a patch, pixels.
    device : torch.device or str, optional

    Returns
    -------
    float32 tensor, shape (n, channels, size, size)
        NaN where there is no data.
    """
    corner = patches.centre - size / 2
    if not patches.angle.any() and (corner == np.round(corner)).all():
        cut_out = torch.from_numpy(_windows(channels, corner.astype(int), size)).to(device)
        mirrored = torch.from_numpy(patches.mirrored).to(device)[:, None, None, None]
        return torch.where(mirrored, cut_out.flip(3), cut_out) if patches.mirrored.any() else cut_out
    edge = math.ceil(size * math.sqrt(2)) + 4
    first = np.floor(patches.centre).astype(int) - edge // 2
    windows = _windows(channels, first, edge)
    centre = torch.from_numpy(patches.centre - first).to(device, torch.float32)
    angle = torch.from_numpy(patches.angle).to(device, torch.float32)
    side = torch.from_numpy(np.where(patches.mirrored, -1.0, 1.0)).to(device, torch.float32)[:, None]
    at = torch.arange(size, device=device, dtype=torch.float32) + 0.5 - size / 2
    cos, sin = angle.cos()[:, None] * at, angle.sin()[:, None] * at
    # places in the window, from -1 to 1 across it: centre + right * (cos, sin) + down * (-sin, cos)
    x, y = (side * cos + centre[:, 1:]) * (2 / edge) - 1, (side * sin + centre[:, :1]) * (2 / edge) - 1
    grid = torch.empty(len(first), size, size, 2, device=device)
    torch.sub(x[:, None, :], sin[:, :, None] * (2 / edge), out=grid[..., 0])
    torch.add(y[:, None, :], cos[:, :, None] * (2 / edge), out=grid[..., 1])
    image = torch.from_numpy(windows).to(device)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _windows(channels: np.ndarray, first: np.ndarray, edge: int) -> np.ndarray:
    """Squares of the raster by their first rows and columns (n, 2); float32 (n, channels, edge, edge), NaN beyond."""
    windows = np.full((len(first), len(channels), edge, edge), np.nan, dtype=np.float32)
    for window, (top, left) in zip(windows, first.tolist(), strict=True):
        above, before = max(-top, 0), max(-left, 0)
        there = channels[:, max(top, 0) : max(top + edge, 0), max(left, 0) : max(left + edge, 0)]
        window[:, above : above + there.shape[1], before : before + there.shape[2]] = there
    return windows


class PatchSource:
    """An epoch's batches of patches, cut, normalised and augmented.

    Parameters
    ----------
    sampler : PatchSampler
    scaling : dict
        Of the fold.
    augment : torchvision.transforms.v2.Transform
        What is done to a batch besides turning and mirroring, which are part of the places.
    engine : Engine
    """

    def __init__(
        self, sampler: PatchSampler, scaling: Scaling, augment: v2.Transform, engine: Engine
    ) -> None:  # fmt: skip
        self.sampler, self.scaling, self.augment, self.engine = sampler, scaling, augment, engine
        self.labels, self.site_labels = torch.from_numpy(sampler.home_label), sampler.site_labels

    def epoch(self, order: torch.Tensor) -> Iterator[Batch]:
        """A batch for each row of `order`, (steps, batch)."""
        patches = self.sampler.draw(np.random.default_rng(int(torch.randint(2**62, ()))))
        channels, size, device = self.sampler.terrain.channels, self.sampler.size, self.engine.device
        for chosen in order.numpy():
            batch = patches[chosen]
            tiles = normalise(cut(channels, batch, size, device), self.scaling)
            labels, sites = torch.from_numpy(batch.label).to(device), self.sampler.sites(batch)
            here = None if sites is None else sites.on(device, self.engine.dtype)
            yield Batch(self.augment(tiles.to(self.engine.dtype)), labels, here)
