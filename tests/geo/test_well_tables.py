"""Tables of wells: any format, usual columns, units."""

import zipfile

import geopandas
import pyogrio
import pytest

from heatflow.config.schema import Wells
from heatflow.errors import InputError
from heatflow.geo.well_tables import read_wells
from heatflow.geo.wells import place_wells


def table(tmp_path, text, name="wells.csv"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_csv_with_longitude_and_latitude(tmp_path, grid):
    path = tmp_path / "wells.csv"
    path.write_text("Name;long_EW;lat_NS;residual\na;-117.1;39.74;30.5\nb;-116.99;39.73;\n")
    wells = read_wells(str(path))
    assert wells["id"].tolist() == [1, 2]
    assert wells.crs.to_epsg() == 4326
    placed = place_wells(wells, grid)
    assert placed["reason"].tolist() == ["outside the raster", "no residual"]
    assert placed.geometry.x[0] == pytest.approx(491_430, abs=5)


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


def test_headings_as_people_write_them(tmp_path):
    path = table(
        tmp_path, "Well ID;Longitude (deg);Latitude (deg);Heat flow [mW/m²];Depth (m)\nA 1;-117,1;39,7;85,5;120\n"
    )
    wells = read_wells(path)
    found = wells[["name", "heat_flow", "depth"]].iloc[0].tolist()
    assert found == ["A 1", 85.5, 120]
    assert (wells.geometry.x[0], wells.crs.to_epsg()) == (-117.1, 4326)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(InputError, match=r"^data.wells: .*welss.csv: no such file$"):
        read_wells(str(tmp_path / "welss.csv"))


def test_vector_file_without_crs_is_refused(tmp_path):
    path = tmp_path / "w.geojsonl.shp"

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


@pytest.mark.parametrize(("unit", "value"), [("W/m2", 0.08), ("HFU", 80 / 41.84), ("mW/m2", 80.0)])
def test_units_are_converted_and_the_wrong_one_is_refused(tmp_path, grid, unit, value):
    path = table(tmp_path, "lon,lat,q\n" + f"-116.99,39.74,{value}\n" * 3)
    wells = read_wells(path, Wells(unit=unit))
    assert wells["heat_flow"].tolist() == pytest.approx([80.0] * 3)
    if unit != "mW/m2":
        with pytest.raises(InputError, match=f"look like .*{unit}.*set wells.unit"):
            place_wells(read_wells(path), grid)


def test_shapefile_and_csv_in_a_zip_archive(tmp_path, write_wells):
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
