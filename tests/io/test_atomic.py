"""Outputs are whole or not there."""

import os

import pytest

from heatflow.io.atomic import replacing
from heatflow.io.text import write_json


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_folder_takes_the_place_of_another_as_a_whole_or_not_at_all(tmp_path):
    def write(name, fail=False):
        with replacing(tmp_path / "folder") as beside:
            beside.mkdir()
            (beside / name).touch()
            if fail:
                raise OSError(28, "No space left on device")

    write("old")
    with pytest.raises(OSError, match="No space"):
        write("new", fail=True)
    assert names(tmp_path) == ["folder", "folder/old"]
    write("new")
    assert names(tmp_path) == ["folder", "folder/new"]


def test_what_a_killed_process_left_is_removed_and_another_s_is_kept(tmp_path):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    (tmp_path / f".a.json.{child}.partial").mkdir()
    (tmp_path / f".a.json.{os.getppid()}.partial").mkdir()
    write_json(tmp_path / "a.json", {})
    assert names(tmp_path) == [f".a.json.{os.getppid()}.partial", "a.json"]
