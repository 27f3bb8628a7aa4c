"""Out-of-fold predictions: every tile by the networks that were trained without it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from heatflow.evaluation.predictions import Predictions, predict_out_of_fold
from heatflow.learning.engine import Engine
from heatflow.learning.folds import Folds


class Level(nn.Module):
    """Two classes; the probability of the second is the same for every tile."""

    def __init__(self, p):
        super().__init__()
        self.score = nn.Parameter(torch.tensor(np.log(p / (1 - p)), dtype=torch.float32))

    def forward(self, x):
        return torch.stack([torch.zeros(len(x)), self.score.expand(len(x))], dim=1)


@dataclass
class Data:
    """Three tiles in two folds of blocks and one of the random split."""

    split: Folds
    table: tuple = (0, 1, 2)
    folds: int = 3

    def members(self, fold, role):
        return np.flatnonzero(self.split.roles[fold] == role)

    def inputs(self, fold, index, device):
        return torch.zeros((len(index), 1, 4, 4))


def test_every_tile_is_predicted_by_the_networks_of_the_fold_that_tests_it():
    roles = np.array([["test", "test", "train"], ["train", "train", "test"], ["test", "test", "test"]], dtype=object)
    data = Data(Folds(roles, np.array(["0", "0", "random"])))
    networks = {0: [Level(0.1), Level(0.3)], 1: [Level(0.8), Level(0.6)], 2: [Level(0.5), Level(0.5)]}
    folds = []
    predictions = predict_out_of_fold(data, networks.get, Engine(torch.device("cpu")), lambda: folds.append(1))
    assert list(predictions.by_network) == [("0", 0), ("0", 1), ("random", 0), ("random", 1)]
    np.testing.assert_allclose(predictions.by_network["0", 1][:, 1], [0.3, 0.3, 0.6], rtol=1e-6)
    np.testing.assert_allclose(predictions.mean()[:, 1], [0.2, 0.2, 0.7], rtol=1e-6)
    np.testing.assert_allclose(predictions.mean(random=True), 0.5)
    assert len(folds) == 3


def test_repeats_and_seeds_count_alike():
    values = {("0", 0): 0.0, ("0", 1): 0.3, ("1", 0): 0.6}
    predictions = Predictions({key: np.full((1, 2), value) for key, value in values.items()})
    np.testing.assert_allclose(predictions.mean(), 0.3)
