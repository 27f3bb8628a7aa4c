"""Predictions near wells: the probabilities of the networks with the residuals of known sites, kriged.

`heatflow.evaluation.near_wells` describes the method and measures what it adds.
"""

from dataclasses import dataclass, replace
from typing import Any

import geopandas
import numpy as np
import shapely

from heatflow.config.schema import Tile
from heatflow.errors import InputError
from heatflow.evaluation.near_wells import corrected
from heatflow.geo.kriging import Covariance
from heatflow.geo.sites import each_once
from heatflow.prediction.prediction_map import PredictionMap

NO_SITES = "map.near_wells: the networks have no maps of sites; train them with train.site_weight above 0"


@dataclass(frozen=True)
class KnownSites:
    """Sites whose residuals are known.

    Parameters
    ----------
    place : float64 array, shape (n, 2)
        In the CRS of the map, metres.
    residual : float64 array, shape (n,)
        1 or 0, whether each is above the binary edge, less its probability by networks that have not learnt from it.
    covariance : Covariance
        Of the residuals.
    """

    place: np.ndarray
    residual: np.ndarray
    covariance: Covariance

    @classmethod
    def fit(cls, sites: geopandas.GeoDataFrame, p_high: np.ndarray, edge: float) -> "KnownSites":
        """Sites with ``residual``, mW/m2; those without a probability (NaN) are left out. `edge` is the binary one."""
        there = np.isfinite(p_high)
        place = shapely.get_coordinates(sites.geometry.array)[there]
        residual = (sites["residual"].to_numpy()[there] > edge) - p_high[there]
        return cls(place, residual, Covariance.fit(place, residual))

    @classmethod
    def out_of_fold(cls, sites: geopandas.GeoDataFrame, tile: Tile) -> "KnownSites":
        """Sites of the training region, as the evaluate stage writes them.

        Raises
        ------
        InputError
            They have no probabilities of their own.
        """
        columns = tile.class_columns[tile.first_high :]
        if not set(columns) <= set(sites):
            raise InputError(NO_SITES)
        sites = sites[each_once(sites, tile)]
        return cls.fit(sites, sites[columns].to_numpy(dtype=np.float64).sum(axis=1), tile.binary_edge)

    def correct(self, p_high: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Probabilities of sites at some places, by networks, with what the known sites tell of them.

        Parameters
        ----------
        p_high : float array, shape (q,)
        place : float array, shape (q, 2)
            In metres.

        Returns
        -------
        float64 array, shape (q,)
            NaN where `p_high` is.

        Examples
        --------
        >>> hot = KnownSites(np.array([[0.0, 0.0]]), np.array([0.8]), Covariance(0.5, 10e3))
        >>> hot.correct(np.array([0.2, 0.2]), np.array([[0.0, 0.0], [9e5, 0.0]]))
        array([0.6, 0.2])
        """
        return corrected(p_high, self.covariance.predict(self.place, self.residual, place))

    def on_map(self, prediction: PredictionMap) -> PredictionMap:
        """A map with the layer ``near_wells``: of a site in the middle of each pixel."""
        if prediction.sites is None:
            raise InputError(NO_SITES)
        p_high, grid = prediction.sites[prediction.ensemble.tile.first_high - 1], prediction.window_grid.map_grid
        row, column = np.nonzero(np.isfinite(p_high))
        x, y = grid.left + (column + 0.5) * grid.resolution, grid.top - (row + 0.5) * grid.resolution
        layer = np.full(p_high.shape, np.nan, dtype=np.float32)
        layer[row, column] = self.correct(p_high[row, column], np.column_stack([x, y]))
        return replace(prediction, near_wells=layer)

    def summary(self) -> dict[str, Any]:
        """Number of sites, and the ``share`` and ``range`` (m) of their covariance."""
        return {"sites": len(self.residual), "share": self.covariance.share, "range": self.covariance.range}
