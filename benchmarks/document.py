"""Write docs/performance.md, the numbers beside it, and its pictures from what was measured.

Run by ``make performance``. Parts that lie in bench-results replace those of
docs/performance.json; without any, the page and its pictures are written again from that file.
Nothing there is typed by hand but the sentences around the tables.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.__main__ import PARTS, time_text
from benchmarks.picture import draw, draw_calls

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
NUMBERS = ROOT / "docs" / "performance.json"
CALLS = ROOT / "docs" / "images" / "performance.svg"
GRADIENT = ROOT / "docs" / "images" / "gradient.svg"
INTRODUCTION = """# Performance

How long public calls take, compared with other packages and with what the machine can do.
Everything here is measured by `make bench` and written by `make performance`; every single time is
in [performance.json](performance.json).

- A figure is a ratio within one run. All contenders work in turn, each in a process of its own; the
  ratio is taken in each round, and the page gives the median with the smallest and the largest.
  Larger is better.
- *Target* is what the project set out to reach.
- *before* is an earlier version of steepest, measured in the same run (`--against`).
- *AVX2* is this version compiled as for a Haswell processor, without AVX-512; JAX is told the same,
  the others are not.
- *steepest train* is timed in an environment with what steepest needs, as the README installs it.
  *With all extras installed* Numba's first kernel loads the extensions of awkward and vector, and
  SymPy, which takes half a second; the earlier version kept Numba from it.
"""
CAPTIONS = {
    "calls": """![Time of whole calls, of steepest and of other packages](images/performance.svg)
""",
    "scale": """
![Time of one gradient against events, features and width](images/gradient.svg)

*Time of one gradient and its lower bounds: the cost of a call, reading the events, arithmetic.*
""",
}
TITLES = {
    "calls": "Whole calls",
    "gradient": "Gradients of linear models",
    "sgd": "Single events",
    "optimum": "The optimum of convex models",
    "dense": "Dense networks",
    "lecture": "The lecture's fit",
    "stream": "Events on disk",
    "start": "Start",
    "landscape": "Loss surfaces",
}
MOST = 16
"""Rows of a table at most; those below the target come first, and the others are in the JSON."""


def _updated(known: dict[str, Any] | None, part: dict[str, Any]) -> dict[str, Any]:
    """Return a part; what `--only` left out of it keeps the cases that were known."""
    cases = {case["work"]: case for case in (known or {}).get("cases", ())}
    cases |= {case["work"]: case for case in part["cases"]}
    return part | {"cases": list(cases.values())}


def main() -> None:
    """Write the page, the numbers and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "bench-results")
    folder = parser.parse_args().results
    known = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else []
    measured = {part["bench"]: part for part in known}
    for path in folder.glob("*.json"):
        part = json.loads(path.read_text(encoding="utf-8"))
        measured[path.stem] = _updated(measured.get(path.stem), part)
    told = [measured[name] for name in PARTS if name in measured]
    if not told:
        raise SystemExit(f"There is nothing in {folder}: run make bench first.")
    if quick := [part["bench"] for part in told if part["options"]["quick"]]:
        raise SystemExit(f"These were measured with --quick, which means nothing: {quick}")
    NUMBERS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for part in told:
        if part["bench"] == "calls":
            draw_calls(part["cases"], CALLS)
        if part["bench"] == "scale":
            draw(part["cases"], GRADIENT)
    PAGE.write_text(page(told), encoding="utf-8")
    print(f"written: {PAGE}, {NUMBERS}")


def page(told: list[dict[str, Any]]) -> str:
    """Return the page's text."""
    tables = [_part(part) for part in told if part["bench"] in TITLES]
    names = {part["bench"] for part in told}
    first, last = (CAPTIONS[name] if name in names else "" for name in ("calls", "scale"))
    return "\n".join(filter(None, [INTRODUCTION, first, *tables, last]))


def _part(part: dict[str, Any]) -> str:
    about = part["machine"]
    rows = [(case, claim) for case in part["cases"] for claim in case["claims"]]
    rows.sort(key=lambda row: row[1]["reached"])
    lines = [
        f"## {TITLES[part['bench']]}\n",
        f"{part['date']}, {about['processor']}, {about['cores']} cores, load {about['load']} at "
        f"the start, {part['options']['rounds']} rounds.\n",
        "| call | time | ratio | target | |",
        "|---|---|---|---|---|",
        *(_row(case, claim) for case, claim in rows[:MOST]),
    ]
    if len(rows) > MOST:
        lines.append(f"\n{len(rows) - MOST} more, all on target, are in performance.json.")
    return "\n".join([*lines, ""])


def _row(case: dict[str, Any], claim: dict[str, Any]) -> str:
    times = next((t for name, t in case["seconds"].items() if claim["what"].startswith(name)), None)
    times = times or next(iter(case["seconds"].values()))
    time = time_text(statistics.median(times))
    spread = f"({claim['low']:.2g} – {claim['high']:.2g})"
    ratio = f"{claim['what']}: **{claim['value']:.2g}** {spread}"
    if claim["asked"] is None:
        target = " | "
    else:
        target = f"≥ {claim['asked']:.2g} | " + ("reached" if claim["reached"] else "**missed**")
    return f"| {case['work']} | {time} | {ratio} | {target} |"


if __name__ == "__main__":
    main()
