"""The workers of a Dask cluster give what this machine gives, and their faults are told in plain words."""

import importlib.util
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack

import pytest

from benchmarks.dask_cluster import LONGEST, address, start
from heatflow.compute import cluster
from heatflow.compute.mapping import map_in_order
from heatflow.errors import InputError, MachineError
from stages import _runner
from tests.compute import tasks, torch_tasks

pytestmark = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")


@pytest.fixture
def nowhere(monkeypatch):
    """The scheduler's address is one where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HEATFLOW_SCHEDULER", address)
    monkeypatch.setattr(cluster, "WAIT", 1)
    return address


def test_results_are_in_the_order_of_the_items(on_cluster):
    assert list(map_in_order(tasks.square_later, range(8))) == [x * x for x in range(8)]


def test_both_workers_work(on_cluster):
    used = set(map_in_order(tasks.process, range(12)))
    assert len(used) == 2
    assert os.getpid() not in used


def test_a_task_computes_with_one_thread_in_the_folder_of_its_caller(on_cluster, tmp_path, monkeypatch):
    assert set(map_in_order(torch_tasks.torch_threads, range(4))) == {(1, 1)}
    monkeypatch.chdir(tmp_path)
    assert set(map_in_order(tasks.folder, range(3))) == {str(tmp_path)}


def test_what_has_to_be_alone_on_this_machine_is_not_so_on_a_cluster(on_cluster):
    assert os.getpid() not in set(map_in_order(tasks.process, range(2), alone=True))


def test_an_error_of_a_task_is_raised_and_ends_the_others(on_cluster, tmp_path):
    with pytest.raises(ValueError, match="item 0: nothing to see"):
        list(map_in_order(tasks.fail_first, [(tmp_path, k) for k in range(40)]))
    time.sleep(0.3)
    begun = len(list(tmp_path.iterdir()))
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == begun < 10


def test_warnings_of_a_task_are_shown_here(on_cluster):
    with pytest.warns(UserWarning, match="even|odd") as shown:
        assert list(map_in_order(tasks.warn, range(2))) == [0, 1]
    assert sorted(str(warning.message) for warning in shown) == ["even", "item 1 is odd"]


def test_a_task_whose_worker_is_killed_is_repeated(on_cluster, tmp_path):
    items = [(tmp_path / "died", x) for x in range(8)]
    assert list(map_in_order(tasks.die_once, items)) == [x * x for x in range(8)]


def test_workers_that_die_again_and_again_are_a_fault_of_the_machine(on_cluster):
    with pytest.raises(MachineError, match="killed again and again"):
        list(map_in_order(tasks.die, [0]))
    assert list(map_in_order(tasks.square, range(3))) == [0, 1, 4]  # others can still work


def test_a_scheduler_that_ends_is_a_fault_of_the_machine(monkeypatch, tmp_path):
    with ExitStack() as stack:
        scheduler = start(stack, "scheduler", "--port", "0")
        where = address(scheduler)
        start(stack, "worker", where, "--nthreads", "1")
        monkeypatch.setenv("HEATFLOW_SCHEDULER", where)
        monkeypatch.setattr(cluster, "WAIT", LONGEST)
        results = map_in_order(tasks.fail_first, [(tmp_path, k) for k in range(1, 100)])
        assert next(results) == 1
        scheduler.kill()
        with pytest.raises(MachineError, match="the scheduler has ended"):
            list(results)


def test_a_cluster_that_is_not_there_is_a_fault_of_the_machine(nowhere, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stages/train.py"])
    begun = time.monotonic()
    with pytest.raises(SystemExit) as stop:
        _runner.run(lambda: list(map_in_order(tasks.square, range(3))))
    assert time.monotonic() - begun < 30
    assert stop.value.code == 3
    said = capsys.readouterr().err
    assert f"train: cannot go on:\n  HEATFLOW_SCHEDULER={nowhere}: no scheduler with a worker answers there" in said
    assert "Traceback" not in said


def test_encryption_without_certificates_is_refused(nowhere, monkeypatch):
    monkeypatch.setenv("HEATFLOW_SCHEDULER", nowhere.replace("tcp", "tls"))
    with pytest.raises(InputError, match=r"no certificates in Dask's configuration, distributed\.comm\.tls"):
        list(map_in_order(tasks.square, range(3)))


def test_without_the_libraries_the_command_that_installs_them_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setenv("HEATFLOW_SCHEDULER", "tcp://127.0.0.1:8786")
    with pytest.raises(InputError, match=r"pip install -e '\.\[cluster\]'"):
        list(map_in_order(tasks.square, range(3)))


def test_slurm_without_the_library_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    monkeypatch.setenv("HEATFLOW_SCHEDULER", "slurm")
    with pytest.raises(InputError, match=r"pip install -e '\.\[cluster\]'"):
        list(map_in_order(tasks.square, range(3)))


@pytest.fixture
def slurm(monkeypatch):
    """Jobs of SLURM, on a machine that has none; settings of Dask's configuration can be changed."""
    dask = pytest.importorskip("dask")
    interrupt = signal.getsignal(signal.SIGINT)
    pytest.importorskip("dask_jobqueue")
    signal.signal(signal.SIGINT, interrupt)
    monkeypatch.setenv("HEATFLOW_SCHEDULER", "slurm")
    options = {"memory": "1GB", "interface": "lo"}
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in options.items()}):
        yield dask.config


def test_ctrl_c_interrupts_a_stage_that_uses_slurm(slurm, monkeypatch):
    """The library changes what Ctrl-C does when it is loaded: a stage would end with exit code 0."""
    for name in [name for name in sys.modules if name.startswith("dask_jobqueue")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("PATH", "")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(MachineError):
        list(map_in_order(tasks.square, range(3)))
    assert "dask_jobqueue.runner" in sys.modules
    assert signal.getsignal(signal.SIGINT) is before


def test_slurm_needs_a_description_of_a_job(slurm):
    with slurm.set({"jobqueue.slurm.memory": None}), pytest.raises(InputError, match=r"jobqueue\.slurm"):
        list(map_in_order(tasks.square, range(3)))


@pytest.mark.parametrize(("script", "message"), [(None, "sbatch"), ("echo no such queue >&2; exit 1", "no such queue")])
def test_jobs_that_cannot_be_submitted_are_a_fault_of_the_machine(slurm, script, message, monkeypatch, tmp_path):
    if script:
        (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        slurm.set({"jobqueue.slurm.shared-temp-directory": str(tmp_path)}),
        pytest.raises(MachineError, match=rf"no job can be submitted \(.*{message}"),
    ):
        list(map_in_order(tasks.square, range(3)))
