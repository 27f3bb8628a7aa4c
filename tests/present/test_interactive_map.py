import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from heatflow.config.schema import Tile
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import TileGrid
from heatflow.present import interactive_map


class Rows:
    """A raster of which every window is the same."""

    def __init__(self, values):
        self.values = values

    def read(self, band, window):
        return self.values


def thumbnails(n, size, grid):
    noise = np.random.default_rng(0).normal(size=(n or 1, size, size)).astype(np.float32) * 100
    table = pd.DataFrame({"tile": np.arange(n), "row": 0, "col": np.arange(n)})
    tiles = PackedTiles(noise[:, None], np.arange(n or 1))
    return interactive_map.thumbnails(table, tiles, Rows(noise[0]), TileGrid(grid, size, size))


def test_thumbnails_are_laid_out_in_a_square(grid):
    sheets = thumbnails(5, 10, grid)
    assert (sheets["columns"], sheets["edge"]) == (3, interactive_map.THUMBNAIL)
    assert thumbnails(0, 10, grid) is None


def test_thumbnails_stop_where_the_page_would_be_too_large(grid):
    assert thumbnails(interactive_map.MOST_THUMBNAILS + 1, 2, grid) is None
    sheets = thumbnails(interactive_map.MOST_THUMBNAILS // 10, interactive_map.THUMBNAIL, grid)
    assert len(sheets["terrain"]) + len(sheets["saliency"]) < 1e6  # noise is the worst that terrain can do


def test_tiles_and_wells_are_in_km_from_the_corner(grid):
    table = pd.DataFrame(
        {"row": [1], "col": [0], "tile": [2], "label": [1], "predicted": [0], "fold": [2], "n_wells": [3],
         "residual": [61.2567], "p0": [0.75], "p1": [0.25]}
    )  # fmt: skip
    tile = Tile(size=4, edges=[50], binary_edge=50)
    points = geopandas.points_from_xy(grid.left + np.linspace(0, 1990, 9000), np.full(9000, grid.top - 400))
    wells = geopandas.GeoDataFrame({"residual": np.full(9000, 60.0)}, geometry=points)
    window = shapely.box(grid.left + 400, grid.top - 1600, grid.left + 1200, grid.top - 800)
    top = geopandas.GeoDataFrame({"rank": [7]}, geometry=[window])
    data = interactive_map.map_data(table, wells, top, TileGrid(grid, 4, 4), tile, None)
    assert data["tiles"] == [
        {"x": 0, "y": 0.8, "id": 2, "label": 1, "predicted": 0, "fold": 2, "wells": 3, "residual": 61.257,
         "p": [0.75, 0.25]}
    ]  # fmt: skip
    assert (data["size"], data["classes"], data["statistic"]) == (0.8, ["≤50", ">50"], "largest residual")
    assert data["places"] == [[0.4, 0.8, 7]]
    assert len(data["wells"]) == interactive_map.MOST_WELLS
    assert (data["wells"][0], data["wells"][-1]) == ([0, 0.4, 1], [pytest.approx(1.99), 0.4, 1])
    assert not interactive_map.map_data(table, wells[:0], top[:0], TileGrid(grid, 4, 4), tile, None)["wells"]


def test_overlays_cover_the_region(rasters):
    overlays = interactive_map.overlays(rasters, "above 50 mW/m²", "Grad-CAM", "the predicted class")
    assert [overlay["key"] for overlay in overlays] == ["probability", "outside", "saliency"]
    assert {(overlay["width"], overlay["height"]) for overlay in overlays} == {(12, 8)}
    assert overlays[1]["ramp"] == "#000"  # a swatch in the legend, no ramp
