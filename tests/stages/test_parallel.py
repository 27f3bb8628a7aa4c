"""Several runs at once give what each gives alone."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.helpers import call, environment, outputs

pytestmark = pytest.mark.slow
LONGEST = 300  # seconds that a queue may take
VALUES = (0.2, 0.4)


@pytest.fixture
def copy(clone, tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(clone, folder, symlinks=True)
    return folder


def lock_of(folder, experiment):
    refs = call(folder, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (ref,) = [r for r in refs if r.endswith(f"/{experiment}")]
    return yaml.safe_load(call(folder, "git", "show", f"{ref}:dvc.lock"))["stages"]


def test_two_experiments_at_once_give_what_they_give_alone(copy):
    for value in VALUES:
        call(copy, "dvc", "exp", "run", "--queue", "-n", f"both-{value}", "-S", f"train.dropout={value}")
    call(copy, "dvc", "queue", "start", "--jobs", "2")
    try:
        end = time.monotonic() + LONGEST
        while "Queued" in (status := call(copy, "dvc", "queue", "status")) or "Running" in status:
            assert time.monotonic() < end, status
            time.sleep(1)
    finally:
        call(copy, "dvc", "queue", "stop", "--kill")
    assert status.count("Success") == len(VALUES), status
    for value in VALUES:
        call(copy, "dvc", "exp", "run", "--temp", "-n", f"alone-{value}", "-S", f"train.dropout={value}")
        both, alone = (lock_of(copy, f"{how}-{value}") for how in ("both", "alone"))
        assert both["train"]["params"]["params.yaml"]["train"]["dropout"] == value
        assert both == alone
    of = [lock_of(copy, f"both-{value}")["train"]["outs"] for value in VALUES]
    assert of[0] != of[1]


def test_two_repros_in_one_checkout_corrupt_nothing(copy):
    params = yaml.safe_load((copy / "params.yaml").read_text())
    params["train"]["dropout"] = 0.3
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    command = [Path(sys.executable).with_name("dvc"), "repro"]
    running = [
        subprocess.Popen(
            command, cwd=copy, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=LONGEST)[0] for process in running]
    assert "Traceback" not in "".join(said)
    for process, text in zip(running, said, strict=True):  # who comes second waits, or is told that another is at it
        assert not process.returncode or "lock" in text, text
    call(copy, "dvc", "repro")
    together = outputs(copy)
    assert not [path for path in (copy / "data").rglob("*") if ".partial" in path.name]
    call(copy, "dvc", "repro", "--force")
    assert outputs(copy) == together
