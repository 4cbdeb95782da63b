"""What a person sees of work, in a terminal or a notebook: progress while it goes on, then a table.

The command line and the functions of Python show the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich import box
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
from rich.table import Table

from steepest.compiled.clock import tell_compilation
from steepest.descent import State
from steepest.evaluate import Merit
from steepest.events.transfers import observe
from steepest.report.tables import (
    head_table,
    rough_intervals,
    shared_cuts,
    with_indices,
    yield_table,
)
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from steepest.comparison import Comparison
    from steepest.landscape import Landscape
    from steepest.lecture import Lecture
    from steepest.listing import ListedRun
    from steepest.prediction import Predictions
    from steepest.share import Prepared, Published
    from steepest.share.onnx import Exported
    from steepest.sweeps import Sweep


class TerminalCallback(TrainingCallback):
    """Shows stages, a progress bar for the descent, and sentences, on standard error.

    A notebook shows the bar as a line of text, which is replaced.
    """

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
        self.line = _NotebookLine() if self.console.is_jupyter else None
        self.validation = self.rows = self.transferred = ""
        self.compiled = False

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(f"[dim]·[/dim] {escape(sentence)}", highlight=False, soft_wrap=True)

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a new bar."""
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task(name, total=total, detail="")
        self.rows = self.transferred = ""
        self._move("")

    def compiling(self) -> None:
        """Say once that kernels are compiled, and show it at the bar."""
        if not self.compiled:
            self.compiled = True
            self.say("Compiling for this machine, once: the time is not counted.")
        self._move("compiling …")

    def _move(self, detail: str, **values: Any) -> None:
        if self.task is None:
            return
        self.progress.update(self.task, detail=detail, **values)
        if self.line is not None:
            task = self.progress.tasks[0]
            part = f" {task.percentage:.0f} %" if task.total else ""
            self.line.show(f"{task.description}{part}  {detail}", due=not detail)

    def read(self, rows: int, total: int) -> None:
        """Move the bar; show the rows read."""
        self.rows = f"{rows:,} rows"
        self._move(self.rows + self.transferred, completed=rows, total=total)

    def received(self, done: int, asked: int) -> None:
        """Show the bytes that were received; until rows are read, the bar is theirs."""
        text = f"{done / 1e6:,.1f} of {asked / 1e6:,.1f} MB received"
        self.transferred = f"  {text}"
        if self.rows:
            self._move(self.rows + self.transferred)
        else:
            self._move(text, completed=done, total=asked)

    def measured(self, done: int, total: int, unit: str, detail: str = "") -> None:
        """Move the bar; show what was done."""
        self._move(f"{done:,} {unit}{detail}", completed=done, total=total)

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        """Move the bar; show the batch loss and η."""
        self._move(f"loss {loss:.4g}{self.validation}  η {rate:.3g}", completed=epochs)

    def round(self, state: State, values: Mapping[str, float | None]) -> None:
        """Remember the validation loss, to show beside the batch loss."""
        validation = values.get("validation_loss")
        if validation is not None:
            self.validation = f"  validation {validation:.4g}"


class _NotebookLine:
    """A line of a notebook's output that is replaced, at most four times a second."""

    def __init__(self) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        self._handle: Any = display({"text/plain": ""}, raw=True, display_id=True)
        self._shown = 0.0

    def show(self, text: str, due: bool = False) -> None:
        """Replace the line if that is due."""
        if due or time.monotonic() - self._shown > 0.25:
            self._handle.update({"text/plain": text}, raw=True)
            self._shown = time.monotonic()


@contextmanager
def progress_unless(silent: bool) -> Iterator[TrainingCallback]:
    """Give a callback that shows progress, or one that shows nothing."""
    if silent:
        yield TrainingCallback()
        return
    callback = TerminalCallback()
    try:
        told = tell_compilation(callback.compiling)
        with callback.progress, observe(callback.received), told:
            yield callback
    finally:
        if callback.line is not None:
            callback.line.show("", due=True)


class Output(Console):
    """Standard output; a reader that has gone is a BrokenPipeError, as of `print`."""

    def on_broken_pipe(self) -> None:
        """Leave the error to who called; Rich would end the process here."""
        raise BrokenPipeError


def show_results(metrics: dict[str, Any], report: Path) -> None:
    """Print a finished run: its table, and where the report lies."""
    events = metrics["parts"][metrics["part"]]["events"]
    table = _table(metrics, f"{metrics['part']} part, {events:,} events")
    tables = [table, *_notes(metrics), *_heads(metrics), *_yields(metrics)]
    _print(*tables, f"Report: {report}")


