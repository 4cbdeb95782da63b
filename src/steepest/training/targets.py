"""What a model learns: the label, and the columns of auxiliary heads, in units of their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from steepest.errors import EventsError, RecipeError
from steepest.events import Sample
from steepest.losses import (
    CrossEntropy,
    Head,
    Loss,
    MeanSquaredError,
    WithHeads,
    heads_of,
    label_loss,
    loss_named,
)
from steepest.models import kind_named
from steepest.ranks import current
from steepest.recipe import AnyModelRecipe, HeadRecipe
from steepest.storage import AnyArray, blocks, map_blocks
from steepest.trained import TASKS

Array = np.ndarray


def refuse_heads(model: AnyModelRecipe) -> None:
    """Raise RecipeError for heads beside a model whose loss has one target an event."""
    if model.heads and not kind_named(model.name).heads:
        raise RecipeError(
            f"The model {model.name!r} has no auxiliary heads.",
            expected="a network that PyTorch computes",
            found=f"model.heads with {', '.join(head.name or head.value for head in model.heads)}",
            cause="the compiled code of dense models takes one target an event",
            do="leave model.heads out, or write the network as a torch.nn.Module: model.name = "
            '"module"',
        )


def refuse_known(heads: Sequence[HeadRecipe], features: Sequence[str]) -> None:
    """Raise RecipeError for a head that is to predict what the network is given."""
    for head in heads:
        if head.value in features:
            raise RecipeError(
                f"The head {head.named!r} is to predict {head.value!r}, which is a feature.",
                expected="a column that the network does not read",
                found=f"{head.value} in model.heads and among the features",
                do=f"name events.features without {head.value}",
            )


def loss_for(
    task: str,
    name: str | None,
    heads: Sequence[HeadRecipe],
    train: Sample | None,
    linear: bool,
) -> Loss:
    """The loss that is named, or that the task has, with that of the heads beside it.

    With `train`, columns are learnt in units of their spread there, except by a linear model.
    """
    loss = loss_named(name or TASKS[task])
    if train is not None and isinstance(loss, MeanSquaredError) and not linear:
        loss = units_of_spread(train.labels, train.weights)
    if not heads:
        return loss
    beside = tuple(Head(head.named, head.value, head.weight) for head in heads)
    if train is None:
        return WithHeads(loss, beside)
    columns = head_columns(WithHeads(loss, beside), train)
    targets = (units_of_spread(column, train.weights) for column in columns)
    both = zip(beside, targets, strict=True)
    return WithHeads(loss, tuple(replace(head, target=target) for head, target in both))


def head_columns(loss: Loss, sample: Sample) -> list[AnyArray]:
    """The columns that the heads of a loss predict, as the events have them.

    Raises
    ------
    EventsError
        They were not read.
    """
    heads = heads_of(loss)
    missing = [head.value for head in heads if head.value not in sample.extra]
    if missing:
        raise EventsError(
            "The events lack columns that the auxiliary heads predict.",
            expected=", ".join(head.value for head in heads),
            found=f"no {', '.join(missing)}",
            cause="events that were given as arrays, without further columns",
            do="train by a recipe, or without model.heads",
        )
    return [sample.extra[head.value] for head in heads]


def targets_of(loss: Loss, labels: AnyArray, columns: Sequence[AnyArray] = ()) -> AnyArray:
    """Class indices for the cross entropy, scaled for the squared error, else as they are.

    With heads, whose columns are given, ``(events, 1 + heads)``: the label, then each column.
    """
    label, heads = label_loss(loss), heads_of(loss)
    integers = label.name == CrossEntropy.name and not heads

    def cast(block: Array) -> Array:
        if isinstance(label, MeanSquaredError):
            block = label.scaled(block)
        known = block.dtype == np.float32 and not integers
        return block if known else block.astype(np.int64 if integers else np.float64, copy=False)

    def beside(block: Array, *of_heads: Array) -> Array:
        each = zip(heads, of_heads, strict=True)
        scaled = [head.target.scaled(np.asarray(values, np.float64)) for head, values in each]
        return np.column_stack([cast(block), *scaled])

    if heads:
        return map_blocks(beside, labels, *columns)
    return cast(labels) if isinstance(labels, np.ndarray) else map_blocks(cast, labels)


def units_of_spread(column: AnyArray, weights: AnyArray | None) -> MeanSquaredError:
    """The squared error of values less their mean over their standard deviation, by |weights|."""
    sums, ranks = np.zeros(3), current()
    first = ranks.from_main(float(column[:1][0]))
    for values, given in blocks(column, weights):
        w = np.ones(len(values)) if given is None else np.abs(given.astype(np.float64))
        distance = values.astype(np.float64) - first
        sums += w.sum(), w @ distance, w @ distance**2
    sums = ranks.sum(sums)
    mean = sums[1] / sums[0] if sums[0] > 0 else math.nan
    width = math.sqrt(max(sums[2] / sums[0] - mean**2, 0.0)) if math.isfinite(mean) else math.nan
    if not (math.isfinite(width) and width > 1e-12 * abs(first + mean)):
        return MeanSquaredError()  # one value, or none that can be scaled
    return MeanSquaredError(first + mean, width)
