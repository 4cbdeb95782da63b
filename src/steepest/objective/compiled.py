"""The dense objective's compiled steps, losses and gradients: which kernel, arrays and threads.

`Linear` is for linear models with one output, `Network` for all others. Numba is loaded by the
first call.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from steepest.compiled.blas import one_blas_thread
from steepest.compiled.rules import CODES
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

Array = np.ndarray
PARTED_FROM = (64, 512, 2048, 8192)
"""Events of a batch from which on it has twice as many parts: each has a gradient of its own."""
_OF_THREAD = threading.local()
WORTH_A_THREAD = 400_000
"""Events times parameters of a part, at least: enough for a thread between two meetings."""


@dataclass
class _Kernels:
    model: Dense
    loss: str
    l2: float
    dtype: Any

    def __post_init__(self) -> None:
        self.l2, self.dtype = float(self.l2), np.dtype(self.dtype)

    @cached_property
    def _loss(self) -> int:
        from steepest.compiled.pointwise import LOSSES

        return LOSSES[self.loss]


class Linear(_Kernels):
    """Steps, losses and gradients of a linear model with one output."""

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        """Run a block of steps; the θ and optimiser state given are not changed."""
        from steepest.compiled.linear import run_single_steps, run_steps

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
            step_block.on_path, path, self.l2, step_block.loss_limit, loss_sum,
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
        from steepest.compiled.linear import add_gradient

        columns = self._columns(block)
        return add_gradient(self._loss, theta, *columns, self.dtype.type(scale), gradient)

    def losses(self, theta: Array, block: Batch) -> float:
        """Return Σ w ℓ over the block."""
        return self.add_block(theta, block, 0.0, np.zeros(len(theta)))  # one read of X, either way

    def _columns(self, events: Batch) -> tuple[Array, Array, Array]:
        """Inputs, targets and weights as the kernels take them."""
        columns = (
            events.inputs.reshape(-1),
            events.targets.astype(self.dtype, copy=False),
            weights_of(events, self.dtype),
        )
        inputs, targets, weights = (np.require(column, requirements="W") for column in columns)
        return inputs, targets, weights


class Network(_Kernels):
    """The kernels of `steepest.compiled.network` for one objective.

    A batch is cut into parts by its number of events and the size of the network alone. How many
    threads take these parts is decided by the cores, and changes no bit.
    """

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

        theta, *copies = (_aligned_copy(vector) for vector in (theta, *optimizer_state))
        optimizer_state = tuple(copies)
        values, path = buffers(step_block, theta)
        parts = _parts(step_block.batch_size, self.model.size)
        gradient, before = (_aligned(len(theta), theta.dtype) for _ in range(2))
        gradients = _aligned((parts, len(theta)), theta.dtype)
        numbers = _aligned((parts, kernel.NUMBERS), float)
        shared = kernel.Shared(gradient, before, gradients, numbers, values, path)
        state = kernel.State(theta, *(*optimizer_state, theta[:0], theta[:0])[:2])
        options = (np.array(o, dtype=np.float64) for o in (rule.of_weights, rule.of_biases))
        arithmetic = kernel.Rule(CODES[type(rule.of_weights)], *options)
        steps = kernel.Steps(
            step_block.batch_size, step_block.rates, step_block.first_step, step_block.recorded,
            step_block.on_path, self.l2, float(step_block.loss_limit), float(loss_sum),
        )  # fmt: skip
        events = self._events(step_block.events, rows_of(step_block))

        def work(member: int, members: int, words: Array, steps: Any = steps) -> tuple[int, float]:
            group = kernel.Group(member, members, words, system_calls())
            return kernel.run(
                self._kernel_network, arithmetic, group, events, state, steps, shared,
                self._memory(),
            )  # fmt: skip

        # No step, by one thread: it compiles, which several at once must not, and loads BLAS.
        work(0, 1, np.zeros(48, np.int64), steps._replace(rates=steps.rates[:0]))
        with one_blas_thread():
            taken, loss_sum = BarrierGroup(parts).run(work)
        return block_result(step_block, theta, optimizer_state, taken, loss_sum, values, path)

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        """Add `scale` Σ w ∂ℓ/∂θ over the block to a float64 gradient; return Σ w ℓ."""
        from steepest.compiled.network.steps import write_gradient

        out = _aligned(len(theta), theta.dtype)
        total = write_gradient(
            self._kernel_network, theta, self._memory(), self._events(block),
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
        """The working arrays of this thread, kept for its next call."""
        key = self._layout.memory_size, self.dtype
        if getattr(_OF_THREAD, "key", None) != key:
            _OF_THREAD.key, _OF_THREAD.memory = key, _aligned(*key)
        return _OF_THREAD.memory

    @cached_property
    def _layout(self) -> Any:
        from steepest.compiled.network.layout import Layout

        return Layout(self.model.widths)

    @cached_property
    def _kernel_network(self) -> Any:
        from steepest.compiled.network.layout import Network as KernelNetwork
        from steepest.compiled.pointwise import ACTIVATIONS

        kinds = ACTIVATIONS[self.model.activation], self._loss
        ones = np.ones(self._layout.rows, self.dtype)
        return KernelNetwork(
            *kinds, self._layout.table, self._layout.places, self._layout.rows, ones
        )


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
