"""A dense network's compiled steps, losses, gradients and logits: its arrays, and its threads."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from steepest.compiled.blas import one_blas_thread
from steepest.compiled.threads import BarrierGroup
from steepest.models.dense import Dense
from steepest.objective.base import Batch
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

__all__ = ["Network"]

Array = np.ndarray
PARTED_FROM = (64, 512, 2048, 8192)
"""Events of a batch from which on it has twice as many parts: each has a gradient of its own."""
WORTH_A_THREAD = 400_000
"""Events times parameters of a part, at least: enough for a thread between two meetings."""


class Network:
    """The kernels of `steepest.compiled.network` for one objective; Numba is loaded by the first.

    A batch is cut into parts by its number of events and the size of the network alone. How many
    threads take these parts is decided by the cores, and changes no bit.
    """

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
        """Run the steps; the θ and optimiser state given are not changed."""
        from steepest.compiled.barrier import system_calls
        from steepest.compiled.network import steps as kernel
        from steepest.compiled.rules import CODES

        theta, *copies = (_aligned_copy(vector) for vector in (theta, *optimizer_state))
        optimizer_state = tuple(copies)
        values, path = buffers(step_block, theta)
        parts = _parts(step_block.batch_size, self.model.size)
        transposed, gradient, before = (_aligned(len(theta), theta.dtype) for _ in range(3))
        gradients = _aligned((parts, len(theta)), theta.dtype)
        numbers = _aligned((parts, kernel.NUMBERS), float)
        shared = kernel.Shared(transposed, gradient, before, gradients, numbers, values, path)
        state = kernel.State(theta, *(*optimizer_state, theta[:0], theta[:0])[:2])
        options = (np.array(o, dtype=np.float64) for o in (rule.of_weights, rule.of_biases))
        arithmetic = kernel.Rule(CODES[type(rule.of_weights)], *options)
        steps = kernel.Steps(
            step_block.batch_size, step_block.rates, step_block.first_step, step_block.recorded,
            step_block.followed, self.l2, float(step_block.loss_limit), float(loss_sum),
        )  # fmt: skip
        events = self._events(step_block.events, rows_of(step_block))

        def work(member: int, members: int, words: Array) -> tuple[int, float]:
            group = kernel.Group(member, members, words, system_calls())
            return kernel.run(
                self._kernel_network, arithmetic, group, events, state, steps, shared,
                self._memory(),
            )  # fmt: skip

        with one_blas_thread():
            taken, loss_sum = BarrierGroup(parts).run(work)
        return block_result(step_block, theta, optimizer_state, taken, loss_sum, values, path)

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        """Add `scale` Σ w ∂ℓ/∂θ over the block to a float64 gradient; return Σ w ℓ."""
        from steepest.compiled.network.steps import write_gradient

        out, transposed = (_aligned(len(theta), theta.dtype) for _ in range(2))
        total = write_gradient(
            self._kernel_network, theta, transposed, self._memory(), self._events(block),
            self.dtype.type(scale), out,
        )  # fmt: skip
        gradient += out
        return total

    def losses(self, theta: Array, block: Batch) -> float:
        """Return Σ w ℓ over the block."""
        from steepest.compiled.network.steps import losses

        return losses(self._kernel_network, theta, self._memory(), self._events(block))

    def logits(self, theta: Array, inputs: Array) -> Array:
        """The logits ``(events, outputs)``; an event's bits do not depend on the others."""
        from steepest.compiled.network.logits import write_logits

        out = np.empty((len(inputs), self.model.outputs), dtype=self.dtype)
        write_logits(self._kernel_network, theta, inputs, out)
        return out

    def _events(self, batch: Batch, selected: Array | None = None) -> Any:
        from steepest.compiled.network.layout import Events

        selected = np.empty(0, dtype=np.int64) if selected is None else selected
        return Events(batch.inputs, batch.targets, weights_of(batch, self.dtype), selected)

    def _memory(self) -> Array:
        """The working arrays of one thread."""
        return _aligned(self._layout.memory_size, self.dtype)

    @cached_property
    def _layout(self) -> Any:
        from steepest.compiled.network.layout import Layout

        return Layout(self.model.widths)

    @cached_property
    def _kernel_network(self) -> Any:
        from steepest.compiled.network.layout import Network as KernelNetwork
        from steepest.compiled.pointwise import ACTIVATIONS, LOSSES

        kinds = ACTIVATIONS[self.model.activation], LOSSES[self.loss]
        return KernelNetwork(*kinds, self._layout.table, self._layout.places, self._layout.rows)


def _aligned(shape: int | tuple[int, ...], dtype: Any) -> Array:
    """An array of zeros that begins on a cache line: vectors then seldom lie on two."""
    size, item = int(np.prod(shape)), np.dtype(dtype).itemsize
    memory = np.zeros(size + 64 // item, dtype)
    start = -memory.ctypes.data % 64 // item
    return memory[start : start + size].reshape(shape)


def _aligned_copy(vector: Array) -> Array:
    copy = _aligned(vector.shape, vector.dtype)
    copy[:] = vector
    return copy


def _parts(batch_size: int, parameters: int) -> int:
    """Parts of a batch: a power of two up to 16, by its size and its work alone."""
    most = 2 ** sum(batch_size >= least for least in PARTED_FROM)
    worth = max(1, batch_size * parameters // WORTH_A_THREAD)
    return min(most, 2 ** (worth.bit_length() - 1))
