"""A run's figures of merit again: on its own test part, or on other events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steepest.events import TEST, TRAIN, VALIDATION, load_events, use_revisions
from steepest.folder import RunFolder
from steepest.training import results
from steepest.training.binned import bins_of
from steepest.training.callback import TrainingCallback
from steepest.training.choices import choose, choosing_part
from steepest.training.events import PARTS, encoded, memory_budget, parts_of, read
from steepest.training.fit import predictions_of

__all__ = ["evaluate_run"]


def evaluate_run(
    path: str | Path,
    events: str | list[str] | None = None,
    callback: TrainingCallback | None = None,
) -> dict[str, Any]:
    """Compute a run's figures of merit again, on its own test part or on other events.

    Returns
    -------
    dict
        As metrics.json holds them: ``part``, ``events`` and ``merits``.
    """
    callback = callback or TrainingCallback()
    folder = RunFolder(path)
    recipe, model = folder.recipe, folder.model
    if events is None:
        recorded = (folder.environment or {}).get("events")
        use_revisions(recorded)
        sample = read(recipe, callback, folder.path)
        if recorded is not None and recorded != sample.source:
            callback.say("The events have changed since the run was made.")
    else:
        callback.stage("Reading events")
        paths = [events] if isinstance(events, str) else events
        sample = load_events(
            recipe.events,
            paths,
            classes=model.classes,
            task=model.task,
            names=model.names,
            extra=recipe.evaluate.columns,
            progress=callback.read,
            budget=memory_budget(recipe.events.memory, folder.path),
        )
    callback.stage("Evaluating")
    parts = parts_of(encoded(sample, model.encoding))
    part = next(part for part in (TEST, VALIDATION, TRAIN) if part in parts)
    chosen = parts[part]
    predictions = predictions_of(model, chosen.features)
    if events is None:
        other = parts[choosing := choosing_part(parts, part)]
        given = other, predictions_of(model, other.features), PARTS[choosing]
        choices = choose(model.task, recipe.evaluate, *given)
    else:
        choices = (folder.metrics or {}).get("chosen")
    merits = results.merits_of(model, predictions, chosen, recipe.evaluate, choices)
    bins = bins_of(model, recipe.evaluate, choices, chosen, predictions) if choices else []
    return results.metrics_of(
        "evaluated",
        run=str(folder.path),
        part=PARTS[part] if events is None else "all",
        source=sample.source,
        events=results.describe_part(chosen, model.classes),
        model=results.describe_model(model),
        chosen=choices,
        merits={"model": results.to_json(merits)},
        bins=bins,
    )
