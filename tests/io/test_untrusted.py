"""Files made by an enemy: what they point at is not read, what they ask for is not given."""

import io
import re
import sqlite3
import zipfile

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.env import getenv
from shapely import box

from heatflow.errors import InputError
from heatflow.io import untrusted
from heatflow.io.untrusted import DRIVERS, UNREADABLE, is_remote, opened_raster, vector_file


def read(path, **options):
    with vector_file(str(path), "data.wells") as file:
        return file.read(**options)


def refused(path, message):
    with pytest.raises((InputError, *UNREADABLE), match=message):
        read(path)


def no_raster(path, message):
    errors = (ValueError, OSError, rasterio.errors.RasterioError)
    with pytest.raises(errors, match=message), opened_raster(str(path), None):
        pass


def zipped(archive, path, name):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(path, name)
    return archive


# ---- addresses


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("a.tif", False),
        ("vsidata/dem.tif", False),
        ("/vsizip/a.zip/a.tif", False),
        ("https://h/a.tif", True),
        ("/vsizip//vsicurl/http://h/a.zip", True),
    ],
)
def test_addresses_are_told_from_files(path, remote):
    assert is_remote(path, "data.elevation") is remote


@pytest.mark.parametrize(
    "path",
    [
        "ftp://h/a", "file:///etc/passwd", "s3://b/a", "/vsis3/b/a", "/vsizip//vsis3/b", "/vsizip/vsis3/b/x.zip",
        "/vsizip/vsicurl?url=http%3A%2F%2Fh", "/vsigzip/vsizip/vsis3/b", "/vsizip/{/vsis3/b}/x",
    ],
)  # fmt: skip
def test_other_addresses_are_refused_also_through_an_archive(path):
    with pytest.raises(InputError, match=r"data\.wells: .*only files and http\(s\) addresses"):
        is_remote(path, "data.wells")


# ---- settings of GDAL


def test_gdal_has_no_network_and_no_spatialite_while_a_file_is_read_and_its_own_settings_after(
    tmp_path, table, monkeypatch
):
    pyogrio.write_dataframe(table, tmp_path / "w.fgb", driver="FlatGeobuf")
    names = ("GDAL_HTTP_PROXY", "SPATIALITE_LOAD", "GML_SKIP_RESOLVE_ELEMS")
    seen, read_dataframe = [], pyogrio.read_dataframe

    def spied(*args, **options):
        seen.append([pyogrio.get_gdal_config_option(name) for name in names])
        return read_dataframe(*args, **options)

    monkeypatch.setattr(pyogrio, "read_dataframe", spied)
    pyogrio.set_gdal_config_options({"GDAL_HTTP_PROXY": "proxy.example:80"})
    try:
        assert len(read(tmp_path / "w.fgb")) == 2
        assert [pyogrio.get_gdal_config_option(name) for name in names] == ["proxy.example:80", None, None]
    finally:
        pyogrio.set_gdal_config_options({"GDAL_HTTP_PROXY": None})
    assert seen == [["127.0.0.1:9", "NO", "ALL"]]


def test_network_is_off_while_a_raster_is_opened(write_raster, monkeypatch):
    def opened(path, driver):
        assert getenv()["GDAL_HTTP_PROXY"] == "127.0.0.1:9"
        raise OSError("seen")

    monkeypatch.setattr(untrusted, "DatasetReader", opened)
    no_raster(write_raster(np.ones((8, 9), dtype=np.float32)), "seen")


# ---- GeoPackage


def in_schema(kind, name, sql):
    return f"INSERT INTO sqlite_master VALUES('{kind}', '{name}', '{name}', 0, '{sql}')"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
            "computes 'v'",
        ),
        (in_schema("table", "t", "CREATE VIRTUAL TABLE t USING VirtualText(x)"), "computes 't'"),
        # SQLite itself refuses what calls itself a table and is none
        (in_schema("table", "t", "create  view t as select 1"), "damaged SQLite"),
        (in_schema("table", "t", 'CREATE VIRTUAL TABLE "rtree(" USING VirtualText(x)'), "damaged SQLite"),
        ("ALTER TABLE wells ADD COLUMN long AS (printf('%.*c', 300000000, 'x'))", "computes column 'long'"),
    ],
)
def test_geopackage_that_is_more_than_tables_is_refused_whatever_its_name(package, tmp_path, statement, message):
    path = package(statement)
    refused(path, message)
    refused(zipped(tmp_path / "w.zip", path, "a/wells.gpkg"), message)
    refused(path.rename(tmp_path / "wells.geojson"), message)
    no_raster(tmp_path / "wells.geojson", message)


