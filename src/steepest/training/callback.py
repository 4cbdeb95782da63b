"""Callbacks of a training: its progress, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from steepest.descent import Callback
from steepest.errors import Preempted


class TrainingCallback(Callback):
    """Told of the progress of a training: base class whose methods do nothing."""

    def say(self, sentence: str) -> None:
        """A decision, or something worth knowing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A part of the work begins; `total` is in epochs, where it is known."""

    def read(self, rows: int, total: int) -> None:
        """So many rows of all have been read."""

    def received(self, done: int, asked: int) -> None:
        """So many bytes of the Hub's files have come, of those that were asked for so far."""

    def measured(self, done: int, total: int, unit: str, detail: str = "") -> None:
        """So many of all have been worked on; `unit` says what they are."""


class ForwardingCallback(TrainingCallback):
    """Tells another callback of all that is not the descent itself."""

    def __init__(self, told: TrainingCallback) -> None:
        self.told = told

    def say(self, sentence: str) -> None:
        """Pass it on."""
        self.told.say(sentence)

    def stage(self, name: str, total: int | None = None) -> None:
        """Pass it on."""
        self.told.stage(name, total)

    def read(self, rows: int, total: int) -> None:
        """Pass it on."""
        self.told.read(rows, total)

    def received(self, done: int, asked: int) -> None:
        """Pass it on."""
        self.told.received(done, asked)

    def measured(self, done: int, total: int, unit: str, detail: str = "") -> None:
        """Pass it on."""
        self.told.measured(done, total, unit, detail)


PREEMPTING = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send before they end a job."""


@contextmanager
def interruptible(callback: Callback) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into `callback.interrupted`, where signals can be caught.

    The descent then finishes its step, saves and stops. A second Ctrl-C stops it at once; another
    signal of a scheduler, which may send it to a process and to its parent, does nothing more.
    """

    def ask(number: int, frame: Any) -> None:
        if number == signal.SIGINT and callback.interrupted:
            raise KeyboardInterrupt
        callback.interrupted = True
        callback.preempted |= number in PREEMPTING

    with _handled((signal.SIGINT, *PREEMPTING), ask):
        yield


@contextmanager
def preemptible() -> Iterator[None]:
    """Turn SIGTERM and SIGUSR1 into `Preempted`, wherever the work is that has nothing to save."""

    def end(number: int, frame: Any) -> None:
        for each in PREEMPTING:  # once is enough
            signal.signal(each, signal.SIG_IGN)
        raise Preempted(f"Ended by {signal.Signals(number).name}; what was saved is kept.")

    with _handled(PREEMPTING, end):
        yield


@contextmanager
def _handled(numbers: tuple[int, ...], handler: Callable[[int, Any], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
