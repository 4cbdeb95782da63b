"""The whole way: recipe → events → split → scale → objective → descent → run folder → evaluate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from steepest.errors import RecipeError, RunFolderError
from steepest.events import TRAIN, use_revisions
from steepest.folder import RunFolder
from steepest.models import kind_named
from steepest.recipe import Recipe
from steepest.training.background import drawing_process
from steepest.training.callback import TrainingCallback
from steepest.training.fit import check_fit
from steepest.training.folds import resume_folds, train_folds
from steepest.training.inputs import prepare
from steepest.training.one_run import Again, refuse_other_events, run_in
from steepest.training.results import environment
from steepest.training.variations import check_variations


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
    kind = kind_named(recipe.model.name)  # an unknown one is refused before any events are read
    if kind.groups and recipe.events.particles is None:
        recipe = recipe.with_particles()
    check_variations(recipe.events)
    with drawing_process() as process:
        if recipe.events.split.cross_validated:
            return train_folds(path, recipe, callback, process, overwrite)
        parts, schema = prepare(recipe, callback, path)
        check_fit(parts[TRAIN], schema, recipe.model, recipe.descent)
        with RunFolder.create_locked(path, recipe, overwrite) as folder:
            folder.write_json("environment.json", environment(parts[TRAIN].source))
            return run_in(folder, recipe, parts, schema, callback, process)


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
        for each in (folder, *folder.folds):
            each.verify()
        callback.say(f"The run {path} is complete; nothing is left to do.")
        return folder
    if metrics is not None and metrics["status"] != "complete":
        raise RunFolderError(
            f"The run {path} has {metrics['status']}, and would do so again.",
            found=metrics["divergence"].splitlines()[0],
            do="change the recipe (see the message in log.txt) and train into another folder",
        )
    folded = folder.recipe.events.split.cross_validated
    if folded and (longer is not None or finish):
        raise RunFolderError(
            f"The run {path} has folds, which end at once or get longer each for itself.",
            expected="the run of one fold",
            do=f"name a fold, such as {folder.path / 'folds' / '0'}",
        )
    with folder.locked(), drawing_process() as process:
        recipe, recorded = longer or folder.recipe, folder.environment
        if recorded is not None:
            use_revisions(recorded["events"])
        if folded:
            return resume_folds(folder, callback, process)
        parts, schema = prepare(recipe, callback, folder.path)
        refuse_other_events(folder, parts[TRAIN].source)
        if longer is not None:
            folder.reopen(longer)
        return run_in(folder, recipe, parts, schema, callback, process, Again(finish, bool(longer)))


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


def next_free_folder(recipe: Recipe) -> Path:
    """The first of ``runs/NAME-1``, ``-2``, … that is not there, named after the events."""
    stem = Path(recipe.events.paths[0].split(":")[-1]).stem.strip("*?[]-_ ") or "run"
    number = 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path
