"""Sites: the wells of one cell of 2 km count as one, with the median of their residuals.

People drill densely where it is hot. Counted well by well, one explored field would outweigh a whole region.
"""

from dataclasses import replace

import geopandas
import numpy as np
import pandas as pd

from heatflow.config.schema import Tile
from heatflow.grid.grids import TileGrid

CELL = 2_000.0  # m, edge of a site


def group_sites(wells: geopandas.GeoDataFrame, tiles: TileGrid, tile: np.ndarray) -> geopandas.GeoDataFrame:
    """Group the wells of each tile into sites.

    Cells lie on a grid with the upper-left corner of the terrain. A cell that the edge of a tile divides makes a site
    in each of its tiles, so that every well of a tile is in exactly one of its sites.

    Parameters
    ----------
    wells : GeoDataFrame
        Points in the grid's CRS with ``residual``, mW/m2.
    tiles : TileGrid
    tile : int array, shape (k,)
        Numbers of the tiles whose sites are wanted.

    Returns
    -------
    GeoDataFrame
        ``tile``, ``row`` and ``col`` of the cell, ``n_wells``, ``residual`` (the median, mW/m2), and the mean place of
        the wells; in the order of tile, row and column.

    Examples
    --------
    >>> from rasterio.crs import CRS
    >>> from heatflow.grid.grids import Grid
    >>> tiles = TileGrid(Grid(0, 8000, 100, 80, 80, CRS.from_epsg(32611)), size=40, stride=40)
    >>> points = geopandas.points_from_xy([100, 300, 3900, 4100], [7900, 7900, 7900, 7900])
    >>> wells = geopandas.GeoDataFrame({"residual": [10.0, 30.0, 5.0, 90.0]}, geometry=points)
    >>> group_sites(wells, tiles, np.array([0, 1]))[["tile", "row", "col", "n_wells", "residual"]]
       tile  row  col  n_wells  residual
    0     0    0    0        2      20.0
    1     0    0    1        1       5.0
    2     1    0    2        1      90.0
    """
    grid, x, y = tiles.grid, wells.geometry.x.to_numpy(), wells.geometry.y.to_numpy()
    index, *place = tiles.tiles_of(*grid.pixel(x, y))
    row, col = replace(grid, resolution=CELL).pixel(x, y)
    columns = {"row": row, "col": col, "x": x, "y": y, "residual": wells["residual"].to_numpy(dtype=np.float64)}
    placed = pd.DataFrame({name: values[index] for name, values in columns.items()}).assign(tile=tiles.ids(*place))
    groups = placed[placed["tile"].isin(tile)].groupby(["tile", "row", "col"])
    sites = groups.agg(n_wells=("x", "size"), residual=("residual", "median"), x=("x", "mean"), y=("y", "mean"))
    points = geopandas.points_from_xy(sites.pop("x"), sites.pop("y"))
    return geopandas.GeoDataFrame(sites.reset_index(), geometry=points, crs=grid.crs.to_wkt())


def kept_sites(sites: geopandas.GeoDataFrame, tile: np.ndarray) -> tuple[geopandas.GeoDataFrame, np.ndarray]:
    """The sites of some tiles, in their order, and the place of the tile of each among those tiles, int (m,)."""
    there = sites[sites["tile"].isin(tile)].reset_index(drop=True)
    return there, pd.Index(tile).get_indexer(there["tile"])


def each_once(sites: pd.DataFrame, tile: Tile) -> np.ndarray:
    """Whether each site is the first of its cell, bool (m,), where tiles overlap; True for all where they do not.

    Overlapping tiles share wells. Without this a site would have itself among its known neighbours.

    >>> sites = pd.DataFrame({"row": [0, 0, 1], "col": [5, 5, 5]})
    >>> each_once(sites, Tile(stride=100)).tolist(), each_once(sites, Tile()).tolist()
    ([True, False, True], [True, True, True])
    """
    return ~sites.duplicated(["row", "col"]).to_numpy() if tile.step < tile.size else np.full(len(sites), True)


def site_weight(tile: np.ndarray) -> np.ndarray:
    """Weight of each site: one over the sites of its tile. It is that of drawing one site of each tile at random.

    >>> site_weight(np.array([7, 7, 3]))
    array([0.5, 0.5, 1. ])
    """
    _, place, count = np.unique(tile, return_inverse=True, return_counts=True)
    return 1 / count[place]


def mean_of_others(tile: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Mean over the other sites of the tile of each site: the most that is known of a site without looking at it.

    >>> mean_of_others(np.array([7, 7, 7, 3]), np.array([1.0, 2.0, 6.0, 5.0]))
    array([4. , 3.5, 1.5, nan])
    """
    _, place, count = np.unique(tile, return_inverse=True, return_counts=True)
    others = count[place] - 1
    total = np.bincount(place, weights=value)[place] - value
    return np.divide(total, others, out=np.full(len(value), np.nan), where=others > 0)


def correlation_within(tile: np.ndarray, value: np.ndarray) -> float:
    """Correlation of the sites of a tile, from 0 to 1, by the one-way analysis of variance (Donner, 1986, International
    Statistical Review 54:67).

    0 where no tile has several sites, or all values are the same.

    Parameters
    ----------
    tile : int array, shape (m,)
    value : float or bool array, shape (m,)

    Examples
    --------
    >>> correlation_within(np.array([1, 1, 2, 2]), np.array([True, True, False, False]))
    1.0
    """
    _, place, count = np.unique(tile, return_inverse=True, return_counts=True)
    value, tiles, sites = np.asarray(value, dtype=np.float64), len(count), len(place)
    if not 1 < tiles < sites:
        return 0.0
    mean = np.bincount(place, weights=value) / count
    between = (count * (mean - value.mean()) ** 2).sum() / (tiles - 1)
    within = ((value - mean[place]) ** 2).sum() / (sites - tiles)
    usual = (sites - (count**2).sum() / sites) / (tiles - 1)  # sites of a tile
    spread = between + (usual - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 0.0
