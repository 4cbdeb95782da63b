"""Ctrl-C during a descent: finish the step, save, stop. A second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from steepest.descent import Callback

__all__ = ["interruptible"]


@contextmanager
def interruptible(callback: Callback) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `callback.interrupted`, where signals can be caught."""
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