@pytest.mark.parametrize("count", [1, 200_000_000, 2**62])
def test_geopackage_whose_count_lies_is_refused(package, count):
    refused(package(f"UPDATE gpkg_ogr_contents SET feature_count = {count}"), "it has 2")


def test_honest_geopackage_is_read_also_beside_a_hostile_one(package, tmp_path):
    package("CREATE VIEW v AS SELECT 1", name="wells_2.gpkg")
    path = package("UPDATE gpkg_ogr_contents SET feature_count = NULL")
    assert read(path)["residual"].tolist() == [1, 2]
    (tmp_path / "wells.gpkg-wal").write_bytes(b"a view, perhaps")
    refused(path, "wells.gpkg-wal holds changes")


def test_sqlite_that_is_no_geopackage_is_refused(tmp_path):
    file = sqlite3.connect(tmp_path / "w.gpkg")
    file.execute("CREATE TABLE wells (residual)")
    file.close()
    refused(tmp_path / "w.gpkg", "no GeoPackage")


# ---- other vector files


POINTERS = {
    "OGR_VRT": '<OGRVRTDataSource><OGRVRTLayer name="wells"><SrcDataSource>{}</SrcDataSource></OGRVRTLayer>'
    "</OGRVRTDataSource>",
    "OGR_VRT behind KML": "<!-- <kml> --><OGRVRTDataSource><OGRVRTLayer name='wells'><SrcDataSource>{}</SrcDataSource>"
    "</OGRVRTLayer></OGRVRTDataSource>",
    "WFS": "<OGRWFSDataSource><URL>http://127.0.0.1:9/{}</URL></OGRWFSDataSource>",
    "GDALG": '{{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read {}"}}',
    "PDS": 'PDS_VERSION_ID = PDS3\n^TABLE = "{}"\nRECORD_TYPE = FIXED_LENGTH\n',
    "SQL": "-- SQL GPKG\nATTACH '{}' AS a;",
    "text": "{}\n",
}


@pytest.mark.parametrize("name", ["w.geojson", "w.gpkg", "w.vrt", "w.zip"])
@pytest.mark.parametrize("pointer", POINTERS)
def test_file_that_names_another_is_refused_whatever_its_name(tmp_path, table, pointer, name):
    pyogrio.write_dataframe(table, tmp_path / "real.fgb", layer="wells", driver="FlatGeobuf")
    path = tmp_path / "w.geojson"
    path.write_text(POINTERS[pointer].format(tmp_path / "real.fgb"))
    path = zipped(tmp_path / name, path, "w.geojson") if name == "w.zip" else path.rename(tmp_path / name)
    refused(path, "names other files|none of the formats")


FORMATS = {
    "FlatGeobuf": "w.fgb", "GPKG": "w.gpkg", "GeoJSON": "w.geojson", "GeoJSONSeq": "w.geojsonl", "GML": "w.gml",
    "ESRI Shapefile": "w.shp", "LIBKML": "w.kml", "GPX": "w.gpx", "MapInfo File": "w.tab", "GeoRSS": "w.xml",
    "OpenFileGDB": "w.gdb", "OGR_GMT": "w.gmt", "JSONFG": "w.json",
}  # fmt: skip


