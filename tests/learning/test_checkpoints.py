"""States of training: of one run, whole, and few."""

import hashlib
import io

import pytest
import torch

from heatflow.errors import InputError
from heatflow.learning.checkpoints import KEPT, Checkpoints, fingerprint

KEY = "0123456789abcdef" * 2


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
