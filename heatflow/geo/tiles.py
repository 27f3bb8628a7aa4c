"""Tiles: which wells each holds, its class, its pixels, and whether they are enough."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from rasterio import DatasetReader
from shapely import box

from heatflow.config.schema import Tile
from heatflow.errors import InputError, reading
from heatflow.geo.labels import STATISTICS, label_squares
from heatflow.geo.low_data import data_statistics
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import read_around
from heatflow.io.vectors import read_table


@dataclass(frozen=True)
class LabelledTiles:
    """The tiles that hold wells, with the class of each.

    Parameters
    ----------
    tiles : TileGrid
    table : GeoDataFrame
        As `label_tiles` gives it, with the outline of each tile.
    classes : int array, shape (k,)
        Number of tiles of each class.
    n_wells : int
        Number of wells given.
    n_unplaced : int
        Number of wells in no tile: past the last whole one, or between tiles.
    """

    tiles: TileGrid
    table: geopandas.GeoDataFrame
    classes: np.ndarray
    n_wells: int
    n_unplaced: int

    @classmethod
    def from_wells(cls, wells: geopandas.GeoDataFrame, grid: Grid, tile: Tile = Tile()) -> "LabelledTiles":
        """Lay tiles over a grid and give each its class.

        Parameters
        ----------
        wells : GeoDataFrame
            Points in the grid's CRS with ``residual``, mW/m2.
        grid : Grid
        tile : Tile

        Raises
        ------
        InputError
            A tile is larger than the grid, or none holds enough wells.

        Examples
        --------
        >>> from rasterio.crs import CRS
        >>> grid = Grid(left=0, top=4000, resolution=100, width=40, height=40, crs=CRS.from_epsg(32611))
        >>> points = geopandas.points_from_xy([100, 2100, 2200], [3900, 3900, 3800])
        >>> wells = geopandas.GeoDataFrame({"residual": [10.0, 30.0, 300.0]}, geometry=points)
        >>> labelled = LabelledTiles.from_wells(wells, grid, Tile(size=20))
        >>> labelled.table[["tile", "n_wells", "residual", "label"]]
           tile  n_wells  residual  label
        0     0        1      10.0      0
        1     1        2     300.0      3
        """
        tiles = TileGrid(grid, tile.size, tile.step)
        if 0 in tiles.shape:
            measures = f"the terrain measures ({grid.width} x {grid.height} pixels)"
            raise InputError(
                f"tile.size: {tile.size} pixels is more than {measures}; decrease it, or terrain.resolution"
            )
        row, column = grid.pixel(wells.geometry.x, wells.geometry.y)
        table, unplaced = label_tiles(row, column, wells["residual"].to_numpy(), tiles, tile)
        if table.empty:
            raise InputError(f"tile.min_wells: no tile holds {tile.min_wells} or more of the {len(wells)} wells")
        classes = np.bincount(table["label"], minlength=tile.n_classes)
        outlined = geopandas.GeoDataFrame(table, geometry=footprints(tiles, table))
        return cls(tiles, outlined, classes, len(wells), len(unplaced))

    @property
    def metrics(self) -> dict[str, Any]:
        """Contents of ``metrics/tiles.json``."""
        rows, columns = self.tiles.shape
        counts = {"tiles": len(self.table), "wells_in_no_tile": self.n_unplaced}
        classes = {str(k): int(n) for k, n in enumerate(self.classes)}
        return {"rows": rows, "columns": columns, **counts, "classes": classes}


def label_tiles(
    pixel_row: np.ndarray, pixel_column: np.ndarray, residual: np.ndarray, tiles: TileGrid, tile: Tile = Tile()
) -> tuple[pd.DataFrame, np.ndarray]:
    """Group wells by tile and give each tile its class.

    Parameters
    ----------
    pixel_row, pixel_column : int arrays, shape (n,)
        Pixels that hold the wells.
    residual : float array, shape (n,), mW/m2
    tiles : TileGrid
    tile : Tile
        Of which the statistic, the edges of the classes and the least number of wells are used.

    Returns
    -------
    table : DataFrame
        ``tile`` (id: row times the number of columns, plus column), ``row``, ``col``, ``n_wells``, ``residual`` (the
        statistic), ``residual_max`` and the like for each statistic, ``label``; in the order of the id.
    unplaced : int array
        Index of the wells that lie in no tile: in the margin past the last whole tile or in a gap between tiles.
    """
    index, row, col = tiles.tiles_of(pixel_row, pixel_column)
    ids, residual = tiles.ids(row, col), np.asarray(residual, dtype=np.float64)[index]
    table = label_squares(ids, residual, tile)
    groups = pd.Series(residual).groupby(ids)
    every = {f"residual_{name}": compute(groups) for name, compute in STATISTICS.items()}
    table = table.join(pd.DataFrame(every)).rename_axis("tile").reset_index()
    row, col = tiles.rows_and_columns(table["tile"].to_numpy())
    table = table.assign(row=row, col=col)[["tile", "row", "col", "n_wells", "residual", *every, "label"]]
    return table, np.setdiff1d(np.arange(len(pixel_row)), index)


def cut_tiles(dataset: DatasetReader, tiles: TileGrid, table: pd.DataFrame, path: Path,
              margin: int = 0, on_tile: Callable[[], object] = lambda: None) -> pd.DataFrame:  # fmt: skip
    """Cut the tiles of a table out of a raster, a row of tiles at a time, into one packed array.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The terrain and the bands beside it, float32 with NaN for no data.
    tiles : TileGrid
    table : DataFrame
        With ``row`` and ``col``, sorted by both.
    path : Path
        Of the .npy file to write: float32, NaN where there is no data, shape (n, edge, edge), or (n, channels, edge,
        edge) where the raster has several bands. The edge is that of a tile and twice the margin.
    margin : int, optional
        Pixels of terrain around a tile that are cut out with it.
    on_tile : callable
        Called after each tile, for progress.

    Returns
    -------
    DataFrame
        ``valid``, ``relief`` and ``constant`` of the terrain of each tile, without its margin, as `data_statistics`
        gives them.
    """
    size, stride, edge = tiles.size, tiles.stride, tiles.size + 2 * margin
    shape = (len(table), *([dataset.count] if dataset.count > 1 else []), edge, edge)
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype("<f4")), "fortran_order": False, "shape": shape}
    described = []
    with open(path, "wb") as packed:  # in order, so that memory holds one row of tiles, whatever the number of them
        np.lib.format.write_array_header_1_0(packed, header)
        rows, cols = table["row"].to_numpy(), table["col"].to_numpy()
        for row in np.unique(rows).tolist():
            here = cols[rows == row].tolist()
            left, right = here[0] * stride, here[-1] * stride + size
            strip = read_around(dataset, row * stride, left, (size, right - left), margin)
            for col in here:
                tile = np.ascontiguousarray(strip[..., col * stride - left : col * stride - left + edge], dtype="<f4")
                packed.write(tile.data)
                inner = tile[0, margin : margin + size, margin : margin + size]
                described.append(data_statistics(inner.reshape(1, -1)))
                on_tile()
    return pd.concat(described, ignore_index=True)


@dataclass(frozen=True)
class PackedTiles:
    """The packed array of all tiles, left on disk until asked for, and the number of the tile in each row of it.

    Parameters
    ----------
    framed : float32 array, shape (n, channels, edge, edge)
        Tiles and what is around them: the terrain in metres, then the other inputs of networks. NaN where there is no
        data.
    ids : int array, shape (n,)
        Ascending.
    margin : int, optional
        Pixels of terrain on each side of a tile.
    """

    framed: np.ndarray
    ids: np.ndarray
    margin: int = 0

    @property
    def channels(self) -> int:
        """Number of inputs of networks."""
        return self.framed.shape[1]

    @property
    def inner(self) -> slice:
        """Rows or columns of a tile without what is around it."""
        return slice(self.margin, self.framed.shape[-1] - self.margin)

    @property
    def stack(self) -> np.ndarray:
        """All channels of tiles without what is around them, float32 (n, channels, size, size)."""
        return self.framed[..., self.inner, self.inner]

    @property
    def pixels(self) -> np.ndarray:
        """Terrain of tiles without what is around them, float32 (n, size, size)."""
        return self.stack[:, 0]

    @classmethod
    def load(cls, path: str | Path, table: str | Path, margin: int = 0) -> "PackedTiles":
        """Read what the tile stage wrote with a margin: the array at `path`, and the table of its tiles.

        Raises
        ------
        InputError
            One of the two is damaged, or they have different numbers of tiles.
        """
        ids = read_table(table)["tile"].to_numpy()
        with reading(path):
            framed = np.load(path, mmap_mode="r", allow_pickle=False)
            if framed.ndim not in (3, 4) or len(framed) != len(ids) or framed.shape[-1] <= 2 * margin:
                raise ValueError(f"its shape is {framed.shape}, and there are {len(ids)} tiles")
        return cls(framed if framed.ndim == 4 else framed[:, None], ids, margin)

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Rows of the array that hold tiles, by their numbers; int array (m,)."""
        return np.searchsorted(self.ids, ids)

    def elevation(self, ids: np.ndarray) -> np.ndarray:
        """Terrain of tiles by their numbers, metres; float32 array (m, size, size), NaN where there is no data."""
        return np.asarray(self.pixels[self.rows(ids)])

    def surroundings(self, ids: np.ndarray) -> np.ndarray:
        """All channels of tiles and of what is around them; float32 array (m, channels, edge, edge)."""
        return np.asarray(self.framed[self.rows(ids)])


def footprints(tiles: TileGrid, table: pd.DataFrame) -> geopandas.GeoSeries:
    """Outline of each tile of a table as a polygon in the grid's CRS."""
    left, bottom, right, top = tiles.bounds(table["row"].to_numpy(), table["col"].to_numpy())
    return geopandas.GeoSeries(box(left, bottom, right, top), index=table.index, crs=tiles.grid.crs.to_wkt())
