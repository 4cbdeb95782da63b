"""Many steps of the descent: in one call of the objective, or one by one in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steepest.descent.batch_loader import BatchLoader
from steepest.descent.history import STEP_COLUMNS
from steepest.descent.plan import Plan
from steepest.descent.state import State
from steepest.descent.trajectory import Trajectory
from steepest.objective import Batch, Objective, StepBlock, SupportsStepBlocks

__all__ = ["Steps", "at_once", "norm", "one_by_one", "step_blocks"]

Array = np.ndarray


@dataclass(frozen=True)
class Steps:
    """What a step_block of steps leaves."""

    state: State
    recorded: Array
    """The numbers of the recorded steps, ``(rows,)``."""
    values: Array
    """Loss, learning rate, gradient norm and update ratio of each, ``(rows, 4)``."""
    diverged_at: int | None


def step_blocks(objective: Objective, events: Batch, plan: Plan) -> SupportsStepBlocks | None:
    """The objective, if it can predict, take gradients and steps, and repeat, in one call."""
    if isinstance(objective, SupportsStepBlocks) and objective.supports(events, plan.batch_size):
        return objective
    return None


def at_once(
    objective: SupportsStepBlocks,
    loader: BatchLoader,
    plan: Plan,
    state: State,
    rates: Array,
    trajectory: Trajectory,
) -> Steps:
    """The steps in runs over one array of events each, every run in one call."""
    theta, optimizer_state, step, loss_sum = (
        state.theta,
        state.optimizer_state,
        state.step,
        state.loss_sum,
    )
    recorded, followed = plan.recorded(step, len(rates)), trajectory.followed(step, len(rates))
    values, begin, diverged_at = [], 0, None
    for run in loader.runs(step, step + len(rates)):
        part = slice(begin, begin + run.steps)
        step_block = StepBlock(
            events=run.events,
            rows=run.rows,
            batch_size=plan.batch_size,
            rates=rates[part],
            first_step=state.step + begin,
            recorded=recorded[part],
            followed=followed[part],
            loss_limit=state.loss_limit,
            room=trajectory.room(int(np.count_nonzero(followed[part]))),
        )
        result = objective.run_steps(step_block, plan.rule, theta, optimizer_state, loss_sum)
        theta, optimizer_state, loss_sum = result.theta, result.optimizer_state, result.loss_sum
        values.append(result.values)
        trajectory.add(result.path)
        begin += result.taken
        if result.taken < run.steps:
            diverged_at = state.step + begin
            break
        del run, step_block  # and with them the window, before the next one is read
    after = state.with_changes(
        theta=theta, optimizer_state=optimizer_state, step=state.step + begin, loss_sum=loss_sum
    )
    steps = state.step + 1 + np.flatnonzero(recorded[:begin])
    return Steps(after, steps, np.concatenate(values), diverged_at)


def one_by_one(
    objective: Objective,
    loader: BatchLoader,
    plan: Plan,
    state: State,
    rates: Array,
    trajectory: Trajectory,
    stop: Callable[[], bool],
) -> Steps:
    """The same in plain Python, for any objective; ends early once `stop` says so."""
    theta, optimizer_state, step, loss_sum = (
        state.theta,
        state.optimizer_state,
        state.step,
        state.loss_sum,
    )
    diverged_at = None
    recorded: list[int] = []
    values: list[tuple[float, ...]] = []
    for rate in rates.tolist():
        batch = loader.batch(step)
        loss, gradient = objective.loss_and_gradient(theta, batch)  # predict, loss, gradient
        if not abs(loss) <= state.loss_limit:
            diverged_at = step
            break
        step += 1
        before = theta
        theta, optimizer_state = plan.rule.update(
            theta, gradient, optimizer_state, rate, step
        )  # step
        loss_sum += loss
        if step % plan.record_every == 0 or plan.ends_round(step):
            recorded.append(step)
            values.append((loss, rate, norm(gradient), _ratio(theta - before, before)))
        if trajectory.followed(step - 1, 1)[0]:
            trajectory.add(theta[None])
        if stop():
            break
    after = state.with_changes(
        theta=theta, optimizer_state=optimizer_state, step=step, loss_sum=loss_sum
    )
    table = np.array(values, dtype=np.float64).reshape(-1, len(STEP_COLUMNS))
    return Steps(after, np.array(recorded, dtype=np.int64), table, diverged_at)


def norm(vector: Array) -> float:
    """‖v‖₂."""
    return math.sqrt(float(np.dot(vector, vector)))


def _ratio(change: Array, theta: Array) -> float:
    size = norm(theta)
    return norm(change) / size if size else math.inf
