"""Tasks side by side: order, threads, errors, warnings, and workers that die."""

import os
import sys
import time

import pytest

from heatflow.compute.mapping import map_in_order
from heatflow.errors import InputError, MachineError
from tests.compute import tasks
from tests.helpers import ROOT, call


@pytest.fixture(params=["1", "2"])
def workers(request, monkeypatch):
    """Number of processes: one is this process."""
    monkeypatch.setenv("HEATFLOW_WORKERS", request.param)
    return int(request.param)


@pytest.fixture
def two_workers(monkeypatch):
    monkeypatch.setenv("HEATFLOW_WORKERS", "2")


def test_results_are_in_the_order_of_the_items(workers):
    assert list(map_in_order(tasks.square_later, range(8))) == [x * x for x in range(8)]


def test_nothing_to_do_gives_nothing(workers):
    assert list(map_in_order(tasks.square, [])) == []


def test_several_processes_work_and_none_of_them_is_this_one(two_workers):
    used = set(map_in_order(tasks.process, range(12)))
    assert len(used) == 2
    assert os.getpid() not in used


def test_a_task_that_is_unfinished_goes_on_where_it_paused(workers):
    told = []
    results = list(map_in_order(tasks.halve, [(12, []), (5, []), (16, [])], on_done=lambda: told.append(1)))
    assert [(number, len(used)) for number, used in results] == [(3, 3), (5, 1), (1, 5)]
    assert len(told) == 3


def test_parts_of_long_tasks_are_done_by_whoever_is_free(two_workers, tmp_path):
    """The last of three tasks does not wait until one of the others is done."""
    assert list(map_in_order(tasks.begun_before_others_end, [(tmp_path, k, 0) for k in range(3)])) == [3, 3, 3]


def test_what_has_to_be_alone_stays_in_this_process(two_workers):
    assert set(map_in_order(tasks.process, range(3), alone=True)) == {os.getpid()}


def test_a_task_runs_in_the_folder_of_its_caller(workers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(map_in_order(tasks.folder, range(3))) == {str(tmp_path)}


def test_every_item_done_is_told(workers):
    told = []
    results = list(map_in_order(tasks.square, range(5), on_done=lambda: told.append(1)))
    assert len(told) == len(results) == 5


def test_a_task_in_this_process_computes_with_one_thread_and_leaves_the_setting_as_it_was(monkeypatch):
    import torch

    monkeypatch.setenv("HEATFLOW_WORKERS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert list(map_in_order(tasks.threads, range(2))) == [(1, 1)] * 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_task_in_a_worker_computes_with_one_thread(monkeypatch):
    monkeypatch.setenv("HEATFLOW_WORKERS", "2")
    printed = call(ROOT, "env", "OMP_NUM_THREADS=2", sys.executable, "-m", "tests.compute.torch_tasks")
    assert printed == f"{[(1, 1)] * 4}\n"


def test_an_error_of_a_task_is_raised_and_ends_the_others(two_workers, tmp_path):
    with pytest.raises(ValueError, match="item 0: nothing to see"):
        list(map_in_order(tasks.fail_first, [(tmp_path, k) for k in range(40)]))
    begun = len(list(tmp_path.iterdir()))
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == begun < 10


def test_an_end_of_the_iteration_ends_the_tasks(two_workers, tmp_path):
    results = map_in_order(tasks.fail_first, [(tmp_path, k) for k in range(1, 40)])
    assert next(results) == 1
    results.close()
    begun = len(list(tmp_path.iterdir()))
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == begun < 20


def test_results_wait_for_the_slowest_and_no_more_than_a_few_are_kept(two_workers, tmp_path):
    results = map_in_order(tasks.fail_first, [(tmp_path, k) for k in range(1, 40)])
    next(results)
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) <= 8 + 1  # that are ahead, and the one that was taken
    results.close()


def test_warnings_of_a_task_are_shown_here(two_workers):
    with pytest.warns(UserWarning, match="even|odd") as shown:
        assert list(map_in_order(tasks.warn, range(4))) == list(range(4))
    assert sorted(str(warning.message) for warning in shown) == ["even", "even", "item 1 is odd", "item 3 is odd"]


def test_a_task_whose_worker_is_killed_is_repeated(two_workers, tmp_path):
    items = [(tmp_path / "died", x) for x in range(8)]
    assert list(map_in_order(tasks.die_once, items)) == [x * x for x in range(8)]


def test_workers_that_die_again_and_again_are_a_fault_of_the_machine(two_workers):
    with pytest.raises(MachineError, match="HEATFLOW_WORKERS=1"):
        list(map_in_order(tasks.die, range(4)))


@pytest.mark.parametrize("number", ["", "0", "-1", "two", "1.5", "²"])
def test_a_wrong_number_of_workers_is_refused(number, monkeypatch):
    monkeypatch.setenv("HEATFLOW_WORKERS", number)
    with pytest.raises(InputError, match=r"HEATFLOW_WORKERS=.* whole number, 1 or more"):
        list(map_in_order(tasks.square, range(3)))


@pytest.mark.parametrize("name", ["", "Local", "http://127.0.0.1:8786", "127.0.0.1:8786", "pbs"])
def test_a_wrong_scheduler_is_refused(name, monkeypatch):
    monkeypatch.setenv("HEATFLOW_SCHEDULER", name)
    with pytest.raises(InputError, match=r"HEATFLOW_SCHEDULER=.* must be local, slurm, or begin with tcp:// or tls://"):
        list(map_in_order(tasks.square, range(3)))
