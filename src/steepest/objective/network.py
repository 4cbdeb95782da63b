"""A dense network's compiled steps and gradients: its arrays, and who takes the steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

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
from steepest.objective.threads import Team, together
from steepest.optimizers import UpdateRule

__all__ = ["Network"]

Array = np.ndarray
PARTED_FROM = (64, 512, 2048, 8192)
"""Events of a batch from which on it has twice as many parts: each has a gradient of its own."""


class Network:
    """The kernels of `steepest.kernels.network` for one objective.

    A batch is cut into parts by its number of events alone. How many threads take these parts is
    measured, and changes no bit.
    """

    def __init__(self, model: Dense, loss: str, l2: float, dtype: str) -> None:
        self.model, self.loss, self.l2, self.dtype = model, loss, float(l2), np.dtype(dtype)
        self._teams: dict[int, Team] = {}
        self._compiled: set[tuple[Any, ...]] = set()
        self._rooms: list[_Shared] = []
        self._memories: list[Array] = []

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        """Run a block of steps; the θ and optimiser state given are not changed."""
        theta, *copies = (self._copy(vector) for vector in (theta, *optimizer_state))
        optimizer_state = tuple(copies)
        values, path = buffers(step_block, theta)
        parts = _parts(step_block.batch_size)
        team = self._teams.get(parts)
        if team is None:
            team = self._teams[parts] = Team(parts if os.name == "posix" else 1)
        shared = self._room(parts, team.most, step_block.batch_size, step_block.events.targets)
        steps = _Steps(self, step_block, rule, theta, optimizer_state, values, path, shared)
        kinds = (type(rule.of_weights), type(rule.of_biases), step_block.events.targets.dtype)
        if kinds not in self._compiled:
            steps.take(loss_sum, 0, 0, 1)  # nothing, but it is compiled, which is not to be timed
            self._compiled.add(kinds)
        taken, loss_sum = team.run(len(step_block.rates), steps.take, loss_sum)
        self._rooms.append(shared)
        return block_result(step_block, theta, optimizer_state, taken, loss_sum, values, path)

    def add_block(self, theta: Array, block: Batch, scale: float, gradient: Array) -> float:
        """Add `scale` Σ w ∂ℓ/∂θ over the block to a float64 gradient; return Σ w ℓ."""
        layout = self.layout
        with self._memory() as memory:
            return self.kernel.accumulate(
                *self.kinds, layout.table, layout.places, memory, self.block_of(block.targets),
                theta, *self.columns(block), self.dtype.type(scale), gradient,
            )  # fmt: skip

    def losses(self, theta: Array, block: Batch) -> float:
        """Return Σ w ℓ over the block."""
        layout = self.layout
        with self._memory() as memory:
            return self.kernel.losses(
                *self.kinds, layout.table, layout.places, memory, theta, *self.columns(block)
            )

    def logits(self, theta: Array, inputs: Array) -> Array:
        """Return the logits ``(events, outputs)``; an event's bits do not depend on the others."""
        out = np.empty((len(inputs), self.model.outputs), dtype=self.dtype)
        with self._memory() as memory:
            self.kernel.logits(
                self.kinds[0], self.layout.table, memory, theta, inputs.reshape(-1), out.reshape(-1)
            )
        return out

    def _room(self, parts: int, members: int, batch_size: int, targets: Array) -> _Shared:
        """What a team shares: of an earlier step_block, or new."""
        long = batch_size > self.kernel.CHUNK
        made_for = (parts, members, long, targets.dtype)
        while self._rooms:
            shared = self._rooms.pop()
            if shared.made_for == made_for:
                return shared
        from steepest.kernels.sharing import NUMBERS
        from steepest.kernels.team import COUNTED, new_words
        from steepest.kernels.vector import aligned

        return _Shared(
            made_for=made_for,
            words=new_words(),
            counted=COUNTED,
            own=tuple(
                (*self.layout.table_of(member, members), self.block_of(targets))
                for member in range(members)
            ),
            memory=self.layout.memory(members, parts),
            numbers=aligned((parts, NUMBERS), np.float64),
            chunks=np.zeros((parts, self.model.size if long else 0)),
            gradient=aligned(self.model.size, self.dtype),
        )

    @contextmanager
    def _memory(self) -> Iterator[Array]:
        """The working arrays of one thread, which the next one uses again."""
        try:
            memory = self._memories.pop()
        except IndexError:
            memory = self.layout.memory()
        yield memory
        self._memories.append(memory)

    @cached_property
    def kernel(self) -> Any:
        """The module of compiled functions; Numba is loaded by the first look."""
        from steepest.kernels import network

        return network

    @cached_property
    def _copy(self) -> Any:
        from steepest.kernels.vector import aligned_copy

        return aligned_copy

    @cached_property
    def kinds(self) -> tuple[Any, Any]:
        """The activation and the loss, as compiled code knows them."""
        from steepest.kernels.pointwise import ACTIVATIONS, LOSSES

        return ACTIVATIONS[self.model.activation], LOSSES[self.loss]

    @cached_property
    def layout(self) -> Any:
        """Where the working arrays lie."""
        from steepest.kernels.layout import Layout

        return Layout(self.model.widths, self.dtype)

    @cached_property
    def block(self) -> int:
        """Events that go through the network together."""
        from steepest.kernels.layout import BLOCK

        return BLOCK

    def block_of(self, targets: Array) -> Array:
        """Room for a block's targets."""
        from steepest.kernels.vector import aligned

        return aligned(self.block, targets.dtype)

    def columns(self, events: Batch) -> tuple[Array, Array, Array]:
        """Features (flat), targets and weights."""
        return events.inputs.reshape(-1), events.targets, weights_of(events, self.dtype)


