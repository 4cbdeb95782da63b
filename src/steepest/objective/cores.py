"""The cores that this process may use, and helping threads put on cores of their own.

A new thread often starts on the core of the thread that made it, and stays there for some
milliseconds until the system balances its cores: longer than many steps take. One that is called
is often woken up there too, and cannot run until the caller's time is over. So it is moved at once,
or before it is called (Linux; elsewhere the system decides alone).
"""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from collections.abc import Callable
from functools import cache
from typing import ClassVar, Protocol

__all__ = ["Helper", "Waiting", "move_away_from", "this_core", "usable_cores"]


def usable_cores() -> int:
    """The number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def this_core() -> int | None:
    """The core that the calling thread runs on now, where the system says so."""
    ask = _asked()
    return None if ask is None else ask()


def move_away_from(core: int | None, number: int, thread: int = 0) -> None:
    """Put a thread, the `number`-th beside that on `core`, on a core of its own.

    The calling thread, where none is named by the system's number for it. Nothing happens where
    there is no other core, or where the system does not let threads choose.
    """
    if core is None or (not thread and number == 1 and this_core() != core):
        return
    try:
        others = sorted(os.sched_getaffinity(os.getpid()) - {core})
        own = {others[(number - 1) % len(others)]} if others else set()
        if own and own != os.sched_getaffinity(thread):
            os.sched_setaffinity(thread, own)
    except (AttributeError, OSError):
        return


@cache
def _asked() -> Callable[[], int] | None:
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):
        return None


class Waiting(Protocol):
    """Where a helper waits busily for its next call, for a while."""

    def mark(self) -> int:
        """What says that nobody has called since."""
        ...

    def wait(self, mark: int) -> None:
        """Wait for a call, not for long."""
        ...

    def call(self) -> None:
        """Call who waits."""
        ...


class Helper:
    """A thread that does one thing after the other, and waits in between for the next call.

    Starting a thread takes longer than many steps, and so does waking up a thread of a pool that
    is shared: so a call takes a helper that has nothing to do, or makes one. Where work comes in
    quick succession the helper waits busily for a while, in a place that the work names.
    """

    _idle: ClassVar[list[Helper]] = []

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], None], Waiting | None]]
        self._work = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._at: Waiting | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @classmethod
    def call(
        cls,
        work: Callable[[], None],
        at: Waiting | None = None,
        beside: tuple[int | None, int] = (None, 1),
    ) -> Helper:
        """Have the work done beside the calling thread; it must not raise.

        Who waits `at` the same place is called by the work itself, others at once. With `beside`,
        the caller's core and a number, the helper is moved before it is called.
        """
        try:
            helper = cls._idle.pop()
        except IndexError:
            helper = cls()
        move_away_from(*beside, thread=helper._thread.native_id or 0)
        before, helper._at = helper._at, at
        helper._work.put((work, at))
        if before is not None and before is not at:
            before.call()
        return helper

    def join(self) -> None:
        """Wait until the work is done."""
        self._done.get()
        self._idle.append(self)

    def _run(self) -> None:
        while True:
            work, at = self._work.get()
            work()
            del work  # nothing is kept alive while it waits
            mark = 0 if at is None else at.mark()
            self._done.put(None)
            if at is not None:
                at.wait(mark)
                del at


if hasattr(os, "register_at_fork"):  # threads do not live on in a child
    os.register_at_fork(after_in_child=Helper._idle.clear)
