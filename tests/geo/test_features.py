"""Distances to features on the ground."""

import geopandas
import numpy as np
import pytest
from shapely import LineString, Point

from heatflow.errors import InputError
from heatflow.geo.features import distance, read_shapes
from heatflow.grid.grids import Grid


def test_distance_to_lines_and_points_is_exact_and_sees_beyond_the_tile(grid):
    big = Grid(grid.left, grid.top, 200.0, 100, 100, grid.crs)
    west = geopandas.GeoSeries([LineString([(grid.left + 100, 0), (grid.left + 100, 9e6)])], crs=grid.crs)
    metres = distance(west, big, top=40, left=20, size=10, margin=30)
    np.testing.assert_allclose(metres, np.broadcast_to(200.0 * np.arange(20, 30), (10, 10)))
    assert np.isnan(distance(west, big, top=40, left=60, size=10, margin=30)).all()
    point = geopandas.GeoSeries([Point(grid.left + 25 * 200 + 100, grid.top - 43 * 200 - 100)], crs=grid.crs)
    metres = distance(point, big, top=40, left=20, size=10, margin=5)
    assert np.unravel_index(metres.argmin(), metres.shape) == (3, 5)
    assert metres[3, 5] == 0


def test_shapes_that_cannot_be_read_say_which_param(tmp_path, grid):
    (tmp_path / "faults.geojson").write_text("no such thing")
    with pytest.raises(InputError, match=r"data\.faults: .*faults\.geojson: not a vector file"):
        read_shapes(str(tmp_path / "faults.geojson"), "data.faults", grid.crs)
    with pytest.raises(InputError, match=r"data\.faults: .*missing\.gpkg"):
        read_shapes(str(tmp_path / "missing.gpkg"), "data.faults", grid.crs)


def test_shapes_come_in_the_crs_of_the_terrain(tmp_path, grid):
    table = geopandas.GeoDataFrame(geometry=[Point(-117, 39)], crs="EPSG:4326")
    table.to_file(tmp_path / "systems.geojson")
    (point,) = read_shapes(str(tmp_path / "systems.geojson"), "data.structures", grid.crs)
    assert point.x == pytest.approx(500_000, abs=1)
