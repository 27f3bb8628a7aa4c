"""Wells on the grid: exact places, residuals, background, and every row accounted for."""

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from shapely import Point, Polygon

from heatflow.config.schema import Background, Wells
from heatflow.errors import InputError
from heatflow.geo.well_tables import read_wells
from heatflow.geo.wells import explain_no_fit, place_wells, select_wells
from heatflow.grid.grids import Grid


@pytest.fixture
def terrain(write_raster):
    """Ten by eight pixels of 200 m, the first without data."""
    array = np.zeros((8, 10), dtype=np.float32)
    array[0, 0] = np.nan
    with rasterio.open(write_raster(array, nodata=np.nan)) as dataset:
        yield dataset


def read(tmp_path, text, **options):
    (tmp_path / "wells.csv").write_text(text)
    return read_wells(str(tmp_path / "wells.csv"), Wells(crs=32611, **options))


def test_wells_read_are_wells_kept_and_wells_in_the_ledger(tmp_path, terrain):
    rows = "500100,4399900,5,80\n500300,4399900,12,90\n500500,4399900,,85\n502500,4399900,7,81\n"
    wells = select_wells(read(tmp_path, f"x,y,residual,q\n{rows}"), terrain)
    assert wells.kept[["id", "background", "residual"]].to_numpy().tolist() == [[2, 78, 12]]
    assert wells.dropped[["id", "x", "residual", "reason"]].to_numpy().tolist() == [
        [1, 500100, "5", "on nodata"], [3, 500500, "", "no residual"], [4, 502500, "7", "outside the raster"],
    ]  # fmt: skip
    assert wells.n_read == 4
    assert wells.metrics["dropped"] == {"no_residual": 1, "on_nodata": 1, "outside_the_raster": 1}
    assert wells.background is None
    assert np.isnan(wells.background_map()).all()


def test_background_comes_from_wells_beyond_the_edge_too(tmp_path, terrain):
    rows = "".join(
        f"{x},4399100,{q}\n" for x, q in ((500500, 70), (501100, 90), (498000, 80), (504000, 80), (506000, 80))
    )
    background = Background(radius=10_000, decluster=0)
    wells = select_wells(read(tmp_path, f"x,y,q\n{rows}"), terrain, Wells(background=background))
    np.testing.assert_allclose(wells.kept["residual"], [-10, 10], atol=3)
    np.testing.assert_allclose(wells.kept["residual"] + wells.kept["background"], [70, 90])
    assert wells.background is not None
    assert wells.background_map().shape == wells.map_grid.shape
    with pytest.raises(InputError, match=r"none of its 1 wells can be used \(1 too few wells around it"):
        select_wells(read(tmp_path, "x,y,q\n500500,4399100,70\n"), terrain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": ["A*"]}, "has no column of quality codes; name it with wells.quality_column"),
        ({"min_depth": 100}, "has no column of depths; name it with wells.depth"),
        ({"background": Background(when="always")}, "has no column of heat flow to estimate it from"),
    ],
)
def test_tables_that_lack_what_is_asked_for_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, "x,y,residual\n1,2,3\n", **options)


