"""A descent that goes on for longer than its recipe said: `--resume RUN --set descent.epochs=…`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from steepest.errors import RecipeError
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.recipe import DescentRecipe, Recipe

EXTENDS = ("descent.epochs", "descent.stop")
"""What may be set of a run that goes on: how long the descent is."""


def longer(folder: RunFolder, settings: Iterable[str]) -> Recipe | None:
    """Return the recipe with the settings, which make the descent longer; None without any.

    Raises
    ------
    RecipeError
        The settings change anything else, or a model has done more epochs, or all so many.
    """
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
    if not settings:
        return None
    recipe = as_long_as(folder, folder.recipe.with_settings(settings).descent)
    epochs, done = recipe.descent.epochs, [_epochs_of(run) for run in folder.folds or [folder]]
    if isinstance(epochs, int) and (epochs <= min(done) or epochs < max(done)):
        raise RecipeError(
            f"The run {folder.path} has done {max(done):g} epochs already.",
            expected=f"descent.epochs above {max(done):g}",
            found=f"{epochs}",
            do=f"steepest train --resume {folder.path} --set descent.epochs=NUMBER",
        )
    return recipe


def _epochs_of(run: RunFolder) -> float:
    """Return how many epochs a run has done, to its end or to its newest checkpoint."""
    checkpointer = FolderCheckpointer(run.path)
    state = None if run.epochs_done else checkpointer.newest()
    history = checkpointer.history() if state is not None else None
    if state is None or history is None:
        return run.epochs_done
    done = np.asarray(history["epoch"])[np.asarray(history["step"]) <= state.step]
    return float(done[-1]) if len(done) else 0.0


def as_long_as(folder: RunFolder, descent: DescentRecipe) -> Recipe:
    """Return a run's recipe with the length of another descent.

    λ stays what it was where the recipe leaves it out, which it would not with other `epochs`; each
    fold has its own.
    """
    recipe, l2 = folder.recipe, folder.recipe.descent.l2
    if l2 is None and recipe.descent.epochs == "auto":
        is_decided = folder.metrics is not None and not recipe.events.split.cross_validated
        l2 = folder.l2 if is_decided else "auto"
    changed = {"epochs": descent.epochs, "stop": descent.stop, "l2": l2}
    return recipe.model_copy(update={"descent": recipe.descent.model_copy(update=changed)})


def may_go_on(folder: RunFolder, descent: DescentRecipe) -> bool:
    """Whether a run ended by a recipe that is not as long as `descent`."""
    own = folder.recipe.descent
    if isinstance(descent.epochs, int):
        is_short = folder.epochs_done < descent.epochs
    else:  # a fold of another length got it for itself
        is_short = own.epochs == descent.epochs
    return is_short and (own.epochs, own.stop) != (descent.epochs, descent.stop)
