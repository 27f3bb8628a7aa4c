"""Wells: any table, exact places, every row accounted for."""

import pytest

from heatflow.errors import InputError
from heatflow.geo.wells import place_wells, read_wells


def test_csv_with_longitude_and_latitude(tmp_path, grid):
    path = tmp_path / "wells.csv"
    path.write_text("Name;long_EW;lat_NS;residual\na;-117.1;39.74;30.5\nb;-116.99;39.73;\n")
    wells = read_wells(str(path))
    assert wells["id"].tolist() == [1, 2]
    assert wells.crs.to_epsg() == 4326
    placed, reason = place_wells(wells, grid)
    assert reason.tolist() == ["outside the raster", "no residual"]
    assert placed.geometry.x[0] == pytest.approx(491_430, abs=5)


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
    placed, reason = place_wells(read_wells(str(path), crs="EPSG:32611"), grid)
    assert reason.tolist() == [expected for _, expected in rows]
    kept = placed[reason == ""]
    assert kept["row"].tolist() == [0, 0, 0, 7]
    assert kept["column"].tolist() == [0, 0, 0, 9]


def test_usgs_names_and_reprojection(write_wells, grid):
    path = write_wells([-117.0], [39.74], crs="EPSG:4326", hfqc_resid=[12.0], hf_meas=[80.0])
    wells = read_wells(path)
    assert wells[["residual", "heat_flow"]].to_numpy().tolist() == [[12.0, 80.0]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("x,y,residual\n1,2,3\n", {}, "set wells.crs"),
        ("a,b,residual\n1,2,3\n", {}, "name them with wells.x and wells.y"),
        ("lon,lat,value\n1,2,3\n", {}, "no residual column"),
        ("lon,lat,residual\n1,2,3\n", {"residual": "resid"}, "no column 'resid'"),
        ("lon,lat,residual\n39,-117,3\n", {}, "exchanged"),
        ("lon,lat,residual\n", {}, "holds no wells"),
        ("", {}, "not a CSV"),
        ("lon,lat,residual\n1,2,x\n", {}, "holds no number"),
        ("x,y,residual\n1,2,3\n", {"crs": "EPSG:999999"}, "not a coordinate reference system"),
    ],
)
def test_unusable_tables_are_refused_with_a_reason(tmp_path, text, options, message):
    path = tmp_path / "wells.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_wells(str(path), **options)


def test_vector_file_without_crs_is_refused(tmp_path):
    path = tmp_path / "w.geojsonl.shp"
    import geopandas
    import pyogrio

    table = geopandas.GeoDataFrame({"residual": [1.0]}, geometry=geopandas.points_from_xy([1], [2]))
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.write_dataframe(table, path)
    with pytest.raises(InputError, match=r"set wells\.crs"):
        read_wells(str(path))
    assert len(read_wells(str(path), crs=32611)) == 1


def test_missing_and_broken_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_wells("nowhere.gpkg")
    (tmp_path / "w.gpkg").write_text("not a geopackage")
    with pytest.raises(InputError, match="not a vector file"):
        read_wells(str(tmp_path / "w.gpkg"))


def test_null_geometry_has_no_coordinates(tmp_path, grid):
    import geopandas
    from shapely import Point, Polygon

    square = Polygon([(0, 0), (1, 0), (1, 1)])
    table = geopandas.GeoDataFrame(
        {"residual": [1.0, 2.0, 3.0]}, geometry=[None, Point(500_100, 4_399_900), square], crs="EPSG:32611"
    )
    table.to_file(tmp_path / "w.gpkg")
    _, reason = place_wells(read_wells(str(tmp_path / "w.gpkg")), grid)
    assert reason.tolist() == ["no coordinates", "", "no coordinates"]
