"""What a descent is to do, with every number decided."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from steepest import recipe as spec
from steepest.descent.batches import Batches
from steepest.descent.history import MOST_STEPS, recorded_steps
from steepest.errors import RecipeError
from steepest.optimizers import UpdateRule
from steepest.ranks import Share
from steepest.schedules import Schedule

PATH_POINTS = 100
"""θ is kept at about so many steps evenly spaced, and as many geometrically spaced."""
LARGEST_PATH = 64 * 2**20
"""Bytes of the path at most: of a large θ fewer steps are kept."""


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
    epochs, stop, keep, validate_every, seed, checkpoint
        As in the recipe.
    record_every
        The history has every so many steps; "auto" is some 20,000 of them, evenly in log-time.
    first_step, first_epoch
        Where a descent goes on over other events: the numbers of its first step and epoch.
    schedule_length
        Steps in all, and steps an epoch, that the schedule reckons with; None is this plan's own.
    share, ranks
        Of many ranks: the events that this one holds, and how many ranks there are.
    relevance
        By what the inputs are multiplied beside their scaling; empty for nothing.
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
    record_every: int | Literal["auto"] = "auto"
    validate_every: int = 1
    checkpoint: spec.Checkpoint = field(default_factory=spec.Checkpoint)
    first_step: int = 0
    first_epoch: int = 0
    schedule_length: tuple[int, int] | None = None
    share: Share | None = None
    ranks: int = 1
    relevance: tuple[float, ...] = ()

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
        recipe = decided(recipe, events, validated)
        assert isinstance(recipe.epochs, int)
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
            record_every=recipe.history.every,
            validate_every=recipe.validate_every,
            checkpoint=recipe.checkpoint,
        )

    @cached_property
    def batches(self) -> Batches:
        """Which events each step takes."""
        of = self.events, self.batch_size, self.seed, self.first_step, self.first_epoch
        return Batches(*of, share=self.share, ranks=self.ranks)

    @cached_property
    def total_steps(self) -> int:
        """Steps until the last epoch is done."""
        return self.first_step + self.epochs * self.batches.per_epoch

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rate's factor at each step."""
        length = self.schedule_length or (self.total_steps, self.batches.per_epoch)
        return Schedule(self.schedule_options, *length)

    def path_steps(self, theta_bytes: int = 0) -> np.ndarray:
        """The steps after which θ is kept for the path, ascending, with the first and the last.

        A θ of so many bytes is kept as often as `LARGEST_PATH` has room for, but at least twice.
        """
        steps = self.total_steps - self.first_step
        points = max(2, LARGEST_PATH // max(theta_bytes, 1))
        each = min(PATH_POINTS, points // 2) if points > 3 else 0
        even = np.linspace(0, steps, each + 1 if each else points)
        geometric = np.geomspace(1, steps, each)
        kept = np.unique(np.round(np.concatenate([even, geometric])).astype(np.int64))
        return self.first_step + kept

    def block_end(self, step: int, longest: int) -> int:
        """Where the block of steps that begins at `step` must end, after `longest` at most.

        It ends at a validation, a checkpoint and the last step.
        """
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

        The steps that end a round always have one. The others are chosen by their number alone, so
        that a resumed descent records the same ones.
        """
        mask = np.zeros(count, dtype=bool)
        first, per_round = step + 1, self.validate_every * self.batches.per_epoch
        if self.record_every != "auto":
            mask[-first % self.record_every :: self.record_every] = True
        elif self.total_steps - self.first_step <= MOST_STEPS:
            mask[:] = True
        else:
            begin, end = self._recorded_steps.searchsorted([first, first + count])
            mask[self._recorded_steps[begin:end] - first] = True
        mask[-(first - self.first_step) % per_round :: per_round] = True
        mask[self.total_steps - first : self.total_steps - first + 1] = True
        return mask

    @cached_property
    def _recorded_steps(self) -> np.ndarray:
        return self.first_step + recorded_steps(self.total_steps - self.first_step)

    def steps_in_round(self, step: int) -> int:
        """How many steps were taken since the last validation, when `step` are done in all."""
        return (step - self.first_step) % (self.validate_every * self.batches.per_epoch)


STEPS, EPOCHS = 3_000, 5
"""Steps of a descent whose length is left open, and epochs at least."""
NEWTON_STEPS = 100
"""Steps of Newton's method at most, where the recipe does not say."""
DESCENT_KEYS = {"batch_size", "optimizer", "learning_rate", "schedule"}
"""What says how to descend: a recipe that sets one of them does not leave the method open."""


def decided(
    recipe: spec.DescentRecipe, events: int, validated: bool, linear: bool = False
) -> spec.DescentRecipe:
    """The recipe with what it left to the sample: method, batch size, epochs and patience.

    Examples
    --------
    >>> recipe = decided(spec.DescentRecipe(), events=430, validated=True)
    >>> recipe.method, recipe.batch_size, recipe.epochs, recipe.stop.patience
    ('descent', 32, 214, None)
    >>> constant = spec.DescentRecipe(schedule=spec.Constant())
    >>> decided(constant, events=430, validated=True).stop.patience
    53
    """
    method, size, epochs = recipe.method, recipe.batch_size, recipe.epochs
    if method == "auto":
        default = spec.DescentRecipe()
        newton = linear and all(getattr(recipe, k) == getattr(default, k) for k in DESCENT_KEYS)
        method = "newton" if newton else "descent"
    if size == "auto" or method in ("newton", "exact"):
        power = round(math.log2(max(events, 1) / 64))
        size = min(2 ** min(max(power, 5), 10), events) if method == "descent" else "all"
    if epochs == "auto":
        per_epoch = 1 if size == "all" else -(-events // min(size, events))
        whole = max(EPOCHS, round(STEPS / per_epoch))
        epochs = NEWTON_STEPS if method == "newton" else whole
    patience = recipe.stop.patience
    if patience == "auto":
        anneals = isinstance(recipe.schedule, spec.OneCycle | spec.Cosine)
        open_end = recipe.epochs == "auto" and method == "descent" and validated and not anneals
        patience = max(10, epochs // 4) if open_end else None
    stop = recipe.stop.model_copy(update={"patience": patience})
    return recipe.model_copy(
        update={"method": method, "batch_size": size, "epochs": epochs, "stop": stop}
    )


def resolve_batch_size(batch_size: int | Literal["all", "auto"], events: int) -> int:
    """Turn "all" into the number of events; refuse more than there are."""
    if isinstance(batch_size, str):
        return events
    if batch_size > events:
        raise RecipeError(
            f"descent.batch_size is {batch_size:,}, but there are only {events:,} training events.",
            expected=f'a number from 1 to {events:,}, or "all"',
            cause="a small sample, or a split or selection that leaves few events to train on",
            do='set descent.batch_size = "all" for batch gradient descent, or a smaller number',
        )
    return batch_size
