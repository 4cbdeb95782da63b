"""The whole way: recipe → events → split → scale → objective → descent → run folder → evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.evaluate.figures.process import DrawingProcess, drawing_process
from steepest.events import TRAIN, Sample, use_revisions
from steepest.folder import RunFolder
from steepest.models import kind_named
from steepest.ranks import Ranks, current
from steepest.recipe import Recipe
from steepest.training.callback import TrainingCallback, preemptible
from steepest.training.fit import check_fit
from steepest.training.folds import resume_folds, train_folds
from steepest.training.inputs import Schema, prepare
from steepest.training.logs import require_loggers
from steepest.training.longer import longer
from steepest.training.one_run import Again, refuse_other_events, run_in
from steepest.training.results import environment
from steepest.training.targets import refuse_heads
from steepest.training.variations import check_variations


def train(
    recipe: Recipe,
    out: str | Path | None = None,
    callback: TrainingCallback | None = None,
    *,
    overwrite: bool = False,
    again: bool = False,
) -> RunFolder:
    """Train what a recipe asks for, into a new folder.

    Of many ranks (`steepest.ranks`), each reads and descends on its part of the events; the main
    one writes the folder.

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
    again
        Go on with the run in `out` if it is there and has this recipe: for a job that a scheduler
        starts again.

    Raises
    ------
    SteepestError
        Whatever hinders it; see `steepest.errors`.
    """
    callback, ranks = callback or TrainingCallback(), current()
    recipe = recipe.anchored(Path.cwd())
    path = ranks.from_main(Path(out) if out is not None else next_folder(recipe))
    if again and ranks.from_main(_is_begun(path, recipe)):
        return resume(path, callback)
    if ranks.is_main:
        RunFolder.refuse_occupied(path, overwrite)
    kind = kind_named(recipe.model.name)  # an unknown one is refused before any events are read
    refuse_heads(recipe.model)
    require_loggers(recipe)
    if kind.groups and recipe.events.particles is None:
        recipe = recipe.with_particles()
    check_variations(recipe.events)
    with _drawing(ranks) as process, preemptible():
        if recipe.events.split.cross_validated:
            _refuse_folds(ranks)
            return train_folds(path, recipe, callback, process, overwrite)
        recipe, parts, schema = _prepared(recipe, callback, path)
        check_fit(parts[TRAIN], schema, recipe.model, recipe.descent)
        with _created(path, recipe, overwrite, ranks, parts[TRAIN].source) as folder:
            return run_in(folder, recipe, parts, schema, callback, process)


OTHER_SEEDS = 8
"""So many other splits are tried of few events."""


def _prepared(
    recipe: Recipe, callback: TrainingCallback, path: Path
) -> tuple[Recipe, dict[int, Sample], Schema]:
    """Read the events; of few, with another seed of the split where a part lacks a class.

    Only the default seed is changed, and the recipe that is kept has the other one.
    """
    try:
        return recipe, *prepare(recipe, callback, path)
    except EventsError as error:
        if not error.of_split or recipe.events.split.seed != 0 or current().size > 1:
            raise
        first = error
    for seed in range(1, OTHER_SEEDS + 1):
        changed = recipe.with_settings([f"events.split.seed={seed}"])
        try:
            parts, schema = prepare(changed, callback, path)
        except EventsError as error:
            if not error.of_split:
                raise
            continue
        note = f"{first.what} That is so with events.split.seed = 0; {seed} is taken instead."
        parts[TRAIN].notes.insert(0, note)
        return changed, parts, schema
    raise first


@contextmanager
def _created(
    path: Path, recipe: Recipe, overwrite: bool, ranks: Ranks, source: dict[str, Any]
) -> Iterator[RunFolder]:
    """The run's folder, which the main rank makes and holds; the others wait for it."""
    if not ranks.is_main:
        ranks.from_main(None)
        yield RunFolder(path, is_main=False)
        return
    with RunFolder.create_locked(path, recipe, overwrite) as folder:
        folder.write_json("environment.json", environment(source))
        ranks.from_main(None)
        yield folder


