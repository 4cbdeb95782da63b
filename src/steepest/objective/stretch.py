"""The stretch: what a loop asks for when it wants many steps at once, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from steepest.objective.base import Batch
from steepest.optimizers import UpdateRule

__all__ = ["Stretch", "StretchResult", "Stretches"]

Array = np.ndarray
Slots = tuple[Array, ...]


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps of one epoch.

    Parameters
    ----------
    events
        The sample that the rows are of, in memory.
    rows
        The rows that the steps take, one step's after the other's, int64: `batch_size` each, the
        last what is left. None where each step takes all events in their order.
    batch_size
        Events a step.
    rates
        η of each step, float64 ``(steps,)``.
    first_step
        How many steps were done before.
    recorded
        True for the steps whose values are wanted, ``(steps,)``.
    followed
        True for the steps after which θ is wanted, ``(steps,)``.
    loss_limit
        A loss above it ends the stretch before its step.
    """

    events: Batch
    rows: Array | None
    batch_size: int
    rates: Array
    first_step: int
    recorded: Array
    followed: Array
    loss_limit: float


@dataclass(frozen=True)
class StretchResult:
    """θ and slots after the steps taken, Σ of their losses, and the recorded values.

    `values` has the loss, η, ‖g‖ and ‖Δθ‖/‖θ‖ of each recorded step, ``(rows, 4)``; `path` has θ
    after each step that is followed, ``(points, size)``. Fewer steps than rates: the next one's
    loss was above the limit.
    """

    theta: Array
    slots: Slots
    taken: int
    loss_sum: float
    values: Array
    path: Array


@runtime_checkable
class Stretches(Protocol):
    """An objective that can take many steps at once."""

    def can_take(self, events: Batch, batch_size: int) -> bool:
        """Whether `take_steps` serves such events and batches."""
        ...

    def take_steps(
        self, stretch: Stretch, rule: UpdateRule, theta: Array, slots: Slots, loss_sum: float
    ) -> StretchResult:
        """Take the steps; θ and the slots that are given stay as they are."""
        ...
