"""What a descent takes: events with their names, the scaling, the objective, scaled batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.compiled.threads import WorkerPool
from steepest.encoding import Encoding
from steepest.errors import EventsError, RecipeError
from steepest.losses import Loss, loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.recipe import DescentRecipe, ModelRecipe
from steepest.scaling import Scaling, fit_scaling
from steepest.scaling.blocks import is_finite
from steepest.storage import (
    MOST_SORTED,
    AnyArray,
    blocks,
    map_blocks,
    on_disk,
    slices,
    thinned,
    total,
)
from steepest.trained import TASKS, outputs_for

__all__ = ["Events", "Schema", "batch_of", "objective_for", "scaling_of"]

Array = np.ndarray
_POOL = WorkerPool()


@dataclass(frozen=True)
class Events:
    """Inputs ``(events, inputs)``, labels and weights (or None) ``(events,)``; arrays or on disk.

    The inputs are the raw features, or what the encoding makes of them. `extra` has columns that no
    model sees, ``(events,)``, by name: figures of merit are binned in them.
    """

    features: Any
    labels: Any
    weights: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)

    def thinned(self, most: int) -> Events:
        """At most so many of the events, evenly spaced, in memory."""
        weights = None if self.weights is None else thinned(self.weights, most)
        extra = {name: thinned(values, most) for name, values in self.extra.items()}
        return Events(thinned(self.features, most), thinned(self.labels, most), weights, extra)


@dataclass(frozen=True)
class Schema:
    """What the numbers mean: features (as a recipe writes them), classes, label and task.

    `encoding` is what made the inputs of raw features; None where these are the same.
    """

    features: tuple[str | dict[str, Any], ...]
    task: str
    classes: tuple[str, ...] = ()
    label: str = "label"
    encoding: Encoding | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        if self.encoding is not None:
            return self.encoding.names
        return tuple(f if isinstance(f, str) else f["name"] for f in self.features)


def scaling_of(name: str, train: Events, names: tuple[str, ...]) -> Scaling:
    """Fit a scaling on the training events, block by block.

    Quantiles (robust, quantile) are those of at most a million events, evenly spaced.
    """
    if name in ("robust", "quantile"):
        train = train.thinned(MOST_SORTED)
    spread = map if on_disk(train.features) else _shared
    return fit_scaling(name, blocks(train.features, train.weights), names, spread)


def _shared(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """As `map`, by one thread or more."""
    return _POOL.map(work, list(items))


def objective_for(schema: Schema, model: ModelRecipe, recipe: DescentRecipe) -> DenseObjective:
    """J of the model, with the loss that the recipe names or the task has."""
    hidden = tuple(model.hidden)
    loss = recipe.loss or TASKS[schema.task]
    shape = Dense(
        inputs=len(schema.names),
        hidden=hidden,
        outputs=outputs_for(schema.task, schema.classes),
        activation=model.activation,
        initialization=model.initialization,
    )
    if hidden and shape.chosen_initialization == "zeros":
        raise RecipeError(
            'model.initialization = "zeros" does not train a network with hidden layers.',
            cause="all units of a layer would stay equal for ever",
            do="leave model.initialization out",
        )
    dtype = recipe.dtype or ("float32" if hidden else "float64")
    return DenseObjective(shape, loss_named(loss), recipe.l2, dtype)


def batch_of(events: Events, scaling: Scaling, objective: DenseObjective, part: str) -> Batch:
    """The events scaled, in the objective's dtype; `part` is named in what is refused."""
    weights = events.weights
    if weights is not None and not (sum_of_weights := total(weights)) > 0:
        raise EventsError(
            f"The weights of the {part} part add up to {sum_of_weights:g}.",
            expected="a positive sum, since J divides by it",
            found=f"{len(events):,} events",
            cause="all weights are zero, or the negative ones outweigh the positive ones",
            do="check the weight column, or use more events",
        )
    inputs = _scaled(events.features, scaling, objective.dtype)
    targets = targets_of(objective.loss_function, events)
    largest = max(float(np.abs(block).max()) for (block,) in blocks(targets))
    limit = float(np.finfo(objective.dtype).max)
    if largest > limit**0.5:
        raise EventsError(
            f"The label is too large for {objective.dtype}, in which its square is infinite.",
            expected=f"at most {limit**0.5:.3g}",
            found=f"{largest:.3g} in the {part} part",
            cause="a label in unsuitable units, or a derived label that overflows",
            do='give the label in other units, or set descent.dtype = "float64"',
        )
    return Batch.of(inputs, targets, weights, objective.dtype)


def _scaled(features: AnyArray, scaling: Scaling, dtype: str) -> AnyArray:
    """The inputs; the features themselves where that is what they are already."""
    if isinstance(features, np.ndarray):
        as_they_are = features.dtype == dtype and features.flags.c_contiguous
        if scaling.name == "none" and as_they_are and is_finite(features):
            return features
        scaled = np.empty(features.shape, dtype=dtype)

        def fill(rows: slice) -> None:
            scaled[rows] = scaling.transform(features[rows], dtype, first_row=rows.start)

        _shared(fill, slices(len(features)))
        return scaled
    first = 0

    def transform(block: Array) -> Array:
        nonlocal first
        place, first = first, first + len(block)
        return scaling.transform(block, dtype=dtype, first_row=place)

    return map_blocks(transform, features)


def targets_of(loss: Loss, events: Events) -> AnyArray:
    """Class indices for the cross entropy, numbers for the other losses."""
    integers = loss.name == "cross-entropy"

    def cast(block: Array) -> Array:
        known = block.dtype == np.float32 and not integers
        return block if known else block.astype(np.int64 if integers else np.float64, copy=False)

    labels = events.labels
    return cast(labels) if isinstance(labels, np.ndarray) else map_blocks(cast, labels)
