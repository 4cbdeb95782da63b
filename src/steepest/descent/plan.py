"""What a descent is asked to do, with every number decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from steepest import recipe as spec
from steepest.descent.batches import Batches
from steepest.errors import RecipeError
from steepest.optimizers import UpdateRule
from steepest.schedules import Schedule

__all__ = ["Plan"]

PATH_POINTS = 100
"""θ is kept at about so many steps evenly spaced, and as many geometrically spaced."""


@dataclass(frozen=True)
class Plan:
    """A descent's lengths, rule, rates and criteria.

    Parameters
    ----------
    events
        The number of training events.
    batch_size
        Events a step; `Plan.of` turns "all" into `events`.
    rule, learning_rate, schedule
        θ ← θ − η g, with η = `learning_rate` × the schedule's factor.
    epochs, stop, keep, record_every, validate_every, seed, checkpoint
        As in the recipe.
    first_step, first_epoch
        Where a descent goes on over other events: the numbers of its first step and epoch.
    schedule_length
        Steps in all, and steps an epoch, that the schedule reckons with; None is this plan's own.
    """

    events: int
    batch_size: int
    rule: UpdateRule
    learning_rate: float
    schedule_options: spec.Schedule
    epochs: int
    seed: int = 0
    stop: spec.Stop = field(default_factory=spec.Stop)
    keep: Literal["best", "last"] = "last"
    record_every: int = 1
    validate_every: int = 1
    checkpoint: spec.Checkpoint = field(default_factory=spec.Checkpoint)
    first_step: int = 0
    first_epoch: int = 0
    schedule_length: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        recipe: spec.DescentRecipe,
        rule: UpdateRule,
        learning_rate: float,
        events: int,
        validated: bool,
    ) -> Plan:
        """Decide what a recipe left open, for that many training events."""
        return cls(
            events=events,
            batch_size=resolve_batch_size(recipe.batch_size, events),
            rule=rule,
            learning_rate=learning_rate,
            schedule_options=recipe.schedule,
            epochs=recipe.epochs,
            seed=recipe.seed,
            stop=recipe.stop,
            keep=recipe.keep or ("best" if validated else "last"),
            record_every=recipe.record_every,
            validate_every=recipe.validate_every,
            checkpoint=recipe.checkpoint,
        )

    @cached_property
    def batches(self) -> Batches:
        """Which events each step takes."""
        return Batches(self.events, self.batch_size, self.seed, self.first_step, self.first_epoch)

    @property
    def total_steps(self) -> int:
        """Steps until the last epoch is done."""
        return self.first_step + self.epochs * self.batches.per_epoch

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rate's factor at each step."""
        length = self.schedule_length or (self.total_steps, self.batches.per_epoch)
        return Schedule(self.schedule_options, *length)

    @cached_property
    def path_steps(self) -> np.ndarray:
        """The steps at which θ is kept for the path, ascending, with the first and the last."""
        steps = self.total_steps - self.first_step
        even = np.linspace(0, steps, PATH_POINTS + 1)
        geometric = np.geomspace(1, steps, PATH_POINTS)
        points = np.unique(np.round(np.concatenate([even, geometric])).astype(np.int64))
        return self.first_step + points

    def step_block_end(self, step: int, longest: int) -> int:
        """Where the steps from `step` on must pause: a validation, a checkpoint."""
        per_round = self.validate_every * self.batches.per_epoch
        ends = [self.total_steps, step + per_round - self.steps_in_round(step), step + longest]
        if self.checkpoint.steps is not None:
            ends.append((step // self.checkpoint.steps + 1) * self.checkpoint.steps)
        return min(ends)

    def ends_round(self, step: int) -> bool:
        """Whether validation and the stopping criteria are due after so many steps."""
        return self.steps_in_round(step) == 0 or step == self.total_steps

    def recorded(self, step: int, count: int) -> np.ndarray:
        """Whether history has a row for each of the `count` steps after `step`, ``(count,)``.

        It has for every `record_every`th, and for those that end a round.
        """
        mask = np.zeros(count, dtype=bool)
        first, per_round = step + 1, self.validate_every * self.batches.per_epoch
        mask[-first % self.record_every :: self.record_every] = True
        mask[-(first - self.first_step) % per_round :: per_round] = True
        mask[self.total_steps - first : self.total_steps - first + 1] = True
        return mask

    def steps_in_round(self, step: int) -> int:
        """How many steps were taken since the last validation, when `step` are done in all."""
        return (step - self.first_step) % (self.validate_every * self.batches.per_epoch)


def resolve_batch_size(batch_size: int | Literal["all"], events: int) -> int:
    """Turn "all" into the number of events; refuse more than there are."""
    if batch_size == "all":
        return events
    if batch_size > events:
        raise RecipeError(
            f"descent.batch_size is {batch_size:,}, but there are only {events:,} training events.",
            expected=f'a number from 1 to {events:,}, or "all"',
            cause="a small sample, or a split or selection that leaves few events to train on",
            do='set descent.batch_size = "all" for batch gradient descent, or a smaller number',
        )
    return batch_size
