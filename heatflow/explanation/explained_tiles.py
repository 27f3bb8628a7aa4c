"""What is explained: tiles with their networks, predictions and terrain."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from heatflow.config.schema import Split, Tile
from heatflow.explanation.out_of_fold import OutOfFoldNetworks, spread
from heatflow.geo.tile_attributes import TileAttributes
from heatflow.learning.folds import block_of

SAMPLE = 300  # tiles, at most, whose terrain the maps are compared with


@dataclass(frozen=True)
class ExplainedTiles:
    """Kept tiles with their networks and predictions, and attributes of the terrain of a sample of them.

    Parameters
    ----------
    networks : OutOfFoldNetworks
    predictions : DataFrame
        A row for each kept tile: ``tile``, ``label``, ``predicted``.
    block : int array, shape (n,)
        Block of each tile; intervals draw whole blocks.
    sample : int array, shape (m,)
    attributes : dict of str to float32 array, shape (m, size, size)
        Of `heatflow.geo.tile_attributes`.
    resolution : float
        Metres.
    tile : Tile
        Its classes are used.
    seed : int
        Of all draws.
    """

    networks: OutOfFoldNetworks
    predictions: pd.DataFrame
    block: np.ndarray
    sample: np.ndarray
    attributes: dict[str, np.ndarray]
    resolution: float
    tile: Tile
    seed: int

    @classmethod
    def read(
        cls, networks: OutOfFoldNetworks, predictions: pd.DataFrame, terrain: TileAttributes, tile: Tile, split: Split,
        on_tile: Callable[[], object] = lambda: None,
    ) -> "ExplainedTiles":  # fmt: skip
        """Read the attributes of a sample of the tiles; `terrain` is that of all of them."""
        sample = spread(np.arange(len(predictions)), SAMPLE)
        attributes = terrain.compute(sample, on_tile=on_tile)
        block = block_of(terrain.row, terrain.col, split.block_size, tile.size, tile.step)
        resolution = terrain.tiles.grid.resolution
        return cls(networks, predictions, block, sample, attributes, resolution, tile, split.seed)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted class of each tile, int64 (n,)."""
        return self.predictions["predicted"].to_numpy(dtype=np.int64)

    @property
    def predicted_high(self) -> np.ndarray:
        """Whether the predicted class of each tile is high, bool (n,)."""
        return self.predicted >= self.tile.first_high

    def target(self, explained: str | int) -> np.ndarray | None:
        """Class that is explained for each tile, int (n,); None for the log-odds of the high classes ("high")."""
        if explained == "high":
            return None
        return self.predicted if explained == "predicted" else np.full(len(self.predictions), explained)

    def groups(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Tiles that are pooled, of those in `index`: all, each class, correct and incorrect predictions; bool (m,)."""
        label, predicted = self.predictions["label"].to_numpy()[index], self.predicted[index]
        classes = {f"class {name}": label == k for k, name in enumerate(self.tile.class_ranges)}
        right = label == predicted
        return {"all": np.ones(len(index), dtype=bool), **classes, "correct": right, "incorrect": ~right}
