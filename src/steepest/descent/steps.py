"""A block of steps: one by one in Python, or many in one call of the objective.

`Stepper.one_by_one` shows what a step is, and serves any objective. `Stepper.in_blocks` does the
same with an objective that takes many steps in one call, in compiled code or on a device. Such an
objective converts θ once at each end of a block. Between blocks it may keep its own copy: it is
given back the very arrays that it returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from steepest.descent.batch_loader import BatchLoader
from steepest.descent.history import STEP_COLUMNS, Trajectory
from steepest.descent.plan import Plan
from steepest.descent.state import State
from steepest.objective import Batch, Objective, StepBlock, SupportsStepBlocks
from steepest.objective.stateful import Stateful, memory_of, restore_memory

Array = np.ndarray


@dataclass(frozen=True)
class StepsTaken:
    """What a block of steps leaves."""

    state: State
    recorded: Array
    """The numbers of the recorded steps, ``(rows,)``."""
    values: Array
    """Loss, learning rate, gradient norm and update ratio of each, ``(rows, 4)``."""
    diverged: bool = False
    """Whether the loss of the next step is above the limit."""


class Stepper:
    """Takes the steps of a descent.

    Parameters
    ----------
    objective, events, plan
        J, the training events, and which of them each step takes.
    trajectory
        Is given θ after the steps that it follows.
    """

    def __init__(
        self, objective: Objective, events: Batch, plan: Plan, trajectory: Trajectory
    ) -> None:
        self.objective, self.plan, self.trajectory = objective, plan, trajectory
        in_order = bool(getattr(objective, "in_order", False))
        self.loader = BatchLoader(events, plan.batches, in_order, plan.total_steps)
        self.stateful = isinstance(objective, Stateful)
        self.blocks = None
        any_rule = plan.rule.is_plain or getattr(objective, "any_rule", False)
        if any_rule and isinstance(objective, SupportsStepBlocks):
            self.blocks = objective if objective.supports(events, plan.batch_size) else None

    def take(self, state: State, rates: Array) -> StepsTaken:
        """Take a step at each η; stop before one whose loss is above the limit."""
        with np.errstate(all="ignore"):  # what overflows is found by its loss
            if self.blocks is None:
                return self.one_by_one(state, rates)
            return self.in_blocks(self.blocks, state, rates)

    def one_by_one(self, state: State, rates: Array) -> StepsTaken:
        """Take each step in Python: predict, loss and gradient in one call, then the update."""
        first, rule = state.step, self.plan.rule
        recorded = self.plan.recorded(first, len(rates))
        on_path = self.trajectory.on_path(first, len(rates))
        theta, optimizer_state, memory = state.theta, state.optimizer_state, state.memory
        loss_sum, step, values, diverged = state.loss_sum, first, [], False
        for rate in rates.tolist():
            batch = self.loader.batch(step)
            loss, gradient = self.objective.loss_and_gradient(theta, batch)  # 2 to 4
            if not abs(loss) <= state.loss_limit:
                restore_memory(self.objective, memory)
                diverged = True
                break
            before = theta  # 5 step
            theta, optimizer_state = rule.update(theta, gradient, optimizer_state, rate, step + 1)
            loss_sum += loss
            if self.stateful:
                memory = memory_of(self.objective)
            if recorded[step - first]:
                values.append((loss, rate, norm(gradient), _ratio(theta - before, before)))
            if on_path[step - first]:
                self.trajectory.add(theta[None])
            step += 1
        state = state.with_changes(
            theta=theta,
            optimizer_state=optimizer_state,
            step=step,
            loss_sum=loss_sum,
            memory=memory,
        )
        numbers = first + 1 + np.flatnonzero(recorded[: step - first])
        table = np.array(values, dtype=np.float64).reshape(-1, len(STEP_COLUMNS))
        return StepsTaken(state, numbers, table, diverged)

    def in_blocks(self, objective: SupportsStepBlocks, state: State, rates: Array) -> StepsTaken:
        """Take the steps over one array of events in one call, array by array."""
        first, plan = state.step, self.plan
        recorded = plan.recorded(first, len(rates))
        on_path = self.trajectory.on_path(first, len(rates))
        numbers, values, diverged = [], [], False
        for run in self.loader.runs(first, first + len(rates)):
            part = slice(state.step - first, state.step - first + run.steps)
            block = StepBlock(
                events=run.events,
                rows=run.rows,
                batch_size=plan.batch_size,
                rates=rates[part],
                first_step=state.step,
                recorded=recorded[part],
                on_path=on_path[part],
                loss_limit=state.loss_limit,
                path_buffer=self.trajectory.buffer(int(np.count_nonzero(on_path[part]))),
                counts=run.counts,
            )
            result = objective.run_steps(
                block, plan.rule, state.theta, state.optimizer_state, state.loss_sum
            )
            if result.exceeded:
                taken = self._rolled_back(state, rates[part])
            else:
                self.trajectory.add(result.path)
                steps = state.step + 1 + np.flatnonzero(block.recorded[: result.taken])
                after = state.with_changes(
                    theta=result.theta,
                    optimizer_state=result.optimizer_state,
                    step=state.step + result.taken,
                    loss_sum=result.loss_sum,
                )
                if result.loss_parts is not None:
                    sums = _summed(state.part_sums, result.loss_parts)
                    after = after.with_changes(part_sums=sums)
                if self.stateful:
                    after = after.with_changes(memory=memory_of(objective))
                taken = StepsTaken(after, steps, result.values, result.taken < run.steps)
            state, diverged = taken.state, taken.diverged
            numbers.append(taken.recorded)
            values.append(taken.values)
            if diverged:
                break
            del run, block  # and with them the window, before the next one is read
        return StepsTaken(state, _joined(numbers), _joined(values), diverged)

    def _rolled_back(self, state: State, rates: Array) -> StepsTaken:
        """Take a block again, one by one from its beginning: some loss in it was above the limit.

        Should rounding keep each loss below it now, the descent has diverged at the block's end.
        """
        restore_memory(self.objective, state.memory)
        return replace(self.one_by_one(state, rates), diverged=True)


def _summed(sums: tuple[float, ...], parts: Array) -> tuple[float, ...]:
    """The sums, and the parts of each step's loss added one by one: blocks of any length agree."""
    for row in parts.tolist():
        sums = tuple(a + b for a, b in zip(sums or (0.0,) * len(row), row, strict=True))
    return sums


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def norm(vector: Array) -> float:
    """‖v‖₂."""
    return math.sqrt(float(np.dot(vector, vector)))


def _ratio(change: Array, theta: Array) -> float:
    size = norm(theta)
    return norm(change) / size if size else math.inf
