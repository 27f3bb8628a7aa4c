"""Probabilities of sites near known ones, and on a map."""

from types import SimpleNamespace

import geopandas
import numpy as np
import pandas as pd
import pytest

from heatflow.errors import InputError
from heatflow.geo.kriging import Covariance
from heatflow.prediction.near_wells import KnownSites
from heatflow.prediction.prediction_map import PredictionMap


def sites(x, y, residual, **columns):
    return geopandas.GeoDataFrame({"residual": residual} | columns, geometry=geopandas.points_from_xy(x, y))


def test_residuals_are_those_of_sites_that_are_predicted(tile):
    place = {"row": [0, 1, 2], "col": 0}
    table = sites([0, 1, 2], [0, 0, 0], [51.0, 50.0, 60.0], **place, p0=[0.75, 0.75, np.nan], p1=[0.25, 0.25, np.nan])
    known = KnownSites.out_of_fold(table, tile)
    assert known.residual.tolist() == [0.75, -0.25]
    assert known.place.tolist() == [[0, 0], [1, 0]]
    overlapping = pd.concat([table, table])  # a well of two tiles is known once
    assert len(KnownSites.out_of_fold(overlapping, tile.model_copy(update={"stride": tile.size // 2})).place) == 2
    with pytest.raises(InputError, match=r"^map\.near_wells: .*train\.site_weight above 0$"):
        KnownSites.out_of_fold(table.drop(columns=["p1"]), tile)


def test_the_layer_of_a_map_is_corrected_at_the_middle_of_its_pixels(window_grid, tile):
    grid = window_grid.map_grid
    above = np.full(grid.shape, 0.25, dtype=np.float32)
    above[0] = np.nan
    prediction = PredictionMap(
        pd.DataFrame(), None, None, window_grid, above, {}, SimpleNamespace(tile=tile), np.stack([above, above])
    )
    row, column = 3, 4
    middle = [[grid.left + (column + 0.5) * grid.resolution, grid.top - (row + 0.5) * grid.resolution]]
    known = KnownSites(np.array(middle), np.array([0.5]), Covariance(1.0, 100.0))
    layer = known.on_map(prediction).near_wells
    assert np.unravel_index(np.nanargmax(layer), layer.shape) == (row, column)
    assert layer[row, column] == 0.75
    assert np.isnan(layer[0]).all()
    assert (layer[1:] >= 0.25).all()
    assert (layer > 0.251).sum() == 1  # the others are several ranges away
    with pytest.raises(InputError, match="no maps of sites"):
        known.on_map(PredictionMap(pd.DataFrame(), None, None, window_grid, above, {}, SimpleNamespace(tile=tile)))
