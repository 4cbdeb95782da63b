"""Timing contenders in turn, and what is said of the times.

All contenders of a case run in one process, one after the other, several rounds, after one round
that does not count. A ratio is taken within each round; its median is quoted with the smallest and
the largest, so that what the machine does elsewhere in the meantime touches both sides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["PAUSE", "Case", "Claim", "Options", "Times", "in_turn", "ratio", "same_loss"]

Run = Callable[[], object]
Times = dict[str, list[float]]
"""Seconds of each contender, one a round."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure.

    Parameters
    ----------
    rounds
        Rounds that count.
    quick
        Smaller samples, to see that everything runs; the figures then mean nothing.
    against
        The sources of another version of steepest, a further contender of whole calls.
    only
        The whole calls to measure; all if empty.
    """

    rounds: int = 5
    quick: bool = False
    against: Path | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A ratio that was asked for, beside what was measured; larger is better."""

    what: str
    value: float
    low: float
    high: float
    asked: float | None

    @property
    def reached(self) -> bool:
        """Whether the median is what was asked for."""
        return self.asked is None or self.value >= self.asked


@dataclass(frozen=True)
class Case:
    """One piece of work: who did it in which time, and what follows."""

    bench: str
    work: str
    seconds: Times
    claims: list[Claim]
    settings: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        told = asdict(self)
        for claim, written in zip(self.claims, told["claims"], strict=True):
            written["reached"] = claim.reached
        return told


PAUSE = 0.1
"""Seconds before each: threads of the one before (OpenMP's, a BLAS's) wait busily for a while."""


def in_turn(contenders: Mapping[str, Run], rounds: int) -> tuple[Times, dict[str, object]]:
    """Run each contender once a round; return the seconds, and what each returned last.

    Parameters
    ----------
    contenders
        What to run, by name.
    rounds
        Rounds that count, after one that does not.
    """
    seconds: Times = {name: [] for name in contenders}
    results: dict[str, object] = {}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            results[name] = run()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds, results


def ratio(
    what: str, slower: list[float], faster: list[float], asked: float | None, scale: float = 1.0
) -> Claim:
    """Return how many times as long `slower` takes as `faster`, round by round."""
    ratios = [scale * s / f for s, f in zip(slower, faster, strict=True)]
    return Claim(what, statistics.median(ratios), min(ratios), max(ratios), asked)


def fastest(times: Times, names: list[str]) -> str:
    """Return which of `names` has the smallest median."""
    return min(names, key=lambda name: statistics.median(times[name]))


def same_loss(losses: Mapping[str, float], relative: float, absolute: float = 0.0) -> None:
    """Stop if one contender's loss is above the lowest by more than that.

    Raises
    ------
    SystemExit
        With the losses.
    """
    lowest = min(losses.values())
    worst = max(losses, key=lambda name: losses[name])
    if not losses[worst] <= lowest + relative * abs(lowest) + absolute:
        raise SystemExit(f"The contenders did not reach the same loss: {dict(losses)}")
