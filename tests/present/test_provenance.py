import hashlib

import yaml

from heatflow.config.schema import Data, Params
from heatflow.present import provenance


def test_a_folder_has_the_checksum_of_its_files_in_order(tmp_path):
    for name, text in (("b", "2"), ("a", "1")):
        (tmp_path / name).write_text(text)
    assert provenance.md5(tmp_path) == hashlib.md5(b"12").hexdigest()
    assert provenance.md5(tmp_path / "a") == hashlib.md5(b"1").hexdigest()


def test_inputs_are_listed_by_their_names_alone_and_the_demos_for_the_demo_alone(tmp_path):
    wells = tmp_path / "wells.csv"
    wells.write_text("x,y\n")
    params = Params(data=Data(elevation="https://me:secret@a.org/dem.tif", wells=str(wells)))
    (listed,) = provenance.checksums(params, [])
    assert listed == ("wells.csv", hashlib.md5(b"x,y\n").hexdigest())


def test_params_of_another_region_leave_out_the_demo_and_secrets():
    data = Data(elevation="/vsicurl/https://me:secret@a.org/dem.tif?key=1", wells="/path/to/wells.csv")
    text = provenance.params_text(Params(data=data))
    assert yaml.safe_load(text)["data"] == {"elevation": "https://a.org/dem.tif", "wells": "wells.csv"}
    layers = data.model_copy(update={"layers": {"gravity": "/path/to/gravity.tif"}})
    named = yaml.safe_load(provenance.params_text(Params(data=layers)))["data"]["layers"]
    assert named == {"gravity": "gravity.tif"}
    assert "demo" not in yaml.safe_load(text)
    assert yaml.safe_load(provenance.params_text(Params()))["demo"]["seed"] == 1
