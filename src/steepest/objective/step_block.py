"""The step_block: what a loop asks for when it wants many steps at once, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from steepest.objective.base import Batch, Objective
from steepest.optimizers import UpdateRule
from steepest.ranks import Ranks

Array = np.ndarray
OptimizerState = tuple[Array, ...]


@dataclass(frozen=True)
class StepBlock:
    """Consecutive steps of one epoch.

    Parameters
    ----------
    events
        The sample that the rows are of, in memory.
    rows
        The rows that the steps take, one step's after the other's, int64: `batch_size` each, the
        last what is left. None where they take the events in their order so.
    batch_size
        Events a step.
    rates
        η of each step, float64 ``(steps,)``.
    first_step
        How many steps were done before.
    recorded
        True for the steps whose values are wanted, ``(steps,)``.
    on_path
        True for the steps after which θ is wanted, ``(steps,)``.
    loss_limit
        A loss above it ends the step_block before its step.
    path_buffer
        Where θ after the steps that are on_path may be written, ``(points, size)``, if anywhere.
    counts, ranks
        Of many ranks: the events of each step on this one, ``(steps,)``, and the ranks over which
        loss and gradient are the mean. Given to objectives whose ``over_ranks`` is true.
    """

    events: Batch
    rows: Array | None
    batch_size: int
    rates: Array
    first_step: int
    recorded: Array
    on_path: Array
    loss_limit: float
    path_buffer: Array | None = None
    counts: Array | None = None
    ranks: Ranks | None = None


@dataclass(frozen=True)
class StepBlockResult:
    """θ and optimizer_state after the steps taken, Σ of their losses, and the recorded values.

    `values` has the loss, η, ‖g‖ and ‖Δθ‖/‖θ‖ of each recorded step, ``(rows, 4)``; `path` has θ
    after each step that is on_path, ``(points, size)``. Fewer steps than rates: the next one's
    loss was above the limit.

    `exceeded`: some loss of the block was above the limit, and it is not known which, since looking
    at each would have meant waiting for a device. Nothing else of the result counts then: the block
    is taken again step by step.

    `loss_parts` has the parts of each step's loss, ``(steps, parts)``, of an objective whose
    attribute ``loss_parts`` names any.
    """

    theta: Array
    optimizer_state: OptimizerState
    taken: int
    loss_sum: float
    values: Array
    path: Array
    exceeded: bool = False
    loss_parts: Array | None = None


@runtime_checkable
class SupportsStepBlocks(Objective, Protocol):
    """An objective that can take many steps at once.

    One whose attribute ``any_rule`` is true calls `UpdateRule.update`; others know the plain rules,
    without clipping and averages. One whose ``over_ranks`` is true takes `StepBlock.ranks`.
    """

    def supports(self, events: Batch, batch_size: int) -> bool:
        """Whether `run_steps` serves such events and batches."""
        ...

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        """Run the steps; the θ and optimiser state given are not changed."""
        ...


def rows_of(step_block: StepBlock) -> Array:
    """The rows as the kernels take them: none, where each step takes all, are an empty array."""
    if step_block.rows is not None:
        return step_block.rows
    whole = step_block.batch_size >= len(step_block.events)
    return np.arange(0 if whole else len(step_block.events))


def weights_of(events: Batch, dtype: np.dtype) -> Array:
    """The weights as the kernels take them: none are an empty array."""
    return np.empty(0, dtype=dtype) if events.weights is None else events.weights


def buffers(step_block: StepBlock, theta: Array) -> tuple[Array, Array]:
    """Where the values of the recorded steps go, and θ after those that are on_path."""
    values = np.empty((np.count_nonzero(step_block.recorded), 4))
    shape, path_buffer = (np.count_nonzero(step_block.on_path), len(theta)), step_block.path_buffer
    if path_buffer is None or path_buffer.shape != shape or path_buffer.dtype != theta.dtype:
        path_buffer = np.empty(shape, dtype=theta.dtype)
    return values, path_buffer


def block_result(
    step_block: StepBlock,
    theta: Array,
    optimizer_state: OptimizerState,
    taken: int,
    loss_sum: float,
    values: Array,
    path: Array,
) -> StepBlockResult:
    """What a kernel leaves, without the path_buffer for steps that it did not take."""
    masks = step_block.recorded, step_block.on_path
    kept, points = (np.count_nonzero(mask[:taken]) for mask in masks)
    return StepBlockResult(theta, optimizer_state, taken, loss_sum, values[:kept], path[:points])