def _drawing(ranks: Ranks) -> AbstractContextManager[DrawingProcess | None]:
    return drawing_process() if ranks.is_main else nullcontext()


def _is_begun(path: Path, recipe: Recipe) -> bool:
    """Whether a run of this recipe lies there; one of another recipe is left for `train`."""
    try:
        folder = RunFolder(path)
    except RunFolderError:
        return False
    seed = folder.recipe.events.split.seed
    if recipe.events.split.seed == 0 != seed:  # see `_prepared`
        recipe = recipe.with_settings([f"events.split.seed={seed}"])
    if folder.recipe != recipe and folder.recipe != recipe.with_particles():
        raise RunFolderError(
            f"{path} holds a run of another recipe.",
            expected="the recipe that this command names",
            found=f"{path / 'recipe.toml'}",
            do="choose another folder with --out",
        )
    return True


def _refuse_folds(ranks: Ranks) -> None:
    if ranks.size > 1:
        raise RecipeError(
            "The models of all folds are not trained over many ranks.",
            expected="one process, or one fold",
            found=f"{ranks.size} ranks, and events.split.folds without events.split.fold",
            do="train each fold as a job of its own: --set events.split.fold=0, 1, …",
        )


def resume(
    path: str | Path,
    callback: TrainingCallback | None = None,
    *,
    settings: Iterable[str] = (),
    finish: bool = False,
) -> RunFolder:
    """Go on with an interrupted run; gives, bit for bit, what the uninterrupted run gives.

    With `settings` such as ``"descent.epochs=50"`` a complete run goes on too, and each fold of
    one. With `finish` an interrupted run ends where its last checkpoint is; of folds, those that
    have not begun are left out, and a later call without `finish` trains them.

    Raises
    ------
    RunFolderError
        If there is no run, it has diverged, its events have changed, or it cannot be finished.
    RecipeError
        If `settings` change anything but the length of the descent.
    """
    callback, ranks = callback or TrainingCallback(), current()
    folder = RunFolder(path, ranks.is_main)
    folder.say_unchecked(callback.say)
    require_loggers(folder.recipe)
    metrics = ranks.from_main(folder.metrics)
    recipe = longer(folder, settings)
    folded = folder.recipe.events.split.cross_validated
    untrained = folded and len(folder.trained_folds) < (folder.recipe.events.split.folds or 0)
    done = metrics is not None and metrics["status"] == "complete"
    if done and recipe is None and (finish or not untrained):
        for each in (folder, *folder.folds):
            each.verify()
        callback.say(f"The run {path} is complete; nothing is left to do.")
        return folder
    if metrics is not None and not done:
        raise RunFolderError(
            f"The run {path} has {metrics['status']}, and would do so again.",
            found=metrics["divergence"].splitlines()[0],
            do="change the recipe (see the message in log.txt) and train into another folder",
        )
    with folder.locked(), _drawing(ranks) as process, preemptible():
        goes_on, recorded = Again(finish, recipe is not None), folder.environment
        if recorded is not None:
            use_revisions(recorded["events"])
        if folded:
            _refuse_folds(ranks)
            return resume_folds(folder, recipe, callback, process, finish)
        parts, schema = prepare(recipe or folder.recipe, callback, folder.path)
        if ranks.is_main:
            refuse_other_events(folder, parts[TRAIN].source)
            if recipe is not None:
                folder.reopen(recipe)
        ranks.from_main(None)  # the others wait
        return run_in(folder, recipe or folder.recipe, parts, schema, callback, process, goes_on)


def next_folder(recipe: Recipe, last: bool = False) -> Path:
    """The first of ``runs/NAME-1``, ``-2``, … that is not there, named after the events.

    With `last`, the last one that is there, if one is.
    """
    stem, number = stem_of(recipe), 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path.with_name(f"{stem}-{number - 1}") if last and number > 1 else path


def stem_of(recipe: Recipe) -> str:
    """The name of a recipe's events, after which its runs are named."""
    return Path(recipe.events.paths[0].split(":")[-1]).stem.strip("*?[]-_ ") or "run"
