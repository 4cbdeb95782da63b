"""The cheap part of an explanation while training: ηλmax, dead units, and when to give up.

At the ends of rounds, as far apart as it takes to cost at most a twentieth of the descent's time,
λmax is measured on 1,000 events, and units that are dead are counted. The descent is ended early
only for what is certain:

- J is quadratic, each step takes all events, and every η to come is above the largest stable one:
  the distance along the steepest direction then grows by |1 − ηλmax| a step;
- all units of a hidden layer are dead and J is that of a constant: no gradient reaches what comes
  before that layer, and nothing that comes after it sees the inputs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.curvature import hessian_product, lanczos
from steepest.descent import Plan, State
from steepest.explain.layers import loss_of_guessing
from steepest.objective import Batch, Objective
from steepest.objective.stateful import preserved_memory
from steepest.training import TrainingCallback
from steepest.training.callback import ForwardingCallback

Array = np.ndarray

SHARE = 0.04
EVENTS, TOLERANCE = 1_000, 0.05
LEARNS_NOTHING = 1e-3
"""J within this part of a constant's is that of a constant."""


@dataclass(frozen=True)
class Look:
    """What was seen after a round.

    Parameters
    ----------
    step, rate
        Where; η there.
    of_bound
        ηλmax over the rule's bound; NaN for rules that divide the gradient by its size.
    largest
        λmax.
    dead
        The largest share of dead units of a hidden layer; 0 where layers cannot be seen.
    """

    step: int
    rate: float
    of_bound: float
    largest: float
    dead: float


class Watch(ForwardingCallback):
    """Looks at a descent while it goes on; tells another callback of its progress.

    Parameters
    ----------
    told
        Told of everything, too.
    share
        Of the descent's time, that looking at it may take.
    """

    def __init__(self, told: TrainingCallback, share: float = SHARE) -> None:
        super().__init__(told)
        self.share = share
        self.looks, self.seconds = list[Look](), 0.0
        self.verdict = ""
        self._objective: Objective | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there was a descent to look at."""
        return self._objective is not None

    def begun(self, objective: Any, events: Batch, plan: Plan, state: State) -> None:
        """A descent begins; one that cannot converge is ended after its first round."""
        self.told.begun(objective, events, plan, state)
        self._objective, self._plan, self.enough = objective, plan, False
        self._constant = loss_of_guessing(objective.loss_function, events)
        rows = np.linspace(0, len(events) - 1, min(len(events), EVENTS)).astype(np.int64)
        self._events = events.take(rows)
        self._rate = plan.learning_rate
        bounds = objective.curvature_bounds(events) if plan.batches.whole else None
        stability = plan.rule.stability
        if bounds is None or not bounds.exact or stability is None:
            return
        steps = plan.total_steps - state.step
        lowest = float(plan.schedule.factors(state.step, max(steps, 1)).min()) * plan.learning_rate
        limit = stability / bounds.largest
        if lowest > limit:
            self._end(
                f"η = {lowest:.4g} is {lowest / limit:.4g} times the largest stable one, "
                f"{stability:.3g}/λmax = {limit:.4g} (λmax = {bounds.largest:.4g}): no step to "
                "come converges"
            )

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        """Some steps were taken."""
        self._rate = rate
        self.told.steps(state, loss, rate, epochs)

    def round(self, state: State, values: Mapping[str, float | None]) -> None:
        """A validation was done: look, if there is time for it."""
        self.told.round(state, values)
        self.enough = self.enough or self.told.enough
        if self._objective is None or self.verdict or not self.has_time(state.seconds):
            return
        began = time.perf_counter()
        with preserved_memory(self._objective), np.errstate(all="ignore"):
            look = self._look(state)
        self.seconds += time.perf_counter() - began
        self.looks.append(look)
        loss = values.get("training_loss")
        near = loss is not None and loss > (1 - LEARNS_NOTHING) * self._constant
        if look.dead == 1 and near:
            self._end(
                f"all units of a hidden layer are dead, and J = {loss:.4g} is that of a constant: "
                f"no gradient is left to learn from. η = {look.rate:.3g} was too large"
            )

    def has_time(self, seconds: float) -> bool:
        """Whether one more look, as long as the mean of those before, is within the share."""
        looks = len(self.looks)
        if not looks:  # the first is counted as a hundredth of a second
            return seconds * self.share > 0.01
        return self.seconds * (1 + 1 / looks) < self.share * seconds

    def _look(self, state: State) -> Look:
        objective, stability = self._objective, self._plan.rule.stability
        assert objective is not None
        largest = math.nan
        if stability is not None:
            product = hessian_product(objective, state.theta, self._events)
            try:
                found = lanczos(product, objective.size, low=0, tolerance=TOLERANCE, most=30)
                largest = float(found.values[-1])
            except FloatingPointError:
                pass
        of_bound = self._rate * largest / stability if stability is not None else math.nan
        return Look(state.step, self._rate, of_bound, largest, self._dead(state.theta))

    def _dead(self, theta: Array) -> float:
        model: Any = getattr(self._objective, "model", None)
        sums = getattr(model, "hidden_sums", None)
        function = getattr(model, "function", None)
        if sums is None or function is None or not isinstance(self._events.inputs, np.ndarray):
            return 0.0
        layers = sums(theta.astype(np.float64), self._events.inputs)
        return max(
            (float((function.first(z) == 0).all(axis=0).mean()) for z in layers), default=0.0
        )

    def _end(self, why: str) -> None:
        self.verdict = why
        self.enough = f"it cannot go well: {why}"

    def sentences(self) -> list[str]:
        """What was seen, for the log and the terminal."""
        told = [f"Explained: {self.verdict}."] if self.verdict else []
        if not self.looks:
            return told or ["Explained: the descent was too short to be looked at."]
        measured = [look for look in self.looks if math.isfinite(look.of_bound)]
        dead = max(look.dead for look in self.looks)
        last = f"{len(self.looks)} looks took {self.seconds:.2g} s"
        if measured:
            most = max(measured, key=lambda look: look.of_bound)
            last += (
                f"; ηλmax was at most {most.of_bound:.3g} of its bound (step {most.step:,}, λmax = "
                f"{most.largest:.3g}) and {measured[-1].of_bound:.3g} at the end"
            )
        else:
            last += "; ηλmax has no cheap bound for this rule"
        if dead:
            last += f"; at most {100 * dead:.0f} % of the units of a layer were dead"
        return [*told, f"Explained: {last}. steepest explain RUN measures the rest."]
