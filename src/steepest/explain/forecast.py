"""What curvature says of a descent before its first step: rates, steps, batch size, time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from steepest.curvature import Quadratic
from steepest.descent import MemoryCheckpointer
from steepest.events import TRAIN, VALIDATION
from steepest.explain.explanation import wrapped
from steepest.explain.linear import LinearCurvature, measure_linear
from steepest.explain.record import EVENTS, Record
from steepest.explain.sharpness import Noise, Sharpness, measure_noise, measure_sharpness
from steepest.explain.wording import below
from steepest.recipe import Recipe
from steepest.training import TrainingCallback, fit
from steepest.training.fitting.fitted import model_with
from steepest.training.fitting.plan import decided_for, plan_for
from steepest.training.inputs import batch_of, objective_for, prepare, scaling_of
from steepest.training.train import next_folder

FORMAT = {"format": "steepest-forecast", "version": 1}
PARTS = (1e-3, 1e-6)
"""J − J*, as parts of its start, to which steps are predicted."""
TIMED = 200
"""Steps that are taken to measure the time of one."""


@dataclass(frozen=True)
class Forecast:
    """The prediction of a recipe's descent.

    Parameters
    ----------
    record
        The recipe as a run with no step taken.
    linear
        The exact curvature of a linear model; None for others.
    start
        λmax at θ₀ against the rule's bound.
    noise
        The gradient noise scale at θ₀; None where each step takes all events.
    steps, seconds
        Of the whole descent.
    """

    record: Record
    linear: LinearCurvature | None
    start: Sharpness
    noise: Noise | None
    steps: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; infinite ones as None."""
        return {
            **FORMAT,
            "learning_rate": self.record.rate,
            "largest_stable_rate": self._largest_rate,
            "start": self.start.to_json(),
            "linear": None if self.linear is None else self.linear.to_json(),
            "predicted_steps": [
                {key: value if not isinstance(value, float) or math.isfinite(value) else None
                 for key, value in row.items()} for row in self.predicted_steps()
            ],
            "noise": None if self.noise is None else self.noise.to_json(),
            "steps": self.steps,
            "seconds": self.seconds,
        }  # fmt: skip

    @property
    def _largest_rate(self) -> float:
        """The largest stable η of the rule at the curvature that is known best."""
        bound = self.start.bound
        if self.linear is None or self.record.rule.stability is None:
            return self.start.largest_rate
        return bound / float(self.linear.curvature.eigenvalues[-1])

    def predicted_steps(self) -> list[dict[str, Any]]:
        """Steps of all events to each part of the first J − J*, by η and scaling.

        At this rate by the recipe's rule (NaN if it adapts to the gradient), else by plain descent.
        """
        if self.linear is None:
            return []
        curvature, rows = self.linear.curvature, []
        for part in PARTS:
            momentum = math.sqrt(curvature.kappa)
            rows.append(
                {
                    "part": part,
                    "at_this_rate": self.linear.steps(
                        self.record.rate, part, self.record.descent.optimizer
                    ),
                    "at_the_best_rate": self.linear.steps(curvature.best, part),
                    "with_the_best_momentum": _at_worst(momentum, part),
                    "standardised": _at_worst(self.linear.kappa_standard, part),
                }
            )
        return rows

    def __str__(self) -> str:
        return "\n".join(line for text in self._sentences() for line in wrapped(text))

    def _sentences(self) -> Iterator[str]:
        record, largest = self.record, self._largest_rate
        where = "" if self.linear is not None else " at the start"
        own = f"The recipe's: {below(record.rate)}, {record.rate / largest:.3g} of it."
        yield (
            f"Largest stable η: {below(largest)}, since ηλ must be below {self.start.bound:.3g} "
            f"and λmax = {self.start.bound / largest:.4g}{where}. {own}"
        )
        if self.linear is not None:
            yield from self._of_linear(self.linear)
        if self.noise is not None:
            yield (
                f"Noise: tr Σ/‖∇J‖² = {self.noise.scale:,.0f} events at the start. Batches beyond "
                f"that gain little a step; the recipe's have {self.noise.batch:,}."
            )
        yield f"Time: {self.steps:,} steps in some {self.seconds:.2g} s, without validation."

    def _of_linear(self, linear: LinearCurvature) -> Iterator[str]:
        curvature = linear.curvature
        rate, momentum = _best_momentum(curvature)
        yield (
            f"κ = {curvature.kappa:.4g}; with standardised inputs {linear.kappa_standard:.4g}. "
            f"Best fixed η: {below(curvature.best)}; with momentum β = "
            f"{momentum}, η = {rate}."
        )
        for row in self.predicted_steps():
            yield (
                f"Steps of all events to {row['part']:g} of the first J − J*: "
                f"{_count(row['at_this_rate'])} at this η, {_count(row['at_the_best_rate'])} at "
                f"the best, at most {_count(row['with_the_best_momentum'])} with the best "
                f"momentum and {_count(row['standardised'])} with standardised inputs at their "
                "best η."
            )


