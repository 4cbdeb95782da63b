"""Trial runs: the descent itself, in a fraction of its steps, judged by events it does not see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from steepest import recipe as spec
from steepest.descent.history import Trajectory
from steepest.descent.plan import Plan
from steepest.descent.state import Best, State
from steepest.descent.steps import Stepper
from steepest.objective import Batch, Objective
from steepest.objective.stateful import Stateful, memory_of, restore_memory
from steepest.optimizers import UpdateRule
from steepest.ranks import Share, current

PART, LEAST_STEPS, MOST_STEPS = 5, 600, 1000
"""Long trial runs take this part of the descent's steps, within limits."""
HELD_OUT, MOST_HELD_OUT, FEW = 5, 4096, 2000
"""One in so many events is held out of the trial runs, of few events one in three; and at most."""
FOLDS = ((1000, 5), (4000, 3))
"""Below so many events, so many fifths of them judge trial runs of η in turn."""
FAR = 50.0
"""Events with larger inputs are never held out."""
MOST_EVENTS = 100_000
"""Events of trial runs at most, evenly spaced."""
LOOKS = 6
"""A trial run is judged after each of so many parts of it but the first; the lowest loss counts."""


class Trials:
    """Short descents from the same start, by which choices are compared.

    `judge` gives the loss that counts, of events that are held out; None is `objective`.
    """

    def __init__(
        self,
        objective: Objective,
        events: Batch,
        share: Share,
        rule: UpdateRule,
        batch_size: int,
        seed: int,
        steps: int | None,
        schedule: spec.Schedule,
        judge: Objective | None = None,
    ) -> None:
        self.judge = judge or objective
        self.objective, self.rule, self.seed, self.schedule = objective, rule, seed, schedule
        self.whole = batch_size >= share.events
        self.own_events, self.share, self.batch_size = events, share, batch_size
        self.per_epoch = -(-share.events // batch_size)
        self.steps = steps or self.per_epoch
        self.long = min(self.steps, max(self.steps // PART, LEAST_STEPS), MOST_STEPS)

    def spaced(self, most: int) -> Batch:
        """At most so many of all events, evenly spaced, in memory; of many ranks, of all."""
        taken = self.own_events.take(self.share.spaced(most))
        ranges = current().gather(self.share.ranges)
        if len(ranges) == 1:
            return taken
        events = Batch.joined(current().gather(taken))
        step = -(-self.share.events // most)
        numbers = [np.arange(-(-a // step), -(-b // step)) for of in ranges for a, b in of]
        return events.take(np.argsort(np.concatenate(numbers)))

    def split(self) -> tuple[Batch, Batch]:
        """Events to train on, and events to be judged by; the same ones where there are few."""
        events = self.spaced(MOST_EVENTS)
        out = _held_out(events, _each(events))
        kept = events.take(np.flatnonzero(~out))
        return kept, events.take(np.flatnonzero(out)) if out.any() else kept

    def folds(self) -> list[tuple[Batch, Batch]]:
        """Splits like `split`, of few events several (`FOLDS`), that hold out a fifth each."""
        events = self.spaced(MOST_EVENTS)
        turns = next((turns for below, turns in FOLDS if len(events) < below), 1)
        outs = [_held_out(events, HELD_OUT, first) for first in range(turns)]
        every = np.arange(len(events))
        folds = [(events.take(every[~out]), events.take(every[out])) for out in outs if out.any()]
        return folds or [(events, events)]

    @property
    def turns(self) -> int:
        """In so many turns of `rows` all events are held out once."""
        return _each(self.spaced(MOST_EVENTS))

    def rows(self, turn: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Which of the own events `split` gives, where no other rank has any; or other ones."""
        rows = np.arange(len(self.own_events))[self.share.spaced(MOST_EVENTS)]
        own = self.own_events.take(rows)
        out = _held_out(own, _each(own), turn)
        return rows[~out], rows[out] if out.any() else rows[~out]

    def by_rates(
        self, tried: Callable[[float], list[Any]], rates: Sequence[float]
    ) -> list[list[Any]]:
        """What each rate gives; of many ranks each tries some of them."""
        rank, size = current().rank, current().size
        found = current().gather([tried(rate) for rate in rates[rank::size]])
        return [found[index % size][index // size] for index in range(len(rates))]

    def lowest(
        self, rate: float, steps: int, kept: Batch, judged: Batch, groups: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """The losses of so many groups of `judged` at the look where they are lowest, and θ."""
        looks = [steps * k // LOOKS for k in range(2, LOOKS)]
        found, theta = self.descent(rate, steps, kept, _groups(judged, groups), looks)
        return np.array(min(found, key=np.mean)), theta

    def losses(
        self, rate: float, steps: int, kept: Batch, judged: Batch, looks: Sequence[int] = ()
    ) -> list[float]:
        """The loss of `judged` after each step in `looks`, and after the last; infinite if lost."""
        return [loss for (loss,) in self.descent(rate, steps, kept, [judged], looks)[0]]

    def descent(
        self,
        rate: float,
        steps: int,
        kept: Batch,
        judged: Sequence[Batch],
        looks: Sequence[int] = (),
    ) -> tuple[list[list[float]], np.ndarray]:
        """The losses of each group of `judged` after each look, and where the trial run ends."""
        size = len(kept) if self.whole else min(self.batch_size, len(kept))
        each = max(1, round(self.per_epoch * steps / self.steps))
        epochs = -(-steps // -(-len(kept) // size))
        plan = Plan(
            events=len(kept), batch_size=size, rule=self.rule, learning_rate=rate, seed=self.seed,
            schedule_options=self.schedule, epochs=epochs, record_every=steps + epochs,
            validate_every=epochs, schedule_length=(steps, each),
        )  # fmt: skip
        theta = self.objective.initial(self.seed)
        if isinstance(self.objective, Stateful):
            self.objective.restore(self.objective.initial_memory(self.seed))
        nothing = Trajectory(np.empty(0, dtype=np.int64), len(theta), str(theta.dtype), 0)
        stepper = Stepper(self.objective, kept, plan, nothing)
        start = self._judged(theta, judged)[0]
        limit = 1e6 * max(abs(start), 1e-300)
        state = State(theta, self.rule.initial_state(theta), 0, Best(theta, start, 0), limit,
                      memory=memory_of(self.objective))  # fmt: skip
        found = []
        for end in sorted({*(look for look in looks if 0 < look < steps), steps}):
            rates = rate * plan.schedule.factors(state.step, end - state.step)
            taken = stepper.take(state, rates)
            state = taken.state
            lost = taken.diverged or not np.isfinite(state.theta).all()
            losses = [math.inf] * len(judged) if lost else self._judged(state.theta, judged)
            found.append([loss if math.isfinite(loss) else math.inf for loss in losses])
            if lost:
                break
        return found, state.theta

    def _judged(self, theta: np.ndarray, groups: Sequence[Batch]) -> list[float]:
        """The judge's loss of each group, with the buffers that the descent has moved."""
        restore_memory(self.judge, memory_of(self.objective))
        return [self.judge.loss(theta, events) for events in groups]


def _groups(events: Batch, count: int) -> list[Batch]:
    """The events in so many groups, dealt out in turn."""
    every = np.arange(len(events))
    return [events.take(every[first::count]) for first in range(count)] if count > 1 else [events]


def _each(events: Batch) -> int:
    return 3 if len(events) < FEW else HELD_OUT


def _held_out(events: Batch, each: int, first: int = 0) -> np.ndarray:
    """Which events judge the trial runs: one in `each`, from the event `first` on."""
    out = np.zeros(len(events), dtype=bool)
    out[first :: max(each, -(-len(events) // MOST_HELD_OUT))] = True
    if len(events) < 4 * HELD_OUT:
        out[:] = False
    inputs = events.inputs
    if isinstance(inputs, np.ndarray):  # one event must not judge alone, but be survived
        out &= np.abs(inputs).max(axis=1, initial=0.0) <= FAR
    return out