def show_evaluation(metrics: dict[str, Any], as_json: bool) -> None:
    """Print an evaluation."""
    if as_json:
        return print_json(metrics)
    part = "all events given" if metrics["part"] == "all" else f"{metrics['part']} part"
    figures = [f"Figures: {metrics['figures']}"] if metrics.get("figures") else []
    table = _table(metrics, f"{part}, {metrics['events']['events']:,} events")
    return _print(table, *_notes(metrics), *_heads(metrics), *figures)


def _notes(metrics: dict[str, Any]) -> list[str]:
    """Sentences below the table of figures of merit, and an empty line."""
    notes = [note for note in (rough_intervals(metrics), *shared_cuts(metrics)) if note]
    return [*notes, ""] if notes else []


def show_predictions(written: Predictions, as_json: bool) -> None:
    """Print what was written."""
    if as_json:
        return print_json(written.to_json())
    many = written.files and written.files != [written.path]
    unscored = f", {written.unscored:,} of them without a score (NaN)" if written.unscored else ""
    rate = f" ({written.rate:,.0f} a second)" if written.rate else ", all of them before"
    return _print(
        f"{written.rows:,} events scored{unscored}, in {written.seconds:.1f} s{rate}: "
        f"{', '.join(written.scores)}",
        *[f"Skipped, since it cannot be read: {why}" for why in written.skipped.values()],
        f"Scores: {written.path}" + (f", {len(written.files)} files" if many else ""),
    )


def show_prepared(prepared: Prepared, repo: str, as_json: bool) -> None:
    """Print what would be uploaded."""
    if as_json:
        return print_json({"to": repo, "files": prepared.files, "card": prepared.card})
    sizes = [(name, f"{size:,} bytes") for name, size in prepared.files.items()]
    return _print(_pairs(sizes), prepared.card, f"Nothing was sent to {repo}.")


def show_published(published: Published | Exported, as_json: bool) -> None:
    """Print what was uploaded, or written as ONNX."""
    if as_json:
        return print_json(published.to_json())
    return _print(*published.sentences())


def show_runs(found: Sequence[ListedRun]) -> None:
    """Print a line for each run."""
    if not found:
        return _print("There is no run here. `steepest train` makes one.")
    titles = {run.merits[run.shown].title for run in found if run.shown}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("run", "when", "status", "model"):
        table.add_column(name, no_wrap=name in ("when", "status"), overflow="fold")
    table.add_column(next(iter(titles)) if len(titles) == 1 else "", justify="right", no_wrap=True)
    for run in found:
        shown = run.merits.get(run.shown or "")
        title = f"{shown.title}  " if shown and len(titles) > 1 else ""
        merit = title + shown.format() if shown else ""
        model = (run.model or "").replace("dense network", "dense")
        what = f"{model}{': ' if model and run.note else ''}{run.note}"
        when = run.when.strftime("%Y-%m-%d %H:%M")
        table.add_row(*map(escape, (run.name, when, run.status, what, merit)))
    return _print(table)


def show_sweep(found: Sweep, as_json: bool) -> None:
    """Print the best trials of a sweep, and what keys matter."""
    if as_json:
        return print_json(found.to_json())
    return _print(_of_rows("", found.rows()), *found.sentences())


def show_landscape(drawn: Landscape, as_json: bool) -> None:
    """Print what a landscape says, and where its files lie."""
    from steepest.evaluate.figures import as_numbers

    if as_json:
        return print_json(as_numbers(drawn.numbers))
    return _print(_pairs(drawn.sentences()), f"Landscape: {drawn.where}")


def show_comparison(comparison: Comparison, figure: Path | None = None) -> None:
    """Print the tables of a comparison, and where its figure lies."""
    values = _side_by_side("", comparison.rows())
    differences = _side_by_side("Differences", comparison.difference_rows())
    said = f"All runs are tested on {comparison.tested_on}."
    _print(*values, *differences, said, *([f"Figure: {figure}"] if figure else []))


def _side_by_side(title: str, rows: Sequence[Sequence[str]]) -> list[Table]:
    """Tables with two runs each, which fit 80 columns."""
    return [
        _of_rows(title, [[row[0], *row[start : start + 2]] for row in rows])
        for start in range(1, len(rows[0]), 2)
    ]


