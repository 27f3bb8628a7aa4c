"""Files made by an enemy: what they point at is not read, what they ask for is not given."""

import hashlib
import io
import json
import logging
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import torch
from rasterio.windows import Window
from shapely import Point, box

import heatflow
from heatflow import sources
from heatflow.config import schema as params
from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo import elevation as raster
from heatflow.geo import vetting
from heatflow.geo.elevation import open_elevation
from heatflow.geo.features import read_shapes
from heatflow.geo.text_tables import MAX_ROWS
from heatflow.geo.well_tables import read_wells
from heatflow.grid.crs import parse_crs
from heatflow.io.rasters import open_written
from heatflow.io.text import write_csv
from heatflow.io.untrusted import DRIVERS, is_remote, opened_raster
from heatflow.io.vectors import read_table
from heatflow.learning.checkpoints import Checkpoints
from heatflow.learning.models import load_networks, save_networks
from heatflow.learning.network import NetworkInNetwork
from stages import _stage
from tests.helpers import CRS, ROOT

KEY = "0123456789abcdef" * 2
ESCAPE = "\x1b]0;owned\x07"


@pytest.fixture
def table():
    return geopandas.GeoDataFrame({"residual": [1.0, 2.0]}, geometry=[Point(-117, 39), Point(-116, 39)], crs=4326)


@pytest.fixture
def package(tmp_path, table):
    """Writes a GeoPackage with a layer "wells", changed by SQL; returns its path."""

    def write(*statements, name="wells.gpkg"):
        path = tmp_path / name
        pyogrio.write_dataframe(table, path, layer="wells", driver="GPKG")
        file = sqlite3.connect(path)
        file.executescript("PRAGMA writable_schema=on; PRAGMA foreign_keys=off;" + ";".join(statements))
        file.commit()
        file.close()
        return path

    return write


def refused(path, message):
    with pytest.raises(InputError, match=message):
        read_wells(str(path))
    with pytest.raises(InputError, match=message):
        read_shapes(str(path), "data.faults", rasterio.crs.CRS.from_string(CRS))


def no_raster(path, message):
    with pytest.raises(InputError, match=message), open_elevation(str(path)):
        pass


# ---- GeoPackage


def in_schema(kind, name, sql):
    return f"INSERT INTO sqlite_master VALUES('{kind}', '{name}', '{name}', 0, '{sql}')"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
        in_schema("table", "t", "CREATE VIRTUAL TABLE t USING VirtualText(x)"),
        in_schema("table", "t", "create  view t as select 1"),  # SQLite goes by the statement, not by the kind
        in_schema("table", "t", 'CREATE VIRTUAL TABLE "rtree(" USING VirtualText(x)'),
        "ALTER TABLE wells ADD COLUMN long AS (printf('%.*c', 300000000, 'x'))",
    ],
)
def test_geopackage_that_computes_is_refused_whatever_its_name(package, tmp_path, statement):
    path = package(statement)
    refused(path, "computes")
    refused(path.rename(tmp_path / "wells.geojson"), "computes")
    no_raster(tmp_path / "wells.geojson", "computes")
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.write(tmp_path / "wells.geojson", "a/wells.gpkg")
    refused(tmp_path / "w.zip", "computes")


@pytest.mark.parametrize("count", [1, 200_000_000, 2**62])
def test_geopackage_whose_count_lies_is_refused(package, count):
    refused(package(f"UPDATE gpkg_ogr_contents SET feature_count = {count}"), "it has 2")


def test_honest_geopackage_is_read_also_beside_a_hostile_one(package, tmp_path):
    package("CREATE VIEW v AS SELECT 1", name="wells_2.gpkg")
    path = package("UPDATE gpkg_ogr_contents SET feature_count = NULL")
    assert read_wells(str(path))["residual"].tolist() == [1, 2]
    (tmp_path / "wells.gpkg-wal").write_bytes(b"a view, perhaps")
    refused(path, "wells.gpkg-wal holds changes")


def test_spatialite_and_drivers_that_lead_elsewhere_stay_off():
    assert os.environ["SPATIALITE_LOAD"] == "NO"
    assert not set(heatflow._POINTERS.split(",")) & set(pyogrio.list_drivers())


# ---- other vector files


