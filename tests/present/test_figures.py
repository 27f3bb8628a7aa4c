import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from heatflow.grid.grids import TileGrid
from heatflow.present import figures


def test_hillshade_of_planes_is_the_cosine_of_the_angle_to_the_light():
    rows, columns = np.mgrid[:5, :5] * 100.0
    for north, east in ((1, -1), (-1, 1), (0.2, 0)):  # rise per metre
        shade = figures.hillshade((-rows * north + columns * east) / 3, 100, azimuth=315, altitude=45)
        normal = np.array([-east, -north, 1]) / np.sqrt(1 + north**2 + east**2)
        light = np.array([-0.5, 0.5, np.sqrt(0.5)])  # east, north, up
        np.testing.assert_allclose(shade, max(0, normal @ light), atol=1e-12)


def test_hillshade_keeps_holes():
    elevation = np.zeros((5, 5))
    elevation[2, 2] = np.nan
    assert np.isnan(figures.hillshade(elevation, 100)).sum() == 5


@pytest.mark.parametrize(("extent", "length"), [(40, 10), (8, 2), (1200, 200), (0.0001, 0.0001)])
def test_scale_bars_have_round_lengths(extent, length):
    assert figures._round_length(extent) == length


def test_a_picture_is_the_same_bytes_each_time(tmp_path):
    for name in ("a.png", "b.png"):
        figure = Figure(figsize=(2, 2))
        figure.subplots().imshow(np.random.default_rng(0).normal(size=(50, 50)))
        figures.save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"  # 256 colours


def test_confusion_figure_writes_counts_and_shares():
    figure = figures.confusion_figure(np.array([[3, 1], [0, 0]]), ["<=50", ">50"], "")
    assert [text.get_text() for text in figure.axes[0].texts] == ["3\n75%", "1\n25%", "0\n0%", "0\n0%"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["<=50", ">50"]


def test_curves_figure_cuts_spikes_that_would_hide_the_rest():
    history = pd.DataFrame({"fold": ["0", "0", "1", "1"], "epoch": [1, 2, 1, 2], "train_loss": [1.0, 0.9, 0.8, 99]})
    for name in ("validation_loss", "train_accuracy", "validation_accuracy"):
        history[name] = 0.5
    loss, accuracy = figures.curves_figure(history, 2).axes
    assert loss.get_ylim()[1] == pytest.approx(2 * np.log(2))
    assert [line.get_ydata().tolist() for line in accuracy.lines[2:3]] == [[0.5, 0.5]]
    unmeasured = history.assign(validation_loss=np.nan, validation_accuracy=np.nan)
    labels = [line.get_label() for line in figures.curves_figure(unmeasured, 2).axes[1].lines]
    assert [text for text in labels if not text.startswith("_")] == ["training, mean of networks", "single networks"]


@pytest.mark.parametrize("folds", [2, 20])
def test_folds_figure_counts_the_tiles_of_each_fold_and_role(grid, folds):
    row, col = (a.ravel() for a in np.indices((8, 10)))
    fold, roles = np.arange(80) % folds, np.array(["train", "test"] * 40)
    figure = figures.folds_figure(np.zeros(grid.shape), TileGrid(grid, 1, 1), row, col, fold, roles)
    left, right = ([text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes)
    assert left == [f"fold {k} ({80 // folds})" for k in range(folds)]
    assert right == ["train (40)", "test (40)"]
    assert [len(patches.get_paths()) for patches in figure.axes[1].collections] == [40, 40]
