"""What an estimator chooses where its parameters leave it open: lengths, validation, weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_class_weight

from steepest.errors import RecipeError
from steepest.events import Sample
from steepest.recipe import Recipe
from steepest.training.against_linear import rows_of
from steepest.training.fitting.penalty import usual_penalty

__all__ = [
    "chosen_for",
    "class_weights",
    "method_of",
    "parted",
    "refuse_intercept",
    "seed_of",
]

Array = np.ndarray
STEPS, RATE = 3000, 0.003
"""About so many steps a network takes, and Adam's η for them."""
BATCH, WHOLE = 64, 256
"""Events of its mini-batches; a sample of so many or fewer is taken whole."""
SHARE = 0.1
"""Part of the events that `early_stopping` sets aside."""


def chosen_for(
    task: str, hidden: Any, events: int, batch_size: Any = None, piecewise: bool = False
) -> dict[str, Any]:
    """Return what is used for parameters that are None.

    A linear model descends as in the lecture, by batch gradient descent. A network takes some 3,000
    steps of Adam whatever the size of the sample, and each event at least ten times; its λ falls
    with the number of events, or is chosen by trial runs. Where events come piece by piece, their
    number is not known.

    Examples
    --------
    >>> chosen_for("binary", (), 500)["batch_size"], chosen_for("binary", (64,), 6400)["epochs"]
    ('all', 30)
    """
    if not hidden:
        return {"batch_size": "all", "optimizer": "sgd", "schedule": "constant", "epochs": 100,
                "learning_rate": "auto", "l2": 0.0}  # fmt: skip
    chosen = batch_size or (BATCH if events > WHOLE else "all")
    if piecewise and batch_size is None:
        chosen = min(BATCH, events)
    per_epoch = 1 if chosen == "all" else max(events // int(chosen), 1)
    return {
        "batch_size": chosen,
        "optimizer": "adam",
        "learning_rate": RATE,
        "schedule": "constant" if piecewise else "one-cycle",
        "epochs": max(math.ceil(STEPS / per_epoch), 10),
        "l2": usual_penalty(task, events) if piecewise else "auto",
    }


_OF_A_DESCENT = ("batch_size", "optimizer", "learning_rate", "schedule", "epochs", "callbacks")
EXACT_VALUES = 200_000
"""Values of X up to which least squares are solved exactly."""


def method_of(
    parameters: Mapping[str, Any],
    task: str,
    values: int,
    validated: bool,
    piecewise: bool,
    not_convex: bool = False,
) -> str:
    """Return what ``method="auto"`` is: the minimum itself, unless something says how to descend.

    Examples
    --------
    >>> parameters = dict.fromkeys(_OF_A_DESCENT) | {"hidden": (), "early_stopping": False}
    >>> [method_of(parameters, task, 5000, False, False) for task in ("regression", "binary")]
    ['exact', 'newton']
    """
    descends = any(parameters[name] is not None for name in _OF_A_DESCENT)
    descends |= bool(parameters["early_stopping"]) or bool(parameters["hidden"])
    if descends or piecewise or not_convex:
        return "descent"
    exact = task == "regression" and values <= EXACT_VALUES and not validated
    return "exact" if exact else "newton"


def refuse_intercept(parameters: Mapping[str, Any]) -> None:
    """Raise RecipeError for a model without an intercept that is no such model.

    Raises
    ------
    RecipeError
        There are hidden layers, or the scaling would shift the features.
    """
    if parameters["hidden"]:
        raise RecipeError(
            "Networks have biases in all layers.",
            expected="fit_intercept=True with hidden layers",
            found=f"fit_intercept=False, hidden={tuple(parameters['hidden'])}",
            do="leave one of them out",
        )
    if parameters["scaling"] not in ("auto", "none"):
        raise RecipeError(
            "Without an intercept the features must not be shifted.",
            expected='scaling="none", or left out, with fit_intercept=False',
            found=f"scaling={parameters['scaling']!r}",
            do='method="newton" needs no scaling; or divide the features beforehand',
        )


def seed_of(estimator: Any) -> int:
    """Return the seed of a fit: `random_state` in scikit-learn's sense, or else `seed`.

    Raises
    ------
    RecipeError
        Both are given, and differ.
    """
    state, seed = estimator.random_state, estimator.seed
    if state is None:
        return seed
    if seed not in (0, state):
        raise RecipeError(
            f"{type(estimator).__name__} was given a seed and a random_state.",
            expected="one of the two, which are the same",
            found=f"seed = {seed!r}, random_state = {state!r}",
            do="leave one of them out",
        )
    if isinstance(state, int | np.integer):
        return int(state)
    return int(check_random_state(state).randint(2**31 - 1))


def parted(train: Sample, task: str, seed: int) -> tuple[Sample, Sample]:
    """Return a training and a validation part, with the classes in the same proportions."""
    labels, rows = train.labels, np.arange(len(train))
    stratify = None
    if task != "regression":
        _, counts = np.unique(labels, return_counts=True)
        smallest = math.ceil(len(rows) * SHARE)
        stratify = labels if counts.min() > 1 and smallest >= len(counts) else None
    kept, aside = train_test_split(rows, test_size=SHARE, random_state=seed, stratify=stratify)
    return rows_of(train, np.sort(kept)), rows_of(train, np.sort(aside))


def class_weights(wanted: Any, classes: Array, y: Array, weights: Array | None) -> Array | None:
    """Return the events' weights times that of their class: "balanced" makes Σw per class equal."""
    if wanted is None:
        return weights
    if wanted == "balanced":
        w = np.ones(len(y)) if weights is None else weights
        sums = np.bincount(np.searchsorted(classes, y), w, len(classes))
        factors = sums.sum() / (len(classes) * sums)
    else:
        factors = compute_class_weight(wanted, classes=classes, y=y)
    by_event = factors[np.searchsorted(classes, y)]
    return by_event if weights is None else by_event * weights


def recipe_of(table: dict[str, Any], estimator: str) -> Recipe:
    """Return a recipe; errors name an estimator's parameters, which are keys without a table.

    Raises
    ------
    RecipeError
        A parameter has a wrong value.
    """
    try:
        return Recipe.from_dict(table, source=estimator)
    except RecipeError as error:
        what = error.what
        for name in ("model", "descent"):
            what = what.replace(f"'{name}.", "'")
        raise RecipeError(what, **error.details) from None
