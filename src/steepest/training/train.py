"""The whole way: recipe → events → split → scale → objective → descent → run folder → evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from steepest.errors import DivergenceError, Interrupted, RunFolderError
from steepest.events import TRAIN, VALIDATION, use_revisions
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.recipe import Recipe
from steepest.training.callback import TrainingCallback
from steepest.training.drawing import SecondDrawer, second_drawer
from steepest.training.environment import environment
from steepest.training.events import Prepared, prepare
from steepest.training.finish import Job, finish, keep_diverged
from steepest.training.fit import Fitted, check_fit, fit
from steepest.training.interrupt import interruptible

__all__ = ["next_free_folder", "resume", "train"]


def train(
    recipe: Recipe, out: str | Path | None = None, callback: TrainingCallback | None = None
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

    Raises
    ------
    SteepestError
        Whatever hinders it; see `steepest.errors`.
    """
    callback = callback or TrainingCallback()
    path = Path(out) if out is not None else next_free_folder(recipe)
    RunFolder.refuse_occupied(path)
    recipe = recipe.anchored(Path.cwd())
    with second_drawer() as second:
        events = prepare(recipe, callback, path)
        check_fit(events.parts[TRAIN], events.schema, recipe.model, recipe.descent)
        folder = RunFolder.create(path, recipe)
        folder.write_json("environment.json", environment(events.source))
        return _run(folder, recipe, events, callback, second)


def resume(path: str | Path, callback: TrainingCallback | None = None) -> RunFolder:
    """Go on with an interrupted run; gives, bit for bit, what the uninterrupted run gives.

    Raises
    ------
    RunFolderError
        If there is no run, it has diverged, or its events have changed.
    """
    callback = callback or TrainingCallback()
    folder = RunFolder(path)
    metrics = folder.metrics
    if metrics is not None and metrics["status"] == "complete":
        callback.say(f"The run {path} is complete; nothing is left to do.")
        return folder
    if metrics is not None:
        raise RunFolderError(
            f"The run {path} has {metrics['status']}, and would do so again.",
            found=metrics["divergence"].splitlines()[0],
            do="change the recipe (see the message in log.txt) and train into another folder",
        )
    recipe = folder.recipe
    recorded = folder.environment
    if recorded is not None:
        use_revisions(recorded["events"])
    events = prepare(recipe, callback, folder.path)
    if recorded is None:
        folder.write_json("environment.json", environment(events.source))
    elif recorded["events"] != events.source:
        raise RunFolderError(
            f"The events of the run {path} have changed since it began.",
            expected=_digest(recorded["events"]),
            found=_digest(events.source),
            do="restore the files, or train anew into another folder",
        )
    with second_drawer() as second:
        return _run(folder, recipe, events, callback, second)


def _run(
    folder: RunFolder,
    recipe: Recipe,
    events: Prepared,
    callback: TrainingCallback,
    second: SecondDrawer | None,
) -> RunFolder:
    """From events to a finished folder; goes on where the folder's checkpoints end."""

    def say(sentence: str) -> None:
        folder.say(sentence)
        callback.say(sentence)

    with folder.locked():
        for note in events.notes:
            say(note)
        job = Job(
            folder, recipe, events, FolderCheckpointer(folder.path, say), callback, say, second
        )
        try:
            job.give_back()
            fitted = _descend(job)
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


def _descend(job: Job) -> Fitted:
    state = job.checkpointer.newest()
    if state is not None:
        job.say(f"Going on after step {state.step:,}.")
    job.callback.stage("Descending", job.recipe.descent.epochs)
    with interruptible(job.callback):
        return fit(
            job.events.parts[TRAIN],
            job.events.parts.get(VALIDATION),
            job.events.schema,
            job.recipe.model,
            job.recipe.descent,
            job.checkpointer,
            state=state,
            callback=job.callback,
            say=job.say,
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
