"""States of training: whole or none, of one run, few."""

import torch

from heatflow.learning.checkpoints import KEPT, Checkpoints, fingerprint

STATE = {"history": [{"loss": 0.5}], "network": {"w": torch.arange(3.0)}, "random": [torch.get_rng_state()]}


def key(number):
    return f"{number:032x}"


def test_a_state_comes_back_whole_or_not_at_all(tmp_path):
    checkpoints = Checkpoints(tmp_path, key(1))
    checkpoints.save("fold0", STATE)
    assert checkpoints.load("fold0")["history"] == STATE["history"]
    assert torch.equal(checkpoints.load("fold0")["network"]["w"], STATE["network"]["w"])
    assert checkpoints.load("fold1") is None
    path = tmp_path / key(1) / "fold0"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert checkpoints.load("fold0") is None


def test_a_run_sees_its_own_states_alone_and_old_ones_go(tmp_path):
    (tmp_path / "notes").mkdir()
    Checkpoints(tmp_path, key(1)).save("fold0", STATE)
    assert Checkpoints(tmp_path, key(2)).load("fold0") is None
    for number in range(2, KEPT + 5):
        last = Checkpoints(tmp_path, key(number))
    assert len(list(tmp_path.iterdir())) == KEPT + 2
    assert (tmp_path / "notes").exists()
    last.clear()
    assert not (tmp_path / key(KEPT + 4)).exists()


def test_fingerprint_changes_with_params_and_files(tmp_path):
    path = tmp_path / "x"
    path.write_text("1")
    first = fingerprint([{"lr": 0.1}], [path])
    assert first == fingerprint([{"lr": 0.1}], [path])
    assert first != fingerprint([{"lr": 0.2}], [path])
    path.write_text("2")
    assert first != fingerprint([{"lr": 0.1}], [path])
