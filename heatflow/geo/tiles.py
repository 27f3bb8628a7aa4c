"""Tiles: which wells each holds, its class, its pixels, and whether they are enough."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window
from shapely import box

from heatflow.errors import reading
from heatflow.geo.labels import STATISTICS, label_squares
from heatflow.geo.low_data import data_statistics
from heatflow.grid.grids import TileGrid
from heatflow.io.vectors import read_table


def label_tiles(
    pixel_row: np.ndarray,
    pixel_column: np.ndarray,
    residual: np.ndarray,
    tiles: TileGrid,
    *,
    statistic: str,
    min_wells: int,
    edges: list[float],
) -> tuple[pd.DataFrame, np.ndarray]:
    """Group wells by tile and give each tile its class.

    Parameters
    ----------
    pixel_row, pixel_column : int arrays, shape (n,)
        Pixels that hold the wells.
    residual : float array, shape (n,), mW/m2
    statistic : "max", "p90", "median" or "mean" of the residuals in the tile

    Returns
    -------
    table : DataFrame
        ``tile`` (id: row times the number of columns, plus column), ``row``, ``col``, ``n_wells``, ``residual`` (the
        statistic), ``residual_max`` and the like for each statistic, ``label``; in the order of the id; tiles with at
        least `min_wells` wells.
    unplaced : int array
        Index of the wells that lie in no tile: in the margin past the last whole tile or in a gap between tiles.
    """
    index, row, col = tiles.tiles_of(pixel_row, pixel_column)
    tile, residual = tiles.ids(row, col), np.asarray(residual, dtype=np.float64)[index]
    table = label_squares(tile, residual, statistic=statistic, min_wells=min_wells, edges=edges)
    groups = pd.Series(residual).groupby(tile)
    every = {f"residual_{name}": compute(groups) for name, compute in STATISTICS.items()}
    table = table.join(pd.DataFrame(every))
    table = table[["n_wells", "residual", *every, "label"]].rename_axis("tile").reset_index()
    table.insert(1, "row", tiles.rows_and_columns(table["tile"])[0])
    table.insert(2, "col", tiles.rows_and_columns(table["tile"])[1])
    unplaced = np.ones(len(np.asarray(pixel_row)), dtype=bool)
    unplaced[index] = False
    return table, np.flatnonzero(unplaced)


def cut_tiles(
    dataset: rasterio.DatasetReader,
    tiles: TileGrid,
    table: pd.DataFrame,
    path: Path,
    on_tile: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Cut the tiles of a table out of a raster, a row of tiles at a time, into one packed array.

    Parameters
    ----------
    dataset : the terrain, float32 with NaN for nodata
    table : with ``row`` and ``col``, sorted by both
    path : of the .npy file to write: float32, shape (n, size, size), metres, NaN where there is no data

    Returns
    -------
    DataFrame with, for each tile, ``valid`` (share of pixels with data), ``relief`` (m, highest minus lowest pixel)
    and ``constant`` (share of pixels that hold the tile's commonest value), both over the valid ones, NaN without any.
    """
    size, stride = tiles.size, tiles.stride
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype("<f4")), "fortran_order": False}
    described = []
    with open(path, "wb") as packed:  # in order, so that memory holds one row of tiles, whatever the number of them
        np.lib.format.write_array_header_1_0(packed, {**header, "shape": (len(table), size, size)})
        rows, cols = table["row"].to_numpy(), table["col"].to_numpy()
        for row in np.unique(rows).tolist():
            here = cols[rows == row].tolist()
            left, right = here[0] * stride, here[-1] * stride + size
            strip = dataset.read(1, window=Window(left, row * stride, right - left, size))
            for col in here:
                tile = np.ascontiguousarray(strip[:, col * stride - left : col * stride - left + size], dtype="<f4")
                packed.write(tile.data)
                described.append(data_statistics(tile.reshape(1, -1)))
                on_tile()
    return pd.concat(described, ignore_index=True)


@dataclass(frozen=True)
class PackedTiles:
    """The packed array of all tiles, left on disk until asked for, and the number of the tile in each row of it.

    Parameters
    ----------
    pixels : float32 array, shape (n, size, size), metres, NaN where there is no data
    ids : int array, shape (n,), ascending
    """

    pixels: np.ndarray
    ids: np.ndarray

    @classmethod
    def load(cls, path: str | Path, table: str | Path) -> "PackedTiles":
        """Read what the tile stage wrote: the array at `path`, and the table of its tiles.

        Raises
        ------
        InputError
            One of the two is damaged, or they have different numbers of tiles.
        """
        ids = read_table(table)["tile"].to_numpy()
        with reading(path):
            pixels = np.load(path, mmap_mode="r", allow_pickle=False)
            if pixels.ndim != 3 or len(pixels) != len(ids):
                raise ValueError(f"its shape is {pixels.shape}, and there are {len(ids)} tiles")
        return cls(pixels, ids)

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Rows of the array that hold tiles, by their numbers; int array (m,)."""
        return np.searchsorted(self.ids, ids)

    def elevation(self, ids: np.ndarray) -> np.ndarray:
        """Tiles by their numbers, in metres; float32 array (m, size, size), NaN where there is no data."""
        return np.asarray(self.pixels[self.rows(ids)])


def footprints(tiles: TileGrid, table: pd.DataFrame) -> geopandas.GeoSeries:
    """Outline of each tile of a table as a polygon in the grid's CRS."""
    left, bottom, right, top = tiles.bounds(table["row"].to_numpy(), table["col"].to_numpy())
    return geopandas.GeoSeries(box(left, bottom, right, top), index=table.index, crs=tiles.grid.crs.to_wkt())
