"""The tiles of each fold, with their roles and scalings."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import geopandas
import numpy as np
import torch

from heatflow.errors import reading
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import TileGrid
from heatflow.io.text import read_json
from heatflow.io.vectors import read_features
from heatflow.learning.engine import Engine
from heatflow.learning.folds import Folds
from heatflow.learning.inputs import network_inputs
from heatflow.learning.scaling import Scaling
from heatflow.learning.training import Part


@dataclass(frozen=True)
class FoldData:
    """Kept tiles with their roles and scalings.

    Parameters
    ----------
    table : GeoDataFrame
        The kept tiles, a row each.
    tiles : PackedTiles
        Of all tiles, kept or not.
    split : Folds
    scalings : list of dict
        One for each fold, see `heatflow.learning.scaling.fit_scaling`.
    """

    table: geopandas.GeoDataFrame
    tiles: PackedTiles
    split: Folds
    scalings: list[Scaling]

    @classmethod
    def load(cls, files: Sequence[Path], margin: int = 0) -> "FoldData":
        """Read what the tile, filter, split and normalize stages wrote; pixels stay on disk until asked for.

        Parameters
        ----------
        files : sequence of Path
            The packed tiles, their table, the table of the kept ones, their folds, and the scalings.
        margin : int, optional
            Of the tiles, pixels.

        Raises
        ------
        InputError
            One of the files is damaged, or does not belong to the others.
        """
        tiles, tile_table, kept, folds, scaling = files
        table = read_features(kept)
        split = Folds.read(folds, table["tile"].to_numpy())
        of_fold = read_json(scaling)
        with reading(scaling):
            scalings = [of_fold[f"fold{k}"] for k in range(len(split.roles))]
        return cls(table, PackedTiles.load(tiles, tile_table, margin), split, scalings)

    @property
    def roles(self) -> np.ndarray:
        """Role of each kept tile in each fold, str (folds, n)."""
        return self.split.roles

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.roles)

    @property
    def test_fold(self) -> np.ndarray:
        """The first fold that tests each kept tile, int array (n,)."""
        return (self.roles == "test").argmax(axis=0)

    def members(self, fold: int, role: str) -> np.ndarray:
        """Index of the kept tiles that have a role in a fold."""
        return np.flatnonzero(self.roles[fold] == role)

    def elevation(self, index: np.ndarray) -> np.ndarray:
        """Terrain of tiles in metres, float32 (m, size, size), NaN for nodata."""
        return self.tiles.elevation(self.table["tile"].to_numpy()[index])

    def surroundings(self, index: np.ndarray) -> np.ndarray:
        """All channels of tiles with what is around them, as networks predict them; float32 (m, channels, edge, edge),
        NaN for nodata."""
        return self.tiles.surroundings(self.table["tile"].to_numpy()[index])

    def inputs(self, fold: int, index: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Tiles as the network of a fold takes them to predict, float32 tensor (m, channels, edge, edge)."""
        return network_inputs(self.surroundings(index), self.scalings[fold], device)

    def excluded(self, fold: int, tiles: TileGrid, buffer: float) -> np.ndarray:
        """Squares that no training patch of a fold may touch.

        They are the test tiles, widened by `buffer` tiles on all sides, and the tiles of the buffer and of the
        validation part.

        Returns
        -------
        float64 array, shape (m, 3)
            Row and column of the centre and half the edge, pixels.
        """
        roles = self.roles[fold]
        centre = tiles.centres(self.table["row"].to_numpy(), self.table["col"].to_numpy())
        half = np.select([roles == "test", roles == "train"], [(0.5 + buffer) * tiles.size, 0], tiles.size / 2)
        return np.column_stack([centre, half])[half > 0]

    def duplicates(self) -> list[tuple[int, int, int]]:
        """Leaks: tiles of a fold's test part with the very same pixels as one that it trains or validates on.

        Tiles without relief are left out: one plain is like another.

        Returns
        -------
        list of (int, int, int)
            Fold, number of the tile that is tested, number of the other.
        """
        same: dict[bytes, list[int]] = {}
        for k in np.flatnonzero(self.table["relief"].to_numpy() > 0).tolist():
            content = np.ascontiguousarray(self.elevation(np.array([k])))
            same.setdefault(hashlib.sha256(content.data).digest(), []).append(k)
        tile = self.table["tile"].to_numpy()
        return [
            (fold, int(tile[a]), int(tile[b]))
            for group in same.values()
            for fold, roles in enumerate(self.roles)
            for a, b in permutations(group, 2)
            if roles[a] == "test" and roles[b] in ("train", "validation")
        ]

    def part(self, fold: int, role: str, engine: Engine) -> Part:
        """Tiles and labels of one role in a fold, on the engine's device; those to learn from without a margin."""
        index = self.members(fold, role)
        labels = torch.from_numpy(self.table["label"].to_numpy(dtype=np.int64)[index])
        seen = self.surroundings(index)
        if role == "train":
            seen = seen[..., self.tiles.inner, self.tiles.inner]
        tiles = network_inputs(seen, self.scalings[fold], engine.device)
        return Part(tiles.to(engine.dtype), labels.to(engine.device))
