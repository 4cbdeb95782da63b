"""The linear baseline: the converged linear model on the same features and events."""

from __future__ import annotations

from collections.abc import Callable

from steepest.descent import MemoryKeeper, Watch
from steepest.recipe import Constant, DescentRecipe, ModelRecipe, Nesterov, Stop
from steepest.storage import on_disk
from steepest.training.fit import Events, Fitted, Naming, fit

__all__ = ["fit_baseline"]

GRADIENT_NORM = 1e-6
EPOCHS = 2_000

_DESCENT = DescentRecipe(
    batch_size="all",
    optimizer=Nesterov(momentum=0.95),
    learning_rate="auto",
    schedule=Constant(),
    scaling="whiten",
    epochs=EPOCHS,
    validate_every=10,
    keep="last",
    stop=Stop(gradient_norm=GRADIENT_NORM),
    dtype="float64",
)
"""Batch gradient descent with Nesterov's momentum on whitened features, at η = 1/L."""


def fit_baseline(
    train: Events, naming: Naming, watch: Watch, say: Callable[[str], None] = lambda _: None
) -> Fitted:
    """Fit linear, logistic or softmax regression to its minimum, on whitened features.

    Linear regression is solved exactly where the events are in memory. All else descends until
    ‖∇J‖ < 1e-6, or for 2,000 epochs where classes can be separated and there is no minimum.
    """
    exact = naming.task == "regression" and not on_disk(train.features)
    recipe = _DESCENT.model_copy(update={"method": "exact"}) if exact else _DESCENT
    keeper = MemoryKeeper()
    fitted = fit(train, None, naming, ModelRecipe(hidden=()), recipe, keeper, watch=watch)
    state = fitted.outcome.state
    if state.reason is not None and state.reason.kind == "epochs":
        say(f"The linear baseline did not converge in {EPOCHS:,} epochs: nearly separable classes.")
    return fitted
