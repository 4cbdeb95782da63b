"""Which objective goes with which kind of model: registry entries, and J by a kind's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steepest.losses import loss_named
from steepest.models.base import ModelKind, kind_named
from steepest.models.dense import Dense
from steepest.models.through_origin import ThroughOrigin
from steepest.objective.base import ModelObjective
from steepest.objective.dense import DenseObjective
from steepest.objective.through_origin import ThroughOriginObjective

KINDS = {
    "dense": ModelKind("dense", Dense.build, DenseObjective, Dense.from_config),
    "through-origin": ModelKind(
        "through-origin",
        ThroughOrigin.build,
        ThroughOriginObjective,
        ThroughOrigin.from_config,
        scaling="none",
    ),
}
"""The kinds of models that compiled code computes, by their names."""


def objective_named(
    kind: str,
    inputs: int | Sequence[str],
    loss: str,
    *,
    outputs: int = 1,
    l2: float = 0.0,
    dtype: str = "float64",
    **options: Any,
) -> ModelObjective:
    """Return J(θ) of a new model of a kind.

    `kind` is a name of the registry, `inputs` the features' names or their number, `outputs`
    the number of logits, `l2` λ, and `options` are as in a recipe's ``[model]``.

    Examples
    --------
    >>> import numpy as np
    >>> from steepest.objective import Batch
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> batch = Batch(np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 4.0, 9.0]))
    >>> objective.loss_and_gradient(np.array([1.0, 0.5]), batch)[1]
    array([-13.33333333,  -5.        ])
    """
    names = tuple(f"x{i}" for i in range(inputs)) if isinstance(inputs, int) else tuple(inputs)
    found = kind_named(kind)
    return found.objective(found.build(options, names, outputs), loss_named(loss), l2, dtype)
