"""Maps of tiles put back in their places: rasters of saliency on the grid of the terrain."""

from pathlib import Path

import numpy as np

from heatflow.grid.grids import TileGrid
from heatflow.io.rasters import write_cog

STRIP = 256  # rows of the raster at a time


def mosaic(
    maps: np.ndarray, row: np.ndarray, col: np.ndarray, tiles: TileGrid, first: int, last: int
) -> np.ndarray:  # fmt: skip
    """Rows `first` to `last` of the terrain's grid, with the maps in their places.

    Parameters
    ----------
    maps : float32 array, shape (n, size, size)
        NaN for no data.
    row, col : int arrays, shape (n,)
        Of each tile on the tile grid.
    tiles : TileGrid
    first, last : int

    Returns
    -------
    float32 array, shape (last - first, grid.width)
        The mean where tiles overlap, NaN where there is no tile.
    """
    total = np.zeros((last - first, tiles.grid.width))
    count = np.zeros(total.shape, dtype=np.int32)
    tops, lefts = row * tiles.stride, col * tiles.stride
    for k in np.flatnonzero((tops < last) & (tops + tiles.size > first)):
        top, left = int(tops[k]), int(lefts[k])
        r0, r1 = max(first, top), min(last, top + tiles.size)
        part = maps[k, r0 - top : r1 - top]
        there = np.isfinite(part)
        place = slice(r0 - first, r1 - first), slice(left, left + tiles.size)
        total[place] += np.where(there, part, 0)
        count[place] += there
    np.divide(total, count, out=total, where=count > 0)
    total[count == 0] = np.nan
    return total.astype(np.float32)


def write_maps(
    path: Path, bands: dict[str, np.ndarray], row: np.ndarray, col: np.ndarray, tiles: TileGrid, units: tuple[str, ...]
) -> None:
    """Write maps of tiles as a cloud-optimised GeoTIFF on the grid of the terrain, strip by strip.

    Parameters
    ----------
    path : Path
    bands : dict of str to float32 array, shape (n, size, size)
        Maps by the description of the band.
    row, col : int arrays, shape (n,)
        Of each tile on the tile grid.
    tiles : TileGrid
    units : tuple of str
        Of each band.
    """
    height = tiles.grid.height
    strips = (
        (top, np.stack([mosaic(maps, row, col, tiles, top, min(top + STRIP, height)) for maps in bands.values()]))
        for top in range(0, height, STRIP)
    )
    write_cog(path, tiles.grid, strips, bands=tuple(bands), units=units)