@pytest.mark.parametrize("name", ["w.fgb", "w.geojson", "w.zip"])
def test_flatgeobuf_that_promises_more_than_it_holds_is_refused(tmp_path, table, name):
    pyogrio.write_dataframe(table, tmp_path / "w.fgb", driver="FlatGeobuf", SPATIAL_INDEX="NO")
    raw = (tmp_path / "w.fgb").read_bytes()
    at = next(k for k in range(12, len(raw)) if int.from_bytes(raw[k : k + 8], "little") == 2)
    raw = raw[:at] + (10**7).to_bytes(8, "little") + raw[at + 8 :]
    (tmp_path / "w.fgb").write_bytes(raw)
    with pytest.raises(InputError, match=r"damaged.*promises 10,000,000 features"):
        read_table(tmp_path / "w.fgb")
    if name == "w.zip":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(tmp_path / "w.fgb", "w.fgb")
    else:
        (tmp_path / "w.fgb").rename(tmp_path / name)
    refused(tmp_path / name, "promises 10,000,000 features")


def test_table_of_an_earlier_stage_is_a_flatgeobuf_and_nothing_else(tmp_path, table):
    pyogrio.write_dataframe(table, tmp_path / "w.gpkg")
    with pytest.raises(InputError, match="no FlatGeobuf"):
        read_table((tmp_path / "w.gpkg").rename(tmp_path / "w.fgb"))


def test_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "w.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.geojson", b" " * 11_000_000)
    refused(tmp_path / "w.zip", "swells to 11,000,000 bytes")
    (tmp_path / "w.zip").rename(tmp_path / "w.xlsx")
    with pytest.raises(InputError, match="swells"):
        read_shapes(str(tmp_path / "w.xlsx"), "data.faults", rasterio.crs.CRS.from_string(CRS))
    monkeypatch.setattr(vetting, "MAX_UNPACKED", 99)
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("w.geojson", b" " * 100)
    refused(tmp_path / "w.zip", "at most 99 are unpacked")


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


def test_nothing_is_written_beside_a_vector_file(tmp_path, table):
    pyogrio.write_dataframe(table, tmp_path / "wells.gml", driver="GML")
    for beside in tmp_path.glob("wells.x*"):
        beside.unlink()
    assert len(read_wells(str(tmp_path / "wells.gml"))) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["wells.gml"]


def test_text_table_of_too_many_rows_is_refused_before_it_is_split(tmp_path):
    (tmp_path / "w.csv").write_bytes(b"longitude,latitude,residual\n" + b"\n" * MAX_ROWS)
    with pytest.raises(InputError, match="more than 2,000,000 rows"):
        read_wells(str(tmp_path / "w.csv"))


@pytest.mark.parametrize(
    "path",
    ["/vsizip/vsis3/b/x.zip", "/vsizip/vsicurl?url=http%3A%2F%2Fh", "/vsigzip/vsizip/vsis3/b", "/vsizip/{/vsis3/b}/x"],
)
def test_file_systems_of_gdal_are_not_reached_through_an_archive(path):
    with pytest.raises(InputError, match="files and http"):
        is_remote(path, "data.elevation")


def test_a_folder_may_be_called_as_a_file_system():
    assert not is_remote("vsidata/dem.tif", "data.elevation")


@pytest.mark.parametrize("text", ["/vsicurl?url=http%3A%2F%2Fh%2Fx", "/vsis3/b/x", "http://h/x"])
def test_address_is_no_crs_nor_in_a_file_of_wkt(tmp_path, text):
    (tmp_path / "x.wkt").write_text(text)
    for given in (text, str(tmp_path / "x.wkt")):
        with pytest.raises(InputError, match="is an address"):
            parse_crs(given, "terrain.crs")


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
    with open_elevation(path, Terrain(driver="GTiff")) as source:  # named: trusted
        assert source.dataset.driver == "GTiff"
    with open_written(path) as written:  # by an earlier stage, which wrote nothing beside it
        assert [Path(f).name for f in written.files] == ["dem.tif"]
        assert (written.read_masks(1) == 255).all()


def test_sidecars_of_geotiff_and_of_other_rasters_are_used(write_raster, tmp_path):
    path = write_raster(np.ones((8, 9), dtype=np.float32))
    write_raster(np.zeros((8, 9), dtype=np.uint8), name="mask.tif")
    with rasterio.open(tmp_path / "mask.tif", "r+") as mask:
        mask.update_tags(INTERNAL_MASK_FLAGS_1=2)
    (tmp_path / "mask.tif").rename(tmp_path / "dem.tif.msk")
    with open_elevation(path) as source:
        assert np.isnan(source.read(Window(0, 0, 9, 8))).all()