@pytest.mark.parametrize("driver", FORMATS)
def test_plain_formats_are_read_also_zipped_beside_other_files(tmp_path, table, driver):
    path = tmp_path / "w" / FORMATS[driver]
    path.parent.mkdir()
    columns = table[["geometry"]] if driver in ("GPX", "GeoRSS") else table
    pyogrio.write_dataframe(columns, path, driver=driver, **({"GEOMETRY_NAME": "g"} if driver == "GPKG" else {}))
    layer = {"layer": "waypoints"} if driver == "GPX" else {}
    assert len(read(path, **layer)) == 2
    if driver == "OpenFileGDB":
        return
    (path.parent / "readme.txt").write_text("two wells")
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for part in path.parent.iterdir():
            archive.write(part, f"folder/{part.name}")
    assert len(read(tmp_path / "w.zip", **layer)) == 2


def test_file_of_an_archive_is_read_by_its_name(tmp_path, table):
    pyogrio.write_dataframe(table, tmp_path / "a.fgb", driver="FlatGeobuf")
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.write(tmp_path / "a.fgb", "x/a.fgb")
        archive.writestr("x/b.geojson", "{}")
    assert len(read(f"/vsizip/{tmp_path}/w.zip/x/a.fgb")) == 2
    refused(f"/vsizip/{tmp_path}/w.zip/x/c.fgb", "holds no x/c.fgb")


@pytest.mark.parametrize("name", ["w.fgb", "w.geojson", "w.zip"])
def test_flatgeobuf_that_promises_more_than_it_holds_is_refused(tmp_path, table, name):
    pyogrio.write_dataframe(table, tmp_path / "w.fgb", driver="FlatGeobuf", SPATIAL_INDEX="NO")
    raw = (tmp_path / "w.fgb").read_bytes()
    at = next(k for k in range(12, len(raw)) if int.from_bytes(raw[k : k + 8], "little") == 2)
    (tmp_path / "w.fgb").write_bytes(raw[:at] + (10**7).to_bytes(8, "little") + raw[at + 8 :])
    path = tmp_path / "w.fgb"
    path = zipped(tmp_path / name, path, "w.fgb") if name == "w.zip" else path.rename(tmp_path / name)
    refused(path, "promises 10,000,000 features")


def test_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    (tmp_path / "w.geojson").write_bytes(b" " * 11_000_000)
    path = zipped(tmp_path / "w.zip", tmp_path / "w.geojson", "w.geojson")
    refused(path, "swells to 11,000,000 bytes")
    refused(path.rename(tmp_path / "w.xlsx"), "swells")
    monkeypatch.setattr(untrusted, "MAX_UNPACKED", 99)
    (tmp_path / "w.geojson").write_bytes(b" " * 100)
    refused(zipped(path, tmp_path / "w.geojson", "w.geojson"), "at most 99 are unpacked")
    monkeypatch.setattr(untrusted, "MAX_MEMBERS", 0)
    refused(path, "more than 0 files")


