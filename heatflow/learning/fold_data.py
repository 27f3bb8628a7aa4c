"""The tiles of one fold, normalised as that fold's training tiles ask for."""

import json
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np

from heatflow.geo.vector import read_features
from heatflow.learning.folds import read_roles
from heatflow.learning.scaling import normalise


@dataclass(frozen=True)
class FoldData:
    """Kept tiles with their roles and scalings.

    `table`: the kept tiles, a row each. `pixels`: packed array of all tiles (n, size, size), metres, NaN for nodata.
    `position`: row of `pixels` that holds each kept tile. `roles`: (folds, n) str. `scalings`: one for each fold.
    """

    table: geopandas.GeoDataFrame
    pixels: np.ndarray
    position: np.ndarray
    roles: np.ndarray
    scalings: list[dict[str, float]]

    @classmethod
    def load(cls, tiles: Path, tile_table: Path, kept: Path, folds: Path, scaling: Path) -> "FoldData":
        """Read what the tile, filter, split and normalize stages wrote; pixels stay on disk until asked for."""
        every = read_features(tile_table)["tile"].to_numpy()
        table = read_features(kept)
        roles = read_roles(folds, table["tile"].to_numpy())
        scalings = json.loads(Path(scaling).read_text(encoding="utf-8"))
        return cls(
            table=table,
            pixels=np.load(tiles, mmap_mode="r"),
            position=np.searchsorted(every, table["tile"].to_numpy()),
            roles=roles,
            scalings=[scalings[f"fold{k}"] for k in range(len(roles))],
        )

    @property
    def folds(self) -> int:
        return len(self.roles)

    @property
    def test_fold(self) -> np.ndarray:
        """The fold that tests each kept tile, int array (n,)."""
        return (self.roles == "test").argmax(axis=0)

    def members(self, fold: int, role: str) -> np.ndarray:
        """Index of the kept tiles that have a role in a fold."""
        return np.flatnonzero(self.roles[fold] == role)

    def elevation(self, index: np.ndarray) -> np.ndarray:
        """Tiles in metres, float32 (m, size, size), NaN for nodata."""
        return np.asarray(self.pixels[self.position[index]])

    def normalised(self, fold: int, index: np.ndarray) -> np.ndarray:
        """Tiles as the network of a fold sees them, float32 (m, size, size)."""
        return normalise(self.elevation(index), self.scalings[fold])

    def part(self, fold: int, role: str) -> tuple[np.ndarray, np.ndarray]:
        """Normalised tiles and labels (int64) of one role in a fold."""
        index = self.members(fold, role)
        return self.normalised(fold, index), self.table["label"].to_numpy(dtype=np.int64)[index]
