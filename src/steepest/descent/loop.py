"""The seven steps, under their names: init, predict, loss, gradient, step, repeat, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from steepest.descent.batch_loader import BatchLoader
from steepest.descent.divergence import divergence
from steepest.descent.history import History
from steepest.descent.plan import Plan
from steepest.descent.state import Best, Checkpointer, State, StopReason
from steepest.descent.steps import at_once, norm, one_by_one, step_blocks
from steepest.descent.stopping import stop_reason
from steepest.descent.trajectory import Trajectory
from steepest.errors import DivergenceError, EventsError, Interrupted
from steepest.objective import Batch, Objective
from steepest.storage import blocks

__all__ = ["Callback", "Monitor", "Outcome", "descend"]

Array = np.ndarray
Monitor = Callable[[Array], Mapping[str, float]]
"""θ → {"validation_loss": …, "validation_auc": …}; the first entry is the loss."""

EXPLODED = 1e6
"""A batch loss so many times the loss at the start (or that of a constant) counts as exploded."""
ROUNDING = 1e-14
"""Losses this close, relatively, are the same: the first batch loss is that of the start."""
SECONDS_PER_BLOCK = 0.5
FASTER = 16
"""A step_block may have so many times as many steps as the one before."""
LARGEST_PATH = 64 * 2**20
"""Bytes of θ's path that are kept at most; above, no path."""


class Callback:
    """Looks on: base class whose methods do nothing.

    `interrupted` asks the loop to stop at once, with `Interrupted`; `enough`, looked at after each
    validation, asks it to end there as if a criterion held.
    """

    interrupted = False
    enough = False

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        """Some steps were taken."""

    def round(self, state: State, values: Mapping[str, float | None]) -> None:
        """A validation was done."""


@dataclass(frozen=True)
class Outcome:
    """Where a descent ended: the parameters to keep, when they were seen, and the last state."""

    theta: Array
    step: int
    state: State


def descend(
    objective: Objective,
    events: Batch,
    plan: Plan,
    checkpointer: Checkpointer,
    *,
    monitor: Monitor | None = None,
    metrics: tuple[str, ...] = (),
    state: State | None = None,
    callback: Callback | None = None,
) -> Outcome:
    """Go down on J(θ) until a criterion says stop.

    Parameters
    ----------
    objective, events
        J, and the training events.
    plan
        Lengths, rule, rates, criteria.
    checkpointer
        Where checkpoints go; the last state is always saved.
    monitor, metrics
        The validation, if there is one, and the names of what it returns.
    state
        To go on from; None starts anew.
    callback
        Progress, and the wish to interrupt.

    Raises
    ------
    DivergenceError
        If a loss is not finite or has exploded; names the step and the likely cause.
    Interrupted
        If `callback.interrupted` became true; the state is saved.
    """
    callback = callback or Callback()
    done = state.step if state else -1
    walk = _Walk(objective, events, plan, checkpointer, monitor, metrics, done)
    state = state or walk.init()  # 1 init
    if plan.ends_round(state.step) and state.step > state.round_step:  # it diverged just there
        state = walk.end_round(state, callback)
    while state.reason is None:
        state = walk.step_block(state, callback)  # 2 predict, 3 loss, 4 gradient, 5 step; 6 repeat
        if plan.ends_round(state.step):
            state = walk.end_round(state, callback)  # 7 stop, if there is a reason
        if callback.interrupted and state.reason is None:
            walk.save(state)
            raise Interrupted(f"Interrupted after step {state.step:,} of {plan.total_steps:,}.")
        walk.save_if_due(state)
    if plan.keep == "best":
        return Outcome(state.best.theta, state.best.step, state)
    return Outcome(state.theta, state.step, state)