def test_raster_that_takes_data_from_another_folder_is_refused(write_raster, monkeypatch):
    path = write_raster(np.ones((8, 9), dtype=np.float32))
    elsewhere = property(lambda self: [path, "/etc/passwd"])
    monkeypatch.setattr(
        "heatflow.io.untrusted.DatasetReader", type("R", (rasterio.DatasetReader,), {"files": elsewhere})
    )
    no_raster(path, "another folder: /etc/passwd")


def test_netcdf_4_has_to_be_named(tmp_path):
    (tmp_path / "dem.tif").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    no_raster(tmp_path / "dem.tif", r"terrain\.driver")
    assert "netCDF" not in DRIVERS
    assert "GPKG" not in DRIVERS
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("heatflow.io.untrusted.DatasetReader", lambda path, driver: seen.append(driver) or io.BytesIO())
        (tmp_path / "dem.nc").write_bytes(b"CDF\x02" + bytes(500))
        with pytest.raises(AttributeError), opened_raster(str(tmp_path / "dem.nc"), None):
            pass
    assert seen == [["netCDF"]]


def test_network_is_off_while_a_raster_is_opened(write_raster, monkeypatch):
    from rasterio.env import getenv

    def opened(path, driver):
        assert getenv()["GDAL_HTTP_PROXY"] == "127.0.0.1:9"
        raise OSError("seen")

    monkeypatch.setattr("heatflow.io.untrusted.DatasetReader", opened)
    no_raster(write_raster(np.ones((8, 9), dtype=np.float32)), "seen")


def test_blocks_are_measured_in_bytes_with_all_their_bands(write_raster, monkeypatch):
    path = write_raster(np.ones((3, 8, 9), dtype=np.float64), interleave="pixel")
    monkeypatch.setattr(raster, "MAX_BLOCK", 3 * 8 * 9 * 8 - 1)
    no_raster(path, "blocks of 1,728 bytes")


def test_terrain_that_is_no_geotiff_is_damaged(tmp_path):
    (tmp_path / "terrain.tif").write_text(VRT)
    with pytest.raises(InputError, match="damaged"), open_written(tmp_path / "terrain.tif"):
        pass
    with pytest.raises(InputError, match="dvc repro"), open_written(tmp_path / "none.tif"):
        pass


# ---- folders of ours


def test_checkpoints_remove_nothing_but_checkpoints(tmp_path):
    home = tmp_path / "home"
    for k in range(9):
        (home / f"project{k}").mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    with pytest.raises(InputError, match="link"):
        Checkpoints(tmp_path / "link", KEY)
    (home / ("f" * 32)).symlink_to(tmp_path / "nowhere")
    (home / ("e" * 32)).symlink_to(home / "project0")
    Checkpoints(home, KEY)
    assert len(list(home.glob("project*"))) == 9
    with pytest.raises(InputError, match="link"):
        Checkpoints(home, "e" * 32)


@pytest.mark.parametrize("content", [b"noise", {"history": [1]}, [1], {"x": print}])
def test_checkpoint_with_a_right_digest_and_other_content_is_none(tmp_path, content):
    kept = Checkpoints(tmp_path, KEY)
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        content = buffer.getvalue()
    (tmp_path / KEY / "fold0").write_bytes(hashlib.sha256(content).digest() + content)
    assert kept.load("fold0") is None


def test_fetching_clears_no_folder_of_others(tmp_path):
    entry = dict.fromkeys(("title", "citation", "doi", "licence", "use"), "t")
    source = sources.Source(**entry, url="http://127.0.0.1:9/x", file="f", size=None, sha256=None)
    (tmp_path / "home/x").mkdir(parents=True)
    (tmp_path / "home/x/thesis").touch()
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/.arriving").symlink_to(tmp_path / "home")
    with pytest.raises(InputError, match="link"):
        sources.fetch("x", source, tmp_path / "sources")
    assert (tmp_path / "home/x/thesis").exists()


# ---- settings, models, text


@pytest.mark.parametrize("text", ["a: &a [1]\nb: *a", "a: 0x" + "f" * 6000, "? [a]\n: 1", "a: &a {b: 1}\nc: {<<: *a}"])
def test_yaml_holds_plain_data(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match="not valid YAML"):
        params.load(tmp_path / "p.yaml", ())
    with pytest.raises(InputError, match="not valid YAML"):
        sources.read_catalogue(tmp_path / "p.yaml")


def test_numbers_that_python_does_not_print_are_described():
    assert params.SHORT.repr([-(10**5000)]) == "[a number of more than 40 digits]"


@pytest.fixture
def models(tmp_path):
    network = NetworkInNetwork(
        classes=3, channels=[4], dropout=0.0, batch_norm=True, head_relu=False, loss="cross_entropy", first_high=1
    )
    save_networks(tmp_path, [[network]])
    assert len(load_networks(tmp_path, 0)) == 1
    return tmp_path


