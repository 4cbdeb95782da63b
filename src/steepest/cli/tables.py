"""Tables of figures of merit that read at a glance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from steepest.evaluate import Merit
from steepest.prediction import Predictions
from steepest.run import Run

if TYPE_CHECKING:
    from steepest.landscape import Landscape
    from steepest.lecture import Lecture

__all__ = ["show_evaluation", "show_landscape", "show_lecture", "show_predictions", "show_results"]


class Output(Console):
    """Standard output; a reader that has gone is a BrokenPipeError, as of `print`."""

    def on_broken_pipe(self) -> None:
        """Leave the error to who called; Rich would end the process here."""
        raise BrokenPipeError


def show_results(run: Run, as_json: bool) -> None:
    """Print a finished run: its table, and where the report lies."""
    metrics = run.metrics or {}
    if as_json:
        _print_json(metrics)
        return
    console = Output()
    events = metrics["parts"][metrics["part"]]["events"]
    console.print(_table(metrics, f"{metrics['part']} part, {events:,} events"))
    console.print(f"Report: {escape(str(run.report))}", highlight=False, soft_wrap=True)


def show_evaluation(metrics: dict[str, Any], as_json: bool) -> None:
    """Print an evaluation."""
    if as_json:
        _print_json(metrics)
        return
    part = "all events given" if metrics["part"] == "all" else f"{metrics['part']} part"
    Output().print(_table(metrics, f"{part}, {metrics['events']['events']:,} events"))


def show_predictions(written: Predictions, as_json: bool) -> None:
    """Print what was written."""
    if as_json:
        _print_json(written.to_json())
        return
    unscored = f", {written.unscored:,} of them without a score (NaN)" if written.unscored else ""
    rate = f" ({written.rate:,.0f} a second)" if written.rate else ", all of them before"
    Output().print(
        f"{written.rows:,} events scored{unscored}, in {written.seconds:.1f} s{rate}: "
        f"{', '.join(written.scores)}\n"
        f"Scores: {escape(str(written.path))}",
        highlight=False,
        soft_wrap=True,
    )


def show_landscape(drawn: Landscape, as_json: bool) -> None:
    """Print what a landscape says, and where its files lie."""
    from steepest.evaluate.figures import as_numbers

    if as_json:
        _print_json(as_numbers(drawn.numbers))
        return
    table = Table(box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1, 0, 0))
    table.add_column("", style="bold")
    table.add_column("")
    for what, sentence in drawn.sentences():
        table.add_row(escape(what), escape(sentence))
    console = Output()
    console.print(table)
    console.print(f"Landscape: {escape(str(drawn.where))}", highlight=False, soft_wrap=True)


def show_lecture(drawn: Lecture, as_json: bool) -> None:
    """Print what each picture shows, and where the page lies."""
    if as_json:
        _print_json(drawn.numbers)
        return
    table = Table(box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1, 0, 0))
    table.add_column("", style="bold")
    table.add_column("")
    for picture in drawn.numbers["pictures"].values():
        table.add_row(escape(picture["title"]), picture["figure"] or "not in these events")
    console = Output()
    console.print(table)
    console.print(f"Lecture: {escape(str(drawn.page))}", highlight=False, soft_wrap=True)


def _table(metrics: dict[str, Any], title: str) -> Table:
    merits = metrics["merits"]
    table = Table(
        title=f"Figures of merit ({title})",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("")
    table.add_column(metrics["model"]["name"].replace("dense network", "dense"), justify="right")
    if "baseline" in merits:
        table.add_column("linear baseline", justify="right")
    table.add_column("rests on", style="dim")
    for name, entry in merits["model"].items():
        merit = Merit.from_json(entry)
        cells = [merit.title, merit.format()]
        if "baseline" in merits:
            cells.append(Merit.from_json(merits["baseline"][name]).format())
        table.add_row(*map(escape, cells), escape(merit.rests_on))
    for entry in merits.get("gain", {}).values():
        gain = Merit.from_json(entry)
        table.add_row(gain.title, gain.format(), "", "the same events")
    return table


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
