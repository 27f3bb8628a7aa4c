"""The best places of a map."""

import numpy as np
import pandas as pd

from heatflow.prediction.best_places import best_apart, best_places, cautious

SIZE = 20


def test_one_network_counts_for_less_than_the_mean_of_several():
    p, disagreement, networks = np.array([0.9, 0.9, 0.9]), np.array([0.1, np.nan, 0.1]), np.array([2.0, 1.0, 5.0])
    single = np.sqrt((0.1**2 * 2 + 0.1**2 * 5 / 4) / 2)
    np.testing.assert_allclose(cautious(p, disagreement, networks), 0.9 - single / np.sqrt(networks))
    assert cautious(p[1:2], disagreement[1:2], networks[1:2]) == [0.9]  # no window has several networks


def test_best_places_do_not_overlap():
    value = np.array([0.5, 0.9, 0.8, np.nan, 0.7])
    top, left = np.array([0, 100, 110, 300, 120]), np.zeros(5, dtype=int)
    assert best_apart(value, top, left, SIZE, 9).tolist() == [1, 4, 0]
    assert best_apart(value, top, left, SIZE, 1).tolist() == [1]


def test_best_places_lie_in_the_area_of_applicability_with_their_wells_and_coordinates(window_grid, tile):
    windows = pd.DataFrame(
        {"top": [20, 20, 60], "left": [60, 0, 0], "p0": [0.2, 0.1, 0.4], "p1": [0.8, 0.9, 0.6]}
        | {"disagreement": 0.1, "networks": 2.0, "dissimilarity": [1.0, 1.1, 0.5]}
    )
    wells = np.array([30, 3]), np.array([70, 3])
    places = best_places(windows, window_grid, 1.0, tile, wells, 9)
    assert places["p_high"].tolist() == [0.8, 0.6]  # 0.9 lies outside
    assert places["rank"].tolist() == [1, 2]
    assert places["n_wells"].tolist() == [1, 0]
    assert places.geometry[0].bounds == (512_000, 4_392_000, 516_000, 4_396_000)
    centre = places.to_crs("EPSG:4326").geometry[0].centroid
    assert abs(places["lon"][0] - centre.x) < 1e-4
    assert abs(places["lat"][0] - centre.y) < 1e-4
