"""The dense objective's steps and gradients in compiled code: which kernel, on which arrays.

Linear models with one output go to `steepest.kernels.linear`, all others to
`steepest.kernels.network`. Numba is loaded by the first call.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np

from steepest.compiled.rules import SGD
from steepest.models.dense import Dense
from steepest.objective.base import Batch
from steepest.objective.network import Network
from steepest.objective.step_block import (
    OptimizerState,
    StepBlock,
    StepBlockResult,
    block_result,
    buffers,
    rows_of,
    weights_of,
)
from steepest.optimizers import UpdateRule

__all__ = ["Compiled", "compiled", "suits"]

Array = np.ndarray
_VECTOR_BYTES = 32


class Compiled(Protocol):
    """Kernels for one objective."""

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        """Run a block of steps; the θ and optimiser state given are not changed."""
        ...

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        """Add `scale` Σ w ∂ℓ/∂θ over the block to a float64 gradient; return Σ w ℓ."""
        ...

    def losses(self, theta: Array, block: Batch) -> float:
        """Return Σ w ℓ over the block."""
        ...


def compiled(model: Dense, loss: str, l2: float, dtype: str) -> Compiled:
    """The kernels for a model."""
    kind = Network if model.hidden or model.outputs > 1 else _Linear
    return kind(model, loss, l2, dtype)


def suits(events: Batch, dtype: str) -> bool:
    """Whether the arrays, in memory or on disk, are as the kernels take them."""
    arrays = [events.inputs, *([] if events.weights is None else [events.weights])]
    if not np.issubdtype(events.targets.dtype, np.integer):
        arrays.append(events.targets)
    return all(
        array.dtype == dtype and (events.on_disk or array.flags.c_contiguous) for array in arrays
    )


class _Linear:
    """The kernels of a linear model with one output."""

    def __init__(self, model: Dense, loss: str, l2: float, dtype: str) -> None:
        self.model, self.loss, self.l2, self.dtype = model, loss, float(l2), np.dtype(dtype)

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        single = step_block.batch_size == 1 and step_block.rows is not None
        if single and rule.of_weights == rule.of_biases:
            return self._take_single_steps(step_block, rule, theta, optimizer_state, loss_sum)
        theta, optimizer_state = theta.copy(), tuple(vector.copy() for vector in optimizer_state)
        values, path = buffers(step_block, theta)
        taken, loss_sum = self._kernel.run_steps(
            self._loss, rule.of_weights, rule.of_biases, *self._columns(step_block.events),
            rows_of(step_block), step_block.batch_size, theta, optimizer_state, step_block.rates, step_block.first_step,
            step_block.recorded, values, step_block.followed, path, self.l2, step_block.loss_limit,
            loss_sum,
        )  # fmt: skip
        return block_result(step_block, theta, optimizer_state, taken, loss_sum, values, path)

    def _take_single_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        n, size = self.model.inputs, self.model.size
        lanes = _VECTOR_BYTES // self.dtype.itemsize
        padded, *memories = (
            np.pad(vector, (0, -size % lanes)) for vector in (theta, *optimizer_state)
        )
        l2 = np.where(np.arange(len(padded)) < n, self.l2, 0.0).astype(self.dtype)
        values, path = buffers(step_block, padded)
        inputs, targets, weights = self._columns(step_block.events)
        events = n, inputs, targets, weights, rows_of(step_block)
        if isinstance(rule.of_weights, SGD) and not self.l2:
            taken, loss_sum = self._single.take_plain_steps(
                self._loss, n, inputs, targets, step_block.events.weights, rows_of(step_block), padded,
                step_block.rates, step_block.first_step, step_block.recorded, values, step_block.followed, path,
                step_block.loss_limit, loss_sum,
            )  # fmt: skip
        else:
            taken, loss_sum = self._single.take_single_steps(
                self._loss, rule.of_weights, *events, padded, tuple(memories), step_block.rates,
                step_block.first_step, step_block.recorded, values, step_block.followed, path, l2,
                step_block.loss_limit, loss_sum,
            )  # fmt: skip
        optimizer_state = tuple(memory[:size].copy() for memory in memories)
        theta = padded[:size].copy()
        return block_result(
            step_block, theta, optimizer_state, taken, loss_sum, values, path[:, :size]
        )

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        return self._kernel.accumulate(
            self._loss, theta, *self._columns(block), self.dtype.type(scale), gradient
        )

    def losses(self, theta: Array, block: Batch) -> float:
        return self.add_block(theta, block, 0.0, np.zeros(len(theta)))  # one read of X, either way

    @cached_property
    def _kernel(self) -> Any:
        from steepest.kernels import linear

        return linear

    @cached_property
    def _single(self) -> Any:
        from steepest.kernels import single

        return single

    @cached_property
    def _loss(self) -> Any:
        from steepest.kernels.pointwise import LOSSES

        return LOSSES[self.loss]

    def _columns(self, events: Batch) -> tuple[Array, Array, Array]:
        return events.inputs.reshape(-1), events.targets, weights_of(events, self.dtype)
