"""A fitted estimator as explanations read a run: its events, J, and both ends of its path."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from steepest.events import TRAIN, VALIDATION, Sample
from steepest.groups import Groups
from steepest.recipe import DescentRecipe, Recipe
from steepest.trained import TrainedModel
from steepest.training.inputs import Schema, batch_of

if TYPE_CHECKING:
    from steepest.explain.record import Record


FINGERPRINT = 256
"""Events, evenly spaced, by which a sample is known again."""


def fingerprint(sample: Sample) -> str:
    """A hash of some events: features, labels and weights, whatever their precision."""
    rows = np.unique(np.linspace(0, len(sample) - 1, min(len(sample), FINGERPRINT)).astype(int))
    chosen: Any = sample.features[rows]
    weights = np.ones(len(rows)) if sample.weights is None else sample.weights[rows]
    found = hashlib.sha256(str(len(sample)).encode())
    arrays = chosen.arrays if isinstance(chosen, Groups) else [chosen]
    for values in (*arrays, sample.labels[rows], weights):
        found.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return found.hexdigest()


def record_of(
    name: str,
    model: TrainedModel,
    recipe: Recipe,
    descent: DescentRecipe,
    schema: Schema,
    parts: dict[int, Sample],
    history: pl.DataFrame | None,
    diverged: bool,
) -> Record:
    """What explanations read; `descent` has all decided, `parts` the events that were fitted."""
    from steepest.explain.record import EVENTS, Record

    names = tuple(schema.names)
    count = len(parts[TRAIN])
    parts = {
        part: replace(sample, task=schema.task, classes=schema.classes, names=names).thinned(EVENTS)
        for part, sample in parts.items()
    }
    l2 = descent.l2 if isinstance(descent.l2, float) else 0.0
    objective = model.objective(l2, "float64")
    start = np.asarray(objective.initial(descent.seed), dtype=np.float64)
    last = 1 if history is None or not len(history) else int(history["step"][-1])
    empty = {"step": pl.Int64, "loss": pl.Float64, "learning_rate": pl.Float64}
    validation = None
    if VALIDATION in parts:
        validation = batch_of(parts[VALIDATION], model.scaling, objective, "validation")
    return Record(
        name=name,
        recipe=recipe,
        status="diverged" if diverged else "complete",
        parts=parts,
        schema=schema,
        model=model,
        objective=objective,
        train=batch_of(parts[TRAIN], model.scaling, objective, "training"),
        validation=validation,
        steps=np.array([0, last]),
        thetas=np.stack([start, model.theta.astype(np.float64)]),
        history=pl.DataFrame(schema=empty) if history is None else history,
        descent=descent,
        events=count,
    )
