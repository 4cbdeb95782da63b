"""An objective over many ranks: each holds its own events, and J is that of all of them.

J = Σᵣ mᵣ Jᵣ / Σᵣ mᵣ with mᵣ the events of rank r's batch, and its derivatives likewise. The
loss, the gradient and the buffers of a step go into one sum over all ranks; buffers are the mean
over the ranks. The steps of networks take batch normalisations over the whole batch
(`steepest.objective.batch_norm`). A random stream is each rank's own: ranks drop other units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from steepest.objective.base import Batch, CurvatureBounds, Objective
from steepest.objective.stateful import Memory, Stateful, memory_of, restore_memory
from steepest.objective.step_block import OptimizerState, StepBlock, StepBlockResult
from steepest.optimizers import UpdateRule
from steepest.ranks import Ranks

Array = np.ndarray
RANK_STREAM = 7
"""Keeps the seeds of the ranks' random streams apart from other seeds."""
RANKS = "ranks"
"""Where a checkpoint has the random streams of each rank."""


def memory_of_rank(memory: Memory, rank: int) -> Memory:
    """What a checkpoint holds for that rank; without random streams for one that it had not."""
    every = memory.streams.get(RANKS, [memory.streams])
    return Memory(memory.buffers, every[rank] if rank < len(every) else {})


class OverRanks:
    """J(θ) over the batches of all ranks, of which this one is given its own.

    Parameters
    ----------
    objective
        J of the events of one rank.
    ranks
        The processes; all of them make the same calls.
    """

    def __init__(self, objective: Objective, ranks: Ranks) -> None:
        self.objective, self.ranks = objective, ranks
        self.size, self.dtype = objective.size, objective.dtype
        self.weight_mask = objective.weight_mask

    def __getattr__(self, name: str) -> Any:
        """What is the same on all ranks, such as the model and the loss function."""
        if name == "objective":  # before it is set, as when a copy is made
            raise AttributeError(name)
        return getattr(self.objective, name)

    def initial(self, seed: int) -> Array:
        """θ to start from."""
        return self.objective.initial(seed)

    def loss(self, theta: Array, batch: Batch) -> float:
        """J(θ)."""
        value = self.objective.loss(theta, batch) if len(batch) else 0.0
        return self.ranks.mean(value, len(batch))

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """J(θ) and ∇J(θ), by one sum over the ranks in float64."""
        buffers = memory_of(self.objective).buffers
        packed = np.zeros(self.size + 2 + sum(b.size for b in buffers.values()))
        if len(batch):
            loss, gradient = self.objective.loss_and_gradient(theta, batch)
            buffers = memory_of(self.objective).buffers
            packed[: self.size], packed[self.size] = gradient, loss
            packed[: self.size + 1] *= len(batch)
        packed[self.size + 1] = len(batch)
        if buffers:
            packed[self.size + 2 :] = np.concatenate([b.ravel() for b in buffers.values()])
        packed = self.ranks.sum(packed)
        packed[: self.size + 1] /= packed[self.size + 1]
        if buffers:
            self._restore_buffers(buffers, packed[self.size + 2 :] / self.ranks.size)
        return float(packed[self.size]), packed[: self.size].astype(self.dtype)

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        """∇²J(θ) · vector."""
        product = np.zeros(self.size)
        if len(batch):
            product += self.objective.hessian_vector(theta, vector, batch)
        return self._mean(product, len(batch)).astype(self.dtype)

    def hessian(self, theta: Array, batch: Batch) -> Array | None:
        """∇²J(θ) as a matrix, where the objective has a way to it."""
        faster = getattr(self.objective, "hessian", None)
        matrix = faster(theta, batch) if faster is not None else None
        return None if matrix is None else self._mean(matrix, len(batch))

    def curvature_bounds(self, batch: Batch) -> CurvatureBounds | None:
        """What bounds ∇²J everywhere: the objective itself asks the other ranks."""
        return self.objective.curvature_bounds(batch)

    def predict(self, theta: Array, batch: Batch) -> Array:
        """Predictions for this rank's events."""
        return self.objective.predict(theta, batch)

    def supports(self, events: Batch, batch_size: int) -> bool:
        """Whether the objective takes blocks of steps whose gradients are sums over ranks."""
        inner: Any = self.objective
        return getattr(inner, "over_ranks", False) and inner.supports(events, batch_size)

    def run_steps(
        self,
        step_block: StepBlock,
        rule: UpdateRule,
        theta: Array,
        optimizer_state: OptimizerState,
        loss_sum: float,
    ) -> StepBlockResult:
        """Run many steps, each with a sum over the ranks."""
        inner: Any = self.objective
        block = replace(step_block, ranks=self.ranks)
        return inner.run_steps(block, rule, theta, optimizer_state, loss_sum)

    def initial_memory(self, seed: int) -> Memory:
        """The buffers at the start, and this rank's random streams."""
        if not isinstance(self.objective, Stateful):
            return Memory()
        start = self.objective.initial_memory(seed)
        return Memory(start.buffers, self._streams(seed))

    def _streams(self, seed: int) -> dict[str, Any]:
        assert isinstance(self.objective, Stateful)
        words = np.random.SeedSequence([seed, RANK_STREAM, self.ranks.rank]).generate_state(1)
        return dict(self.objective.initial_memory(int(words[0])).streams)

    def memory(self) -> Memory:
        """A copy of the memory as it is on this rank."""
        return memory_of(self.objective)

    def restore(self, memory: Memory) -> None:
        """Go on from that memory; without random streams in it, these begin."""
        if isinstance(self.objective, Stateful):
            self.objective.restore(
                Memory(memory.buffers, memory.streams or self._streams(RANK_STREAM))
            )

    def memory_of_all(self, memory: Memory) -> Memory:
        """The memory for a checkpoint, with the random streams of every rank; for the main one."""
        if not memory.streams:
            return memory
        return Memory(memory.buffers, {RANKS: self.ranks.to_main(dict(memory.streams))})

    def _mean(self, values: Array, events: int) -> Array:
        total = self.ranks.sum(np.append((values * events).ravel(), float(events)))
        return (total[:-1] / total[-1]).reshape(values.shape)

    def _restore_buffers(self, buffers: Any, values: Array) -> None:
        restored, start = {}, 0
        for name, buffer in buffers.items():
            part = values[start : start + buffer.size].reshape(buffer.shape)
            whole = np.issubdtype(buffer.dtype, np.integer)
            restored[name] = (np.rint(part) if whole else part).astype(buffer.dtype)
            start += buffer.size
        restore_memory(self.objective, Memory(restored, memory_of(self.objective).streams))
