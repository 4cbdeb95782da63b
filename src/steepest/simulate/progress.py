"""The progress bar of a simulation, on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

__all__ = ["Progress"]


class Progress:
    """A context manager that shows the jets made, jets per second and the remaining time.

    Parameters
    ----------
    total
        Number of jets to make.
    shown
        Whether to show anything.
    """

    def __init__(self, total: int, *, shown: bool) -> None:
        self._bar = RichProgress(
            TextColumn("simulate"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f} jets/s"),
            TimeRemainingColumn(elapsed_when_finished=True, compact=True),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._task = self._bar.add_task("simulate", total=total, rate=0.0)
        self._start = time.perf_counter()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, done: int) -> None:
        """Set the number of jets made so far."""
        elapsed = time.perf_counter() - self._start
        self._bar.update(self._task, completed=done, rate=done / max(elapsed, 1e-9))