def _best_momentum(curvature: Quadratic) -> tuple[str, str]:
    """η rounded down and β rounded up: η < 2(1 + β)/λmax, which 1 − β alone keeps from the best."""
    roots = np.sqrt(curvature.eigenvalues[[0, -1]])
    rate = 4 / float(roots.sum()) ** 2
    left = 1 - ((roots[1] - roots[0]) / (roots[1] + roots[0])) ** 2
    return below(rate), str(1 - Decimal(below(float(left), 3)))


def _at_worst(kappa: float, part: float) -> float:
    """Steps that shrink every direction's J − J* to `part`: ln(1/part)/(2 ln((κ+1)/(κ−1)))."""
    if not math.isfinite(kappa):
        return math.nan
    if kappa <= 1 + 1e-9:
        return 1.0
    return math.ceil(-math.log(part) / (2 * math.log((kappa + 1) / (kappa - 1))))


def _count(steps: float) -> str:
    if math.isnan(steps):
        return "an unknown number"
    return f"{steps:,.0f}" if math.isfinite(steps) else "never"


def forecast(recipe: Recipe, callback: TrainingCallback | None = None) -> Forecast:
    """Predict the descent of a recipe; only the time rests on steps that are taken.

    Raises
    ------
    EventsError, RecipeError
        As training would.
    """
    callback = callback or TrainingCallback()
    record = _record_before(recipe, callback)
    callback.stage("Measuring the curvature")
    linear = measure_linear(record) if record.is_linear else None
    (start,) = measure_sharpness(record, points=1)
    noise = measure_noise(record, 0)
    size = record.descent.batch_size
    epochs = record.descent.epochs
    assert isinstance(epochs, int)
    steps = epochs * -(-record.events // (record.events if isinstance(size, str) else size))
    callback.stage("Timing steps")
    return Forecast(record, linear, start, noise, steps, steps * _seconds_per_step(record))


def _record_before(recipe: Recipe, callback: TrainingCallback) -> Record:
    callback.stage("Reading events")
    parts, schema = prepare(recipe, callback, next_folder(recipe).absolute().parent)
    count = len(parts[TRAIN])
    parts = {number: part.thinned(EVENTS) for number, part in parts.items()}
    descent = decided_for(
        recipe.descent, parts[TRAIN], recipe.model, schema.task, VALIDATION in parts
    )
    scaling = scaling_of(descent.scaling, parts[TRAIN], schema.inputs)
    given = descent.model_copy(update={"dtype": "float64"})
    objective = objective_for(schema, recipe.model, given, parts[TRAIN])
    train = batch_of(parts[TRAIN], scaling, objective, "training")
    validation = None
    if VALIDATION in parts:
        validation = batch_of(parts[VALIDATION], scaling, objective, "validation")
    share = parts[TRAIN].share()
    rate = plan_for(objective, train, share, descent, validation is not None)[1].value
    theta = np.asarray(objective.initial(descent.seed), dtype=np.float64)
    nothing = {
        "step": pl.Series([], dtype=pl.Int64),
        "learning_rate": pl.Series([], dtype=pl.Float64),
    }
    return Record(
        name=recipe.model.name,
        recipe=recipe,
        status="unfinished",
        parts=parts,
        schema=schema,
        model=model_with(scaling, objective, schema, theta),
        objective=objective,
        train=train,
        validation=validation,
        steps=np.zeros(1, dtype=np.int64),
        thetas=theta[None],
        history=pl.DataFrame(nothing),
        descent=descent.model_copy(update={"learning_rate": rate}),
        events=count,
    )


def _seconds_per_step(record: Record) -> float:
    """Time a short descent, compiled code ready."""
    size = record.descent.batch_size
    size = len(record.train) if isinstance(size, str) else size
    epochs = max(1, TIMED // -(-len(record.train) // size))
    recipe = record.descent.model_copy(update={"epochs": epochs})
    taken: list[float] = []
    for _ in range(2):  # the first one compiles
        began = time.perf_counter()
        fitted = fit(
            record.parts[TRAIN], None, record.schema, record.recipe.model, recipe,
            MemoryCheckpointer(),
        )  # fmt: skip
        taken.append(fitted.outcome.state.seconds or time.perf_counter() - began)
    return taken[-1] / max(fitted.outcome.state.step, 1)  # pyright: ignore
