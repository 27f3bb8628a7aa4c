"""What is left when a run is killed, a disk is full, or a file is damaged or hostile."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import torch

from heatflow.config.load import load
from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.geo.elevation import open_elevation
from heatflow.geo.text_tables import MAX_COLUMNS
from heatflow.geo.well_tables import read_wells
from heatflow.io.atomic import replacing
from heatflow.io.text import read_csv, together, write_csv, write_json
from heatflow.io.untrusted import is_remote
from heatflow.io.vectors import read_features, write_features
from heatflow.learning.checkpoints import KEPT, Checkpoints, fingerprint
from tests.helpers import TINY

ROOT = Path(__file__).resolve().parent.parent
UP_TO_TRAINING = ("terrain", "wells", "tile", "filter", "split", "normalize")


def models(folder):
    return {p.name: p.read_bytes() for p in sorted((folder / "data/models").iterdir())}


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "schedule": "cosine", "early_stopping": 2}])
@pytest.mark.parametrize("resample", [True, False])
def test_training_that_was_ended_goes_on_to_the_same_bytes(workspace, inputs, monkeypatch, capsys, changes, resample):
    changes = TINY | {"data": inputs, "train": {"epochs": 5} | changes, "augment": {"resample": resample}}
    for name in UP_TO_TRAINING:
        assert workspace.run(name, **changes) == 0
    assert workspace.run("train", **changes) == 0
    whole, curves = models(workspace.path), (workspace.path / "metrics/curves.csv").read_bytes()
    assert not list((workspace.path / "data/.checkpoints").iterdir())

    save, saved = Checkpoints.save, []

    def ended(self, name, state):
        save(self, name, state)
        saved.append(name)
        if len(saved) == 7:  # in the second fold, or the first where that stops early
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", ended)
        assert workspace.run("train", **changes) == 143
    assert models(workspace.path) == whole  # as the run before left them
    for path in (workspace.path / "data/models").iterdir():
        path.unlink()
    capsys.readouterr()
    assert workspace.run("train", **changes) == 0
    assert "goes on after epoch" in capsys.readouterr().out
    assert models(workspace.path) == whole
    assert (workspace.path / "metrics/curves.csv").read_bytes() == curves
    assert not list((workspace.path / "data/.checkpoints").iterdir())


def key(number):
    return f"{number:032x}"


def test_checkpoints_are_of_one_run_and_whole_and_few(tmp_path):
    state = {"history": [{"loss": 0.5}], "network": {"w": torch.arange(3.0)}, "random": [torch.get_rng_state()]}
    state |= {"optimizer": {}, "schedule": {}, "best": {}}
    mine = Checkpoints(tmp_path, key(10))
    mine.save("fold0", state)
    assert mine.load("fold0")["history"] == state["history"]
    assert mine.load("fold1") is None
    assert Checkpoints(tmp_path, key(11)).load("fold0") is None
    path = tmp_path / key(10) / "fold0"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert mine.load("fold0") is None
    for k in range(KEPT + 3):
        Checkpoints(tmp_path, key(k))
    assert len(list(tmp_path.iterdir())) == KEPT + 1
    mine.clear()
    Checkpoints(tmp_path, key(11)).clear()
    assert not (tmp_path / key(10)).exists()


def test_fingerprint_changes_with_params_and_inputs(tmp_path):
    path = tmp_path / "x"
    path.write_text("1")
    first = fingerprint({"lr": 1}, [path])
    assert first == fingerprint({"lr": 1}, [path])
    assert first != fingerprint({"lr": 2}, [path])
    path.write_text("2")
    assert first != fingerprint({"lr": 1}, [path])


def test_all_outputs_are_put_in_place_or_none(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with replacing(tmp_path / "folder") as beside:
        beside.mkdir()
        (beside / "old").touch()

    def write():
        write_json(tmp_path / "a.json", {"x": 2})
        with replacing(tmp_path / "folder") as beside:
            beside.mkdir()
            (beside / "new").touch()

    def fail():
        with together():
            write()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert '"x": 1' in (tmp_path / "a.json").read_text()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["old"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "folder"]
    with together():
        write()
        assert '"x": 1' in (tmp_path / "a.json").read_text()
    assert '"x": 2' in (tmp_path / "a.json").read_text()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["new"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "folder"]


def test_what_a_killed_process_left_is_cleared_and_another_s_is_let_be(tmp_path):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    (tmp_path / f".a.json.{child}.partial").mkdir()
    (tmp_path / f".a.json.{os.getppid()}.partial").mkdir()
    write_json(tmp_path / "a.json", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".a.json.{os.getppid()}.partial", "a.json"]


def test_table_cut_short_is_damaged_and_not_a_shorter_table(tmp_path, write_wells):
    table = geopandas.read_file(write_wells(np.arange(50.0), np.arange(50.0), residual=np.arange(50.0)))
    write_features(tmp_path / "t.fgb", table, "t")
    raw = (tmp_path / "t.fgb").read_bytes()
    for length in range(0, len(raw), 97):
        (tmp_path / "t.fgb").write_bytes(raw[:length])
        with pytest.raises(InputError, match=r"t\.fgb: damaged, or cut short"):
            read_features(tmp_path / "t.fgb")
    write_csv(tmp_path / "t.csv", table[["residual"]])
    (tmp_path / "t.csv").write_bytes((tmp_path / "t.csv").read_bytes()[:-2])
    with pytest.raises(InputError, match=r"t\.csv: damaged"):
        read_csv(tmp_path / "t.csv")


def test_csv_cannot_hold_formulas(tmp_path):
    import pandas as pd

    write_csv(tmp_path / "t.csv", pd.DataFrame({"name": ["=HYPERLINK(1)", "-12.5", "@x", "a"], "n": [-1, 2, 3, 4]}))
    assert (tmp_path / "t.csv").read_text() == "name,n\n'=HYPERLINK(1),-1\n-12.5,2\n'@x,3\na,4\n"


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("a.tif", False),
        ("/vsizip/a.zip/a.tif", False),
        ("https://h/a.tif", True),
        ("/vsizip//vsicurl/http://h/a.zip", True),
    ],
)
def test_addresses_are_told_from_files(path, remote):
    assert is_remote(path, "data.elevation") is remote


@pytest.mark.parametrize("path", ["ftp://h/a", "file:///etc/passwd", "/vsis3/b/a", "/vsizip//vsis3/b", "s3://b/a"])
def test_other_addresses_are_refused(path):
    with pytest.raises(InputError, match=r"data\.wells: .*files and http\(s\) addresses alone"):
        is_remote(path, "data.wells")


def test_raster_that_points_elsewhere_has_to_be_named(tmp_path, write_raster):
    dem = write_raster(np.ones((8, 9), dtype=np.float32))
    vrt = tmp_path / "innocent.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="8"><SRS>EPSG:32611</SRS><GeoTransform>0,200,0,0,0,-200</GeoTransform>'
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename>{dem}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(InputError, match=r"terrain\.driver"), open_elevation(str(vrt)):
        pass
    with open_elevation(str(vrt), Terrain(driver="VRT")) as source:
        assert source.dataset.driver == "VRT"


def test_vector_file_that_points_elsewhere_is_refused(tmp_path, write_wells):
    real = write_wells([500_100.0], [4_399_900.0], residual=[1.0])
    path = tmp_path / "faults.geojson"
    path.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="wells"><SrcDataSource>{real}</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>"
    )
    with pytest.raises(InputError, match="not a vector file"):
        read_wells(str(path))


def test_absurd_sizes_are_refused_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "w.csv"
    path.write_bytes(b"longitude,latitude,residual," + b"x," * 1_000_000)
    with pytest.raises(InputError, match="first line is longer"):
        read_wells(str(path))
    path.write_text(",".join(f"c{k}" for k in range(MAX_COLUMNS + 1)) + "\n")
    with pytest.raises(InputError, match="columns"):
        read_wells(str(path))
    with zipfile.ZipFile(tmp_path / "w.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("w.csv", b"1,2\n" * 26_000_000)
    with pytest.raises(InputError, match="more than 100,000,000 bytes"):
        read_wells(str(tmp_path / "w.zip"))


@pytest.mark.parametrize(
    "text", ["a: 2001-13-45", "a: &a {b: *a}", "a: " + "[" * 3000, "a: !!python/object:os.system {}"]
)
def test_yaml_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError):
        load(tmp_path / "params.yaml", ("train",))


def test_a_share_of_the_torture_finds_no_fault():
    # in a process of its own: it forks, and a process with the threads of torch and GDAL cannot be forked safely
    kinds = ["rasters", "tables", "vectors", "params"]
    command = [sys.executable, "-m", "benchmarks.torture", "--quick", "--seed", "3", "--only", *kinds]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert not done.returncode, done.stdout + done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    counts = {row[0].strip(): dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}
    counts = {kind: {k.strip(): int(v) for k, v in row.items()} for kind, row in counts.items()}
    assert counts["all"]["cases"] > 70
    assert counts["table"]["correct"]
    assert counts["raster"]["refused"]
