"""What `steepest.training.fit` returns: a trained model, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steepest.descent import LearningRate, Outcome, Plan
from steepest.descent.exact import LeastSquares
from steepest.objective import ModelObjective
from steepest.recipe import DescentRecipe
from steepest.scaling import AnyScaling
from steepest.trained import TrainedModel
from steepest.training.inputs import Schema

Array = np.ndarray


@dataclass(frozen=True)
class Fitted:
    """A trained model, and how it came about."""

    model: TrainedModel
    outcome: Outcome
    learning_rate: LearningRate
    plan: Plan
    recipe: DescentRecipe
    """With all that it left open decided."""
    exact: LeastSquares | None = None


def model_with(
    scaling: AnyScaling,
    objective: ModelObjective,
    schema: Schema,
    theta: Array,
    buffers: Mapping[str, Array] | None = None,
) -> TrainedModel:
    """The model of an objective, with what gives its numbers their meaning."""
    return TrainedModel(
        scaling=scaling,
        model=objective.model,
        loss=objective.loss_function,
        theta=theta,
        classes=schema.classes,
        label=schema.label,
        features=schema.features,
        particles=schema.particles,
        momenta=schema.momenta,
        explode=schema.explode,
        units=schema.units,
        encoding=schema.encoding,
        buffers=buffers or {},
    )
