"""The best places of a map: windows that are high with the highest probability, at a margin for what is not known."""

import geopandas
import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer

from heatflow.config.schema import Tile
from heatflow.grid.grids import WindowGrid
from heatflow.prediction.blending import entropy
from heatflow.prediction.training_area import inside, overlap, squares


def cautious(p: np.ndarray, disagreement: np.ndarray, networks: np.ndarray) -> np.ndarray:
    """Probability minus one standard error of its mean over networks.

    The standard deviation of a single network is not known where one predicts alone: it is taken over all windows that
    have several.

    Parameters
    ----------
    p, disagreement, networks : float array, shape (m,)
        `disagreement` is NaN for one network alone.

    Returns
    -------
    float64 array, shape (m,)

    Examples
    --------
    >>> cautious(np.array([0.9, 0.9]), np.array([0.1, np.nan]), np.array([2.0, 1.0])).round(3)
    array([0.8  , 0.759])
    """
    several = networks > 1
    variance = disagreement[several] ** 2 * networks[several] / (networks[several] - 1)
    spread = np.sqrt(variance.mean()) if several.any() else 0.0
    return p - spread / np.sqrt(networks)


def best_apart(value: np.ndarray, top: np.ndarray, left: np.ndarray, size: int, most: int) -> np.ndarray:
    """Index of the windows of the largest values that do not share a pixel, the largest first; NaN is never taken.

    Parameters
    ----------
    value : float array, shape (m,)
    top, left : int array, shape (m,)
        First row and column of the windows.
    size : int
        Edge of a window, pixels.
    most : int

    Returns
    -------
    int array, shape (k,), k <= most

    Examples
    --------
    >>> best_apart(np.array([0.1, 0.9, 0.8, np.nan]), np.array([0, 0, 0, 90]), np.array([50, 0, 5, 90]), 10, 9).tolist()
    [1, 0]
    """
    chosen: list[int] = []
    for k in np.argsort(-value, kind="stable").tolist():
        if len(chosen) == most or not np.isfinite(value[k]):
            break
        if not overlap(top[[k]], left[[k]], size, squares(top[chosen], left[chosen], size))[0]:
            chosen.append(k)
    return np.array(chosen, dtype=int)


def best_places(windows: pd.DataFrame, window_grid: WindowGrid, threshold: float, tile: Tile,
                wells: tuple[np.ndarray, np.ndarray], most: int) -> geopandas.GeoDataFrame:  # fmt: skip
    """Windows of the highest `cautious` probability of being high that do not overlap, in the area of applicability.

    Parameters
    ----------
    windows : DataFrame
        As `heatflow.prediction.prediction_map.MapTask` gives it.
    window_grid : WindowGrid
    threshold : float
        Largest dissimilarity index in the area of applicability.
    tile : Tile
    wells : tuple of int array, shape (n,)
        Rows and columns of the pixels that hold wells.
    most : int

    Returns
    -------
    GeoDataFrame
        Outlines with ``rank``, ``p_high``, ``p_cautious``, a column for each class, ``entropy``, ``disagreement``,
        ``networks``, ``dissimilarity``, ``n_wells`` (in the window), ``lon`` and ``lat`` of its centre.
    """
    grid, size, classes = window_grid.grid, window_grid.size, tile.class_columns
    p_high = windows[classes[tile.first_high :]].sum(axis=1).to_numpy()
    careful = cautious(p_high, *(windows[name].to_numpy() for name in ("disagreement", "networks")))
    usable = np.where(windows["dissimilarity"].to_numpy() <= threshold, careful, np.nan)
    chosen = best_apart(usable, windows["top"].to_numpy(), windows["left"].to_numpy(), size, most)
    table = windows.iloc[chosen].reset_index(drop=True)
    top, left, edge = table["top"].to_numpy(), table["left"].to_numpy(), size * grid.resolution
    west, north = grid.left + left * grid.resolution, grid.top - top * grid.resolution
    held = inside(*wells, top, left, size).sum(axis=0)
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(west + edge / 2, north - edge / 2)
    columns = {
        "rank": np.arange(1, len(table) + 1), "p_high": p_high[chosen], "p_cautious": careful[chosen],
        **{name: table[name] for name in classes}, "entropy": entropy(table[classes].to_numpy().T),
        "disagreement": table["disagreement"], "networks": table["networks"].astype(int),
        "dissimilarity": table["dissimilarity"], "n_wells": held, "lon": np.round(lon, 5), "lat": np.round(lat, 5),
    }  # fmt: skip
    outlines = shapely.box(west, north - edge, west + edge, north)
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=grid.crs.to_wkt())
