"""The seven steps of gradient descent: init, predict, loss, gradient, step, repeat, stop.

::

    θ = initial(seed)                   1 init
    for each batch:                     6 repeat
        ŷ = f_θ(x)                      2 predict
        J = Σ w ℓ(ŷ, y) / m             3 loss
        g = ∇J(θ)                       4 gradient
        θ = update(θ, g, η)             5 step
        at the end of some epochs:      7 stop, if a criterion holds

`descend` is this loop, in blocks of steps (`steepest.descent.steps`): Python looks at a descent at
validations, at checkpoints, and a few times a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from steepest.descent.history import History, Trajectory
from steepest.descent.plan import Plan
from steepest.descent.state import Best, Checkpointer, State, StopReason
from steepest.descent.steps import Stepper, norm
from steepest.descent.stopping import divergence, stop_reason
from steepest.errors import (
    DivergenceError,
    EventsError,
    Interrupted,
    Preempted,
    RecipeError,
    RunFolderError,
)
from steepest.objective import Batch, Objective, Stateful
from steepest.objective.over_ranks import OverRanks, memory_of_rank
from steepest.objective.stateful import Memory, memory_of, preserved_memory, restore_memory
from steepest.ranks import Ranks, current
from steepest.storage import blocks

__all__ = ["Callback", "Monitor", "Outcome", "descend"]

Array = np.ndarray
Monitor = Callable[[Array], Mapping[str, float]]
"""θ → {"validation_loss": …, "validation_auc": …}; the first entry is the loss."""

EXPLODED = 1e6
"""A batch loss so many times the loss at the start (or that of a constant) counts as exploded."""
ROUNDING = {"float32": 5e-7, "float64": 1e-14}
"""Training losses this close, relatively, are the same: the first batch loss is that of the start,
which another kernel may have computed. Validation losses all come from one."""
OF_START, OF_SLOW_START = 1_024, 16
"""Events whose mean loss is that of the start where a step takes few of them; and of objectives
whose passes take long, so that the first step comes sooner."""
SECONDS_PER_BLOCK = 0.25
SECONDS_PER_PUBLICATION = 0.5
"""Readers of a running descent see it with at most the sum of these delays."""
FASTER = 16
"""A block may have so many times as many steps as the one before."""
LONGEST = 1_000_000
"""Steps of a block at most."""


class Callback:
    """What a descent calls: base class whose methods do nothing.

    `interrupted` asks the loop to stop at once, with `Interrupted`, or with `Preempted` if that is
    set too; `enough`, looked at after each validation, asks it to end there as if a criterion held,
    and may be the sentence that says why.
    """

    interrupted = preempted = False
    enough: bool | str = False

    def begun(self, objective: Objective, events: Batch, plan: Plan, state: State) -> None:
        """A descent begins, or goes on, at a state."""

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
    buffers: Mapping[str, Array] = field(default_factory=dict)
    """The model's buffers that belong to `theta`."""


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
    ranks: Ranks | None = None,
    finish: bool = False,
) -> Outcome:
    """Minimise J(θ) until a criterion says stop.

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
        To continue from; None starts anew.
    callback
        Progress, and the wish to interrupt.
    ranks
        The processes that descend together, each with its own events; None are the current ones.
        The main one writes.
    finish
        Take no more steps: validate `state`, and end there.

    Raises
    ------
    DivergenceError
        If a loss is not finite or has exploded; names the step and the likely cause.
    Interrupted, Preempted
        If `callback.interrupted` became true; the state is saved.
    """
    ranks = ranks or current()
    descent = _Descent(
        objective if ranks.size == 1 else OverRanks(objective, ranks),
        events,
        plan,
        checkpointer,
        monitor,
        metrics,
        callback or Callback(),
        ranks,
        done=state.step if state else -1,
    )
    state = descent.resume(state) if state else descent.init()  # 1 init
    descent.callback.begun(descent.objective, events, plan, state)
    if finish:
        state = descent.finish(state)
    if state.reason is None and state.step >= plan.total_steps:
        raise RecipeError(
            f"The descent has done {plan.batches.epochs(state.step):g} epochs already.",
            expected=f"descent.epochs above {plan.batches.epochs(state.step):g}",
            found=f"{plan.epochs}",
            do="give more epochs",
        )
    while state.reason is None:  # 6 repeat
        if not descent.round_is_due(state):
            state = descent.run_steps(state)  # 2 predict, 3 loss, 4 gradient, 5 step
        if descent.round_is_due(state):
            state = descent.end_round(state)  # 7 stop, if there is a reason
        descent.record(state)
    if plan.keep == "best":
        return Outcome(state.best.theta, state.best.step, state, state.best.buffers)
    last = plan.rule.shown(state.theta, state.optimizer_state)
    return Outcome(last, state.step, state, state.memory.buffers)


