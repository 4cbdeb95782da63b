"""Linear models with one output in compiled code: steps and gradients by `compiled.linear`.

Numba is loaded by the first call.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.rules import CODES
from steepest.models.dense import Dense
from steepest.objective.base import Batch
from steepest.objective.step_block import (
    OptimizerState,
    StepBlock,
    StepBlockResult,
    block_result,
    buffers,
    weights_of,
)
from steepest.optimizers import UpdateRule

__all__ = ["Linear"]

Array = np.ndarray


class Linear:
    """Steps, losses and gradients of a linear model with one output."""

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
        """Run a block of steps; the θ and optimiser state given are not changed."""
        from steepest.compiled.linear.single import run_single_steps
        from steepest.compiled.linear.steps import run_steps

        events, none = step_block.events, np.empty(0, self.dtype)
        if step_block.rows is not None:
            events = events.take(step_block.rows)
        theta, state = theta.copy(), [vector.copy() for vector in optimizer_state]
        both_states = (*state, none, none)[:2]
        values, path = buffers(step_block, theta)
        code = CODES[type(rule.of_weights)]
        options = np.array([rule.of_weights, rule.of_biases], np.float64)
        rates_and_records = (
            step_block.rates, step_block.first_step, step_block.recorded, values,
            step_block.followed, path, self.l2, step_block.loss_limit, loss_sum,
        )  # fmt: skip
        if step_block.batch_size == 1 and rule.of_weights == rule.of_biases:
            taken, loss_sum = run_single_steps(
                self._loss, code, options, *self._columns(events), theta, *both_states,
                *rates_and_records,
            )  # fmt: skip
        else:
            taken, loss_sum = run_steps(
                self._loss, code, options, *self._columns(events),
                step_block.batch_size, theta, *both_states, *rates_and_records,
            )  # fmt: skip
        return block_result(step_block, theta, tuple(state), taken, loss_sum, values, path)

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        """Add `scale` Σ w ∂ℓ/∂θ over the block to a float64 gradient; return Σ w ℓ."""
        from steepest.compiled.linear.gradient import add_gradient

        columns = self._columns(block)
        return add_gradient(self._loss, theta, *columns, self.dtype.type(scale), gradient)

    def losses(self, theta: Array, block: Batch) -> float:
        """Return Σ w ℓ over the block."""
        return self.add_block(theta, block, 0.0, np.zeros(len(theta)))  # one read of X, either way

    @property
    def _loss(self) -> int:
        from steepest.compiled.pointwise import LOSSES

        return LOSSES[self.loss]

    def _columns(self, events: Batch) -> tuple[Array, Array, Array]:
        """Inputs, targets and weights as the kernels take them."""
        columns = (
            events.inputs.reshape(-1),
            events.targets.astype(self.dtype, copy=False),
            weights_of(events, self.dtype),
        )
        inputs, targets, weights = (np.require(column, requirements="W") for column in columns)
        return inputs, targets, weights
