"""Callbacks of a training: its progress, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from steepest.descent import Callback


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


@contextmanager
def interruptible(callback: Callback) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `callback.interrupted`, where signals can be caught.

    The descent then finishes its step, saves and stops. A second signal stops it at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if callback.interrupted:
            raise KeyboardInterrupt
        callback.interrupted = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