@dataclass(frozen=True)
class _Shared:
    """What the members of a team share: for how many, and of what size, it was made."""

    made_for: tuple[Any, ...]
    words: Array
    counted: int
    own: tuple[tuple[Array, Array, Array], ...]
    memory: Array
    numbers: Array
    chunks: Array
    gradient: Array

    def mark(self) -> int:
        """How many step_blocks have begun."""
        return self._team.begun(self.words)

    def wait(self, mark: int) -> None:
        """Wait for the next step_block, about a millisecond."""
        self._team.linger(self.words, mark)

    def call(self) -> None:
        """Call who waits away."""
        self._team.ring(self.words)

    @property
    def _team(self) -> Any:
        from steepest.kernels import team

        return team


@dataclass(frozen=True)
class _Steps:
    """A step_block of steps, taken some at a time by one thread or several together."""

    network: Network
    step_block: StepBlock
    rule: UpdateRule
    theta: Array
    optimizer_state: OptimizerState
    values: Array
    path: Array
    shared: _Shared

    def take(self, loss_sum: float, first: int, count: int, members: int) -> tuple[int, float]:
        """Take steps first … first + count − 1; return how many were taken, and Σ of losses."""
        shared, step_block, now = self.shared, self.step_block, slice(first, first + count)
        network, run_steps = self.network, self.network.kernel.run_steps
        masks = step_block.recorded, step_block.followed
        row, point = (np.count_nonzero(mask[:first]) for mask in masks)
        rule = self.rule.of_weights, self.rule.of_biases
        common = (
            shared.numbers, shared.chunks, shared.gradient, *network.columns(step_block.events),
            self._rows_from(first), step_block.batch_size, self.theta, self.optimizer_state, step_block.rates[now],
            step_block.first_step + first, step_block.recorded[now], self.values[row:],
            step_block.followed[now], self.path[point:], network.l2, step_block.loss_limit, loss_sum,
        )  # fmt: skip

        def work(member: int) -> tuple[int, float]:
            table, places, targets = shared.own[member]
            return run_steps(
                *network.kinds, *rule, member, members, shared.words, table, places,
                network.layout.gradients, shared.memory, targets, *common,
            )  # fmt: skip

        shared.words[: shared.counted] = 0
        return together(work, members, partial(shared.words.fill, 1), shared)

    def _rows_from(self, first: int) -> Array:
        """The rows of the steps from `first` on."""
        return rows_of(self.step_block)[first * self.step_block.batch_size :]


def _parts(batch_size: int) -> int:
    """Parts of a batch: 1 to 16."""
    return 2 ** sum(batch_size >= least for least in PARTED_FROM)