def _of_rows(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """A table of a header and rows, whose cells are not wrapped while there is room."""
    table = _titled(title)
    for index, name in enumerate(rows[0]):
        header = "\n".join(wrap(name, 21)) if index else name  # not wider than its numbers
        table.add_column(escape(header), justify="right" if index else "left", no_wrap=index > 0,
                         overflow="fold")  # fmt: skip
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    return table


def show_lecture(drawn: Lecture, as_json: bool) -> None:
    """Print what each picture shows, and where the page lies."""
    if as_json:
        return print_json(drawn.numbers)
    pictures = drawn.numbers["pictures"].values()
    rows = ((each["title"], each["figure"] or "not in these events") for each in pictures)
    return _print(_pairs(rows), f"Lecture: {drawn.page}")


def _pairs(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1, 0, 0))
    table.add_column("", style="bold")
    table.add_column("")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def table_of_merits(metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of a run's figures of merit, as text."""
    merits = metrics["merits"]
    names = [metrics["model"]["name"].replace("dense network", "dense"), "linear baseline"]
    columns = [
        {name: Merit.from_json(entry) for name, entry in merits[which].items()}
        for which in ("model", "baseline")
        if which in merits
    ]
    header, rows = rows_of_merits(columns, names[: len(columns)])
    for entry in merits.get("gain", {}).values():
        gain = Merit.from_json(entry)
        rows.append([gain.title, gain.format(), "", "the same events"])
    return header, rows


def rows_of_merits(
    columns: Sequence[Mapping[str, Merit]], names: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table with the figures of merit of each column."""
    rows = []
    for name in columns[0]:
        cells = [column[name] for column in columns]
        rows.append([cells[0].title, *(merit.format() for merit in cells), cells[0].rests_on])
    return ["", *names, "rests on"], rows


def html_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a notebook."""
    from html import escape

    lines = [
        f"<tr>{''.join(f'<{tag}>{with_indices(escape(cell))}</{tag}>' for cell in row)}</tr>"
        for tag, row in [("th", header), *(("td", row) for row in rows)]
    ]
    return f"<p><b>{escape(title)}</b></p><table>{''.join(lines)}</table>"


def html_pictures(pictures: Mapping[str, bytes]) -> str:
    """Return PNG pictures for a notebook, one beside the other; by what each shows."""
    from base64 import b64encode
    from html import escape

    shown = [
        f'<img alt="{escape(name)}" style="height: 20em; max-width: 100%; object-fit: contain" '
        f'src="data:image/png;base64,{b64encode(content).decode("ascii")}">'
        for name, content in pictures.items()
    ]
    return f"<div>{''.join(shown)}</div>" if shown else ""


def text_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as text."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    said = [
        "  ".join(
            cell.rjust(width) if 0 < index < len(header) - 1 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, *said])


def _table(metrics: dict[str, Any], title: str) -> Table:
    """The table of figures of merit; where it is too wide, headers and long cells are wrapped."""
    header, rows = table_of_merits(metrics)
    console = Output()
    natural = _of_merits(title, header, rows)
    if console.measure(natural, options=console.options.update(width=10_000)).maximum <= (
        console.width
    ):
        return natural
    cells = [[_folded(cell, WIDEST) for cell in row] for row in rows]
    widths = [max(_width(row[index]) for row in cells) for index in range(len(header))]
    header = [_folded(name, max(width, 12)) for name, width in zip(header, widths, strict=True)]
    narrow = _of_merits(title, header, cells)
    narrow.show_edge = narrow.pad_edge = False
    return narrow


WIDEST = 22
"""Characters beyond which a cell of a table that is too wide is written in two lines."""


def _folded(text: str, width: int) -> str:
    return "\n".join(wrap(text, width, break_long_words=False))


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _of_merits(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = _titled(f"Figures of merit ({title})")
    table.add_column(header[0], no_wrap=True)
    for name in header[1:-1]:
        table.add_column(escape(name), justify="right", overflow="fold")
    table.add_column(header[-1], style="dim", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _heads(metrics: dict[str, Any]) -> list[Table]:
    """The figures of merit of the auxiliary heads, by twos; nothing where there are none."""
    heads = head_table(metrics)
    if heads is None:
        return []
    return _side_by_side("Auxiliary heads", [heads["head"], *heads["rows"]])


def _yields(metrics: dict[str, Any]) -> list[Table]:
    """What is expected of each sample; nothing where there are no samples."""
    yields = yield_table(metrics)
    if yields is None:
        return []
    title = "Yields (Σw ± √Σw²) and events"
    return [_of_rows(title, [yields["head"], *yields["rows"]])]


def _titled(title: str) -> Table:
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )


def _print(*parts: Table | str) -> None:
    """Print tables, and sentences whose paths are neither wrapped nor coloured."""
    console = Output()
    for part in parts:
        if isinstance(part, Table):
            console.print(part, *([] if part.show_edge else [""]), sep="\n")
        else:
            console.print(escape(part), highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON, and nothing else."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
