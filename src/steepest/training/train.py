"""The whole way: recipe → events → split → scale → objective → descent → run folder → evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steepest.errors import DivergenceError, Interrupted, RecipeError, RunFolderError
from steepest.events import TRAIN, VALIDATION, Sample, use_revisions
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.models import kind_named
from steepest.recipe import Recipe
from steepest.training.background import DrawingProcess, drawing_process
from steepest.training.callback import TrainingCallback, interruptible
from steepest.training.finish import Job, finish, keep_diverged
from steepest.training.fit import Fitted, check_fit, decided_for, fit
from steepest.training.inputs import Schema, prepare
from steepest.training.results import environment

__all__ = ["next_free_folder", "resume", "train"]


def train(
    recipe: Recipe,
    out: str | Path | None = None,
    callback: TrainingCallback | None = None,
    *,
    overwrite: bool = False,
) -> RunFolder:
    """Train what a recipe asks for, into a new folder.

    Parameters
    ----------
    recipe
        What to train, on what, how.
    out
        The run's folder; left out, the next free ``runs/NAME-1``, ``-2``, …
    callback
        Progress.
    overwrite
        Replace a run that lies in `out`, once the events are read; nothing else is replaced.

    Raises
    ------
    SteepestError
        Whatever hinders it; see `steepest.errors`.
    """
    callback = callback or TrainingCallback()
    path = Path(out) if out is not None else next_free_folder(recipe)
    RunFolder.refuse_occupied(path, overwrite)
    recipe = recipe.anchored(Path.cwd())
    kind_named(recipe.model.name)  # an unknown one is refused before any events are read
    with drawing_process() as process:
        parts, schema = prepare(recipe, callback, path)
        check_fit(parts[TRAIN], schema, recipe.model, recipe.descent)
        with RunFolder.create_locked(path, recipe, overwrite) as folder:
            folder.write_json("environment.json", environment(parts[TRAIN].source))
            return _run(folder, recipe, parts, schema, callback, process)


@dataclass(frozen=True)
class _Again:
    """How an earlier descent goes on: it ends at once, or is longer than it was."""

    finish: bool = False
    longer: bool = False


EXTENDS = ("descent.epochs", "descent.stop")
"""What may be set of a run that goes on: how long the descent is."""


def resume(
    path: str | Path,
    callback: TrainingCallback | None = None,
    *,
    settings: Iterable[str] = (),
    finish: bool = False,
) -> RunFolder:
    """Go on with an interrupted run; gives, bit for bit, what the uninterrupted run gives.

    With `settings` such as ``"descent.epochs=50"`` a complete run goes on too. With `finish` an
    interrupted run ends where its last checkpoint is.

    Raises
    ------
    RunFolderError
        If there is no run, it has diverged, its events have changed, or it cannot be finished.
    RecipeError
        If `settings` change anything but the length of the descent.
    """
    callback = callback or TrainingCallback()
    folder = RunFolder(path)
    folder.say_unchecked(callback.say)
    metrics = folder.metrics
    longer = _longer(folder.recipe, settings)
    if metrics is not None and metrics["status"] == "complete" and longer is None:
        folder.verify()
        callback.say(f"The run {path} is complete; nothing is left to do.")
        return folder
    if metrics is not None and metrics["status"] != "complete":
        raise RunFolderError(
            f"The run {path} has {metrics['status']}, and would do so again.",
            found=metrics["divergence"].splitlines()[0],
            do="change the recipe (see the message in log.txt) and train into another folder",
        )
    with folder.locked(), drawing_process() as process:
        recipe, recorded = longer or folder.recipe, folder.environment
        if recorded is not None:
            use_revisions(recorded["events"])
        parts, schema = prepare(recipe, callback, folder.path)
        source = parts[TRAIN].source
        if recorded is None:
            folder.write_json("environment.json", environment(source))
        elif recorded["events"] != source:
            raise RunFolderError(
                f"The events of the run {path} have changed since it began.",
                expected=_digest(recorded["events"]),
                found=_digest(source),
                do="restore the files, or train anew into another folder",
            )
        if longer is not None:
            folder.reopen(longer)
        return _run(folder, recipe, parts, schema, callback, process, _Again(finish, bool(longer)))


def _longer(recipe: Recipe, settings: Iterable[str]) -> Recipe | None:
    """Return the recipe with the settings, which make the descent longer; None without any."""
    settings = list(settings)
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if not key.startswith(EXTENDS):
            raise RecipeError(
                f"A run that goes on cannot change {key}.",
                expected=" or ".join(EXTENDS),
                found=key,
                do="train into another folder, with that setting",
            )
    return recipe.with_settings(settings) if settings else None


def _run(
    folder: RunFolder,
    recipe: Recipe,
    parts: dict[int, Sample],
    schema: Schema,
    callback: TrainingCallback,
    process: DrawingProcess | None,
    again: _Again = _Again(),
) -> RunFolder:
    """From events to a finished folder, which is locked; goes on where its checkpoints end."""

    def say(sentence: str) -> None:
        folder.say(sentence)
        callback.say(sentence)

    for note in parts[TRAIN].notes:
        say(note)
    checkpointer = FolderCheckpointer(folder.path, say)
    job = Job(folder, recipe, parts, schema, checkpointer, callback, say, process)
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
        raise _resumable(error.what, "its checkpoint is saved", folder) from None
    except KeyboardInterrupt:
        what = "Interrupted while the results were written."
        raise _resumable(what, "the descent is done", folder) from None
    return folder


def _descend(job: Job, again: _Again) -> Fitted:
    state = job.checkpointer.newest()
    if state is None and again.finish:
        raise RunFolderError(
            f"The run {job.folder.path} cannot be finished: it has no checkpoint yet.",
            expected="a descent that was interrupted",
            found="no step that is saved",
            do=f"steepest train --resume {job.folder.path}",
        )
    if state is not None:
        job.say(f"{'Ending' if again.finish else 'Going on'} after step {state.step:,}.")
        if again.longer:
            state = state.with_changes(reason=None)
    validated = VALIDATION in job.parts
    descent = decided_for(job.recipe.descent, job.parts[TRAIN], job.recipe.model, validated)
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
            finish=again.finish,
        )


def _resumable(what: str, found: str, folder: RunFolder) -> Interrupted:
    return Interrupted(what, found=found, do=f"steepest train --resume {folder.path}")


def _say_end(fitted: Fitted, say: Callable[[str], None]) -> None:
    state = fitted.outcome.state
    if state.reason is not None:
        say(f"Stopped after step {state.step:,}: {state.reason.sentence}.")
    if fitted.plan.keep == "best":
        say(
            f"Kept the parameters of step {fitted.outcome.step:,}, the best on the validation "
            f"part: J = {state.best.loss:.6g}."
        )


def next_free_folder(recipe: Recipe) -> Path:
    """The first of ``runs/NAME-1``, ``-2``, … that is not there, named after the events."""
    stem = Path(recipe.events.paths[0].split(":")[-1]).stem.strip("*?[]-_ ") or "run"
    number = 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _digest(source: dict[str, Any]) -> str:
    files = source.get("files", [])
    return ", ".join(f"{file['name']} {file['sha256'][:12]}…" for file in files[:3]) or "none"
