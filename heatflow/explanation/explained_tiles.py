"""What is explained: tiles with their networks, predictions and terrain."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from heatflow.config.schema import Tile
from heatflow.explanation.out_of_fold import OutOfFoldNetworks, spread
from heatflow.geo.inputs import further_inputs
from heatflow.geo.tile_attributes import TileAttributes
from heatflow.io.rasters import open_written
from heatflow.io.vectors import read_table
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.folds import block_of
from heatflow.learning.models import load_networks

SAMPLE = 300  # tiles, at most, whose terrain the maps are compared with


@dataclass(frozen=True, eq=False)
class ExplainedTiles:
    """Kept tiles with their networks and predictions, attributes of the terrain of a sample of them, and their maps.

    Parameters
    ----------
    networks : OutOfFoldNetworks
    predictions : DataFrame
        A row for each kept tile: ``tile``, ``label``, ``predicted``.
    block : int array, shape (n,)
        Block of each tile; intervals draw whole blocks.
    sample : int array, shape (m,)
    folder : Path
        Of attributes and maps, an array in each file.
    resolution : float
        Metres.
    tile : Tile
        Its classes are used.
    seed : int
        Of all draws.
    inputs : list of str, optional
        Names of what networks see beside elevation.
    """

    networks: OutOfFoldNetworks
    predictions: pd.DataFrame
    block: np.ndarray
    sample: np.ndarray
    folder: Path
    resolution: float
    tile: Tile
    seed: int
    inputs: list[str] = field(default_factory=list)

    @property
    def attributes(self) -> dict[str, np.ndarray]:
        """Of `heatflow.geo.tile_attributes`, float32 (m, size, size), on disk until asked for."""
        return {path.stem: np.load(path, mmap_mode="r") for path in self.folder.glob("*.npy")}

    def write_attributes(self, terrain: TileAttributes, on_tile: Callable[[], object] = lambda: None) -> None:
        """Write the attributes of the sample into the folder, tile by tile; `terrain` is that of all tiles."""
        files: dict[str, np.ndarray] = {}
        for k, tile in enumerate(terrain.compute(self.sample)):
            for name, array in tile.items():
                if name not in files:
                    shape = len(self.sample), *array.shape
                    files[name] = np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", array.dtype, shape)
                files[name][k] = array
            on_tile()

    def maps(self, method: str, explained: str | int, channel: int = 0) -> np.ndarray:
        """Maps of all tiles on disk, float32 (n, size, size), to be read or written; 0 until written.

        Parameters
        ----------
        method : str
            See `attribute`.
        explained : str or int
            See `target`.
        channel : int, optional
            What networks see that the maps are of; the first is elevation.
        """
        path, data = self.folder / f"{method} of {explained} by {channel}", self.networks.data
        if not path.exists():
            shape = len(self.predictions), *data.tiles.pixels.shape[1:]
            np.lib.format.open_memmap(path, "w+", np.dtype(np.float32), shape)
        return np.load(path, mmap_mode="r+")

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


@dataclass(frozen=True)
class TileFiles:
    """What is explained, as paths and numbers.

    Parameters
    ----------
    fold_data : tuple of Path
        As `FoldData.load` takes them.
    models, predictions, terrain : Path
        What the stages train, evaluate and terrain wrote.
    folder : Path
        See `ExplainedTiles`; new for every run, and where all processes find it.
    tile : Tile
    block_size : int
        Tiles.
    seed : int
    resolution : float
        Metres.
    engine : Engine
    batch_size : int
        Tiles at a time.
    """

    fold_data: tuple[Path, ...]
    models: Path
    predictions: Path
    terrain: Path
    folder: Path
    tile: Tile
    block_size: int
    seed: int
    resolution: float
    engine: Engine
    batch_size: int

    def __call__(self) -> ExplainedTiles:
        """Read all but the pixels, which stay on disk."""
        data, table = FoldData.load(self.fold_data, self.tile.margin), read_table(self.predictions)
        models = [load_networks(self.models, fold) for fold in range(data.folds)]
        networks = OutOfFoldNetworks(data, models, self.engine, self.tile.first_high, self.batch_size)
        sample = spread(np.arange(len(table)), SAMPLE)
        row, col = (table[name].to_numpy(dtype=np.int64) for name in ("row", "col"))
        block = block_of(row, col, self.block_size, self.tile.size, self.tile.step)
        with open_written(self.terrain) as raster:
            inputs = further_inputs(raster)
        return ExplainedTiles(
            networks, table, block, sample, self.folder, self.resolution, self.tile, self.seed, inputs
        )
