"""Write docs/performance.md and its picture from what was measured.

Run by ``python -m benchmarks.document``.
Nothing there is typed by hand but the sentences around the tables.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.__main__ import PARTS, time_text
from benchmarks.picture import draw
from benchmarks.reasons import section

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "performance.svg"
INTRODUCTION = """# Performance

Written by `python -m benchmarks.document` from what `make bench` measured. A figure is a ratio
taken within one run, contenders in turn: the median of the rounds, and in brackets the smallest and
the largest. Larger is better; "asked" is what we set out to reach. Each contender had to end at the
same loss; networks, which all start from the same parameters and shuffle the events each in its own
way, within 25 %. What did not arrive in the time given is left out. `make bench-gradient` and so on
run one part.

![Cost of one gradient against events, features and width](images/performance.svg)

*Time of one gradient (points: median; bars: smallest and largest), and what bounds it from below.
Shaded: where a call itself costs most, where reading the events does, and where arithmetic does.*
"""


def main() -> None:
    """Write the page and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "bench-results")
    folder = parser.parse_args().results
    told = [json.loads(path.read_text(encoding="utf-8"))
            for part in PARTS if (path := folder / f"{part}.json").exists()]  # fmt: skip
    if not told:
        raise SystemExit(f"There is nothing in {folder}: run make bench first.")
    if quick := [part["bench"] for part in told if part["options"]["quick"]]:
        raise SystemExit(f"These were measured with --quick, which means nothing: {quick}")
    PAGE.write_text(page(told), encoding="utf-8")
    print(f"written: {PAGE}")
    for part in told:
        if part["bench"] == "scale":
            PICTURE.parent.mkdir(exist_ok=True)
            draw(part["cases"], PICTURE)
            print(f"written: {PICTURE}")


def page(told: list[dict[str, Any]]) -> str:
    """Return the page's text."""
    measured = [part for part in told if part["bench"] != "profile"]
    return "\n".join([INTRODUCTION, _summary(told), section(told), *map(_part, measured)])


def _summary(told: list[dict[str, Any]]) -> str:
    claims = [claim for part in told for case in part["cases"] for claim in case["claims"]]
    asked = [claim for claim in claims if claim["asked"] is not None]
    reached = sum(claim["reached"] for claim in asked)
    return f"Of {len(asked)} figures that were asked for, {reached} were reached.\n"


def _part(part: dict[str, Any]) -> str:
    about = part["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    lines = [
        f"## {part['bench']}\n",
        f"{part['date']}, {about['processor']}, {about['cores']} cores, load {about['load']} at "
        f"the start, {part['options']['rounds']} rounds. {versions}.\n",
        "| work | figure | measured | asked | |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(case["work"], claim) for case in part["cases"] for claim in case["claims"]]
    lines += ["", "| work | contender | time, median (min – max) |", "|---|---|---|"]
    for case in part["cases"]:
        for name, times in case["seconds"].items():
            spread = f"{time_text(min(times))} – {time_text(max(times))}"
            lines.append(
                f"| {case['work']} | {name} | {time_text(statistics.median(times))} ({spread}) |"
            )
    settings = part["cases"][0]["settings"]
    lines += ["", *(f"- {name}: {text}" for name, text in settings.items()), ""]
    return "\n".join(lines)


def _row(work: str, claim: dict[str, Any]) -> str:
    measured = f"{claim['value']:.3g} ({claim['low']:.3g} – {claim['high']:.3g})"
    if claim["asked"] is None:
        return f"| {work} | {claim['what']} | {measured} | | |"
    mark = "reached" if claim["reached"] else "**not reached**"
    return f"| {work} | {claim['what']} | {measured} | ≥ {claim['asked']:g} | {mark} |"


if __name__ == "__main__":
    main()
