"""Run benchmarks: ``python -m benchmarks [PART …]``."""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.harness import Case, Options

PARTS = (
    "calls",
    "gradient",
    "sgd",
    "optimum",
    "dense",
    "lecture",
    "stream",
    "start",
    "scale",
    "landscape",
    "particles",
    "explain",
)


def main() -> None:
    """Measure the parts that are named, print their tables, write their JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small samples: does it all run?")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    parser.add_argument("--against", type=Path, metavar="SRC", help="calls: another version's src/")
    parser.add_argument("--only", default="", metavar="CALLS", help="calls: some, as 'dense,train'")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    console = Console(width=150)
    only = tuple(filter(None, options.only.split(",")))
    chosen = Options(options.rounds, options.quick, options.against, only)
    for part in options.parts or PARTS:
        _run(part, chosen, options.out, console)


def _run(part: str, options: Options, folder: Path, console: Console) -> None:
    module = importlib.import_module(f"benchmarks.{part}")
    about, began, cases = machine.describe(), time.time(), []
    console.print(f"\n[bold]{part}[/]: {(module.__doc__ or '').splitlines()[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    for case in module.measure(options):
        cases.append(case)
        console.print(_table(case))
        told = _told(part, about, options, began, cases)
        path.write_text(json.dumps(told, indent=1), encoding="utf-8")
    console.print(f"written: {path}")


def _told(
    part: str, about: dict[str, Any], options: Options, began: float, cases: list[Case]
) -> dict[str, Any]:
    return {
        "bench": part,
        "machine": about,
        "options": {"rounds": options.rounds, "quick": options.quick},
        "date": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "took": round(time.time() - began, 1),
        "cases": [case.to_json() for case in cases],
    }


def _table(case: Case) -> Table:
    table = Table(title=case.work, title_justify="left", show_edge=False)
    for name, justify in (("", "left"), ("median", "right"), ("min – max", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, times in case.seconds.items():
        spread = f"{time_text(min(times))} – {time_text(max(times))}"
        table.add_row(name, time_text(statistics.median(times)), spread)
    for claim in case.claims:
        mark = "" if claim.asked is None else "[green]✓[/]" if claim.reached else "[red]✗[/]"
        asked = "" if claim.asked is None else f" of {claim.asked:g}"
        spread = f"{claim.low:.3g} – {claim.high:.3g}"
        table.add_row(f"[bold]{claim.what}[/]", f"[bold]{claim.value:.3g}[/]{asked} {mark}", spread)
    return table


def time_text(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


if __name__ == "__main__":
    main()
