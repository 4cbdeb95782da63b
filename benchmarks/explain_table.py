"""Rates with intervals from the rows of `benchmarks.explain`, as text and in docs/explain.md."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.explain_faults import EDGE
from benchmarks.explain_peers import RULES, alarms
from benchmarks.harness import Case, Claim

__all__ = ["cases", "rate", "read_rows", "summary", "write_between", "write_page"]

Rows = list[dict[str, Any]]
AT_THE_EDGE = 0.9
"""ηλmax, as a part of the bound, from which a run is at the edge of stability."""
BEGIN, END = "<!-- bench-explain -->", "<!-- /bench-explain -->"


def read_rows(file: Path) -> Rows:
    """The rows of a benchmark."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def rate(count: int, of: int) -> tuple[float, float, float]:
    """A share with its Clopper–Pearson interval at 68.27 %."""
    from scipy.stats import beta

    if not of:
        return math.nan, math.nan, math.nan
    tail = (1 - 0.6827) / 2
    low = float(beta.ppf(tail, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, of - count)) if count < of else 1.0
    return count / of, low, high


def shares(rows: Rows) -> list[tuple[str, int, int, float, bool]]:
    """(what, count, of, what was asked for, whether at least) of each rate."""
    faults = [r for r in rows if not r["healthy"]]
    healthy = [r for r in rows if r["healthy"]]
    edge = _at_the_edge(healthy)
    tried = [r["trial"] for r in faults if r["trial"] is not None]
    return [
        ("cause first", sum(r["place"] == 0 for r in faults), len(faults), 0.85, True),
        ("cause first or second", sum(r["place"] in (0, 1) for r in faults), len(faults), 0.95,
         True),
        ("fix lowers the loss", sum(_lower(*t[:2]) for t in tried), len(tried), 0.90, True),
        ('healthy with a "wrong"', sum(bool(r["wrong"]) for r in healthy), len(healthy), 0.02,
         False),
        ('edge of stability with a "wrong"', sum(bool(r["wrong"]) for r in edge), len(edge), 0.02,
         False),
    ]  # fmt: skip


def _at_the_edge(rows: Rows) -> Rows:
    """Healthy runs of all events a step whose ηλmax came to the bound."""
    return [r for r in rows if r["fault"].startswith(EDGE) and r["of_bound"] >= AT_THE_EDGE]


def _lower(before: float, after: float) -> bool:
    return after < before


def summary(file: Path) -> str:
    """The rates, a line each, and every fault that was missed."""
    rows = read_rows(file)
    lines = []
    for what, count, of, asked, least in shares(rows):
        value, low, high = rate(count, of)
        aim = f"{'≥' if least else '≤'} {100 * asked:g} %"
        between = f"[{100 * low:.1f}, {100 * high:.1f}]"
        lines.append(f"{what}: {count} of {of} = {100 * value:.1f} % {between}, asked {aim}")
    for row in rows:
        if not row["healthy"] and row["place"] not in (0, 1):
            lines.append(f"missed: {row['key']}: {row['found'][:4]}")
        if row["healthy"] and row["wrong"]:
            lines.append(f"false alarm: {row['key']}: {row['wrong']}")
    return "\n".join(lines)


def cases(file: Path) -> Iterator[Case]:
    """The rates as a case of the benchmarks."""
    rows = read_rows(file)
    claims = []
    for what, count, of, asked, least in shares(rows):
        value, low, high = rate(count, of)
        sign = 1 if least else -1
        claims.append(Claim(f"{what} ({count} of {of})", sign * value, sign * low, sign * high,
                            sign * asked))  # fmt: skip
    seconds = {"train": [r["seconds"][0] for r in rows], "explain": [r["seconds"][1] for r in rows]}
    yield Case("explain", f"{len(rows)} held-out runs", seconds, claims)


def page(rows: Rows) -> str:
    """The tables of docs/explain.md."""
    lines = [
        "| held-out runs | count | rate | 68.27 % interval | to reach |",
        "|---|---|---|---|---|",
    ]
    for what, count, of, asked, least in shares(rows):
        value, low, high = rate(count, of)
        aim, between = (
            f"{'≥' if least else '≤'} {100 * asked:g}",
            f"{100 * low:.1f} to {100 * high:.1f}",
        )
        lines.append(f"| {what} | {count} of {of} | {100 * value:.1f} % | {between} % | {aim} % |")
    edge = [r["of_bound"] for r in _at_the_edge(rows)]
    if edge:
        far = f"{min(edge):.2g} to {max(edge):.2g}"
        lines += ["", f"At the edge of stability: ηλmax is {far} times its bound somewhere."]
    lines += ["", "| fault | runs | first | first or second |", "|---|---|---|---|"]
    by_fault: dict[str, Rows] = defaultdict(list)
    for row in rows:
        if not row["healthy"]:
            by_fault[row["fault"]].append(row)
    for name, of in sorted(by_fault.items()):
        first = sum(r["place"] == 0 for r in of)
        second = sum(r["place"] in (0, 1) for r in of)
        lines.append(f"| {name} | {len(of)} | {first} | {second} |")
    lines += ["", "| others, on the same runs | alarms on faults | false alarms on healthy runs |",
              "|---|---|---|"]  # fmt: skip
    for name in RULES:
        lines.append(f"| {name} | {_alarms(rows, name, False)} | {_alarms(rows, name, True)} |")
    own = [sum(bool(r["found"]) for r in rows if r["healthy"] is h) for h in (False, True)]
    of = [sum(r["healthy"] is h for r in rows) for h in (False, True)]
    wrong = sum(bool(r["wrong"]) for r in rows if r["healthy"])
    lines.append(f"| steepest explain, any finding | {own[0]} of {of[0]} | {own[1]} of {of[1]} |")
    lines.append(f'| steepest explain, "wrong" | – | {wrong} of {of[1]} |')
    return "\n".join(lines)


def _alarms(rows: Rows, name: str, healthy: bool) -> str:
    said = [alarms(name, row) for row in rows if row["healthy"] is healthy]
    known = [one for one in said if one is not None]
    return f"{sum(map(bool, known))} of {len(known)}" if known else "not measured"


def write_between(path: Path, begin: str, end: str, text: str) -> None:
    """Put a text between two marks of a page."""
    whole = path.read_text("utf-8")
    before, rest = whole.split(begin)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", "utf-8")


def write_page(file: Path, path: Path) -> None:
    """Put the tables between the marks of the page."""
    write_between(path, BEGIN, END, page(read_rows(file)))
