"""Wells: any table, exact places, every row accounted for."""

import gzip
import zipfile

import geopandas
import pytest
from shapely import Point

from heatflow.config.schema import Wells
from heatflow.errors import InputError
from heatflow.geo.well_placement import explain_no_fit, place_wells
from heatflow.geo.well_tables import read_wells


def test_csv_with_longitude_and_latitude(tmp_path, grid):
    path = tmp_path / "wells.csv"
    path.write_text("Name;long_EW;lat_NS;residual\na;-117.1;39.74;30.5\nb;-116.99;39.73;\n")
    wells = read_wells(str(path))
    assert wells["id"].tolist() == [1, 2]
    assert wells.crs.to_epsg() == 4326
    placed = place_wells(wells, grid)
    assert placed["reason"].tolist() == ["outside the raster", "no residual"]
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
    placed = place_wells(read_wells(str(path), Wells(crs="EPSG:32611")), grid)
    assert placed["reason"].tolist() == [expected for _, expected in rows]
    kept = placed[placed["reason"] == ""]
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
        ("lon,lat,value\n1,2,3\n", {}, "no column of residuals .* and none of heat flow"),
        ("lon,lat,residual\n1,2,3\n", {"residual": "resid"}, "no column 'resid'"),
        ("lon,lat,residual\n39,-117,3\n", {}, "exchanged"),
        ("lon,lat,residual\n", {}, "holds no wells"),
        ("", {}, "not a CSV"),
        ("lon,lat,residual\n1,2,x\n", {}, "column 'residual' holds no number"),
        ("lon,lat,q\n1,2,x\n", {}, "column 'q' holds no number"),
        ("x,y,residual\n1,2,3\n", {"crs": "EPSG:999999"}, "not a coordinate reference system"),
    ],
)
def test_unusable_tables_are_refused_with_a_reason(tmp_path, text, options, message):
    path = tmp_path / "wells.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_wells(str(path), Wells(**options))


def test_vector_file_without_crs_is_refused(tmp_path):
    path = tmp_path / "w.geojsonl.shp"
    import geopandas
    import pyogrio

    table = geopandas.GeoDataFrame({"residual": [1.0]}, geometry=geopandas.points_from_xy([1], [2]))
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.write_dataframe(table, path)
    with pytest.raises(InputError, match=r"set wells\.crs"):
        read_wells(str(path))
    assert len(read_wells(str(path), Wells(crs=32611))) == 1


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
    placed = place_wells(read_wells(str(tmp_path / "w.gpkg")), grid)
    assert placed["reason"].tolist() == ["no coordinates", "", "no coordinates"]