class _Walk:
    """The parts of the loop, and the clocks and records that they share."""

    def __init__(
        self,
        objective: Objective,
        events: Batch,
        plan: Plan,
        checkpointer: Checkpointer,
        monitor: Monitor | None,
        metrics: tuple[str, ...],
        done: int,
    ) -> None:
        self.objective, self.events, self.plan = objective, events, plan
        self.checkpointer, self.monitor = checkpointer, monitor
        self.history = History(metrics, plan.batches.per_epoch, plan.first_step, plan.first_epoch)
        path_bytes = len(plan.path_steps) * objective.size * np.dtype(objective.dtype).itemsize
        points = plan.path_steps if path_bytes <= LARGEST_PATH else plan.path_steps[:0]
        self.trajectory = Trajectory(points, objective.size, objective.dtype, done)
        self.longest = 1
        self.quick = step_blocks(objective, events, plan)
        in_order = bool(getattr(objective, "in_order", False))
        self.loader = BatchLoader(events, plan.batches, in_order, plan.total_steps)
        self.saved_at = self.clock = time.monotonic()

    def init(self) -> State:
        """Step 1: θ₀, with the losses that later ones are compared with."""
        theta = self.objective.initial(self.plan.seed)
        start = self.objective.loss(theta, self.events)
        monitored = self._monitor(theta).get("validation_loss", start)
        if not math.isfinite(start):
            raise EventsError(
                "The loss of the start is not finite.",
                expected=f"a loss that {self.objective.dtype} can hold",
                found=f"J(θ₀) = {start}",
                cause="targets, inputs or weights of enormous size",
                do='rescale them, or set descent.dtype = "float64"',
            )
        limit = EXPLODED * max(abs(start), _loss_of_a_constant(self.events), 1e-300)
        state = State(
            theta, self.plan.rule.initial_state(theta), 0, Best(theta, float(monitored), 0), limit
        )
        if self.trajectory.followed(-1, 1)[0]:
            self.trajectory.add(theta[None])
        return state

    def step_block(self, state: State, callback: Callback) -> State:
        """Take the steps up to the next validation or look at the clock."""
        plan = self.plan
        end = plan.step_block_end(state.step, self.longest)
        rates = plan.schedule.factors(state.step, end - state.step)
        rates *= plan.learning_rate * state.plateau.factor
        with np.errstate(all="ignore"):  # what overflows is found by its loss
            if self.quick is not None:
                steps = at_once(self.quick, self.loader, plan, state, rates, self.trajectory)
            else:
                steps = one_by_one(
                    self.objective, self.loader, plan, state, rates, self.trajectory,
                    lambda: callback.interrupted,
                )  # fmt: skip
        state = steps.state.with_changes(seconds=state.seconds + self._tick(len(rates)))
        self.history.add_steps(steps.recorded, steps.values)
        if len(steps.values):
            loss, rate = steps.values[-1, :2]
            callback.steps(state, loss, rate, plan.batches.epochs(state.step))
        if steps.diverged_at is not None:
            raise self._diverged(state, steps.diverged_at)
        return state

    def end_round(self, state: State, callback: Callback) -> State:
        """Validate, remember the best, and see whether there is a reason to stop."""
        plan = self.plan
        training_loss = state.loss_sum / (plan.steps_in_round(state.step - 1) + 1)
        metrics = dict(self._monitor(state.theta))
        monitored = metrics.get("validation_loss", training_loss)
        if not (math.isfinite(monitored) and np.isfinite(state.theta).all()):
            raise self._diverged(state, state.step)
        better = monitored < state.best.loss - ROUNDING * abs(state.best.loss)
        state = state.with_changes(
            best=Best(state.theta, float(monitored), state.step) if better else state.best,
            round_step=state.step,
            waited=0 if better else state.waited + 1,
            plateau=state.plateau.after(monitored, plan.schedule_options),
            loss_sum=0.0,
        )
        reason = stop_reason(plan, state, training_loss, self._gradient_norm(state.theta))
        seconds = state.seconds + self._tick(0)
        state = state.with_changes(last_loss=training_loss, reason=reason, seconds=seconds)
        row = {"training_loss": training_loss, **metrics, "seconds": state.seconds}
        self.history.add_round(row)
        callback.round(state, row)
        if callback.enough and reason is None:
            state = state.with_changes(reason=StopReason("asked", "who looks on asked for it"))
        return state

    def save_if_due(self, state: State) -> None:
        """Checkpoint at the end, and when enough time or enough steps have gone by."""
        options = self.plan.checkpoint
        due = options.steps is not None and state.step % options.steps == 0
        if due or state.reason is not None or time.monotonic() - self.saved_at >= options.seconds:
            self.save(state)

    def save(self, state: State) -> None:
        """Checkpoint now."""
        self.checkpointer.save(state, self.history.take(), self.trajectory.take())
        self.saved_at = time.monotonic()

    def _diverged(self, state: State, step: int) -> DivergenceError:
        self.save(state)
        return divergence(self.objective, self.events, self.plan, state, step)

    def _monitor(self, theta: Array) -> Mapping[str, float]:
        return self.monitor(theta) if self.monitor is not None else {}

    def _gradient_norm(self, theta: Array) -> float | None:
        if self.plan.stop.gradient_norm is None:
            return None
        return norm(self.objective.loss_and_gradient(theta, self.events)[1])

    def _tick(self, steps: int) -> float:
        """Seconds since the last call; also sets how long the next step_block may be."""
        now = time.monotonic()
        spent, self.clock = now - self.clock, now
        if steps:
            by_pace = int(steps * SECONDS_PER_BLOCK / max(spent, 1e-9))
            self.longest = max(1, min(by_pace, FASTER * max(self.longest, steps), 1_000_000))
        return spent


def _loss_of_a_constant(events: Batch) -> float:
    """About the loss of a constant prediction: the targets' variance, or one for K classes."""
    if np.issubdtype(events.targets.dtype, np.integer):
        return 1.0
    count, mean, squares = 0, 0.0, 0.0
    for (targets,) in blocks(events.targets):
        block = targets.astype(np.float64)
        centre, size = float(block.mean()), len(block)
        squares += float(block.var()) * size + (centre - mean) ** 2 * count * size / (count + size)
        mean += (centre - mean) * size / (count + size)
        count += size
    return squares / count
