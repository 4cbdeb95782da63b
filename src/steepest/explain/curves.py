"""What the history says: how far J fell, whether it still falls, and whether validation parts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from steepest.explain.layers import constant_loss
from steepest.explain.record import Record
from steepest.objective.stateful import preserved_memory


@dataclass(frozen=True)
class Curves:
    """Losses along the descent.

    Parameters
    ----------
    constant
        Loss of the best constant on the training events.
    first, last
        J of all training events before the first step (of the first batch where θ there was not
        kept), and the mean of the last round.
    end
        J of all training events after the last step; as `last` where θ there was not kept.
    worst
        The largest recorded J.
    lowest, peak
        The lowest mean of a round, and the largest one after it.
    climb
        The sum of all rises from round to round, over the largest fall; 0 where J only falls.
    late
        The fall of the training loss over the last fifth of the rounds, over the whole fall.
    best_validation, last_validation, best_step
        Of the validation part; NaN without one.
    rates
        η at the first step, the largest and at the last.
    """

    constant: float
    first: float
    last: float
    end: float
    worst: float
    lowest: float
    peak: float
    climb: float
    late: float
    best_validation: float
    last_validation: float
    best_step: int
    rates: tuple[float, float, float]

    @property
    def gained(self) -> float:
        """By how much J ends below that of a constant, in units of the constant's."""
        return (self.constant - self.last) / max(abs(self.constant), 1e-300)

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not finite as None."""
        return {
            key: value if not isinstance(value, float) or math.isfinite(value) else None
            for key, value in asdict(self).items()
        }


def measure_curves(record: Record) -> Curves:
    """Read the history of a run; of one that took no descent's steps, J at its start and end."""
    if record.descent.method != "descent":
        return _of_ends(record)
    history = record.history
    losses = _column(history, "loss")
    rounds = _column(history, "training_loss")
    validation = _column(history, "validation_loss")
    rates = _column(history, "learning_rate")
    steps = history["step"].to_numpy()
    nan = math.nan
    seen = history["validation_loss"].is_not_null().to_numpy() if len(validation) else None
    best = int(np.argmin(validation)) if len(validation) else 0
    last = float(rounds[-1]) if len(rounds) else float(losses[-1]) if len(losses) else nan
    return Curves(
        constant=constant_loss(record, record.train),
        first=_at(record, 0, 0, float(losses[0]) if len(losses) else nan),
        last=last,
        end=_at(record, -1, record.taken, last),
        worst=float(np.nanmax(losses)) if len(losses) else nan,
        lowest=float(rounds.min()) if len(rounds) else nan,
        peak=float(rounds[int(np.argmin(rounds)) :].max()) if len(rounds) else nan,
        climb=_climb(rounds),
        late=_late(rounds if len(rounds) >= 10 else losses),
        best_validation=float(validation[best]) if len(validation) else nan,
        last_validation=float(validation[-1]) if len(validation) else nan,
        best_step=int(steps[seen][best]) if seen is not None else 0,
        rates=(float(rates[0]), float(rates.max()), float(rates[-1]))
        if len(rates)
        else (record.rate, record.rate, record.rate),
    )


def _at(record: Record, index: int, step: int, otherwise: float) -> float:
    """J of the training events at a point of the path, if that is after so many steps."""
    if not len(record.thetas) or int(record.steps[index]) != step:
        return otherwise
    with preserved_memory(record.objective), np.errstate(all="ignore"):
        found = float(record.objective.loss(record.thetas[index], record.train))
    return found if math.isfinite(found) else otherwise


def _of_ends(record: Record) -> Curves:
    nan = math.nan
    with np.errstate(all="ignore"):
        first, last = (record.objective.loss(theta, record.train) for theta in record.thetas)
        validated = nan
        if record.validation is not None:
            validated = record.objective.loss(record.thetas[-1], record.validation)
    return Curves(
        constant=constant_loss(record, record.train), first=first, last=last, end=last,
        worst=max(first, last), lowest=last, peak=last, climb=0.0, late=0.0,
        best_validation=validated, last_validation=validated, best_step=1, rates=(nan, nan, nan),
    )  # fmt: skip


def _column(history: pl.DataFrame, name: str) -> np.ndarray:
    if name not in history.columns:
        return np.empty(0)
    return history[name].drop_nulls().to_numpy().astype(np.float64)


def _climb(losses: np.ndarray) -> float:
    fall = float(np.ptp(losses)) if len(losses) > 2 else 0.0
    return float(np.diff(losses).clip(0).sum()) / fall if fall > 0 else 0.0


def _late(losses: np.ndarray) -> float:
    """The fall over the last fifth, smoothed, over the whole fall."""
    if len(losses) < 10 or not np.isfinite(losses).all():
        return math.nan
    fifth = max(len(losses) // 10, 1)
    start, end = float(losses[:fifth].max()), float(losses[-fifth:].mean())
    before = float(losses[-3 * fifth : -2 * fifth].mean())
    if before > start:
        return math.nan  # it rose on the way
    return (before - end) / (start - end) if start > end else 0.0
