"""Tables of figures of merit that read at a glance."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from steepest.evaluate import Merit
from steepest.folder import RunFolder

__all__ = ["merit_counts", "show_evaluation", "show_results"]


def show_results(folder: RunFolder, as_json: bool) -> None:
    """Print a finished run: its table, and where the report lies."""
    metrics = folder.metrics or {}
    if as_json:
        print(json.dumps(metrics, indent=2, ensure_ascii=False))
        return
    console = Console()
    events = metrics["parts"][metrics["part"]]["events"]
    console.print(_table(metrics, f"{metrics['part']} part, {events:,} events"))
    console.print(f"Report: {folder.path / 'report.html'}", highlight=False, soft_wrap=True)


def show_evaluation(metrics: dict[str, Any], as_json: bool) -> None:
    """Print an evaluation."""
    if as_json:
        print(json.dumps(metrics, indent=2, ensure_ascii=False))
        return
    part = "all events given" if metrics["part"] == "all" else f"{metrics['part']} part"
    Console().print(_table(metrics, f"{part}, {metrics['events']['events']:,} events"))


def _table(metrics: dict[str, Any], title: str) -> Table:
    merits = metrics["merits"]
    table = Table(title=f"Figures of merit ({title})", title_justify="left", title_style="bold")
    table.add_column("figure of merit")
    table.add_column(metrics["model"]["name"], justify="right")
    if "baseline" in merits:
        table.add_column(f"{metrics['baseline']['name']} (baseline)", justify="right")
    table.add_column("rests on", style="dim")
    for name, entry in merits["model"].items():
        cells = [name.replace("_", " "), Merit.from_json(entry).format()]
        if "baseline" in merits:
            cells.append(Merit.from_json(merits["baseline"][name]).format())
        table.add_row(*cells, merit_counts(entry))
    for name, entry in merits.get("gain", {}).items():
        cells = [name.replace("_", " "), Merit.from_json(entry).format(), ""]
        table.add_row(*cells, "the same events")
    return table


def merit_counts(entry: dict[str, Any]) -> str:
    """The counts that a figure of merit rests on, in a few words."""
    counts = {k: v for k, v in entry["counts"].items() if "effective" not in k and k != "clipped"}
    return ", ".join(f"{value:,.6g} {key.replace('_', ' ')}" for key, value in counts.items())
