"""Progress on the terminal: what is being done, how far it is, and how the loss falls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from steepest.descent import State
from steepest.events.transfers import observe
from steepest.training import TrainingCallback

__all__ = ["TerminalCallback", "silent_or"]


class TerminalCallback(TrainingCallback):
    """Shows stages, a progress bar for the descent, and sentences, on standard error."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description:<28}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.task: TaskID | None = None
        self.validation = ""
        self.rows, self.transferred = "", ""

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(f"[dim]·[/dim] {escape(sentence)}", highlight=False, soft_wrap=True)

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a new bar."""
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task(name, total=total, detail="")
        self.rows = self.transferred = ""

    def read(self, rows: int, total: int) -> None:
        """Move the bar; show the rows read."""
        self.rows = f"{rows:,} rows"
        if self.task is not None:
            detail = self.rows + self.transferred
            self.progress.update(self.task, completed=rows, total=total, detail=detail)

    def received(self, done: int, asked: int) -> None:
        """Show the bytes that were received; until rows are read, the bar is theirs."""
        text = f"{done / 1e6:,.1f} of {asked / 1e6:,.1f} MB received"
        self.transferred = f"  {text}"
        if self.task is None:
            return
        if self.rows:
            self.progress.update(self.task, detail=self.rows + self.transferred)
        else:
            self.progress.update(self.task, completed=done, total=asked, detail=text)

    def measured(self, done: int, total: int, unit: str, detail: str = "") -> None:
        """Move the bar; show what was done."""
        if self.task is not None:
            text = f"{done:,} {unit}{detail}"
            self.progress.update(self.task, completed=done, total=total, detail=text)

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        """Move the bar; show the batch loss and η."""
        if self.task is not None:
            detail = f"loss {loss:.4g}{self.validation}  η {rate:.3g}"
            self.progress.update(self.task, completed=epochs, detail=detail)

    def round(self, state: State, values: Mapping[str, float | None]) -> None:
        """Remember the validation loss, to show beside the batch loss."""
        validation = values.get("validation_loss")
        if validation is not None:
            self.validation = f"  validation {validation:.4g}"


@contextmanager
def silent_or(kind: type[TerminalCallback], silent: bool) -> Iterator[TrainingCallback]:
    """A callback that shows progress, or one that shows nothing."""
    if silent:
        yield TrainingCallback()
        return
    callback = kind()
    with callback.progress, observe(callback.received):
        yield callback
