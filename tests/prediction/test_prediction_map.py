"""The prediction map: windows in their places, blended, with gaps where there is no terrain."""

import numpy as np
import pandas as pd
import pytest

from heatflow.errors import InputError
from heatflow.prediction import prediction_map
from heatflow.prediction.prediction_map import MapTask, Region, at_centres, predict_map, predict_windows
from heatflow.present.map_figure import map_figure
from heatflow.present.messages.prediction import map_lines

WELLS = np.array([30, 3]), np.array([70, 3])


@pytest.fixture
def elevation():
    """A plain with a hill and a corner without data."""
    elevation = np.zeros((83, 110), dtype=np.float32)
    elevation[20:40, 60:80] = 400
    elevation[:30, :30] = np.nan
    return elevation


@pytest.fixture
def terrain(elevation, write_raster):
    return write_raster(elevation, nodata=np.nan)


def task(terrain, window_grid, ensemble):
    return MapTask(lambda: Region(terrain, window_grid, ensemble, WELLS))


@pytest.fixture
def prediction(terrain, window_grid, make_ensemble):
    return predict_map(task(terrain, window_grid, make_ensemble()), most=2)


def test_every_window_is_predicted_or_counted(terrain, window_grid, make_ensemble):
    seen = []
    windows, valid, counts, _ = predict_windows(task(terrain, window_grid, make_ensemble()), lambda: seen.append(1))
    np.testing.assert_array_equal(valid, 1 - np.outer(np.arange(16) < 6, np.arange(22) < 6))
    total = len(window_grid.starts(83)) * len(window_grid.starts(110))
    assert counts["windows"] == total == len(windows) + counts["low_data"] + counts["learnt_from"]
    assert len(seen) == len(window_grid.starts(83))
    assert counts["low_data"] == 4
    assert counts["learnt_from"] == 0
    assert not windows.duplicated(["top", "left"]).any()


def test_windows_that_every_fold_was_trained_on_are_left_out(terrain, window_grid, make_ensemble):
    windows, _, counts, _ = predict_windows(task(terrain, window_grid, make_ensemble(folds=1)))
    assert counts["learnt_from"] == counts["windows"] - counts["low_data"] - len(windows) > 0
    assert not ((windows["left"] < 20) & (windows["top"] < 20)).any()
    assert windows["disagreement"].isna().all()


def test_the_map_puts_a_hill_where_it_is_and_leaves_gaps_as_gaps(prediction):
    layers = prediction.layers
    row, col = np.unravel_index(np.nanargmax(layers.above), layers.above.shape)
    assert 4 <= row < 8
    assert 12 <= col < 16
    assert np.isnan(layers.above[:6, :6]).all()  # windows reach there, terrain does not
    assert np.isfinite(layers.above[6:]).all()
    np.testing.assert_allclose(layers.probability.sum(axis=0)[6:], 1, rtol=1e-5)
    best = prediction.places.iloc[0]
    assert best["n_wells"] == 1
    assert best["p_high"] == prediction.windows["p1"].max()


def test_metrics_compare_the_map_with_out_of_fold_predictions(prediction, window_grid):
    tiles = pd.DataFrame({"row": [1, 2, 3, 0], "col": [3, 3, 0, 0], "p0": 0.5, "p1": [0.9, 0.5, 0.1, 0.0]})
    metrics = prediction.metrics(tiles)
    assert metrics["tiles_on_map"] == 3  # the last has no terrain
    assert metrics["correlation_with_out_of_fold"] > 0
    assert metrics["mapped_share"] == 1
    assert metrics["windows"] == prediction.counts["windows"]
    above = prediction.layers.above
    values = at_centres(above, window_grid, np.array([20, 70]), np.array([60, 60]))
    np.testing.assert_array_equal(values, [above[6, 14], np.nan])


def test_figure_and_messages_show_the_best_places(prediction, elevation, tmp_path):
    figure = map_figure(elevation, prediction)
    assert [text.get_text() for text in figure.axes[0].texts if text.get_text().isdigit()] == ["1", "2"]
    lines = map_lines(prediction, tmp_path / "a.tif", tmp_path / "b.fgb")
    assert lines[0].startswith(f"{len(prediction.windows)} of {prediction.counts['windows']} windows predicted")
    assert "latitude 39.7" in lines[1]
    assert "p = 0.9" in lines[1]


def test_a_map_that_is_too_large_or_empty_is_refused(terrain, window_grid, make_ensemble, monkeypatch, write_raster):
    path = write_raster(np.full((83, 110), np.nan, dtype=np.float32), name="b.tif")
    with pytest.raises(InputError, match=r"b\.tif: no window of 20 pixels"):
        predict_map(task(path, window_grid, make_ensemble()))
    monkeypatch.setattr(prediction_map, "MOST_PIXELS", 300)
    with pytest.raises(InputError, match=r"map\.stride: a map of 352 pixels"):
        predict_map(task(terrain, window_grid, make_ensemble()))
