"""How a stage ends: its exit code, and messages that cannot steer a terminal."""

import errno
import logging
import resource
import signal
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import pytest
from rasterio.env import getenv, hasenv

from heatflow.errors import InputError
from heatflow.pipeline import code_of, imported
from stages import SIDE_BY_SIDE, _runner
from tests.helpers import ROOT, environment

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
        (OSError("9 requested and 2 written"), 3, "could not be written whole (9 requested and 2 written); free some"),
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


def test_ctrl_c_while_a_stage_loads_its_libraries_is_no_traceback():
    command = [sys.executable, "-X", "importtime", "-m", "stages.tile"]
    stage = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    assert any(line.endswith("| stages\n") for line in stage.stderr)  # has been loaded
    stage.send_signal(signal.SIGINT)
    assert "Traceback" not in stage.communicate()[1]
    assert stage.returncode == -signal.SIGINT


def test_too_little_memory_to_load_the_libraries_is_a_message_and_a_code():
    command = [sys.executable, "-m", "stages.train"]
    limit = partial(resource.setrlimit, resource.RLIMIT_DATA, (350_000_000, 350_000_000))  # PyTorch needs more
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 3
    assert done.stderr.startswith("cannot go on:\n  not enough memory")
    assert "Traceback" not in done.stderr


def test_workers_of_the_stages_that_share_their_work_load_ahead():
    mapping, mapped = ROOT / "heatflow/compute/mapping.py", set()
    for path in sorted(ROOT.glob("stages/[a-z]*.py")):
        modules = [ROOT / name for name in code_of(path, ROOT) if name.endswith(".py")]
        if any(mapping in imported(module, ROOT) for module in modules):
            mapped.add(path.stem)
    assert set(SIDE_BY_SIDE) == mapped - {"bundle", "evaluate"}  # which use other parts of such modules


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
