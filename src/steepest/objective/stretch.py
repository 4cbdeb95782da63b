"""Many steps at once: the dense objective's mini-batch steps in compiled code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from steepest.models.dense import Dense
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
        The rows that the steps take, one step's after the other's, int64; None for all events in
        their order. Each step takes `batch_size` of them, the last what is left.
    batch_size
        Events a step. Where it is the number of events, each step takes all.
    rates
        η of each step, float64 ``(steps,)``.
    first_step
        How many steps were done before.
    recorded
        True for the steps whose values are wanted, ``(steps,)``.
    loss_limit
        A loss above it ends the stretch before its step.
    """

    events: Batch
    rows: Array | None
    batch_size: int
    rates: Array
    first_step: int
    recorded: Array
    loss_limit: float


@dataclass(frozen=True)
class StretchResult:
    """θ and slots after the steps taken, Σ of their losses, and the recorded values.

    `values` has the loss, η, ‖g‖ and ‖Δθ‖/‖θ‖ of each recorded step, ``(rows, 4)``. Fewer steps
    than rates: the next one's loss was above the limit.
    """

    theta: Array
    slots: Slots
    taken: int
    loss_sum: float
    values: Array


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


class CompiledNetwork:
    """A dense network's kernels with their working arrays, for one objective."""

    def __init__(self, model: Dense, loss: str, l2: float, dtype: str) -> None:
        self.model, self.loss, self.l2, self.dtype = model, loss, l2, np.dtype(dtype)

    def suits(self, events: Batch) -> bool:
        """Whether the arrays, in memory or on disk, are as the kernels take them."""
        arrays = [events.inputs, *([] if events.weights is None else [events.weights])]
        if not np.issubdtype(events.targets.dtype, np.integer):
            arrays.append(events.targets)
        return all(
            array.dtype == self.dtype and (events.on_disk or array.flags.c_contiguous)
            for array in arrays
        )

    def take_steps(
        self, stretch: Stretch, rule: UpdateRule, theta: Array, slots: Slots, loss_sum: float
    ) -> StretchResult:
        """Take a stretch of steps on copies of θ and the slots."""
        theta, slots = theta.copy(), tuple(slot.copy() for slot in slots)
        values = np.empty((int(stretch.recorded.sum()), 4))
        rows = np.empty(0, dtype=np.int64) if stretch.rows is None else stretch.rows
        taken, loss_sum = self._kernel.take_steps(
            *self._kinds, rule.of_weights, rule.of_biases, *self._workspace(stretch.events),
            *self._columns(stretch.events), rows, stretch.batch_size, theta, slots,
            stretch.rates, stretch.first_step, stretch.recorded, values, float(self.l2),
            stretch.loss_limit, loss_sum,
        )  # fmt: skip
        kept = int(stretch.recorded[:taken].sum())
        return StretchResult(theta, slots, taken, loss_sum, values[:kept])

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        """Add `scale` Σ w ∂ℓ/∂θ over the block to a float64 gradient; return Σ w ℓ."""
        return self._kernel.accumulate(
            *self._kinds, *self._workspace(block), theta, *self._columns(block),
            self.dtype.type(scale), gradient,
        )  # fmt: skip

    @cached_property
    def _kernel(self) -> Any:
        from steepest.kernels import network  # numba is loaded where it is used

        return network

    @cached_property
    def _kinds(self) -> tuple[Any, Any]:
        from steepest.kernels.pointwise import ACTIVATIONS, LOSSES

        return ACTIVATIONS[self.model.activation], LOSSES[self.loss]

    @cached_property
    def _memory(self) -> tuple[Any, Array]:
        layout = self._kernel.Layout(self.model.widths, self.dtype)
        return layout, layout.memory()

    def _workspace(self, events: Batch) -> tuple[Any, ...]:
        layout, memory = self._memory
        targets = np.empty(self._kernel.BLOCK, dtype=events.targets.dtype)
        return layout.table, layout.places, memory, targets

    def _columns(self, events: Batch) -> tuple[Array, Array, Array]:
        weights = events.weights
        return (
            events.inputs,
            events.targets,
            np.empty(0, dtype=self.dtype) if weights is None else weights,
        )