@dataclass
class _Descent:
    """The parts of the loop, with the clocks and records that they share."""

    objective: Objective
    events: Batch
    plan: Plan
    checkpointer: Checkpointer
    monitor: Monitor | None
    metrics: tuple[str, ...]
    callback: Callback
    ranks: Ranks
    done: int

    def __post_init__(self) -> None:
        plan, objective = self.plan, self.objective
        on_gpu = getattr(objective, "peak_memory", lambda: None)() is not None
        self.parts = [f"training_loss_{name}" for name in getattr(objective, "loss_parts", ())]
        metrics = (*self.parts, *self.metrics, *(("peak_memory",) if on_gpu else ()))
        self.history = History(metrics, plan.batches.per_epoch, plan.first_step, plan.first_epoch)
        path_steps = plan.path_steps(objective.size * np.dtype(objective.dtype).itemsize)
        self.trajectory = Trajectory(path_steps, objective.size, objective.dtype, self.done)
        self.stepper = Stepper(objective, self.events, plan, self.trajectory)
        self.longest = 1
        self.loss: float | None = None
        self.rate: float | None = None
        self.saved_at = self.published_at = self.clock = self.ranks.clock()
        self.published = False
        self.timed = [0, 0.0]
        """Steps of this round, and the seconds that they took."""

    def init(self) -> State:
        """Step 1: θ₀, with the losses that later ones are compared with."""
        theta = self.objective.initial(self.plan.seed)
        if isinstance(self.objective, Stateful):
            self.objective.restore(self.objective.initial_memory(self.plan.seed))
        start = self.objective.loss(theta, self._some_events())
        monitored = self._monitor(theta).get("validation_loss", start)
        if not math.isfinite(start):
            raise EventsError(
                "The loss of the start is not finite.",
                expected=f"a loss that {self.objective.dtype} can hold",
                found=f"J(θ₀) = {start}",
                cause="targets, inputs or weights of enormous size",
                do='rescale them, or set descent.dtype = "float64"',
            )
        constant = self.ranks.mean(loss_of_a_constant(self.events), len(self.events))
        memory = memory_of(self.objective)
        state = State(
            theta=theta,
            optimizer_state=self.plan.rule.initial_state(theta),
            step=0,
            best=Best(theta, float(monitored), 0, memory.buffers),
            loss_limit=EXPLODED * max(abs(start), constant, 1e-300),
            memory=memory,
            relevance=self.plan.relevance,
        )
        if self.trajectory.on_path(-1, 1)[0]:
            self.trajectory.add(theta[None])
        return state

    def _some_events(self) -> Batch:
        """The events that the loss of the start is of: all if each step takes all, else some."""
        most = OF_SLOW_START if getattr(self.objective, "slow", False) else OF_START
        if self.plan.batches.whole or len(self.events) <= most:
            return self.events
        return self.events.take(np.arange(0, len(self.events), -(-len(self.events) // most)))

    def resume(self, state: State) -> State:
        """Continue from a state: the objective's buffers and random streams are those of it."""
        _refuse_other(state, self.objective, self.plan.seed)
        state = state.with_changes(memory=memory_of_rank(state.memory, self.ranks.rank))
        restore_memory(self.objective, state.memory)
        ended = state.reason is not None and state.reason.kind == "epochs"
        if ended and state.step < self.plan.total_steps:  # the recipe has become longer since
            return state.with_changes(reason=None)
        return state

    def finish(self, state: State) -> State:
        """End where the state is, which may be the best; the user is the reason to stop."""
        if state.reason is None:
            monitored = self._monitor(self._shown(state)).get("validation_loss", math.inf)
            reason = StopReason("finished", "the run was finished by its user")
            state = state.with_changes(reason=reason, best=self._best(state, monitored))
        return state

    def _best(self, state: State, monitored: float) -> Best:
        """Return the best parameters so far: those of the state, if its loss is lower by enough."""
        lowest = state.best.loss
        rounding = ROUNDING["float64" if self.monitor else self.objective.dtype]
        better = not math.isfinite(lowest) or monitored < lowest - rounding * abs(lowest)
        if not better:
            return state.best
        return Best(self._shown(state), float(monitored), state.step, state.memory.buffers)

    def _shown(self, state: State) -> Array:
        """The parameters that are validated and kept: θ, or its moving average."""
        return self.plan.rule.shown(state.theta, state.optimizer_state)

    def round_is_due(self, state: State) -> bool:
        """Whether validation and the criteria come next."""
        return self.plan.ends_round(state.step) and state.step > state.round_step

    def run_steps(self, state: State) -> State:
        """Steps 2 to 5, up to the next validation or look at the clock."""
        plan = self.plan
        end = plan.block_end(state.step, self.longest)
        rates = plan.schedule.factors(state.step, end - state.step)
        rates *= plan.learning_rate * state.plateau.factor
        taken = self.stepper.take(state, rates)
        state = taken.state.with_changes(seconds=state.seconds + self._tick(len(rates)))
        self.history.add_steps(taken.recorded, taken.values)
        if len(taken.values):
            loss, rate = self.loss, self.rate = taken.values[-1, :2].tolist()
            self.callback.steps(state, loss, rate, plan.batches.epochs(state.step))
        if taken.diverged:
            raise self._diverged(state)
        return state

    def end_round(self, state: State) -> State:
        """Step 7: validate, remember the best, and see whether there is a reason to stop."""
        plan = self.plan
        steps = state.step - state.round_step
        training_loss = state.loss_sum / steps
        of_parts = (total / steps for total in state.part_sums)
        parts = dict(zip(self.parts, of_parts, strict=False))
        metrics = self._monitor(self._shown(state))
        monitored = metrics.get("validation_loss", training_loss)
        if not (math.isfinite(monitored) and np.isfinite(state.theta).all()):
            raise self._diverged(state)
        best = self._best(state, monitored)
        state = state.with_changes(
            best=best,
            round_step=state.step,
            waited=0 if best.step == state.step else state.waited + 1,
            plateau=state.plateau.after(monitored, plan.schedule_options),
            loss_sum=0.0,
            part_sums=(),
        )
        norm_now, bounded = (
            self._gradient_norm(state.theta),
            hasattr(self.objective, "loss_function"),
        )
        reason = stop_reason(plan, state, training_loss, norm_now, bounded)
        seconds = state.seconds + self._tick(0)
        state = state.with_changes(last_loss=training_loss, reason=reason, seconds=seconds)
        row = {"training_loss": training_loss, **parts, **metrics, **self._speed(seconds)}
        self.history.add_round(row)
        self.callback.round(state, row)
        enough = self.callback.enough
        if self.ranks.any(bool(enough)) and reason is None:
            why = enough if isinstance(enough, str) else "a callback asked for it"
            state = state.with_changes(reason=StopReason("asked", why))
        if state.reason is not None:
            self.trajectory.end(state.step, state.theta)
        return state

    def _speed(self, seconds: float) -> dict[str, float]:
        """Time in all, events a second in the steps of this round, and the memory of a GPU."""
        events = self.timed[0] / self.plan.batches.per_epoch * self.plan.events
        values = {"seconds": seconds, "events_per_second": events / max(self.timed[1], 1e-9)}
        self.timed = [0, 0.0]
        if "peak_memory" in self.history.round_columns:
            values["peak_memory"] = float(self.objective.peak_memory())  # type: ignore[attr-defined]
        return values

    def record(self, state: State) -> None:
        """Checkpoint and publish where that is due; end here if the user interrupts."""
        options, running = self.plan.checkpoint, state.reason is None
        if running and self.ranks.any(self.callback.interrupted):
            self._save(state, stopped="interrupted")
            kind = Preempted if self.ranks.any(self.callback.preempted) else Interrupted
            raise kind(f"Interrupted after step {state.step:,} of {self.plan.total_steps:,}.")
        if self.clock - self.published_at >= SECONDS_PER_PUBLICATION:
            self._publish(state)
            self.published_at, self.published = self.clock, True
        due = options.steps is not None and state.step % options.steps == 0
        if state.reason is not None:
            self._save(state, stopped=state.reason.sentence)
        elif due or self.clock - self.saved_at >= options.seconds:
            self._save(state)

    def _save(self, state: State, stopped: str | None = None) -> None:
        if stopped is not None and self.published:
            self._publish(state, stopped)
        history, path = self.history.take(), self.trajectory.take()
        if isinstance(self.objective, OverRanks):
            state = state.with_changes(memory=self.objective.memory_of_all(state.memory))
        if self.ranks.is_main:
            self.checkpointer.save(state, history, path)
        self.saved_at = self.clock

    def _publish(self, state: State, stopped: str | None = None) -> None:
        """Show readers the progress and the history so far, and why the descent stopped."""
        if not self.ranks.is_main:
            return
        best = state.best.loss if math.isfinite(state.best.loss) else None  # as JSON has it
        progress = {
            "step": state.step,
            "total_steps": self.plan.total_steps,
            "epoch": self.plan.batches.epochs(state.step),
            "epochs": self.plan.epochs,
            "seconds": state.seconds,
            "loss": self.loss,
            "learning_rate": self.rate,
            "best": {"loss": best, "step": state.best.step},
            "stopped": stopped,
        }
        self.checkpointer.publish(progress, self.history.seal())

    def _diverged(self, state: State) -> DivergenceError:
        self._save(state, stopped="diverged")
        return divergence(self.objective, self.events, self.plan, state)

    def _monitor(self, theta: Array) -> dict[str, float]:
        return self.ranks.from_main(dict(self.monitor(theta)) if self.monitor else {})

    def _gradient_norm(self, theta: Array) -> float | None:
        if self.plan.stop.gradient_norm is None:
            return None
        with preserved_memory(self.objective):
            _, gradient = self.objective.loss_and_gradient(theta, self.events)
        return norm(gradient)

    def _tick(self, steps: int) -> float:
        """Seconds since the last call; also sets how long the next block may be."""
        now = self.ranks.clock()
        spent, self.clock = now - self.clock, now
        if steps:
            self.timed = [self.timed[0] + steps, self.timed[1] + spent]
            by_pace = int(steps * SECONDS_PER_BLOCK / max(spent, 1e-9))
            self.longest = max(1, min(by_pace, FASTER * max(self.longest, steps), LONGEST))
        return spent


def _refuse_other(state: State, objective: Objective, seed: int) -> None:
    """Raise RunFolderError for the state of another model."""
    fresh = objective.initial_memory(seed) if isinstance(objective, Stateful) else Memory()
    expected, found = (
        {"parameters": (size,), **{name: buffer.shape for name, buffer in memory.buffers.items()}}
        for size, memory in (
            (objective.size, fresh),
            (len(state.theta), state.memory),
        )
    )
    if expected != found or state.theta.dtype != objective.dtype:
        other = sorted(n for n in {*expected, *found} if expected.get(n) != found.get(n))
        raise RunFolderError(
            "The checkpoint is of another model.",
            expected=f"{objective.size:,} parameters in {objective.dtype}",
            found=f"{len(state.theta):,} in {state.theta.dtype}"
            + (f"; others are {', '.join(other[:5])}" if other else ""),
            cause="files of two runs were mixed, or the code of the network has changed",
            do="restore the run's own checkpoints, or train anew into another folder",
        )


def loss_of_a_constant(events: Batch) -> float:
    """Roughly the loss of a constant prediction: the targets' variance, or one for K classes."""
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
