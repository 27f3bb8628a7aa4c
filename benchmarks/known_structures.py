"""What can be told of tiles and sites of the demo by who knows where every structure is, but not which are hot.

It bounds what terrain can tell: the demo's heat follows its structures, and terrain shows where they are. It is no
strict bound. A network may also see what the terrain shows of a structure's size.
"""

import geopandas
import numpy as np
import shapely
from scipy.spatial import cKDTree
from sklearn.ensemble import ExtraTreesClassifier

from heatflow.config.schema import Tile
from heatflow.evaluation.by_sites import tile_probabilities
from heatflow.evaluation.skill import auc
from heatflow.geo.sites import site_weight

NEAREST = 3  # structures of any kind whose distances are known, and one less of each kind
RADII = (2, 3, 4, 6, 8, 12)  # km: nearness is a Gaussian of the distance, of each of these widths
PLACES = 40  # along each edge of a tile, whose nearness is averaged
TREES = {"n_estimators": 500, "min_samples_leaf": 10, "random_state": 0}


def known_structures(
    tiles: geopandas.GeoDataFrame, sites: geopandas.GeoDataFrame, structures: geopandas.GeoDataFrame, tile: Tile
) -> dict[str, float]:
    """AUC of high tiles and of high sites by extremely randomised trees, out of fold.

    Parameters
    ----------
    tiles : GeoDataFrame
        Outlines with ``tile``, ``label`` and ``fold``, in metres.
    sites : GeoDataFrame
        Points with ``tile`` and ``residual``, mW/m2, in the same CRS.
    structures : GeoDataFrame
        Points with ``kind``.
    tile : Tile

    Returns
    -------
    dict of float
        ``tile_known`` and ``site_known``, scored as the evaluation scores networks: pairs within folds, and each site
        weighs one over the sites of its tile. ``tile_known_by_sites`` is of tiles by what is known of their sites
        (`heatflow.evaluation.by_sites`).
    """
    structures = structures.to_crs(tiles.crs)
    trees = [cKDTree(shapely.get_coordinates(of.geometry.array)) for _, of in structures.groupby("kind")]
    every = cKDTree(shapely.get_coordinates(structures.geometry.array))
    row = dict(zip(tiles["tile"], range(len(tiles)), strict=True))
    of_site = sites["tile"].map(row).to_numpy()
    fold, weight = tiles["fold"].to_numpy(), site_weight(of_site)
    place = shapely.get_coordinates(sites.geometry.array)
    near = np.column_stack([every.query(place, k=NEAREST)[0], *(of.query(place, k=NEAREST - 1)[0] for of in trees)])
    high = tiles["label"].to_numpy() >= tile.first_high, sites["residual"].to_numpy() > tile.binary_edge
    p_tiles = out_of_fold(mean_nearness(tiles, every), high[0], fold, np.ones(len(tiles)))
    p_sites = out_of_fold(near, high[1], fold[of_site], weight)
    by_sites = tile_probabilities(np.column_stack([1 - p_sites, p_sites]), high[1].astype(int), of_site, fold)[:, 1]
    return {
        "tile_known": float(auc(high[0], p_tiles, fold)[0]),
        "tile_known_by_sites": float(auc(high[0], by_sites, fold)[0]),
        "site_known": float(auc(high[1], p_sites, fold[of_site], weight=weight)[0]),
    }


def mean_nearness(tiles: geopandas.GeoDataFrame, every: cKDTree) -> np.ndarray:
    """Nearness to the nearest structure, averaged over each tile, for each of RADII; float64 (tiles, radii)."""
    along = (np.arange(PLACES) + 0.5) / PLACES
    share = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    west, south, east, north = tiles.bounds.to_numpy().T[:, :, None]
    place = np.stack([west + (east - west) * share[:, 0], south + (north - south) * share[:, 1]], axis=-1)
    km = every.query(place)[0][:, :, None] / 1000
    return np.exp(-0.5 * (km / RADII) ** 2).mean(axis=1)


def out_of_fold(columns: np.ndarray, high: np.ndarray, fold: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Probability of being high by trees that are fitted to the other folds; float64 (n,)."""
    p = np.empty(len(high))
    for test in (fold == name for name in np.unique(fold)):
        fitted = ExtraTreesClassifier(**TREES).fit(columns[~test], high[~test], sample_weight=weight[~test])
        p[test] = fitted.predict_proba(columns[test])[:, 1]
    return p
