"""What a run left that can be explained: J on its events, the path of θ, and the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steepest.descent.plan import decided
from steepest.errors import InputError, RunFolderError
from steepest.events import TRAIN, VALIDATION, Sample, use_revisions
from steepest.folder import RunFolder
from steepest.objective import Batch, ModelObjective
from steepest.optimizers import UpdateRule, update_rule
from steepest.recipe import DescentRecipe, Recipe
from steepest.scaling import AnyScaling
from steepest.trained import TrainedModel
from steepest.training import TrainingCallback
from steepest.training.inputs import Schema, batch_of, prepare
from steepest.training.targets import head_columns, targets_of

Array = np.ndarray

EVENTS = 20_000
"""Events at most that curvature and losses are measured on, evenly spaced through a part."""


@dataclass(frozen=True, eq=False)
class Record:
    """A run as explanations read it.

    Parameters
    ----------
    name, recipe, status
        Of the run; status is "complete", "diverged" or "unfinished".
    parts, schema
        The events, encoded and not scaled, by part, at most `EVENTS` each; what they mean.
    model, objective
        The trained model, and J in float64 with the L2 term.
    train, validation
        The scaled events; None without a validation part.
    steps, thetas
        The path of θ: ``(points,)`` and float64 ``(points, size)``, finite.
    history
        A row a recorded step.
    descent
        The recipe's ``[descent]`` with everything decided.
    events
        Number of training events of the run.
    """

    name: str
    recipe: Recipe
    status: str
    parts: Mapping[int, Sample]
    schema: Schema
    model: TrainedModel
    objective: ModelObjective
    train: Batch
    validation: Batch | None
    steps: Array
    thetas: Array
    history: pl.DataFrame
    descent: DescentRecipe
    events: int
    divergence: str = ""

    @property
    def judged(self) -> tuple[str, Sample, Batch]:
        """The part by which results are compared: validation where there is one."""
        if self.validation is None:
            return "training", self.parts[TRAIN], self.train
        return "validation", self.parts[VALIDATION], self.validation

    @property
    def is_linear(self) -> bool:
        """Whether f_θ is linear in θ."""
        return self.model.model.linear_layer(self.model.theta) is not None

    @property
    def takes_all(self) -> bool:
        """Whether each step took all events."""
        return self.descent.batch_size in ("all", self.events)

    @property
    def rule(self) -> UpdateRule:
        """θ ← θ − η g, or a variant."""
        return update_rule(self.descent.optimizer, self.objective.weight_mask)

    @property
    def rate(self) -> float:
        """η before the schedule."""
        assert isinstance(self.descent.learning_rate, float)
        return self.descent.learning_rate

    @property
    def taken(self) -> int:
        """Steps that were taken."""
        return int(self.history["step"].max() or 0) if len(self.history) else 0  # pyright: ignore


def read_record(path: str | Path, callback: TrainingCallback | None = None) -> Record:
    """Read a run and its events, in the same way as for its training.

    Raises
    ------
    RunFolderError
        There is no run; it has no model yet; its descent took no steps.
    InputError
        A run of a kind that cannot be explained: folds.
    EventsError
        Its events cannot be read any more, or have changed.
    """
    folder, callback = RunFolder(path), callback or TrainingCallback()
    recipe = folder.recipe
    if recipe.events.split.cross_validated:
        raise InputError(
            f"The run {path} has folds, each with a descent of its own.",
            expected="the run of one fold",
            do=f"steepest explain {Path(path) / 'folds' / '0'}",
        )
    recipe = recipe.with_settings([f"descent.l2={folder.l2}"])  # as it was decided
    metrics, recorded = folder.metrics, (folder.environment or {}).get("events")
    if metrics is None and (folder.path / "path.safetensors").exists():
        raise RunFolderError(
            f"The run {path} has no metrics.json.",
            expected="what a run leaves that has ended",
            found="its path of θ, and no such file",
            cause="it was killed before its end, or the file was removed",
            do=f"steepest train --resume {path}, or restore the file",
        )
    status = metrics["status"] if metrics else "unfinished"
    model = folder.model
    use_revisions(recorded)
    parts, schema = prepare(recipe, callback, folder.path)
    source = parts[TRAIN].source
    if recorded is not None and recorded != source:
        raise RunFolderError(
            f"The events of the run {path} have changed since it was made.",
            expected="the events that it was trained on",
            do="restore the files, or train anew",
        )
    count = len(parts[TRAIN])
    parts = {number: part.thinned(EVENTS) for number, part in parts.items()}
    descent = _as_it_was(recipe, metrics, folder, count, VALIDATION in parts, model)
    objective = model.objective(folder.l2, "float64")
    train = batch_of(parts[TRAIN], model.scaling, objective, "training")
    validation = None
    if VALIDATION in parts:
        validation = batch_of(parts[VALIDATION], model.scaling, objective, "validation")
    steps, thetas = _path(folder, descent, objective, model)
    finite = np.isfinite(thetas).all(axis=1)
    return Record(
        name=folder.path.resolve().name,
        recipe=recipe,
        status=status,
        parts=parts,
        schema=schema,
        model=model,
        objective=objective,
        train=train,
        validation=validation,
        steps=steps[finite],
        thetas=thetas[finite],
        history=_history(folder, descent),
        descent=descent,
        events=count,
        divergence=(metrics or {}).get("divergence", ""),
    )


def _path(
    folder: RunFolder, descent: DescentRecipe, objective: ModelObjective, model: TrainedModel
) -> tuple[Array, Array]:
    """The path of θ; of Newton's method and of exact solutions its start and its end.

    Raises
    ------
    RunFolderError
        A descent whose path is not there.
    """
    if descent.method != "descent":
        start = np.asarray(objective.initial(descent.seed), dtype=np.float64)
        return np.arange(2), np.stack([start, model.theta.astype(np.float64)])
    found = folder.descent_path
    if found is None:
        raise RunFolderError(
            f"The run {folder.path} has no path of θ to explain.",
            expected="path.safetensors, as a run leaves it when it ends",
            found="no such file",
            cause="the run still goes on, was killed before its end, or is of an older version",
            do=f"steepest train --resume {folder.path}, or --finish; meanwhile: steepest explain "
            "of its log",
        )
    return found.steps, found.thetas.astype(np.float64)


def _history(folder: RunFolder, descent: DescentRecipe) -> pl.DataFrame:
    """A row a recorded step; an exact solution has none."""
    if descent.method == "exact":
        empty = {"step": pl.Int64, "loss": pl.Float64, "learning_rate": pl.Float64}
        return pl.DataFrame(schema=empty)
    return pl.DataFrame(pl.from_arrow(folder.history))


def _as_it_was(
    recipe: Recipe,
    metrics: dict[str, Any] | None,
    folder: RunFolder,
    events: int,
    validated: bool,
    model: TrainedModel,
) -> DescentRecipe:
    """The recipe's descent with what the run decided, η among it."""
    linear = model.model.linear_layer(model.theta) is not None
    descent = decided(recipe.descent, events, validated, linear)
    rate = ((metrics or {}).get("descent") or {}).get("learning_rate")
    if rate is None and descent.learning_rate == "auto" and len(folder.history):
        rate = float(np.nanmax(folder.history["learning_rate"].to_numpy(zero_copy_only=False)))
    if rate is not None:
        descent = descent.model_copy(update={"learning_rate": float(rate)})
    if descent.scaling == "auto":
        descent = descent.model_copy(update={"scaling": model.scaling.name})
    return descent


def per_event_losses(model: TrainedModel, sample: Sample) -> tuple[Array, Array]:
    """ℓ of each event without the L2 term, and the weights of the descent, of mean one.

    A label that is learnt in units of its spread has its loss in those units.
    """
    logits = model.outputs_encoded(sample.features)
    columns = head_columns(model.loss, sample)
    targets = np.asarray(targets_of(model.loss, sample.labels, columns))
    losses = model.loss.value(logits.reshape(len(targets), -1), targets)
    given = sample.descent_weights
    weights = np.ones(len(losses)) if given is None else np.asarray(given) / np.mean(given)
    return losses, weights


def mean_loss(model: TrainedModel, sample: Sample) -> float:
    """Σ w ℓ / Σ w, without the L2 term."""
    losses, weights = per_event_losses(model, sample)
    return float(np.mean(weights * losses))


def with_scaling(record: Record, scaling: AnyScaling) -> Batch:
    """The training events in another scaling."""
    return batch_of(record.parts[TRAIN], scaling, record.objective, "training")
