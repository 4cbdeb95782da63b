"""What an explanation consists of: findings, checks that passed, and checks that were skipped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["wrong", "better", "note"]
ORDER: dict[str, int] = {"wrong": 0, "better": 1, "note": 2}

CERTAIN, LARGE = 3.0, 0.15
"""A fix that improves the loss by so many standard errors, and by so much of what the model gained
over a constant, was for something wrong;"""
LIKELY, NOTICEABLE = 2.0, 0.005
"""by so many, and so much, for something to improve;"""
DESCENDS = 0.05
"""so is one by one standard error that lowers the training loss by so much of what was gained."""


def plain(value: Any) -> Any:
    """Numbers, texts, lists and tables as JSON has them; what is not finite as None.

    Examples
    --------
    >>> plain({"rate": math.inf, "steps": (1, 2.5)})
    {'rate': None, 'steps': [1, 2.5]}
    """
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Trial:
    """A change, tried: the same descent with it and without it, from the same seed.

    Parameters
    ----------
    part, events
        The part on which the losses are compared, and its number of events.
    before, after
        Mean losses without the L2 term; infinite for a descent that diverged.
    error
        Standard error of the difference, from pairs of events; 0 on the training events themselves.
    scale
        By how much the better of the two is better than a constant.
    steps
        Steps of each descent.
    rate
        η of the changed descent.
    training
        The losses of the training events, before and after; None where they do not compare.
    """

    part: str
    events: int
    before: float
    after: float
    error: float
    scale: float
    steps: int
    rate: float
    training: tuple[float, float] | None = None

    @property
    def gain(self) -> float:
        """By how much the change lowers the loss."""
        if math.isinf(self.after):
            return -math.inf
        return self.before - self.after

    @property
    def severity(self) -> Severity | None:
        """What the gain says about the cause; None where the change does not help."""
        if math.isinf(self.before) and math.isfinite(self.after):
            return "wrong"
        if self.gain > max(CERTAIN * self.error, LARGE * self.scale):
            return "wrong"
        if self.gain > max(LIKELY * self.error, NOTICEABLE * self.scale):
            return "better"
        if self.descends_better and self.gain > self.error:
            return "better"
        return None

    @property
    def descends_better(self) -> bool:
        """Whether J of the training events, which has no error, ends lower by much."""
        if self.training is None or self.part == "training" or not math.isfinite(self.gain):
            return False
        before, after = self.training
        return before - after > DESCENDS * self.scale

    @property
    def sentence(self) -> str:
        """Before and after."""
        before = "diverged" if math.isinf(self.before) else f"{self.before:.4g}"
        after = "diverged" if math.isinf(self.after) else f"{self.after:.4g}"
        error = f" (difference ± {self.error:.2g})" if self.error > 0 else ""
        word = "better" if self.severity else "no better"
        if self.severity and self.training is not None and self.gain <= LIKELY * self.error:
            word += f"; training loss {self.training[0]:.4g} → {self.training[1]:.4g}"
        return f"tried for {self.steps:,} steps: {self.part} loss {before} → {after}{error}: {word}"

    def to_json(self) -> dict[str, Any]:
        """Plain values; infinite ones as None."""
        values = {key: getattr(self, key) for key in self.__dataclass_fields__}
        return plain({**values, "severity": self.severity, "sentence": self.sentence})


@dataclass(frozen=True)
class Finding:
    """A cause, with what was seen, why it matters, and what to do.

    Parameters
    ----------
    cause
        Its name, such as "learning-rate-too-large"; docs/explain.md lists them.
    title
        A sentence with the number.
    seen, why, do
        What was measured; its bound, and what follows; the remedy.
    severity
        "wrong", "better" (could be better) or "note".
    change
        Settings of the recipe that mend it, by dotted name; empty where no setting does.
    weight
        Orders findings of one severity; larger is first.
    suspected
        It counts only if its trial helps.
    mild
        Never "wrong", however much its change helps.
    fact
        It is so, whatever a trial says: of the events, or of a setting that contradicts them.
    trial
        What the change did when it was tried.
    """

    cause: str
    title: str
    seen: str
    why: str
    do: str
    severity: Severity = "better"
    change: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    suspected: bool = False
    mild: bool = False
    fact: bool = False
    trial: Trial | None = None

    @property
    def rank(self) -> tuple[int, float, float]:
        """Sorts findings, the most important first; facts before what trials say.

        Where a feature leaks, the parts differ or few events have the weight, a loss that another
        η lowers says little.
        """
        gain = self.trial.gain if self.trial is not None else 0.0
        return ORDER[self.severity], -math.inf if self.fact else -gain, -self.weight

    def with_trial(self, trial: Trial) -> Finding:
        """The finding with a trial, and the severity that the trial proves."""
        proved = trial.severity or "note"
        severity = proved if self.suspected else min(self.severity, proved, key=ORDER.__getitem__)
        if self.mild and severity == "wrong":
            severity = "better"
        return replace(self, trial=trial, severity=severity)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "cause": self.cause,
            "severity": self.severity,
            "title": self.title,
            "seen": self.seen,
            "why": self.why,
            "do": self.do,
            "change": dict(self.change),
            "trial": None if self.trial is None else self.trial.to_json(),
        }


@dataclass(frozen=True)
class Check:
    """A check that found nothing, or that could not be made."""

    name: str
    passed: bool
    sentence: str
    """The number against its bound; or why it was skipped."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"check": self.name, "passed": self.passed, "sentence": self.sentence}
