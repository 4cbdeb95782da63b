"""The figures of merit of a finished run once more, on its own events or on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steepest.errors import RunFolderError
from steepest.events import (
    PARTS,
    TEST,
    evaluated_part,
    events_by_sample,
    load_events,
    same_events,
    skipped_sentences,
    use_revisions,
)
from steepest.folder import RunFolder
from steepest.recipe import EvaluateRecipe
from steepest.training import results
from steepest.training.callback import TrainingCallback
from steepest.training.evaluation import Evaluation, choose, choosing_part, evaluate_model
from steepest.training.heads import describe_heads
from steepest.training.inputs import carried, memory_budget, read
from steepest.training.scored import RunModels, Scored, without_features
from steepest.training.yields import describe_samples, expected_events


def evaluate_run(
    path: str | Path,
    events: str | list[str] | Mapping[str, str | list[str]] | None = None,
    callback: TrainingCallback | None = None,
    draw: bool = False,
    *,
    label: str | None = None,
    on_bad_file: str | None = None,
) -> dict[str, Any]:
    """Compute a run's figures of merit again, on its own test part or on other events.

    Where the samples of the recipe say the classes, other events come with the names of their
    samples (a dictionary, or ``"NAME=PATH"``), or with a `label`: a column or expression of theirs.
    `on_bad_file` replaces the recipe's.

    With `draw`, its figures are written to ``evaluation/`` in the run's folder, each with its
    numbers. If the events include files that the run was trained on, that is said.

    Returns
    -------
    dict
        As metrics.json holds them: ``part``, ``events`` and ``merits``; ``trained_on``: the names
        of the files that the run was trained on; ``figures``: their folder, or None.
    """
    callback = callback or TrainingCallback()
    folder = RunFolder(path)
    folder.say_unchecked(callback.say)
    recipe, run = folder.recipe, RunModels.of(folder)
    if on_bad_file is not None:
        recipe = recipe.with_settings([f"events.on_bad_file={on_bad_file}"])
    if not run.models:
        raise RunFolderError(
            f"No fold of the run {path} is trained yet.",
            cause="it was interrupted, or is still training",
            do=f"steepest train --resume {path}",
        )
    model, folded = run.models[0], run.folded
    if events is None:
        recorded = (folder.environment or {}).get("events")
        use_revisions(recorded)
        sample = read(recipe, callback, folder.path)
        if recorded is not None and not same_events(recorded, sample.source):
            callback.say("The events have changed since the run was made.")
    else:
        callback.stage("Reading events")
        sample = load_events(
            recipe.events,
            events_by_sample(recipe.events, events),
            classes=model.classes,
            task=model.task,
            names=model.names,
            extra=carried(recipe),
            progress=callback.read,
            budget=memory_budget(recipe.events.memory, folder.path),
            split=folded,
            label=label,
        )
    for sentence in skipped_sentences(sample.source):
        callback.say(sentence)
    callback.stage("Evaluating")
    present = set(np.unique((sample.of_fold(0) if folded else sample).part).tolist())
    part = TEST if folded else evaluated_part(present)
    scored = run.scored(sample, part)
    if folded and len(scored.events) < len(sample):
        callback.say(
            f"{len(sample) - len(scored.events):,} events are of folds that are not trained, and "
            f"are left out. `steepest train --resume {path}` trains the rest."
        )
    parts = {part: sample} if folded else without_features(sample).parts()
    options = expected_events(recipe.evaluate, recipe.events, parts, model.task)
    shown = {part: scored}
    if events is None:
        choosing = choosing_part(present, part)
        if choosing != part:
            shown[choosing] = run.scored(sample, choosing)
        chosen = choose(shown[choosing], options, PARTS[choosing])
    else:
        chosen = (folder.metrics or {}).get("chosen")
    evaluation = evaluate_model(scored, options, chosen)
    known = [] if events is None else _files_in_both(folder, sample.source)
    if known:
        callback.say(
            f"The run was trained on {', '.join(known)}: on events of its training part, "
            "figures of merit are too good. Its own test part is evaluated where no events are "
            "given."
        )
    if draw:
        samples = describe_samples(parts, recipe.events) if events is None else []
        _draw(folder, evaluation, shown, part, options, callback, samples)
    return results.metrics_of(
        "evaluated",
        trained_on=known,
        figures=str(folder.path / FIGURES) if draw else None,
        run=str(folder.path),
        part=PARTS[part] if events is None else "all",
        source=sample.source,
        events=results.describe_part(scored.events, model.classes),
        model=results.describe_model(model),
        chosen=chosen,
        merits={"model": results.to_json(evaluation.merits)},
        bins=evaluation.bins_to_json(),
        **describe_heads(scored),
    )


FIGURES = "evaluation"
"""Where `evaluate_run` writes figures, in the run's folder."""


def _draw(
    folder: RunFolder,
    evaluation: Evaluation,
    scored: dict[int, Scored],
    part: int,
    options: EvaluateRecipe,
    callback: TrainingCallback,
    samples: Sequence[dict[str, Any]],
) -> None:
    from steepest.training import background
    from steepest.training import figures as drawn

    callback.stage("Drawing figures")
    model = evaluation.scored.model
    drawing = background.Drawing(folder, where=FIGURES, units=model.units)
    for figure in drawn.results(model, evaluation, None, scored, part, options, samples):
        drawing.add(*figure)


def _files_in_both(folder: RunFolder, source: dict[str, Any]) -> list[str]:
    """Return the names of files with the content of a file that the run was trained on."""
    recorded = ((folder.environment or {}).get("events") or {}).get("files", [])
    seen = {(file.get("sha256"), file.get("inside")) for file in recorded}
    return [
        file["name"]
        for file in source.get("files", [])
        if file.get("sha256") and (file["sha256"], file.get("inside")) in seen
    ]
