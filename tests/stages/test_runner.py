"""How a stage ends: its exit code, and messages that cannot steer a terminal."""

import errno
import logging
import sys
import warnings
from pathlib import Path

import pytest
from rasterio.env import getenv, hasenv

from heatflow.errors import InputError
from stages import _runner

ESCAPE = "\x1b]0;owned\x07"


def ended(monkeypatch, capsys, error, inputs=()):
    """Exit code of a stage that raises an error, and what it says."""

    def main():
        raise error

    monkeypatch.setattr(sys, "argv", ["stages/x.py"])
    with pytest.raises(SystemExit) as stop:
        _runner.run(main, inputs)
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError(f"a: bad {ESCAPE}\nb: worse"), 2, "x: cannot go on:\n  a: bad \ufffd]0;owned\ufffd\n  b: worse\n"),
        (OSError(errno.ENOSPC, "No space left on device", "f"), 3, "  f: no space left on device; free some space and"),
        (PermissionError(errno.EACCES, "Permission denied", "f"), 3, "f: permission denied; check that you may write"),
        (MemoryError(), 3, "not enough memory (MemoryError)"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 3, "not enough memory"),
        (KeyboardInterrupt(), 130, "x: interrupted"),
    ],
)
def test_a_fault_of_the_input_or_the_machine_is_one_message_and_a_code(monkeypatch, capsys, error, code, message):
    got, said = ended(monkeypatch, capsys, error)
    assert got == code
    assert message in said
    assert "Traceback" not in said


def test_missing_input_is_named_with_the_command_that_makes_it(monkeypatch, capsys):
    code, said = ended(monkeypatch, capsys, AssertionError, [Path("data/none.tif")])
    assert code == 2
    assert "data/none.tif: no such file; make it with: dvc repro x" in said


def test_a_bug_is_a_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stages/x.py"])
    with pytest.raises(ZeroDivisionError):
        _runner.run(lambda: 1 / 0)


def test_what_libraries_say_cannot_steer_the_terminal(capsys, monkeypatch):
    def main():
        warnings.warn(f"type {ESCAPE}", RuntimeWarning, stacklevel=1)
        logging.lastResort.handle(logging.makeLogRecord({"msg": f"log {ESCAPE}", "levelno": logging.WARNING}))

    monkeypatch.setattr(sys, "argv", ["stages/x.py"])
    before = logging.lastResort
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _runner.run(main)
    said = capsys.readouterr().err
    assert said.splitlines() == [f"  WARNING: {w} \ufffd]0;owned\ufffd" for w in ("type", "log")]
    assert logging.lastResort is before


def test_gdal_is_set_for_the_stage_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["stages/x.py"])
    _runner.run(lambda: seen.append(getenv()))
    assert seen[0]["GDAL_NUM_THREADS"] == "ALL_CPUS"
    assert not hasenv() or "GDAL_NUM_THREADS" not in getenv()
