"""Tiles: which wells each holds, its class, its pixels, and whether they are enough."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window
from shapely import box

from heatflow.errors import reading
from heatflow.geo.grid import TileGrid

STATISTICS = {
    "max": lambda groups: groups.max(),
    "p90": lambda groups: groups.quantile(0.9),
    "median": lambda groups: groups.median(),
    "mean": lambda groups: groups.mean(),
}


def classify(residual: np.ndarray, edges: list[float]) -> np.ndarray:
    """Class of each residual: the number of edges below it. Classes are right-closed, so an edge is in the lower one.

    >>> classify(np.array([-5.0, 25.0, 25.1, 200.0, 9000.0]), [25, 50, 200])
    array([0, 0, 1, 2, 3])
    """
    return np.searchsorted(np.asarray(edges, dtype=np.float64), residual, side="left")


def class_names(edges: list[float]) -> list[str]:
    """Label text that sorts.

    >>> class_names([25, 50, 200])
    ['0: <=25', '1: 25-50', '2: 50-200', '3: >200']
    """
    return [f"{k}: {text}" for k, text in enumerate(class_ranges(edges))]


def class_ranges(edges: list[float]) -> list[str]:
    """Range of residuals of each class, mW/m2.

    >>> class_ranges([25, 50, 200])
    ['<=25', '25-50', '50-200', '>200']
    """
    text = [f"{e:g}" for e in edges]
    return [f"<={text[0]}", *(f"{a}-{b}" for a, b in pairwise(text)), f">{text[-1]}"]


def explained(target: str | int, edges: list[float], binary_edge: float) -> str:
    """What `saliency.target` explains, in words.

    >>> explained("predicted", [25, 50], 50), explained(2, [25, 50], 50)
    ('the class predicted', 'class 2, >50 mW/m2')
    """
    named = {"predicted": "the class predicted", "high": f"the log-odds of above {binary_edge:g} mW/m2"}
    return named[target] if isinstance(target, str) else f"class {target}, {class_ranges(edges)[target]} mW/m2"


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
    columns = tiles.shape[1]
    groups = pd.Series(np.asarray(residual, dtype=np.float64)[index]).groupby(row * columns + col)
    every = {f"residual_{name}": of(groups) for name, of in STATISTICS.items()}
    table = pd.DataFrame({"n_wells": groups.size(), "residual": every[f"residual_{statistic}"], **every})
    table = table[table["n_wells"] >= min_wells]
    table = table.rename_axis("tile").reset_index()
    table.insert(1, "row", table["tile"] // columns)
    table.insert(2, "col", table["tile"] % columns)
    table["label"] = classify(table["residual"].to_numpy(), edges)
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
                described.append(_describe(tile))
                on_tile()
    return pd.DataFrame(described, columns=["valid", "relief", "constant"])


def load_tiles(path: str | Path, n: int) -> np.ndarray:
    """The packed array of n tiles that `cut_tiles` wrote, float32 (n, size, size), left on disk until asked for.

    Raises
    ------
    InputError
        It is damaged, cut short, or holds another number of tiles.
    """
    with reading(path):
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        if pixels.ndim != 3 or len(pixels) != n:
            raise ValueError(f"its shape is {pixels.shape}, and there are {n} tiles")
    return pixels


def _describe(tile):
    values = np.sort(tile, axis=None)  # NaN comes last
    n = values.searchsorted(np.nan)
    if not n:
        return 0.0, np.nan, np.nan
    values = values[:n]
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    commonest = np.diff(starts, prepend=0, append=n).max()
    return n / tile.size, float(values[-1] - values[0]), commonest / n


def low_data(
    table: pd.DataFrame, *, min_valid: float, min_relief: float | None, max_constant: float | None
) -> pd.Series:
    """Why each tile holds too little data to learn from; "" where it holds enough.

    Parameters
    ----------
    table : with ``valid``, ``relief`` and ``constant``, as `cut_tiles` gives them
    min_valid : smallest share of pixels with data
    min_relief : m; None: no test
    max_constant : largest share of pixels with one and the same value (a fill that is not marked); None: no test
    """
    tests = [((table["valid"] < min_valid) | (table["valid"] == 0), "too few pixels with data")]
    if max_constant is not None:
        tests.append((table["constant"] > max_constant, "constant fill"))
    if min_relief is not None:
        tests.append((table["relief"] < min_relief, "no relief"))
    conditions, reasons = zip(*tests, strict=True)
    return pd.Series(np.select(conditions, reasons, default=""), index=table.index, dtype=object)


def footprints(tiles: TileGrid, table: pd.DataFrame) -> geopandas.GeoSeries:
    """Outline of each tile of a table as a polygon in the grid's CRS."""
    left, bottom, right, top = tiles.bounds(table["row"].to_numpy(), table["col"].to_numpy())
    return geopandas.GeoSeries(box(left, bottom, right, top), index=table.index, crs=tiles.grid.crs.to_wkt())