def table(tmp_path, text, name="wells.csv"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


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


@pytest.mark.parametrize(("unit", "value"), [("W/m2", 0.08), ("HFU", 80 / 41.84), ("mW/m2", 80.0)])
def test_units_are_converted_and_the_wrong_one_is_refused(tmp_path, grid, unit, value):
    path = table(tmp_path, "lon,lat,q\n" + f"-116.99,39.74,{value}\n" * 3)
    wells = read_wells(path, Wells(unit=unit))
    assert wells["heat_flow"].tolist() == pytest.approx([80.0] * 3)
    if unit != "mW/m2":
        with pytest.raises(InputError, match=f"look like .*{unit}.*set wells.unit"):
            place_wells(read_wells(path), grid)


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
    from rasterio.crs import CRS

    from heatflow.grid.grids import Grid

    italy = Grid(680_000.0, 4_850_000.0, 200.0, 100, 100, CRS.from_epsg(32632))
    swapped = read_wells(table(tmp_path, "lon,lat,residual\n43.7,11.3,5\n"))
    assert "exchange wells.x and wells.y" in explain_no_fit(swapped, italy)


def test_shapefile_and_csv_in_a_zip_archive(tmp_path, write_wells):
    import zipfile

    import geopandas

    points = geopandas.GeoDataFrame(
        {"hf_meas": [80.0], "hfqc_resid": [4.0]}, geometry=geopandas.points_from_xy([5], [6]), crs="EPSG:32611"
    )
    points.to_file(tmp_path / "USGS_wells.shp")
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for part in tmp_path.glob("USGS_wells.*"):
            out.write(part, f"outputs/{part.name}")
        out.writestr("readme.html", "x")
    assert read_wells(str(archive))[["heat_flow", "residual"]].to_numpy().tolist() == [[80.0, 4.0]]
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr("inputs/raw.csv", "lon,lat,q\n1,2,77\n")
    with pytest.raises(InputError, match=r"several tables; choose with wells.layer one of: outputs/.*inputs/raw\.csv"):
        read_wells(str(archive))
    assert read_wells(str(archive), Wells(layer="raw"))["heat_flow"].tolist() == [77.0]
    assert read_wells(str(archive), Wells(layer="USGS_wells"))["residual"].tolist() == [4.0]
    with pytest.raises(InputError, match=r"wells\.layer: .* holds no 'other'"):
        read_wells(str(archive), Wells(layer="other"))


def test_release_of_the_global_heat_flow_database(tmp_path):
    """Comments and lines of codes above the header, tabs, stray quotes, and not UTF-8."""
    text = (
        "# Citation: Global Heat Flow Data Assessment Group\n#\n"
        "P1\tP4\tP5\tC1\tX\nM\tM\tM\tM\tO\nmW/m2\tdeg\tdeg\t-\t-\n"
        "q\tlat_NS\tlong_EW\tname\tQuality_Code_Child\n"
        '80.5\t64.1\t-21.9\tB\u00farfell "2\tU1.M1.p\n'
        "0\t64.2\t-21.8\tx\tU2.M1.p\n"
    )
    (tmp_path / "IHFC.txt").write_bytes(text.encode("cp1252"))
    wells = read_wells(str(tmp_path / "IHFC.txt"))
    assert wells["heat_flow"].tolist() == [80.5, 0.0]
    assert wells["name"][0] == 'B\u00farfell "2'
    assert wells["quality"].tolist() == ["U1.M1.p", "U2.M1.p"]
    assert wells.geometry.y.tolist() == [64.1, 64.2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y,residual\n500100,4399900,-9999\n500300,4399900,1\n", [None, 41.84]),
        ("x;y;residual\n500100;4399900;80,5\n500300;4399900;70\n", [3368.12, 2928.8]),
        ('x,y,residual\n500100,4399900,"1,250"\n500300,4399900,70\n', [52300, 2928.8]),
        ("id,x,y,residual\na,500100,4399900,1,\nb,500300,4399900,2,\n", [41.84, 83.68]),
        ('"x"\t"y"\t"residual"\n"1"\t500100\t4399900\t"1"\n"2"\t500300\t4399900\t2\n', [41.84, 83.68]),
        ("x,y,residual,residual \n500100,4399900,1,9\n500300,4399900,2,9\n", [41.84, 83.68]),
        ("P1,P2,P3\n#x,y,residual\n500100,4399900,1\n500300,4399900,2\n", [41.84, 83.68]),
    ],
    ids=["missing", "decimal comma", "thousands", "trailing comma", "row names", "twin headers", "late header"],
)
def test_numbers_as_people_write_them(tmp_path, grid, text, expected):
    path = tmp_path / "wells.csv"
    path.write_text(text)
    placed = place_wells(read_wells(str(path), Wells(crs=32611, unit="HFU")), grid)
    residual = [None if why else value for value, why in zip(placed["residual"], placed["reason"], strict=True)]
    assert residual == [None if e is None else pytest.approx(e) for e in expected]
    assert expected[0] is not None or placed["reason"][0] == "no residual"


def test_codes_and_names_stay_the_text_that_they_are(tmp_path, grid):
    path = tmp_path / "wells.csv"
    rows = "500100,4399900,5,01,04012345678901\n500300,4399900,5,,NA\n500500,4399900,5,2,80.50\n"
    path.write_text("x,y,residual,quality,api\n" + rows)
    wells = read_wells(str(path), Wells(crs=32611))
    assert wells["quality"].tolist() == ["01", "", "2"]
    assert wells["name"].tolist() == ["04012345678901", "NA", "80.50"]
    assert place_wells(wells, grid, Wells(quality=["01"]))["reason"].tolist() == ["", "quality code", "quality code"]


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


def test_damaged_and_encrypted_files_are_refused(tmp_path):
    whole = gzip.compress(b"x,y,residual\n500100,4399900,5\n" * 200)
    for name, content in (("cut.csv.gz", whole[:40]), ("broken.csv.gz", whole[:20] + b"zz" + whole[22:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a CSV, damaged or encrypted"):
            read_wells(str(tmp_path / name), Wells(crs=32611))


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


@pytest.mark.parametrize(("at", "value"), [(6, 1), (8, 99)], ids=["encrypted", "unknown compression"])
def test_archives_that_cannot_be_unpacked_are_refused(tmp_path, at, value):
    path = tmp_path / "wells.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wells.csv", "x,y,residual\n500100,4399900,5\n")
    raw = bytearray(path.read_bytes())
    for head, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # both headers of the member say how it is packed
        raw[raw.index(head) + at + shift] = value
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged or encrypted"):
        read_wells(str(path), Wells(crs=32611))
