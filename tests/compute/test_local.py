"""Processes of this machine: how many, and what is left of them."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

from heatflow.compute import local
from tests.compute import tasks
from tests.helpers import ROOT, environment

GIGA = 1e9


@pytest.fixture
def machine(monkeypatch):
    """Eight cores, and 5 GB of free memory."""
    monkeypatch.setattr(local.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(local, "free_memory", lambda: 5 * GIGA)


@pytest.mark.parametrize(
    ("items", "memory", "most", "expected"),
    [
        (100, 0, None, 8),  # cores
        (3, 0, None, 3),  # items
        (100, 1 * GIGA, None, 4),  # 1 GB is left to everything else
        (100, 9 * GIGA, None, 1),  # one, even if it may not fit
        (100, 0, 2, 2),
        (100, 0, 20, 20),  # whoever asks for more than the cores gets them
        (100, 1 * GIGA, 20, 4),
    ],
)
def test_as_many_processes_as_cores_items_and_memory_allow(machine, items, memory, most, expected):
    assert local.workers(items, memory, most) == expected


def test_the_limit_of_a_container_counts_as_the_memory_of_the_machine(tmp_path, monkeypatch):
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(local, "_LIMIT", limit)
    monkeypatch.setattr(local, "_USED", used)
    machine = local.free_memory()
    limit.write_text("3000000\n")
    used.write_text("1000000\n")
    monkeypatch.setattr(local, "_PARTS", tmp_path / "stat")
    assert local.free_memory() == 2_000_000
    (tmp_path / "stat").write_text("anon 600000\ninactive_file 400000\n")
    assert local.free_memory() == 2_400_000
    limit.write_text("max\n")
    assert local.free_memory() == pytest.approx(machine, rel=0.5)


LONGEST = 240  # seconds that anything takes on a machine that does much else


@pytest.fixture
def asleep(tmp_path):
    """A stage whose two workers sleep, and all processes that it has started."""
    command = [sys.executable, "-m", "tests.compute.asleep", str(tmp_path)]
    env = environment() | {"HEATFLOW_WORKERS": "2", "HEATFLOW_SCHEDULER": "local"}
    stage = subprocess.Popen(
        command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    try:
        end = time.monotonic() + LONGEST
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < end
            assert stage.poll() is None, stage.communicate()[1]
            time.sleep(0.05)
        children = psutil.Process(stage.pid).children(recursive=True)
        yield stage, children
        for process in [child for child in children if child.is_running()]:
            process.kill()
    finally:
        stage.kill()
        stage.communicate()


def test_ctrl_c_waits_until_a_worker_that_starts_has_started(monkeypatch):
    """One that is half started would neither be known to the pool nor be ended by it."""
    started, start = [], ProcessPoolExecutor._spawn_process

    def interrupted(pool):
        os.kill(os.getpid(), signal.SIGINT)
        start(pool)
        started.extend(pool._processes.values())

    monkeypatch.setattr(ProcessPoolExecutor, "_spawn_process", interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), local.pool(2, tasks.square) as (pool, _):
        pool.submit(tasks.square, 3)
    assert len(started) == 1
    assert not started[0].is_alive()


def left(children):
    """Processes that have not ended, however busy the machine is."""
    return psutil.wait_procs(children, timeout=LONGEST)[1]


def test_ctrl_c_leaves_no_process_behind(asleep):
    stage, children = asleep
    assert len(children) >= 2
    os.killpg(stage.pid, signal.SIGINT)  # as a terminal sends it
    assert stage.wait(timeout=LONGEST) == 130
    assert left(children) == []
    assert stage.stderr.read() == "asleep: interrupted\n"


def test_the_workers_of_a_process_that_is_killed_end(asleep):
    stage, children = asleep
    stage.kill()
    stage.wait()
    assert left(children) == []


def test_the_workers_of_a_process_that_is_terminated_end(asleep):
    stage, children = asleep
    stage.terminate()
    stage.wait(timeout=LONGEST)
    assert left(children) == []


@pytest.mark.parametrize(("workers", "started"), [("1", "False"), ("2", "True")])
def test_server_is_started_ahead_and_loads_what_workers_need(workers, started):
    """It goes on after Ctrl-C, which is for the program alone."""
    env = environment() | {"HEATFLOW_WORKERS": workers, "HEATFLOW_SCHEDULER": "local"}
    command = [sys.executable, "-m", "tests.compute.served"]
    text = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    assert text == f"{started} [True, True, False] True\n"
