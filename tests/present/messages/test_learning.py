"""What the stages that split, normalise and train say."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from heatflow.learning.ensemble import TrainedNetwork
from heatflow.learning.folds import COMPARED, Folds, SplitTiles
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.scaling import FoldScalings
from heatflow.present.messages import learning as messages


@pytest.fixture
def trained():
    row = {"epoch": 1, "train_loss": 1.2, "validation_loss": 1.3, "train_accuracy": 0.5, "validation_accuracy": 0.25}
    with torch.random.fork_rng():
        network = NetworkInNetwork(classes=4, channels=[2])
    return TrainedNetwork(2, 1, network, [row], True, [0, 3])


def test_split_lines():
    roles = np.array([["train", "test", "validation"], ["test", "train", "buffer"], ["test", "train", "train"]])
    split = SplitTiles(Folds(roles, np.array(["0", "0", COMPARED])), 0.123, [(1, "validation", 0)])
    lines = list(messages.split_lines(split, "blocks", Path("folds.png")))
    assert lines == [
        "2 folds by blocks; tiles to train/validation/test/buffer: 1/1/1/0, 1/0/1/1 -> folds.png",
        "1 more folds of tiles at random, for comparison",
        "class shares of the test parts differ from those of all tiles by up to 12%",
    ]
    assert list(messages.split_warnings(split, ["0: <=50"])) == [
        "fold 1: its validation part has no tile of class 0: <=50"
    ]


def test_normalize_lines():
    scalings = FoldScalings([{"offset": 1.0, "scale": 2.0, "low": -3.0, "high": 5.0}])
    assert list(messages.normalize_lines(scalings, "standard")) == [
        "standard: training tiles from -3.0 .. 5.0 m to -2.000 .. 2.000"
    ]


def test_network_lines(trained):
    assert list(messages.network_lines(trained, seeds=2)) == [
        "fold 2, seed 1: loss 1.200, accuracy 50.0%; of validation 1.300, 25.0%"
    ]
    trained.history[0] |= {"validation_loss": math.nan, "validation_accuracy": math.nan}
    assert list(messages.network_lines(trained, seeds=1)) == ["fold 2: loss 1.200, accuracy 50.0%"]
    assert list(messages.network_warnings(trained, seeds=1)) == [
        "fold 2: the loss never left ln(4) = 1.386: nothing was learnt",
        "fold 2: the score of class [0, 3] is the same for every tile: it is dead",
    ]