def table(tmp_path, text, name="wells.csv"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_every_row_is_kept_or_has_its_reason(tmp_path, grid):
    rows = [
        ("500100,4399900,10", ""),
        ("500100,4399900,10", "exact duplicate"),
        ("500100,4399900,11", ""),
        (",4399900,10", "no coordinates"),
        ("500100,oops,10", "no coordinates"),
        ("500100,4399900,", "no residual"),
        ("500100,4399900,n/a?", "residual is not a finite number"),
        ("500100,4399900,inf", "residual is not a finite number"),
        ("499999.999,4399900,10", "outside the raster"),
        ("500000,4400000,0", ""),
        ("502000,4399900,10", "outside the raster"),
        ("501999.999,4398400.001,-90", ""),
    ]
    path = tmp_path / "wells.csv"
    path.write_text("x,y,residual\n" + "\n".join(text for text, _ in rows) + "\n")
    placed = place_wells(read_wells(str(path), Wells(crs="EPSG:32611")), grid)
    assert placed["reason"].tolist() == [expected for _, expected in rows]
    kept = placed[placed["reason"] == ""]
    assert kept["row"].tolist() == [0, 0, 0, 7]
    assert kept["column"].tolist() == [0, 0, 0, 9]


@pytest.mark.parametrize(("rule", "expected"), [("keep", [10, 30, 20, 5]), ("median", [20, 5]), ("max", [30, 5])])
def test_wells_of_one_place_follow_the_rule(tmp_path, grid, rule, expected):
    path = table(
        tmp_path, "x,y,residual\n" + "".join(f"500100,4399900,{r}\n" for r in (10, 30, 20)) + "500300,4399900,5\n"
    )
    placed = place_wells(read_wells(path, Wells(crs=32611)), grid, Wells(colocated=rule))
    assert placed["residual"][placed["reason"] == ""].tolist() == expected
    assert (placed["reason"] == "merged with a well of the same place").sum() == 4 - len(expected)


def test_usgs_number_for_none_is_none(tmp_path, grid):
    path = table(tmp_path, "x,y,hfqc_resid\n500100,4399900,-9999\n500100,4399900,3\n")
    placed = place_wells(read_wells(path, Wells(crs=32611)), grid)
    assert placed["reason"].tolist() == ["no residual", ""]


def test_exchanged_coordinates_are_recognised(tmp_path, grid):
    swapped = read_wells(table(tmp_path, "lon,lat,residual\n39.74,-16.99,5\n"))
    assert explain_no_fit(swapped, grid) == ""

    italy = Grid(680_000.0, 4_850_000.0, 200.0, 100, 100, CRS.from_epsg(32632))
    swapped = read_wells(table(tmp_path, "lon,lat,residual\n43.7,11.3,5\n"))
    assert "exchange wells.x and wells.y" in explain_no_fit(swapped, italy)


def test_unknown_depth_is_not_shallow(tmp_path, grid):
    path = tmp_path / "wells.csv"
    path.write_text("x,y,residual,depth\n500100,4399900,5,-9999\n500300,4399900,5,20\n500500,4399900,5,300\n")
    wells = read_wells(str(path), Wells(crs=32611))
    assert place_wells(wells, grid)["reason"].tolist() == ["", "", ""]
    assert place_wells(wells, grid, Wells(min_depth=100))["reason"].tolist() == ["", "too shallow", ""]


def test_merged_wells_keep_their_background(tmp_path, grid):
    path = tmp_path / "wells.csv"
    path.write_text("x,y,residual,q\n500100,4399900,10,200\n500100,4399900,40,90\n500100,4399900,20,120\n")
    placed = place_wells(read_wells(str(path), Wells(crs=32611)), grid, Wells(colocated="max"))
    assert placed["reason"].tolist() == ["", *["merged with a well of the same place"] * 2]
    assert placed["residual"][0] == 40
    assert placed["heat_flow"][0] - placed["residual"][0] == 100  # the median of 190, 50 and 100


def test_lines_and_local_coordinates_are_no_wells(tmp_path, grid):
    table = geopandas.GeoDataFrame(
        {"q": [80.0, 90.0]}, geometry=[Point(500100, 4399900), Point(500100, 4399900).buffer(10)], crs=32611
    )
    table.to_file(tmp_path / "wells.gpkg")
    wells = read_wells(str(tmp_path / "wells.gpkg"))
    assert place_wells(wells, grid)["reason"].tolist() == ["", "no coordinates"]
    local = read_wells(str(tmp_path / "wells.gpkg"), Wells(crs='LOCAL_CS["site",UNIT["metre",1]]'))
    with pytest.raises(InputError, match=r"wells\.crs: cannot be transformed"):
        place_wells(local, grid)


def test_ghfdb_columns_quality_and_depth(tmp_path, grid):
    path = table(
        tmp_path,
        "q,lat_NS,long_EW,q_bottom,Quality_Code,ID\n"
        "80,39.74,-116.99,150,U1.M2.p,a\n"
        "90,39.74,-116.99,30,U1.M2.p,b\n"
        "100,39.74,-116.99,,U2.M1.-,c\n"
        "110,39.74,-116.99,150,U4.Mx.-,d\n"
        ",39.74,-116.99,150,U1.M1.-,e\n"
        "0.09,39.74,-116.99,150,U1.M1.-,f\n"
        "100,93.74,-116.99,150,U1.M1.-,g\n",
    )
    wells = read_wells(path)
    assert wells["name"].tolist() == list("abcdefg")
    assert wells["residual"].isna().all()
    placed = place_wells(wells, grid, Wells(quality=["U1*", "U2*"], min_depth=100))
    assert placed["reason"].tolist() == [
        "", "too shallow", "", "quality code", "no heat flow", "heat flow of 0, or in another unit",
        "impossible coordinates",
    ]  # fmt: skip
    assert wells.loc[6, ["x", "y"]].tolist() == [-116.99, 93.74]  # the ledger shows them


def test_null_geometry_has_no_coordinates(tmp_path, grid):
    from shapely import Point

    square = Polygon([(0, 0), (1, 0), (1, 1)])
    table = geopandas.GeoDataFrame(
        {"residual": [1.0, 2.0, 3.0]}, geometry=[None, Point(500_100, 4_399_900), square], crs="EPSG:32611"
    )
    table.to_file(tmp_path / "w.gpkg")
    placed = place_wells(read_wells(str(tmp_path / "w.gpkg")), grid)
    assert placed["reason"].tolist() == ["no coordinates", "", "no coordinates"]
