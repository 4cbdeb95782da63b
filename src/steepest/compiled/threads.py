"""Threads: the cores of this process, work shared by threads, and steps that they take together.

`WorkerPool` is for items that do not wait for each other, `BarrierGroup` for threads that meet
after each step, `compiled.blas` around them. Work must release Python's lock. The number of threads
never changes a result: callers cut work by its size and add in order.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")

CGROUP = Path("/sys/fs/cgroup")
GENERATION, ARRIVED, _WORDS = 16, 32, 48
"""Where a group counts its meetings, and who has come to the next one, behind a mutex."""
QUEUED, SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 0.02, 8.0
"""One thread works alone after each other one waited for a core for such a share of a run; for so
many seconds, first and at most: twice as long each time it is seen again."""


def usable_cores() -> int:
    """The least of this process's affinity, its container's quota, and OMP_NUM_THREADS.

    Cluster schedulers, torchrun and joblib set the last for processes that share a machine.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    most = int(wanted) if wanted.isdigit() else 0
    return max(1, min(cores, _quota(CGROUP), most or cores))


@cache
def _quota(folder: Path) -> int:
    """Whole cores that the container's quota is worth, rounded down; a million without one."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # version 2, 1
        with suppress(OSError, ValueError):
            quota, period = " ".join((folder / name).read_text() for name in files).split()
            return int(quota) // int(period) if int(quota) > 0 else 1_000_000
    return 1_000_000


class WorkerPool:
    """Share items out to `most` threads (None: all cores); a call within work is not shared."""

    _executor: ThreadPoolExecutor | None = None
    _lock, _inside = threading.Lock(), threading.local()

    def __init__(self, most: int | None = None) -> None:
        self.most = most

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item], per_thread: int = 1
    ) -> list[Result]:
        """Return what the work makes of each item, or raise the error of the first that has one.

        Each thread has at least `per_thread` items: calling it takes some 50 µs.
        """
        threads = min(usable_cores(), len(items) // per_thread, self.most or len(items))
        if threads < 2 or getattr(self._inside, "worker", False):
            return [work(item) for item in items]
        results: dict[int, Result] = {}
        errors: dict[int, BaseException] = {}
        turns, begin_on = itertools.count(), _core_of_this_thread()()

        def take_turns(member: int) -> None:
            self._inside.worker, turn = True, -1
            try:
                if member:
                    _move_to(begin_on + member)
                while not errors and (turn := next(turns)) < len(items):
                    results[turn] = work(items[turn])
            except BaseException as error:
                errors[turn] = error
            finally:
                self._inside.worker = False

        helpers = [self._pool().submit(take_turns, member) for member in range(1, threads)]
        take_turns(0)
        for helper in helpers:
            _ = helper.cancel() or helper.result()  # who has begun is waited for
        if errors:
            raise errors[min(errors)]
        return [results[turn] for turn in range(len(items))]

    @classmethod
    def _pool(cls) -> ThreadPoolExecutor:
        with cls._lock:
            cls._executor = cls._executor or ThreadPoolExecutor(max(1, usable_cores() - 1))
            return cls._executor

    @classmethod
    def forget(cls) -> None:
        """Begin without threads: those of the parent do not live on in a forked child."""
        cls._executor, cls._lock, cls._inside = None, threading.Lock(), threading.local()


class BarrierGroup:
    """Threads, `most` at most, that run one kernel and meet by `steepest.compiled.barrier.meet`.

    Groups that run at once share the cores. A member that waits for its core holds up all others:
    for a while after that was seen, and where there are no POSIX threads, there is one thread.
    """

    _running, _alone_until, _pause = 0, 0.0, SHORTEST_PAUSE
    _lock = threading.Lock()

    def __init__(self, most: int) -> None:
        self.most = most if os.name == "posix" else 1

    def run(self, work: Callable[[int, int, np.ndarray], Result]) -> Result:
        """Call ``work(member, members, words)`` on all threads; return what member 0 gives.

        If a member raises, the others' `meet`, which counts in `words`, returns False.
        """
        began = perf_counter()
        with self._lock:
            type(self)._running += 1
            share = 1 if began < self._alone_until else usable_cores() // self._running
        members = max(1, min(self.most, share))
        words, begin_on = np.zeros(_WORDS, dtype=np.int64), _core_of_this_thread()()
        errors: list[BaseException] = []
        queued: list[float] = []

        def guarded(member: int) -> Result | None:
            try:
                if members > 1:
                    _move_to(begin_on + member, begin_on if member else None)
                    queued.append(-seconds_queued())
                result = work(member, members, words)
                queued.append(seconds_queued() if members > 1 else 0.0)
                return result
            except BaseException as error:
                errors.append(error)
                words[GENERATION] = -1

        try:
            if members > 1:
                from steepest.compiled.barrier import system_calls

                system_calls()[0](words.ctypes.data, 0)
            others = [threading.Thread(target=guarded, args=(m,)) for m in range(1, members)]
            for thread in others:
                thread.start()
            result = guarded(0)
            for thread in others:
                thread.join()
        finally:
            with self._lock:
                type(self)._running -= 1
        if errors:
            raise errors[0]
        if members > 1:
            crowded = sum(queued) > QUEUED * (members - 1) * (perf_counter() - began)
            type(self)._alone_until = perf_counter() + self._pause * crowded
            type(self)._pause = min(2 * self._pause, LONGEST_PAUSE) if crowded else SHORTEST_PAUSE
        return result  # type: ignore[return-value]


def seconds_queued() -> float:
    """How long this thread has been ready to run and had no core; 0 where the system won't say."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return 0.0


@cache
def _core_of_this_thread() -> Callable[[], int]:
    return getattr(ctypes.CDLL(None), "sched_getcpu", lambda: 0)


def _move_to(core: int, away_from: int | None = None) -> None:
    """Have this thread go on on a core; the system may move it again, but not to the other one.

    A virtual machine's idle cores look busy to its scheduler, which starts and wakes a thread where
    who starts or wakes it is: two that wait for each other would share one core for long.
    """
    with suppress(AttributeError, OSError):  # no Linux; forbidden in some containers
        cores = sorted(allowed := os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
        avoided = set() if away_from is None else {cores[away_from % len(cores)]}
        os.sched_setaffinity(0, allowed - avoided or allowed)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WorkerPool.forget)
