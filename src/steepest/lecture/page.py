"""lecture.html and the chapter of the documentation, generated from lecture.json."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["chapter", "render", "table_of_shares", "table_of_ways"]


def render(folder: Path, numbers: dict[str, Any]) -> str:
    """Return the page of the content of lecture.json, with the figures of `folder` embedded."""
    environment = Environment(
        loader=PackageLoader("steepest.lecture", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        {
            "name": name,
            **picture,
            "source": _source(folder, picture["figure"]),
            "table": _table(name, picture),
        }
        for name, picture in numbers["pictures"].items()
    ]
    return environment.get_template("page.html.jinja").render(
        lecture=numbers,
        steps=numbers["seven_steps"],
        sections=sections,
        events=_events(numbers["data"]),
    )


def chapter(numbers: dict[str, Any], figures: str = "") -> str:
    """Return the page as Markdown; `figures` is a prefix of all links, such as ``"pictures/"``."""
    lines = [
        "# The lecture's pictures",
        "",
        f"Drawn by `steepest lecture` when this documentation was built, from live runs on "
        f"{_events(numbers['data'])}; seed {numbers['seed']}. To draw them from your own events, "
        "see [Command line](command-line.md#steepest-lecture). "
        f"All pictures on one page: [lecture.html]({figures}lecture.html); all numbers: "
        f"[lecture.json]({figures}lecture.json).",
        "",
        "## The seven steps",
        "",
        "| step | | in numbers |",
        "|---|---|---|",
    ]
    steps = numbers["seven_steps"]
    lines += [
        f"| {_cell(r['name'])} | {_cell(r['formula'])} | {_cell(r['values'])} |"
        for r in steps["rows"]
    ]
    lines += ["", *_paragraphs(steps["text"])]
    for name, picture in numbers["pictures"].items():
        lines += [f"## {picture['title']}", ""]
        if picture["figure"]:
            lines += [f"![{picture['title']}]({figures}{picture['figure']})", ""]
        lines += _paragraphs(picture["text"])
        if (table := _table(name, picture)) is not None:
            head, *rows = table
            lines += [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
    return "\n".join(lines) + "\n"


def table_of_ways(numbers: dict[str, Any]) -> list[list[str]]:
    """Return passes and seconds of the three batch sizes, as a header and rows.

    Examples
    --------
    >>> way = {"name": "batch", "batch_size": 10, "rate": 0.5, "passes_to_target": None,
    ...        "seconds": {"pass": 0.002, "target": None}}
    >>> table_of_ways({"ways": [way], "target": 0.02})[1]
    ['batch', '10', '0.5', '–', '–', '2 ms']
    >>> way["seconds"] = {"pass": 0.1834, "target": None}
    >>> table_of_ways({"ways": [way], "target": 0.02})[1][-1]
    '183 ms'
    """
    part = f"{100 * numbers['target']:g} %"
    head = ["", "events a step", "η", f"passes to {part}", f"time to {part}", "time of a pass"]

    def time(seconds: float | None) -> str:
        if seconds is None:
            return "–"
        return f"{1000 * seconds:.0f} ms" if seconds > 0.0995 else f"{1000 * seconds:.2g} ms"

    rows = [
        [way["name"], f"{way['batch_size']:,}", f"{way['rate']:.3g}",
         "–" if way["passes_to_target"] is None else f"{way['passes_to_target']:.3g}",
         time(way["seconds"]["target"]), time(way["seconds"]["pass"])]
        for way in numbers["ways"]
    ]  # fmt: skip
    return [head, *rows]


def table_of_shares(numbers: dict[str, Any]) -> list[list[str]]:
    """Return how many runs left a local minimum, by batch size and η, as a header and rows.

    Examples
    --------
    >>> share = {"batch_size": 2, "rate": 0.5, "noise": 0.2375, "steps": 1000, "left": 3,
    ...          "runs": 30, "lower": 1, "low": 0.047, "high": 0.19}
    >>> table_of_shares({"shares": [share]})[1]
    ['2', '0.5', '0.237', '1,000', '3 of 30', '5–19 %', '1']
    """
    head = ["events a step", "η", "noise", "steps", "left", "68 % interval", "to a lower minimum"]
    rows = [
        [f"{one['batch_size']:,}", f"{one['rate']:.3g}", f"{one['noise']:.3g}",
         f"{one['steps']:,}", f"{one['left']} of {one['runs']}",
         f"{100 * one['low']:.0f}–{100 * one['high']:.0f} %", f"{one['lower']}"]
        for one in numbers["shares"]
    ]  # fmt: skip
    return [head, *rows]


_TABLES = {"batches": table_of_ways, "escapes": table_of_shares}


def _table(name: str, picture: dict[str, Any]) -> list[list[str]] | None:
    if name not in _TABLES or picture["numbers"] is None:
        return None
    return _TABLES[name](picture["numbers"])


def _events(data: dict[str, Any]) -> str:
    files = ", ".join(file["name"] for file in data["source"].get("files", [])[:3])
    counts = " and ".join(f"{count:,} {part}" for part, count in data["events"].items())
    return f"{files} ({counts} events; {data['classes'][1]} against {data['classes'][0]})"


def _source(folder: Path, figure: str | None) -> str | None:
    if figure is None:
        return None
    content = base64.b64encode((folder / figure).read_bytes()).decode("ascii")
    return f"data:image/png;base64,{content}"


def _paragraphs(sentences: list[str]) -> list[str]:
    return [line for sentence in sentences for line in (_cell(sentence), "")]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    for mark in ("\\", "|", "*", "_", "<"):
        text = text.replace(mark, f"\\{mark}")
    return text
