"""One trial of a sweep: an ordinary run, whose validation losses the pruner is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.descent import Plan
from steepest.errors import DivergenceError, InputError, Interrupted, RunFolderError, SteepestError
from steepest.folder import RunFolder
from steepest.recipe import Recipe
from steepest.run import Run, train
from steepest.sweeps.ranges import Range
from steepest.sweeps.study import PARTS, database_error, load_optuna
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    import optuna

LOSS = "validation_loss"


class TrialCallback(TrainingCallback):
    """Tells Optuna the validation losses of a descent, and ends one that is pruned.

    After each twentieth of the planned steps the trial is told the newest loss, so trials of other
    epochs and batch sizes are compared at the same part of their descents, and of their schedules.

    Parameters
    ----------
    trial
        Optuna's.
    told
        Shown how far the descent is.
    title
        Of its progress bar.
    """

    def __init__(self, trial: optuna.Trial, told: TrainingCallback, title: str) -> None:
        self.trial, self.told, self.title = trial, told, title
        self.plan: Plan | None = None
        self.pruned = False
        self.lost: Exception | None = None
        frozen = trial.study.trials[trial.number]
        self.reported = max(frozen.intermediate_values, default=0)

    def begun(self, objective: Any, events: Any, plan: Plan, state: Any) -> None:
        """Remember the length of the descent."""
        self.plan = plan
        self.told.stage(self.title, plan.epochs)

    def steps(self, state: Any, loss: float, rate: float, epochs: float) -> None:
        """Show the progress."""
        self.told.steps(state, loss, rate, epochs)

    def round(self, state: Any, values: Any) -> None:
        """Report the loss, and ask whether the trial shall go on; end it without the database."""
        self.told.round(state, values)
        loss = values.get(LOSS)
        if loss is None or self.plan is None or self.pruned or self.lost is not None:
            return
        try:
            self._report(float(loss), int(PARTS * state.step / self.plan.total_steps))
        except Exception as error:
            if database_error(error) is None:
                raise
            self.lost, self.interrupted = error, True  # saves a checkpoint

    def _report(self, loss: float, part: int) -> None:
        for each in range(self.reported + 1, part + 1):
            self.trial.report(loss, each)
            if each < PARTS and self.trial.should_prune():
                self.pruned = self.interrupted = True
        self.reported = max(self.reported, part)


def train_trial(
    trial: optuna.Trial,
    recipe: Recipe,
    ranges: Sequence[Range],
    folder: Path,
    told: TrainingCallback,
    title: str,
) -> float:
    """Train one trial into ``folder/trial-N``; return the validation loss of its model.

    A trial that was interrupted has its folder, and goes on there.

    Raises
    ------
    optuna.TrialPruned
        Its losses were no good, or it diverged.
    InputError
        Such a run cannot be trained.
    Interrupted
        After Ctrl-C; the trial can be taken up again, as after an error of the database.
    """
    settings = [f"{each.key}={each.suggest(trial)}" for each in ranges]
    name = trial.user_attrs.get("folder") or f"trial-{trial.number:04d}"
    path = folder / name
    if _is_in_use(path):  # by a process that was paused, and given up
        name = f"trial-{trial.number:04d}"
        path = folder / name
    trial.set_user_attr("folder", name)
    callback = TrialCallback(trial, told, title)
    pruned = load_optuna().TrialPruned
    try:
        run = train(recipe, path, settings=settings, again=True, callback=callback)
    except Interrupted:
        if callback.lost is not None:
            raise callback.lost from None
        if not callback.pruned:
            raise
        RunFolder(path).say("Pruned by the sweep: other trials had lower losses at this point.")
        raise pruned("the losses of other trials were lower at this point") from None
    except DivergenceError as error:
        trial.set_user_attr("diverged", error.what)
        raise pruned(error.what) from None
    except InputError as error:
        trial.set_user_attr("failed", error.what)
        raise _about(error, name, settings) from None
    except MemoryError:
        trial.set_user_attr("failed", "not enough memory")
        raise
    return validation_loss(run)


def _is_in_use(path: Path) -> bool:
    try:
        with RunFolder(path).locked():
            return False
    except RunFolderError as error:
        return "Another process" in error.what


def _about(error: SteepestError, name: str, settings: Sequence[str]) -> InputError:
    told = {key: text for key, text in error.details.items() if text and key != "found"}
    said = f"{name} cannot be trained: {error.what}"
    found = "; ".join(filter(None, [error.details["found"], f"with {', '.join(settings)}"]))
    return InputError(said, found=found, **told)


def validation_loss(run: Run) -> float:
    """Return the validation loss of the parameters that a run has kept, without the L2 term."""
    metrics = run.metrics or {}
    history, kept = run.history, metrics["descent"]["kept_step"]
    if LOSS in history.columns:
        row = history.filter((history["step"] == kept) & history[LOSS].is_not_null())
        if len(row):
            return float(row[LOSS][-1])
    loss = metrics["losses"]["validation"]  # of the start, or of an exact solution
    return float(np.nan if loss is None else loss)
