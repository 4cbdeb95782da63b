"""The validation during a descent: the loss of its events, and the task's figure of merit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.events import Sample
from steepest.objective import Batch, ModelObjective
from steepest.objective.stateful import memory_of, restore_memory
from steepest.ranks import current
from steepest.storage import AnyArray, blocks, in_memory, map_blocks

Array = np.ndarray

_SECOND: dict[str, tuple[str, Callable[..., evaluate.Merit]]] = {
    "binary": ("validation_auc", evaluate.auc),
    "multiclass": ("validation_accuracy", evaluate.accuracy),
    "regression": ("validation_r_squared", evaluate.r_squared),
}


def monitor_of(
    objective: ModelObjective, plain: ModelObjective, batch: Batch, events: Sample, task: str
) -> tuple[Callable[[Array], Mapping[str, float]], tuple[str, ...]]:
    """The validation: the loss without the L2 term (`plain`), and the task's figure of merit.

    Both are those of the report, with its weights. Of many ranks, the main one's answer counts.
    """
    name, measure = _SECOND[task]
    labels, ranks = _of_all(events.labels), current()
    # accuracy takes scores as probabilities, which they are by the weights of the descent
    weights = _of_all(events.descent_weights if task == "multiclass" else events.weights)
    measured = task != "binary" or _both(labels)
    parts = tuple(f"validation_loss_{part}" for part in getattr(plain, "loss_parts", ()))
    at_once = getattr(plain, "losses_and_predictions", None)
    if batch.on_disk and not parts:
        at_once = None

    def monitor(theta: Array) -> dict[str, float]:
        restore_memory(plain, memory_of(objective))
        if at_once is not None:
            losses, predicted = at_once(theta, batch)
        else:
            losses, predicted = [plain.loss(theta, batch)], _predicted(objective, theta, batch)
        means = [ranks.mean(float(loss), len(batch)) for loss in losses]
        values = dict(zip(("validation_loss", *parts), means, strict=True))
        predictions = _of_all(predicted)
        if not (ranks.is_main and measured):
            return values
        if all(np.isfinite(block).all() for (block,) in blocks(predictions)):
            values[name] = measure(labels, predictions, weights).value
        return values

    return monitor, ("validation_loss", *parts, name)


def _of_all(column: AnyArray | None) -> Any:
    """A column with the events of all ranks, in memory, on the main one; of one rank as it is."""
    ranks = current()
    if ranks.size == 1 or column is None:
        return column
    every = ranks.to_main(in_memory(column))
    return np.concatenate(every) if ranks.is_main else column


def _predicted(objective: ModelObjective, theta: Array, batch: Batch) -> AnyArray:
    """What θ predicts of each event; on disk where the events are."""
    if not batch.on_disk:
        return objective.predict(theta, batch)
    none = np.empty(0)
    return map_blocks(lambda rows: objective.predict(theta, Batch(rows, none)), batch.inputs)


def _both(labels: AnyArray) -> bool:
    ends = [(block.min(), block.max()) for (block,) in blocks(labels)]
    return bool(min(low for low, _ in ends) < max(high for _, high in ends))
