"""The evaluation of the sites of a small region whose answers are known."""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import pytest

from heatflow.config.schema import Split, Tile
from heatflow.evaluation.evaluate_sites import evaluate_sites
from heatflow.evaluation.predictions import Predictions

SIDE = 6
TILE, SPLIT = Tile(edges=[0, 50], binary_edge=50), Split(block_size=1)


@dataclass
class Data:
    """Tiles on a square of 40 km each; the left half is tested by fold 0, the right half by fold 1."""

    table: pd.DataFrame
    roles: np.ndarray

    @property
    def test_fold(self):
        return (self.roles == "test").argmax(axis=0)


@pytest.fixture
def region():
    """Each tile has two sites 1 km apart, of its class; the third tile in four is not predicted well."""
    row, col = (place.ravel() for place in np.mgrid[:SIDE, :SIDE])
    number, left = np.arange(SIDE**2), col < SIDE // 2
    roles = np.array([np.where(left, "test", "train"), np.where(left, "train", "test")], dtype=object)
    data = Data(pd.DataFrame({"tile": number, "row": row, "col": col}), roles)
    label = np.random.default_rng(0).integers(0, 3, SIDE**2)
    x, y = np.repeat(col * 40e3, 2) + np.tile([0, 1e3], SIDE**2), np.repeat(-row * 40e3, 2)
    residual = np.array([-10.0, 10.0, 60.0])[np.repeat(label, 2)]
    columns = {"tile": np.repeat(number, 2), "residual": residual}
    sites = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(x, y))
    p = np.full((SIDE**2, 3), 0.05)
    p[number, np.where(number % 4 == 2, (label + 1) % 3, label)] = 0.9
    return data, sites, p


def test_tiles_stand_for_their_sites_where_networks_have_no_maps_of_them(region):
    data, sites, p = region
    inside = np.arange(SIDE**2) % 6 > 0
    found = evaluate_sites(data, sites, Predictions({("0", 0): p}), inside, TILE, SPLIT)
    sets = found.tables["prediction_sets"].set_index(["group", "value"])
    assert found.rule.blocks == SIDE**2
    assert sets.loc["all", "sites"].tolist() == [2 * SIDE**2] * 3
    assert sets.loc[("all", "each block alike"), "coverage"] >= 0.9
    assert sets.loc["class", "sites"].sum() == 2 * SIDE**2
    assert sets.loc["area of applicability", "sites"].to_dict() == {"inside": 60, "outside": 12}
    assert sets.loc["km to a site of another tile"].index.tolist() == ["20 to 40", "40 to 80"]
    assert sets.loc["km to a training site"].index.tolist() == ["20 to 40", "40 to 80", "80 and more"]
    near = found.tables["near_wells"].set_index(["known", "km"])
    assert near.loc[("all other sites", "0 to 2"), "sites"] == 2 * SIDE**2
    assert near.loc[("all other sites", "all"), "gain"] > 0  # the other site of a tile has its class


def test_maps_of_sites_are_what_is_evaluated_where_there_are_some(region):
    data, sites, p = region
    of_sites = np.eye(3)[np.digitize(sites["residual"], TILE.edges)] * 0.97 + 0.01
    predictions = Predictions({("0", 0): p}, {("0", 0): of_sites})
    found = evaluate_sites(data, sites, predictions, np.ones(SIDE**2, dtype=bool), TILE, SPLIT)
    every = found.tables["prediction_sets"].iloc[0]
    assert (every["coverage"], every["mean_size"]) == (1, 1)
    assert found.tables["near_wells"].iloc[0]["network"] == 1
