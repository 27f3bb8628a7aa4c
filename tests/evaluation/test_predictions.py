"""Out-of-fold predictions: every tile by the networks that were trained without it."""

from dataclasses import dataclass

import geopandas
import numpy as np
import torch
from shapely import box
from torch import nn

from heatflow.evaluation.predictions import Predictions, SitePlaces, predict_out_of_fold
from heatflow.learning.engine import Engine
from heatflow.learning.folds import Folds


class Level(nn.Module):
    """Two classes; the probability of the second is the same for every tile."""

    def __init__(self, p):
        super().__init__()
        self.score = nn.Parameter(torch.tensor(np.log(p / (1 - p)), dtype=torch.float32))

    classes, sites = 2, True

    def class_maps(self, x):
        return torch.stack([x.mean(dim=(1, 2, 3)), self.score.expand(len(x))], dim=1)

    def tile_scores(self, maps):
        return maps * torch.tensor([0, 1])

    def site_scores(self, maps, tile, place):
        """The mean of the tile and the column of the site."""
        return torch.stack([maps[tile, 0].log(), place[:, 1].log()], dim=1)


@dataclass
class Data:
    """Three tiles in two folds of blocks and one of the random split."""

    split: Folds
    table: tuple = (0, 1, 2)
    folds: int = 3

    def members(self, fold, role):
        return np.flatnonzero(self.split.roles[fold] == role)

    def inputs(self, fold, index, device):
        return torch.from_numpy(1.0 + index)[:, None, None, None].expand(-1, 1, 4, 4).float()


def test_every_tile_is_predicted_by_the_networks_of_the_fold_that_tests_it():
    roles = np.array([["test", "test", "train"], ["train", "train", "test"], ["test", "test", "test"]], dtype=object)
    data = Data(Folds(roles, np.array(["0", "0", "random"])))
    networks = {0: [Level(0.1), Level(0.3)], 1: [Level(0.8), Level(0.6)], 2: [Level(0.5), Level(0.5)]}
    folds, places = [], SitePlaces(np.array([2, 0, 2, 1]), np.array([[0, 1], [0, 3], [1, 2.0], [0, 6]]))
    predictions = predict_out_of_fold(data, networks.get, Engine(torch.device("cpu")), places, lambda: folds.append(1))
    assert list(predictions.by_network) == [("0", 0), ("0", 1), ("random", 0), ("random", 1)]
    np.testing.assert_allclose(predictions.by_network["0", 1][:, 1], [0.3, 0.3, 0.6], rtol=1e-6)
    np.testing.assert_allclose(predictions.mean()[:, 1], [0.2, 0.2, 0.7], rtol=1e-6)
    np.testing.assert_allclose(predictions.mean(random=True), 0.5)
    assert len(folds) == 3
    np.testing.assert_allclose(predictions.site_members()[:, :, 1], [[1 / 4, 3 / 4, 2 / 5, 6 / 8]] * 2, rtol=1e-6)


def test_sites_lie_where_their_coordinates_are_in_their_tiles():
    squares = [box(0, 60, 40, 100), box(40, 20, 80, 60)]
    tiles = geopandas.GeoDataFrame({"tile": [3, 8]}, geometry=squares)
    points = geopandas.points_from_xy([50, 10, 1], [57, 99, 1])
    sites = geopandas.GeoDataFrame({"tile": [8, 3, 5]}, geometry=points)
    places = SitePlaces.from_tables(sites, tiles, size=20)
    assert places.tile.tolist() == [1, 0]
    np.testing.assert_allclose(places.place, [[1.5, 5], [0.5, 5]])


def test_repeats_and_seeds_count_alike():
    values = {("0", 0): 0.0, ("0", 1): 0.3, ("1", 0): 0.6}
    predictions = Predictions({key: np.full((1, 2), value) for key, value in values.items()})
    np.testing.assert_allclose(predictions.mean(), 0.3)
