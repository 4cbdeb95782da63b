"""Blocks in order, made in this process or by worker processes, with an orderly stop at Ctrl-C.

Workers are started with "spawn" and ignore interrupts. The parent process handles the interrupt and
sets an event; every worker then stops after its current batch of events.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from types import FrameType, TracebackType
from typing import Any, Self

import pyarrow as pa

from steepest.simulate.block import Maker, Plan

__all__ = ["Stop", "blocks"]

_LOOK_EVERY = 0.2  # seconds between progress updates
_AHEAD = 2  # blocks queued for each worker

OnProgress = Callable[[int], None]


class Stop:
    """In this context the first Ctrl-C or SIGTERM sets `asked`; a second one raises.

    Outside the main thread, where Python delivers no interrupts, it has no effect.
    """

    def __init__(self) -> None:
        self.asked = False
        self._held = False
        self._before: dict[int, Any] = {}
        self._here = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self._here:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """In this context a second interrupt does not raise either, to protect the cleanup."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and not self._held:
            raise KeyboardInterrupt
        self.asked = True


def blocks(plan: Plan, workers: int, stop: Stop, on_progress: OnProgress) -> Generator[pa.Table]:
    """Yield the blocks of `plan` in order until all are made or `stop.asked` is set.

    Parameters
    ----------
    plan
        The options of the file.
    workers
        Number of worker processes; 1 means that this process makes the blocks.
    stop
        Checked after each batch of events.
    on_progress
        Called with the number of jets made so far by all workers.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If a worker dies.
    """
    return (_made_here if workers == 1 else _made_by_workers)(plan, workers, stop, on_progress)


def _made_here(plan: Plan, _: int, stop: Stop, on_progress: OnProgress) -> Generator[pa.Table]:
    done = 0

    def on_jets(count: int) -> bool:
        nonlocal done
        done += count
        on_progress(done)
        return not stop.asked

    maker = Maker(plan)
    for index in range(plan.blocks):
        block = None if stop.asked else maker.block(index, on_jets)
        if block is None:
            return
        yield block


def _made_by_workers(
    plan: Plan, workers: int, stop: Stop, on_progress: OnProgress
) -> Generator[pa.Table]:
    context = multiprocessing.get_context("spawn")
    done, leave = context.Value("q", 0), context.Event()
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(plan, done, leave)
    )
    waiting: deque[Future[pa.Table | None]] = deque()
    indices = iter(range(plan.blocks))
    try:
        while True:
            for index in islice(indices, _AHEAD * workers - len(waiting)):
                with _interrupts_held():
                    waiting.append(executor.submit(_work, index))
            if not waiting:
                return
            while not (stop.asked or waiting[0].done()):
                wait([waiting[0]], timeout=_LOOK_EVERY)
                on_progress(done.value)
            if stop.asked:
                break
            block = waiting.popleft().result()
            if block is not None:
                yield block
        yield from _complete(waiting)
    finally:
        with stop.held():  # an interrupted join would make Python treat the thread as finished
            leave.set()
            executor.shutdown(cancel_futures=True)


def _complete(waiting: deque[Future[pa.Table | None]]) -> Generator[pa.Table]:
    """Yield complete blocks up to the first incomplete one."""
    while waiting and waiting[0].done():
        block = waiting.popleft().result()
        if block is None:
            return
        yield block


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Block Ctrl-C for a moment; a worker that is started meanwhile inherits the blocked signal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_maker: Any = None
_done: Any = None
_leave: Any = None


def _start_worker(plan: Plan, done: Any, leave: Any) -> None:
    global _maker, _done, _leave
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    _maker, _done, _leave = Maker(plan), done, leave


def _work(index: int) -> pa.Table | None:
    return _maker.block(index, _on_jets)


def _on_jets(count: int) -> bool:
    with _done.get_lock():
        _done.value += count
    return not _leave.is_set()