def test_archive_with_paths_out_of_it_is_unpacked_into_its_folder(tmp_path, table, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    pyogrio.write_dataframe(table, tmp_path / "w.fgb", driver="FlatGeobuf")
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.write(tmp_path / "w.fgb", "../../escaped.fgb")
        archive.writestr(f"{tmp_path}/escaped.txt", "x")
    assert len(read(tmp_path / "w.zip")) == 2
    assert not [*tmp_path.parent.rglob("escaped*")]


def test_archives_that_cannot_be_looked_into_are_refused(tmp_path):
    (tmp_path / "w.gml").write_bytes(b"\x1f\x8b")
    refused(tmp_path / "w.gml", "gunzip")
    refused("/vsitar/w.tar/w.gpkg", "unpack it first")
    refused("https://127.0.0.1:9/w.gpkg", "download it first")


def test_seamless_mapinfo_table_is_refused(tmp_path, table):
    secret = tmp_path / "secret"
    secret.mkdir()
    pyogrio.write_dataframe(table, secret / "s.tab", driver="MapInfo File")
    frame = geopandas.GeoDataFrame({"Table": ["secret/s.tab"]}, geometry=[box(-118, 38, -115, 40)], crs=4326)
    path = tmp_path / "wells.tab"
    pyogrio.write_dataframe(frame, path, driver="MapInfo File")
    seamless = 'begin_metadata\n"\\IsSeamless" = "TRUE"\nend_metadata\n'
    path.write_text(path.read_text(encoding="latin-1") + seamless, encoding="latin-1")
    refused(path, "names other tables")
    refused(tmp_path, "names other tables")


def test_nothing_is_written_beside_a_vector_file(tmp_path, table):
    pyogrio.write_dataframe(table, tmp_path / "wells.gml", driver="GML")
    for beside in tmp_path.glob("wells.x*"):
        beside.unlink()
    assert len(read(tmp_path / "wells.gml")) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["wells.gml"]


# ---- rasters


VRT = (
    '<VRTDataset rasterXSize="9" rasterYSize="8"><Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>'
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename>/etc/passwd</SourceFilename>'
    "<LineOffset>9</LineOffset></VRTRasterBand></VRTDataset>"
)
OVERVIEW = '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="{}">/tmp/x.tif</MDI></Metadata></PAMDataset>'


@pytest.mark.parametrize(
    ("beside", "content"),
    [
        ("dem.tif.msk", VRT),
        ("dem.tif.OVR", VRT),
        ("dem.tif.aux.xml", OVERVIEW.format("OVERVIEW_FILE")),
        ("dem.tif.aux.xml", OVERVIEW.format("&#79;VERVIEW_FILE")),
    ],
)
def test_files_beside_a_raster_lead_nowhere(write_raster, tmp_path, beside, content):
    path = write_raster(np.ones((8, 9), dtype=np.float32))
    (tmp_path / beside).write_text(content)
    no_raster(path, re.escape(beside))
    with zipfile.ZipFile(tmp_path / "dem.zip", "w") as archive:
        for file in ("dem.tif", beside):
            archive.write(tmp_path / file, f"a/{file}")
    no_raster(f"/vsizip/{tmp_path}/dem.zip/a/dem.tif", re.escape(beside))
    with opened_raster(path, "GTiff") as dataset:  # named: trusted
        assert dataset.driver == "GTiff"


def test_sidecars_that_are_geotiffs_are_used(write_raster, tmp_path):
    path = write_raster(np.ones((8, 9), dtype=np.float32))
    write_raster(np.zeros((8, 9), dtype=np.uint8), name="mask.tif")
    with rasterio.open(tmp_path / "mask.tif", "r+") as mask:
        mask.update_tags(INTERNAL_MASK_FLAGS_1=2)
    (tmp_path / "mask.tif").rename(tmp_path / "dem.tif.msk")
    with opened_raster(path, None) as dataset:
        assert (dataset.read_masks(1) == 0).all()


def test_raster_that_takes_data_from_another_folder_is_refused(write_raster, monkeypatch):
    path = write_raster(np.ones((8, 9), dtype=np.float32))
    elsewhere = property(lambda self: [path, "/etc/passwd"])
    monkeypatch.setattr(untrusted, "DatasetReader", type("R", (rasterio.DatasetReader,), {"files": elsewhere}))
    no_raster(path, "another folder: /etc/passwd")


def test_raster_that_points_elsewhere_has_to_be_named(write_raster, tmp_path):
    dem = write_raster(np.ones((8, 9), dtype=np.float32))
    vrt = tmp_path / "innocent.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="8"><SRS>EPSG:32611</SRS><GeoTransform>0,200,0,0,0,-200</GeoTransform>'
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename>{dem}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    no_raster(vrt, "not recognized")
    with opened_raster(str(vrt), "VRT") as dataset:
        assert dataset.driver == "VRT"


def test_netcdf_4_has_to_be_named_and_classic_netcdf_not(tmp_path, monkeypatch):
    (tmp_path / "dem.tif").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    no_raster(tmp_path / "dem.tif", "not recognized")
    assert "netCDF" not in DRIVERS
    assert "GPKG" not in DRIVERS
    seen = []
    monkeypatch.setattr(untrusted, "DatasetReader", lambda path, driver: seen.append(driver) or io.BytesIO())
    (tmp_path / "dem.nc").write_bytes(b"CDF\x02" + bytes(500))
    with pytest.raises(AttributeError), opened_raster(str(tmp_path / "dem.nc"), None):
        pass
    assert seen == [["netCDF"]]
