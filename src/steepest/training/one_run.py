"""One training: from the events of a recipe to a finished run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steepest.errors import DivergenceError, Interrupted, RunFolderError
from steepest.evaluate.figures.process import DrawingProcess
from steepest.events import TRAIN, VALIDATION, Sample, same_events
from steepest.events.words import counted
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.ranks import current
from steepest.recipe import DescentRecipe, Recipe
from steepest.training.callback import TrainingCallback, interruptible
from steepest.training.finish import Job, finish, keep_diverged, newest_state
from steepest.training.fit import fit
from steepest.training.fitting.fitted import Fitted
from steepest.training.fitting.plan import decided_for
from steepest.training.inputs import Schema
from steepest.training.logs import logged
from steepest.training.results import environment


@dataclass(frozen=True)
class Again:
    """How an earlier descent goes on: it ends at once, or is longer than it was."""

    finish: bool = False
    longer: bool = False


def run_in(
    folder: RunFolder,
    recipe: Recipe,
    parts: dict[int, Sample],
    schema: Schema,
    callback: TrainingCallback,
    process: DrawingProcess | None,
    again: Again = Again(),
) -> RunFolder:
    """From events to a finished folder, which is locked; goes on where its checkpoints end."""
    with logged(folder, recipe, callback) as told:
        return _run_in(folder, recipe, parts, schema, told, process, again)


def _run_in(
    folder: RunFolder,
    recipe: Recipe,
    parts: dict[int, Sample],
    schema: Schema,
    callback: TrainingCallback,
    process: DrawingProcess | None,
    again: Again,
) -> RunFolder:
    def say(sentence: str) -> None:
        folder.say(sentence)
        callback.say(sentence)

    for note in parts[TRAIN].notes:
        say(note)
    recipe = recipe.model_copy(update={"descent": _of_ranks(recipe.descent, folder, say)})
    checkpointer = FolderCheckpointer(folder.path, say, folder.is_main)
    job = Job(folder, recipe, parts, schema, checkpointer, callback, say, process)
    fitted = None
    try:
        job.give_back()
        fitted = _descend(job, again)
        _say_end(fitted, say)
        job.give_back()
        finish(job, fitted)
    except DivergenceError as error:
        say(str(error))
        keep_diverged(job, error)
        raise
    except Interrupted as error:
        say(error.what)
        raise _resumable(error, "its checkpoint is saved", folder) from None
    except KeyboardInterrupt:
        if fitted is None:
            error = Interrupted("Interrupted before the descent.")
            raise _resumable(error, "no step was taken since", folder) from None
        error = Interrupted("Interrupted while the results were written.")
        raise _resumable(error, "the descent is done", folder) from None
    return folder


def _of_ranks(
    recipe: DescentRecipe, folder: RunFolder, say: Callable[[str], None]
) -> DescentRecipe:
    """Return the recipe with the batch of all ranks, as many as there were when the run began.

    Batches do not depend on the number of ranks: more or fewer may go on with the run.
    """
    ranks = current()
    began = (folder.environment or {}).get("ranks", 1)
    if ranks.size > 1 or began > 1:
        now = "" if began == ranks.size else f", now on {ranks.size}"
        say(f"Training over {counted(began, 'rank')}{now}.")
    if isinstance(recipe.batch_size, int):
        return recipe.model_copy(update={"batch_size": recipe.batch_size * began})
    return recipe


def _descend(job: Job, again: Again) -> Fitted:
    state = newest_state(job)
    if state is None and again.finish:
        raise nothing_to_finish(job.folder)
    if state is not None:
        job.say(f"{'Ending' if again.finish else 'Going on'} after step {state.step:,}.")
        if again.longer:
            state = state.with_changes(reason=None)
    validated = VALIDATION in job.parts
    descent = decided_for(
        job.recipe.descent, job.parts[TRAIN], job.recipe.model, job.schema.task, validated
    )
    assert isinstance(descent.epochs, int)
    job.callback.stage("Descending", descent.epochs)
    with interruptible(job.callback):
        return fit(
            job.parts[TRAIN],
            job.parts.get(VALIDATION),
            job.schema,
            job.recipe.model,
            job.recipe.descent,
            job.checkpointer,
            state=state,
            callback=job.callback,
            say=job.say,
            begun=job.draw_ahead,
            finish=again.finish,
        )


def nothing_to_finish(folder: RunFolder) -> RunFolderError:
    """Return the error about a run of which no step is saved."""
    return RunFolderError(
        f"The run {folder.path} cannot be finished: it has no checkpoint yet.",
        expected="a descent that was interrupted",
        found="no step that is saved",
        do=f"steepest train --resume {folder.path}",
    )


def _resumable(error: Interrupted, found: str, folder: RunFolder) -> Interrupted:
    return type(error)(error.what, found=found, do=f"steepest train --resume {folder.path}")


def _say_end(fitted: Fitted, say: Callable[[str], None]) -> None:
    state = fitted.outcome.state
    if state.reason is not None:
        say(f"Stopped after step {state.step:,}: {state.reason.sentence}.")
    if fitted.plan.keep == "best":
        say(
            f"Kept the parameters of step {fitted.outcome.step:,}, the best on the validation "
            f"part: J = {state.best.loss:.6g}."
        )


def refuse_other_events(folder: RunFolder, source: dict[str, Any]) -> None:
    """Raise RunFolderError if the events have changed; write a missing environment.json."""
    recorded = folder.environment
    if recorded is None:
        folder.write_json("environment.json", environment(source))
    elif not same_events(recorded["events"], source):
        raise RunFolderError(
            f"The events of the run {folder.path} have changed since it began.",
            expected=_digest(recorded["events"]),
            found=_digest(source),
            do="restore the files, or train anew into another folder",
        )


def _digest(source: dict[str, Any]) -> str:
    files = source.get("files", [])
    told = [f"{file['name']} {file['sha256'][:12]}…" for file in files[:3]]
    told += [f"{file['path']} skipped" for file in source.get("skipped", [])[:3]]
    return ", ".join(told) or "none"
