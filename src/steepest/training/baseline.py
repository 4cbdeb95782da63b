"""The linear baseline: the converged linear model on the same features and events."""

from __future__ import annotations

from collections.abc import Callable

from steepest.descent import Callback, MemoryCheckpointer
from steepest.events import Sample
from steepest.recipe import DescentRecipe, ModelRecipe
from steepest.storage import on_disk
from steepest.training.fit import Fitted, fit
from steepest.training.inputs import Schema

__all__ = ["fit_baseline"]

STEPS = 100

_NEWTON = DescentRecipe(
    method="newton", scaling="standard", epochs=STEPS, keep="last", dtype="float64"
)
"""To the minimum of J, whatever the features' scales and correlations."""


def fit_baseline(
    train: Sample, schema: Schema, callback: Callback, say: Callable[[str], None] = lambda _: None
) -> Fitted:
    """Fit linear, logistic or softmax regression to its minimum.

    Linear regression is solved exactly where the events are in memory. All else goes by Newton's
    method until J is within 1e-10 of its minimum.
    """
    exact = schema.task == "regression" and not on_disk(train.features)
    recipe = _NEWTON.model_copy(update={"method": "exact"}) if exact else _NEWTON
    checkpointer = MemoryCheckpointer()
    fitted = fit(
        train, None, schema, ModelRecipe(hidden=()), recipe, checkpointer, callback=callback
    )
    state = fitted.outcome.state
    if state.reason is not None and state.reason.kind == "epochs":
        say(f"The linear baseline did not converge in {STEPS:,} steps: nearly separable classes.")
    return fitted
