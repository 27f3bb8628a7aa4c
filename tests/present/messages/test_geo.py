"""What the stages from the wells to the tiles say of what they did."""

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
from rasterio.crs import CRS
from scipy.spatial import cKDTree

from heatflow.geo.background import Background
from heatflow.geo.terrain import TerrainSummary
from heatflow.geo.tiles import LabelledTiles
from heatflow.geo.wells import UsableWells
from heatflow.grid.grids import Grid, TileGrid
from heatflow.present.messages import geo as messages

GRID = Grid(0, 100, 1, 100, 100, CRS.from_epsg(32611))


def usable(counts, background=None):
    kept = geopandas.GeoDataFrame({"name": ["a", "a", ""], "residual": [1.0, 2.0, 4.0], "background": [70.0, 80, 90]})
    return UsableWells(kept, pd.DataFrame(index=range(sum(counts.values()))), counts, background, GRID)


def test_wells_say_what_was_dropped_and_repeated():
    wells = usable({"no residual": 2, "on nodata": 1})
    lines = list(messages.wells_lines(wells, Path("wells.fgb"), Path("dropped.csv")))
    assert lines == [
        "6 wells read, 3 kept -> wells.fgb",
        "residual 1.0 to 4.0 mW/m2, quartiles 1.5, 2.0, 3.0, as given",
        "2 dropped: no residual -> dropped.csv",
        "1 dropped: on nodata -> dropped.csv",
        "1 names of wells occur again; all rows are kept, `id` is the row",
    ]
    assert list(messages.wells_warnings(wells)) == []


def test_wells_warn_of_units_and_of_a_fit_that_did_not_converge():
    x = np.zeros(1)
    moving = Background(x, x, x, x, x, 1e5, 0.5, cKDTree(np.zeros((1, 2))))
    unit, fit = messages.wells_warnings(usable({"heat flow of 0, or in another unit": 3}, moving))
    assert "in another unit" in unit
    assert "still changed by 0.5 mW/m2" in fit
    lines = list(messages.wells_lines(usable({}, moving), Path("w"), Path("d")))
    assert lines[1].endswith("above a background of 70 to 90")


def test_tiles_name_classes_and_wells_in_no_tile():
    table = geopandas.GeoDataFrame({"tile": [0, 1]})
    labelled = LabelledTiles(TileGrid(GRID, 40, 40), table, np.array([2, 0]), 9, 3)
    assert list(messages.tiles_lines(labelled, 7, 2, ["0: <=50", "1: >50"])) == [
        "2 x 2 tiles of 40 pixels, 2 with 2 or more wells",
        "classes 0: <=50: 2, 1: >50: 0 (mW/m2); 7 sites of 2 km",
        "3 of 9 wells lie in no tile (past the last whole one, or between tiles)",
    ]


def test_terrain_says_its_trend_only_where_one_was_subtracted():
    plain = TerrainSummary(GRID, 0.5, (1, 2), (1, 2), False, 1.0)
    assert list(messages.terrain_lines(plain, Path("t.tif"))) == [
        "100 x 100 pixels of 1 m, 50.0% with data", "elevation 1.0 to 2.0 m -> t.tif",
    ]  # fmt: skip
    coarse = TerrainSummary(GRID, 0.5, (1, 2), (1, 2), False, 200.0)
    assert "pixels of 1 m, interpolated from 200 m, 50.0%" in next(messages.terrain_lines(coarse, Path("t.tif")))
    detrended = TerrainSummary(GRID, 0.5, (1, 2), (-1, 1), True, 1.0)
    assert "-1.0 to 1.0 m above the regional trend" in list(messages.terrain_lines(detrended, Path("t.tif")))[1]
