"""What lies in and around tiles: terrain attributes, terrain without its detail, and how far known features are."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np

from heatflow.geo.attributes import MARGIN, STEEPNESS, smoothed, terrain_attributes
from heatflow.geo.features import distance
from heatflow.grid.grids import TileGrid
from heatflow.io.rasters import open_written, read_around

FARTHEST = 20_000.0  # m from a tile within which known features are sought
BACKGROUND = 3_000.0  # m, standard deviation of the Gaussian that leaves terrain without its detail


@dataclass(frozen=True)
class Surroundings:
    """Tiles on the terrain raster `path`, by `row` and `col` on the grid of tiles, int arrays (n,).

    `features`: known ones by name, in the CRS of the terrain.
    """

    path: Path
    tiles: TileGrid
    row: np.ndarray
    col: np.ndarray
    features: dict[str, geopandas.GeoSeries]

    def of(self, index: np.ndarray, on_tile: Callable[[], object] = lambda: None) -> dict[str, np.ndarray]:
        """Arrays of the tiles in `index`, by name.

        Parameters
        ----------
        index : int array, shape (m,)

        Returns
        -------
        dict of float32 arrays, shape (m, size, size), NaN where there is no data
            The attributes of `terrain_attributes`; ``steepness``, the mean slope of the surroundings, degrees;
            ``background``, metres, without gaps; for each of `features` the distance to it, metres, right up to
            FARTHEST, NaN throughout where none is that near to the tile.
        """
        found: dict[str, np.ndarray] = {}
        reach = round(FARTHEST / self.tiles.grid.resolution)
        with open_written(self.path) as terrain, ThreadPoolExecutor(os.cpu_count()) as pool:
            corners = [(int(self.row[k]) * self.tiles.stride, int(self.col[k]) * self.tiles.stride) for k in index]
            reader = (self._read(terrain, *corner) for corner in corners)  # a dataset is read by one thread
            for number, arrays in enumerate(pool.map(self._attributes, reader)):
                for name, shapes in self.features.items():  # rasterising is not for threads
                    top, left = corners[number]
                    arrays[name] = distance(shapes, self.tiles.grid, top, left, self.tiles.size, reach)
                for name, array in arrays.items():
                    found.setdefault(name, np.empty((len(index), *array.shape), dtype=np.float32))[number] = array
                on_tile()
        return found

    @property
    def _margin(self):
        return round(MARGIN / self.tiles.grid.resolution)

    def _read(self, terrain, top, left):
        return read_around(terrain, top, left, self.tiles.size, self._margin)

    def _attributes(self, around):
        size, resolution, margin = self.tiles.size, self.tiles.grid.resolution, self._margin
        found = terrain_attributes(around, resolution)
        steep = smoothed(found["slope"], STEEPNESS / resolution)
        found["steepness"] = np.where(np.isfinite(around), steep, np.nan)
        found["background"] = smoothed(around, BACKGROUND / resolution)
        inner = slice(margin, margin + size), slice(margin, margin + size)
        return {name: array[inner] for name, array in found.items()}
