"""Work shared by threads, steps taken together, and the number of BLAS's threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from steepest.compiled import threads
from steepest.compiled.barrier import meet, system_calls
from steepest.compiled.blas import one_blas_thread
from steepest.compiled.jit import kernel
from steepest.compiled.threads import BarrierGroup, WorkerPool, usable_cores


@pytest.fixture(params=[1, 2, 5, 64])
def cores(request, monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: request.param)
    WorkerPool.forget()
    yield request.param
    WorkerPool.forget()


@pytest.fixture(autouse=True)
def _idle_machine(monkeypatch):
    monkeypatch.setattr(threads, "seconds_queued", lambda: 0.0)
    monkeypatch.setattr(BarrierGroup, "_alone_until", 0.0)


def test_cores_are_those_of_affinity_and_environment(monkeypatch):
    assert 1 <= usable_cores() <= os.cpu_count()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert usable_cores() >= 1


@pytest.mark.parametrize(("files", "expected"), [
    ({"cpu.max": "150000 100000\n"}, 1),
    ({"cpu.max": "50000 100000"}, 1),
    ({"cpu.max": "300000 100000"}, 3),
    ({"cpu.max": "max 100000"}, None),
    ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ({}, None),
])  # fmt: skip
def test_a_container_s_quota_bounds_the_cores(files, expected, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(40)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert usable_cores() == (expected or 40)


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_results_come_in_the_order_of_the_items(cores, count):
    assert WorkerPool().map(lambda n: n**2, range(count)) == [n**2 for n in range(count)]


def test_items_are_done_by_several_threads_where_there_are_cores(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    both = threading.Barrier(2, timeout=30)
    names = WorkerPool().map(lambda _: both.wait() >= 0 and threading.get_ident(), range(2))
    assert len(set(names)) == 2
    alone = WorkerPool().map(lambda _: threading.get_ident(), range(2), per_thread=2)
    assert set(alone) == {threading.get_ident()}


def test_the_first_item_s_error_is_raised(cores):
    def work(number):
        if number >= 3:
            raise ValueError(str(number))

    for _ in range(5):
        with pytest.raises(ValueError, match=r"^3$"):
            WorkerPool().map(work, range(10))


def test_calls_within_work_and_from_several_threads_end(cores):
    def inner(number):
        return sum(WorkerPool().map(lambda n: n * number, range(10)))

    results = {}
    fits = [
        threading.Thread(target=lambda f=f: results.update({f: WorkerPool().map(inner, range(20))}))
        for f in range(4)
    ]
    for fit in fits:
        fit.start()
    for fit in fits:
        fit.join(30)
    assert [results[f] for f in range(4)] == [[45 * n for n in range(20)]] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    WorkerPool().map(str, range(4))
    child = os.fork()
    if child == 0:  # pragma: no cover
        os._exit(7 if WorkerPool().map(str, range(4)) == ["0", "1", "2", "3"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@kernel
def count_together(calls, words, members, member, seen, rounds):
    """Each member writes its row; after the meeting all rows of a round are there."""
    for step in range(rounds):
        seen[member, step] = step + 1
        if not meet(calls, words, members):
            return -1
        for other in range(members):
            if seen[other, step] != step + 1:
                return step
    return rounds


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_nobody_goes_on_before_all_have_come(most, monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 64)
    seen = np.zeros((most, 300), dtype=np.int64)
    work = lambda m, members, words: count_together(system_calls(), words, members, m, seen, 300)  # noqa: E731
    assert BarrierGroup(most).run(work) == 300
    assert (seen == np.arange(1, 301)).all()


@pytest.mark.parametrize("bad", [0, 1])
def test_nobody_waits_for_a_member_that_failed(bad, monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    seen, ended = np.zeros((2, 5), dtype=np.int64), []

    def work(member, members, words):
        if member == bad:
            raise MemoryError("no space")
        ended.append(count_together(system_calls(), words, members, member, seen, 5))

    with pytest.raises(MemoryError, match="no space"):
        BarrierGroup(2).run(work)
    assert ended == [-1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_members_begin_on_cores_of_their_own_and_may_leave_them_but_not_for_the_first_s(
    monkeypatch,
):
    allowed, asked = {3, 4, 8, 9}, []
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: asked.append(frozenset(cores)))
    monkeypatch.setattr(threads, "_core_of_this_thread", lambda: lambda: 5)
    BarrierGroup(3).run(lambda member, members, words: member)
    assert {tuple(cores) for cores in asked if len(cores) == 1} == {(4,), (8,), (9,)}
    assert asked.count(allowed) == 1
    assert asked.count(allowed - {4}) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_where_threads_cannot_be_moved_they_stay(monkeypatch):
    def refuse(*_):
        raise PermissionError("not in this container")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    assert BarrierGroup(2).run(lambda member, members, words: members) == 2
    assert WorkerPool().map(lambda n: n + 1, range(4)) == [1, 2, 3, 4]


@pytest.mark.parametrize("cores", [2, 9])
def test_after_members_had_no_core_one_works_alone_for_a_while(cores, monkeypatch):
    """With more threads more must wait: one alone is then that much slower."""
    now, of_thread = [100.0], threading.local()

    def members(waiting: float) -> int:
        """Members of a run of a second, each of which waits so long for its core."""

        def work(member, members, words):
            of_thread.queued = waiting
            if member == 0:
                now[0] += 1.0
            return members

        of_thread.queued = 0.0
        return BarrierGroup(cores).run(work)

    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    monkeypatch.setattr(threads, "perf_counter", lambda: now[0])
    monkeypatch.setattr(threads, "seconds_queued", lambda: getattr(of_thread, "queued", 0.0))
    monkeypatch.setattr(BarrierGroup, "_pause", threads.SHORTEST_PAUSE)
    assert members(0.0) == members(0.01) == members(0.3) == cores
    assert members(0.0) == 1
    assert [members(0.3) for _ in range(3)] == [cores, 1, cores]
    now[0] += 2 * threads.LONGEST_PAUSE
    assert members(0.3) == cores
    assert BarrierGroup._pause == 16 * threads.SHORTEST_PAUSE
    assert members(0.0) == 1
    now[0] += 1.0
    assert members(0.0) == cores
    assert BarrierGroup._pause == threads.SHORTEST_PAUSE


@pytest.mark.skipif(not Path("/proc/thread-self/schedstat").exists(), reason="Linux only")
def test_waiting_for_a_core_is_seen(monkeypatch):
    monkeypatch.undo()
    allowed = os.sched_getaffinity(0)
    before, end = threads.seconds_queued(), time.perf_counter() + 10.0
    try:
        os.sched_setaffinity(0, {min(allowed)})
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            while threads.seconds_queued() < before + 0.01 and time.perf_counter() < end:
                pass
            other.kill()
    finally:
        os.sched_setaffinity(0, allowed)
    assert threads.seconds_queued() >= before + 0.01


def test_groups_that_run_at_once_share_the_cores(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    inner = lambda *_: BarrierGroup(4).run(lambda member, members, words: members)  # noqa: E731
    found = BarrierGroup(4).run(lambda member, members, words: inner() if member == 0 else 0)
    assert found == 2
    assert BarrierGroup(4).run(lambda member, members, words: members) == 4


def blas_threads() -> list[int]:
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


@pytest.mark.parametrize("last", ["main", "other"])
def test_blas_gets_its_threads_back_after_the_last_caller(last):
    before, inside, leave = blas_threads(), threading.Event(), threading.Event()
    within, left = [], threading.Event()

    def other():
        with one_blas_thread():
            within.append(set(blas_threads()))
            inside.set()
            leave.wait(30)
            within.append(set(blas_threads()))
        left.set()
        ended.wait(30)  # a thread of a pool lives on

    ended, thread = threading.Event(), threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        inside.wait(30)
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        if last == "main":
            leave.set()
            left.wait(30)
            assert set(blas_threads()) == {1}
    leave.set()
    left.wait(30)
    assert blas_threads() == before
    assert within == [{1}, {1}]
    ended.set()
    thread.join()


def test_blas_has_one_thread_whoever_asks_after_others():
    before, found = blas_threads(), []

    def alone():
        with one_blas_thread():
            found.append(set(blas_threads()))

    alone()
    for _ in range(2):
        thread = threading.Thread(target=alone)
        thread.start()
        thread.join()
    assert found == [{1}] * 3
    assert blas_threads() == before


LATER = """
import numpy, sys
from threadpoolctl import threadpool_info
from steepest.compiled.blas import one_blas_thread

def threads():
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]

with one_blas_thread():
    assert not any(name.startswith("scipy") for name in sys.modules)
    import scipy.linalg.cython_blas
    before = threads()
    for _ in range(2):
        with one_blas_thread():
            print(set(threads()), end=" ")
print(len(before), max(before), threads())
"""


def test_a_library_that_is_loaded_later_has_one_thread_too():
    """SciPy's, which kernels multiply with, is loaded by the first of them."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", LATER], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "{1} {1} 2 2 [2, 2]"