def packed(raw, method, change=lambda name, content: content):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def test_model_that_is_more_than_weights_is_refused(models):
    path = models / "fold0_0.pt"
    raw = path.read_bytes()
    pickled = pickle.dumps({"x": print}, 2)
    asks = b"\x80\x02c__builtin__\nbytearray\nJ\x00\x5e\xd0\xb2\x85R."
    for content, message in (
        (packed(raw, zipfile.ZIP_DEFLATED), "packed"),
        (
            packed(raw, zipfile.ZIP_STORED, lambda n, c: pickled if n.endswith(".pkl") else c),
            "other things than weights",
        ),
        (packed(raw, zipfile.ZIP_STORED, lambda n, c: asks if n.endswith(".pkl") else c), "other things than weights"),
        (pickled, "not a zip file"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            load_networks(models, 0)
        assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"channels": [10**9]}, {"classes": 10**9}, {"seeds": 10**9}, {"channels": [4] * 99}]
)
def test_model_of_absurd_size_is_refused(models, change):
    settings = json.loads((models / "network.json").read_text())
    (models / "network.json").write_text(json.dumps(settings | change))
    with pytest.raises(InputError, match=r"network\.json: damaged"):
        load_networks(models, 0)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;=b", "a;'=b"), ("a\n@b", '"a\n\'@b"'), ("\uff1db", "'\uff1db"), ("a|  +b", "a|'  +b"), ("\tb", "'\tb"),
        ("a-b", "a-b"), ("-1.5", "-1.5"), ("Smith, John", '"Smith, John"'),
    ],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula_whatever_separates(tmp_path, text, written):
    write_csv(tmp_path / "t.csv", pd.DataFrame({"name": [text, "x"]}))
    assert (tmp_path / "t.csv").read_bytes().decode() == f"name\n{written}\nx\n"


def test_what_libraries_say_cannot_steer_the_terminal(workspace, capsys, monkeypatch):
    def main():
        warnings.warn(f"type {ESCAPE}", RuntimeWarning, stacklevel=1)
        logging.lastResort.handle(logging.makeLogRecord({"msg": f"log {ESCAPE}", "levelno": logging.WARNING}))

    monkeypatch.setattr(sys, "argv", ["stages/x.py"])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _stage.run(main)
    said = capsys.readouterr().err
    assert said.splitlines() == [f"  WARNING: {w} \ufffd]0;owned\ufffd" for w in ("type", "log")]


def test_fetch_shows_no_secrets_and_fills_in_the_path_alone(tmp_path, monkeypatch, capsys):
    entry = {
        "title": ESCAPE, "citation": "c", "doi": "1", "licence": "l", "url": "http://me:secret@127.0.0.1:9/x?token=secret",
        "file": "f", "size": None, "sha256": None, "use": "a={path} b={path.__class__}",
    }  # fmt: skip
    source = sources.Source.model_validate(entry)
    monkeypatch.setattr(sources, "read_catalogue", lambda: {"x": source})
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"from 127\.0\.0\.1:9 broke off") as caught:
        sources.fetch("x", source, tmp_path)
    assert "secret" not in str(caught.value)
    assert sources._without_secrets(source.url) == "http://127.0.0.1:9/x"
    sources.main([])
    (tmp_path / "f").touch()
    monkeypatch.setattr(sources, "fetch", lambda *args, **options: tmp_path / "f")
    sources.main(["x"])
    said = capsys.readouterr().out
    assert f"-S a={tmp_path / 'f'} -S b={{path.__class__}}" in said
    assert "\x1b" not in said


# ---- interrupts


STUCK = """
import sqlite3, sys
from stages import _stage
_stage.GRACE, _stage.ONE_PRESS = {grace}, 0.1
def main():
    print("begun", flush=True)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    sqlite3.connect(":memory:").execute(endless).fetchone()
sys.argv = ["stages/x.py"]
_stage.run(main)
"""


@pytest.mark.parametrize(("grace", "signals"), [(0.3, [signal.SIGTERM]), (60, [signal.SIGINT, signal.SIGINT])])
def test_stage_ends_although_c_code_does_not_return(grace, signals):
    code = STUCK.format(grace=grace)
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        for number in signals:
            time.sleep(0.3)
            child.send_signal(number)
        _, said = child.communicate(timeout=20)
    assert child.returncode == 128 + signals[0]
    assert said == "interrupted, and ended at once\n"
