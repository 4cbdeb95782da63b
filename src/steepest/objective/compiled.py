"""The dense objective's steps and gradients in compiled code: which kernel, on which arrays.

Linear models with one output go to `steepest.objective.linear`, all others to
`steepest.objective.network`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from steepest.models.dense import Dense
from steepest.objective.base import Batch
from steepest.objective.linear import Linear
from steepest.objective.network import Network
from steepest.objective.step_block import (
    OptimizerState,
    StepBlock,
    StepBlockResult,
)
from steepest.optimizers import UpdateRule

__all__ = ["Compiled", "compiled", "suits"]

Array = np.ndarray


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
    kind = Network if model.hidden or model.outputs > 1 else Linear
    return kind(model, loss, l2, dtype)


def suits(events: Batch, dtype: str) -> bool:
    """Whether the arrays, in memory or on disk, are as the kernels take them."""
    arrays = [events.inputs, *([] if events.weights is None else [events.weights])]
    if not np.issubdtype(events.targets.dtype, np.integer):
        arrays.append(events.targets)
    return all(
        array.dtype == dtype and (events.on_disk or array.flags.c_contiguous) for array in arrays
    )
