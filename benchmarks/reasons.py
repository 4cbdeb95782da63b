"""What was not reached, and why: the profile beside what would be needed."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.__main__ import time_text

__all__ = ["section"]

NEEDED: dict[str, str] = {}
"""By part of the bench: what its profile says, and what would bring the figures further."""
MARKS = {
    "gradient": "the array summed",
    "sgd": "shuffled",
    "dense": "its rows copied",
    "start": "with compiled kernels",
}
"""By part of the bench: what only those cases of the profile have that explain it."""


def section(told: list[dict[str, Any]]) -> str:
    """Return the page's section; nothing where all was reached.

    Raises
    ------
    SystemExit
        Something was not reached, and there is no profile of it.
    """
    missed = {part["bench"]: count for part in told if (count := _missed(part))}
    if not missed:
        return ""
    profile = next((part for part in told if part["bench"] == "profile"), None)
    if profile is None:
        raise SystemExit(f"Not all was reached in {sorted(missed)}: run make bench-profile too.")
    processor, rounds = profile["machine"]["processor"], profile["options"]["rounds"]
    lines = [
        "## What was not reached, and why\n",
        f"A profile of {profile['date']}, {processor}: each part by itself, medians of {rounds} "
        "rounds.\n",
    ]
    for bench, count in missed.items():
        if bench not in NEEDED:
            raise SystemExit(f"{count} figures of {bench} were not reached: say why in NEEDED.")
        lines += [f"### {bench}: {count} not reached\n", *_tables(profile, MARKS[bench])]
        lines += [NEEDED[bench], ""]
    return "\n".join(lines)


def _missed(part: dict[str, Any]) -> int:
    return sum(not claim["reached"] for case in part["cases"] for claim in case["claims"])


def _tables(profile: dict[str, Any], mark: str) -> list[str]:
    """The cases that have a contender named `mark`, a row each, their contenders side by side."""
    cases = [case for case in profile["cases"] if mark in case["seconds"]]
    names = list(cases[0]["seconds"])
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    if len(cases) == 1:  # many parts of one thing read better below each other
        lines = [f"| {cases[0]['work']} | |", "|---|---|"]
        return [*lines, *(f"| {name} | {_text(cases[0], name)} |" for name in names), ""]
    for case in cases:
        values = " | ".join(_text(case, name) for name in names)
        lines.append(f"| {case['work']} | {values} |")
    return [*lines, ""]


def _text(case: dict[str, Any], name: str) -> str:
    return time_text(statistics.median(case["seconds"][name]))
