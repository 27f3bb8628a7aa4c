"""Attributes of tiles: terrain attributes, smoothed terrain, and distances to known features, such as faults."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
from rasterio import CRS, windows
from rasterio.features import rasterize
from shapely import box

from heatflow.errors import InputError
from heatflow.geo.attributes import MARGIN, STEEPNESS, distance_to, smoothed, terrain_attributes
from heatflow.grid.crs import transform_table
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import open_written, read_around
from heatflow.io.untrusted import vector_file

FARTHEST = 20_000.0  # m from a tile within which known features count
AHEAD = 32  # tiles whose terrain is read before the first of them is done
BACKGROUND = 3_000.0  # m, standard deviation of the Gaussian that smooths terrain


def read_shapes(path: str, key: str, crs: CRS) -> geopandas.GeoSeries:
    """Geometries of any vector file; empty ones are left out.

    Parameters
    ----------
    path : str
        Of a file that GDAL can read.
    key : str
        The param that holds the path, for messages.
    crs : rasterio.crs.CRS
        That the geometries are transformed to.

    Returns
    -------
    GeoSeries

    Raises
    ------
    InputError
        The file cannot be read, or does not say where on Earth it lies.
    """
    with vector_file(path, key) as file:
        shapes = file.read(columns=[])
    if not isinstance(shapes, geopandas.GeoDataFrame):
        raise InputError(f"{key}: {path}: has no geometry; give points, lines or areas")
    if shapes.crs is None:
        raise InputError(f"{key}: {path}: does not say its coordinate system; write it into the file")
    present = ~(shapes.geometry.is_empty | shapes.geometry.isna())
    return transform_table(shapes[present], crs, f"{key}: {path}").geometry


@dataclass(frozen=True)
class TileAttributes:
    """Attributes of tiles of a terrain raster, computed for those that are asked for.

    Parameters
    ----------
    path : Path
        Of the terrain.
    tiles : TileGrid
    row, col : int arrays, shape (n,)
        Of the tiles.
    features : dict of GeoSeries
        Known features by name, in the CRS of the terrain.
    """

    path: Path
    tiles: TileGrid
    row: np.ndarray
    col: np.ndarray
    features: dict[str, geopandas.GeoSeries]

    def compute(self, index: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Attributes of some of the tiles, one after the other, a tile at a time on each processor.

        Parameters
        ----------
        index : int array, shape (m,)
            Into `row` and `col`.

        Yields
        ------
        dict of float32 arrays, shape (size, size)
            NaN where there is no data. The attributes of `terrain_attributes`; ``steepness``, the mean slope around
            each pixel, degrees; ``background``, smoothed elevation, metres, without gaps; for each of `features` the
            distance to it, metres, as far as FARTHEST, NaN throughout where none is that near to the tile.
        """
        size, margin = self.tiles.size, self._pixels(MARGIN)
        tops, lefts = (v.tolist() for v in self.tiles.corners(self.row[index], self.col[index]))
        with open_written(self.path) as terrain, ThreadPoolExecutor(os.cpu_count()) as pool:
            corners = [*zip(tops, lefts, strict=True)]
            for first in range(0, len(corners), AHEAD):
                part = corners[first : first + AHEAD]
                around = (read_around(terrain, *corner, size, margin)[0] for corner in part)  # read by one thread,
                features = (self._features(*corner) for corner in part)  # and rasterised by it
                yield from pool.map(self._attributes, around, features)

    def _pixels(self, metres: float) -> int:
        return round(metres / self.tiles.grid.resolution)

    def _features(self, top: int, left: int) -> dict[str, np.ndarray]:
        """Pixels, eight in a byte, that features touch on a tile and as far around it as they count."""
        size, margin = self.tiles.size, self._pixels(FARTHEST)
        touched = (touches(shapes, self.tiles.grid, top, left, size, margin) for shapes in self.features.values())
        return {name: np.packbits(pixels, axis=1) for name, pixels in zip(self.features, touched, strict=True)}

    def _attributes(self, around: np.ndarray, features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Attributes of a tile, from it and the terrain around it, and from what features touch."""
        resolution = self.tiles.grid.resolution
        attributes = terrain_attributes(around, resolution)
        steep = smoothed(attributes["slope"], STEEPNESS / resolution)
        attributes["steepness"] = np.where(np.isfinite(around), steep, np.nan)
        attributes["background"] = smoothed(around, BACKGROUND / resolution)
        inner = slice(self._pixels(MARGIN), self._pixels(MARGIN) + self.tiles.size)
        reach = self._pixels(FARTHEST)
        distances = {
            name: distance_to(np.unpackbits(pixels, axis=1, count=len(pixels)).astype(bool), resolution)
            for name, pixels in features.items()
        }
        own = slice(reach, reach + self.tiles.size)
        cut = {name: array[inner, inner] for name, array in attributes.items()}
        cut |= {name: array[own, own] for name, array in distances.items()}
        return {name: array.astype(np.float32) for name, array in cut.items()}


def touches(shapes: geopandas.GeoSeries, grid: Grid, top: int, left: int, size: int, margin: int) -> np.ndarray:
    """Whether each pixel of a square, and of the margin around it, touches a feature.

    Parameters
    ----------
    shapes : GeoSeries
        In the CRS of the grid.
    grid : Grid
    top, left : int
        Row and column of the square's upper-left pixel on the grid.
    size : int
        Edge of the square, pixels.
    margin : int
        Pixels around the square.

    Returns
    -------
    bool array, shape (size + 2 * margin, size + 2 * margin)
    """
    edge = size + 2 * margin
    window = windows.Window(left - margin, top - margin, edge, edge)
    there = np.zeros((edge, edge), dtype=bool)
    near = shapes.iloc[shapes.sindex.query(box(*windows.bounds(window, grid.transform)))]
    if len(near):
        transform = windows.transform(window, grid.transform)
        there = rasterize(near, there.shape, transform=transform, all_touched=True, dtype="uint8").astype(bool)
    return there
