"""The input of a landscape: J, the trained θ, the events and the path; and its options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from steepest.errors import InputError, RunFolderError, nearest
from steepest.events import PARTS, TRAIN, same_events, use_revisions
from steepest.folder import RunFolder
from steepest.objective import Batch, Objective
from steepest.trained import TrainedModel
from steepest.training import TrainingCallback
from steepest.training.inputs import batch_of, encoded, read

Array = np.ndarray

CURVATURE_EVENTS = 20_000
"""Maximum number of events for Hessian–vector products."""
POINTS = 51
SLOW_POINTS, SLOW_EVENTS = 25, 2048
"""Of an objective that says that each point of a surface takes it a pass over the events: a network
of PyTorch. With all events of a small sample and 51 points, Deep Sets takes hours."""
KINDS = ("random", "principal", "hessian", "through", "parameters")


@dataclass(frozen=True, eq=False)
class PathPoints:
    """θ at some steps: steps ``(points,)`` and float64 thetas ``(points, size)``, all finite.

    `left_out` counts the recorded points that are not finite.
    """

    steps: Array
    thetas: Array
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class LandscapeInput:
    """J on its events, the trained θ, and the path of the training."""

    objective: Objective  # only the interface `steepest.objective.Objective` is used
    events: Batch  # all or some of which a landscape uses
    theta: Array  # the trained model, float64 (size,)
    path: PathPoints | None = None  # the recorded path of θ
    kept_step: int | None = None  # the step of this θ
    learning_rate: float | None = None  # η at that step
    optimizer: str = ""  # name of the update rule
    name: str = ""  # of the run
    part: str = "train"  # of the run's events
    model: TrainedModel | None = None  # for parameters in original units
    precise: Objective | None = None  # J in float64, for curvatures; left out: `objective`

    def curved(self, events: Batch) -> tuple[Objective, Batch]:
        """Return the objective for curvatures, and at most 20,000 of the events in its dtype.

        Products in float32 are off by some 1e-6 of the largest eigenvalue, which may be more than
        the lowest one.
        """
        objective = self.precise or self.objective
        events = events.take(slice(0, CURVATURE_EVENTS))
        return objective, events.astype(objective.dtype)


@dataclass(frozen=True)
class LandscapeOptions:
    """The options of a landscape, as `Run.landscape` explains them; InputError for invalid ones."""

    directions: str = "auto"  # or one of `KINDS`
    others: tuple[str, ...] = ()  # runs for "through", names for "parameters"
    dimensions: int = 2
    points: int | None = None  # along each axis; None: `POINTS`
    extent: tuple[float, ...] | None = None  # half width, or (low, high) of each axis
    events: int | None = None  # at most; None: all, of a slow objective `SLOW_EVENTS`
    standard_error: float | None = None  # of J at every point, as a fraction of J
    seed: int = 0  # of random directions and of the order of the events
    name: str | None = field(default=None, compare=False)  # of the folder in RUN/landscape

    def __post_init__(self) -> None:
        if self.directions not in ("auto", *KINDS):
            close = nearest(self.directions, KINDS)
            raise InputError(
                f"There are no directions {self.directions!r}.",
                expected=", ".join(KINDS),
                found=self.directions,
                do=f"perhaps {close!r}?" if close else "choose one of these",
            )
        if self.others and self.directions not in ("through", "parameters"):
            raise InputError(
                f"The directions {self.directions!r} take nothing more.",
                expected="no further run or name",
                found=", ".join(self.others),
                do="--directions through RUN2, or --directions parameters mass,tau32",
            )
        _refuse(self.events is not None and self.events < 1, "--events", self.events, "at least 1")
        error = self.standard_error
        _refuse(error is not None and not 0 < error < 1, "--standard-error", error,
                "between 0 and 1, such as 0.01 for one percent of J")  # fmt: skip
        _refuse(self.seed < 0, "--seed", self.seed, "a number from 0")
        _refuse(self.dimensions not in (1, 2), "dimensions", self.dimensions, "1 or 2")

    def resolved(self, source: LandscapeInput, run: str) -> LandscapeOptions:
        """Return the options with all defaults filled in; RunFolderError if a path is missing."""
        kind = self.directions
        if kind == "auto":
            kind = "principal" if source.path is not None else "random"
        if kind == "principal" and source.path is None:
            raise no_path(run)
        dimensions = self.dimensions
        if kind in ("through", "parameters"):  # the directions check the number of others
            given = len(self.others if kind == "through" else _names(self.others))
            dimensions = min(max(given, 1), 2)
        name = self.name or kind + ("-line" if dimensions == 1 else "")
        others = _names(self.others) if kind == "parameters" else self.others
        slow = bool(getattr(source.objective, "slow", False))
        points, events = self.points, self.events
        if points is None:
            points = SLOW_POINTS if slow else POINTS
        if slow and events is None and self.standard_error is None:
            events = SLOW_EVENTS
        return replace(
            self, directions=kind, dimensions=dimensions, name=name, others=others, points=points,
            events=events,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def landscape_input(
    folder: RunFolder, part: str = "train", callback: TrainingCallback | None = None
) -> LandscapeInput:
    """Read a run and a part of its events, in the same way as for the training."""
    callback = callback or TrainingCallback()
    recipe, model = folder.recipe, folder.model
    recorded = (folder.environment or {}).get("events")
    use_revisions(recorded)
    sample = read(recipe, callback, folder.path)
    if recorded is not None and not same_events(recorded, sample.source):
        callback.say("The events have changed since the run was made.")
    parts = {PARTS[n]: events for n, events in encoded(sample, model.encoding).parts().items()}
    if part not in parts:
        raise InputError(
            f"The run {folder.path} has no {part} part.",
            expected=", ".join(parts),
            found=part,
            do=f"--part {PARTS[TRAIN]}",
        )
    l2 = folder.l2
    objective = model.objective(l2, str(model.theta.dtype))
    kept_step, rate = _last_rate(folder)
    return LandscapeInput(
        objective=objective,
        events=batch_of(parts[part], model.scaling, objective, part),
        theta=model.theta.astype(np.float64),
        path=_path(folder, objective.size),
        kept_step=kept_step,
        learning_rate=rate,
        optimizer=recipe.descent.optimizer.name,
        name=folder.path.resolve().name,
        part=part,
        model=model,
        precise=model.objective(l2, "float64"),
    )


def other_theta(source: LandscapeInput, where: str) -> tuple[str, Array]:
    """Return the name and θ of ``RUN`` or ``RUN@STEP`` (the nearest point), of the same model."""
    path, at, step = where.rpartition("@")
    if not at or Path(where).is_dir():
        path, at = where, ""
    folder = RunFolder(path)
    name, model = folder.path.resolve().name, folder.model
    if source.model is not None:
        _refuse_other_model(source.model, model, path)
    if not at:
        return name, _of_inputs(source.model, model, model.theta.astype(np.float64))
    if not step.isdigit():
        raise InputError(
            f"{where} names no step.", expected="RUN@STEP, with a number", found=step or "nothing"
        )
    points = _path(folder, model.model.size)
    if points is None:
        raise no_path(folder.path)
    nearest = int(np.abs(points.steps - int(step)).argmin())
    theta = _of_inputs(source.model, model, points.thetas[nearest])
    return f"{name}, step {int(points.steps[nearest]):,}", theta


def _of_inputs(model: TrainedModel | None, other: TrainedModel, theta: Array) -> Array:
    """θ of the same function as θ of the other model, for inputs with the relevance of this one."""
    if model is None:
        return theta
    mine, theirs = (getattr(each.scaling, "relevance", None) for each in (model, other))
    if mine is None and theirs is None:
        return theta
    changed, network = theta.copy(), cast(Any, model.model)  # dense, which alone have relevance
    weights = network.input_weights(changed)
    if theirs is not None:
        weights *= theirs[:, None]
    if mine is not None:
        weights /= mine[:, None]
    return changed


def no_path(path: Path | str) -> RunFolderError:
    """Return the error for a run without a path, with the remedy."""
    return RunFolderError(
        f"The run {path} has no path: path.safetensors is missing.",
        expected="θ at about 200 steps, which training records",
        found="no such file",
        cause='method = "exact" takes no steps; or version 0.1.0 left out a path above 64 MiB',
        do='train again with method = "descent", or choose '
        "directions that need no path: random, hessian, through",
    )


def _path(folder: RunFolder, size: int) -> PathPoints | None:
    path = folder.descent_path
    if path is None:
        return None
    if path.thetas.shape[1] != size:
        raise RunFolderError(
            f"path.safetensors of the run {folder.path} is not of this model.",
            expected=f"{size:,} parameters",
            found=f"{path.thetas.shape[1]:,}",
            cause="files of two runs were mixed",
            do="restore it, or train again into another folder",
        )
    thetas = path.thetas.astype(np.float64)
    finite = np.isfinite(thetas).all(axis=1)
    return PathPoints(path.steps[finite], thetas[finite], int((~finite).sum()))


def _last_rate(folder: RunFolder) -> tuple[int | None, float | None]:
    """Return the step of the kept parameters, and η at that step, from history and metrics."""
    metrics = folder.metrics or {}
    step = metrics.get("kept_step", metrics.get("descent", {}).get("kept_step"))
    if step is None or not (folder.path / "history.parquet").exists():
        return step, None
    history = folder.history
    steps = history["step"].to_numpy()
    if not len(steps):
        return step, None
    row = int(np.abs(steps - step).argmin())
    return step, float(history["learning_rate"][row].as_py())


def _refuse_other_model(model: TrainedModel, other: TrainedModel, path: str) -> None:
    given, found = _meaning_of(model), _meaning_of(other)
    for what, value in given.items():
        if found.get(what) != value:
            raise InputError(
                f"The run {path} is of another model: its {what} differ.",
                expected=_words(value),
                found=_words(found.get(what)),
                cause="θ of one model has no meaning in the other",
                do="choose a run of the same recipe, with another seed or other [descent] settings",
            )
    mine, theirs = model.scaling.to_arrays(), other.scaling.to_arrays()
    same = model.scaling.name == other.scaling.name and all(
        mine[key].shape == theirs[key].shape and np.allclose(mine[key], theirs[key], rtol=1e-9)
        for key in mine.keys() - {"relevance"}
    )
    if not same:
        raise InputError(
            f"The run {path} scales its features in another way.",
            expected=f"the scaling {model.scaling.name!r} with the same numbers",
            found=f"{other.scaling.name!r}, fitted on other events",
            cause="another training part, or another descent.scaling",
            do="train both on the same events with the same split and scaling",
        )


def _meaning_of(model: TrainedModel) -> dict[str, object]:
    """Return the properties that two models must share for their θ to be comparable."""
    shape = {"kinds": model.model.kind, **model.model.details()}
    return {**shape, "features": model.names, "label": model.label, **model.model.config()}


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _names(others: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for other in others for name in other.split(",") if name.strip())


def _refuse(wrong: bool, what: str, found: object, expected: str) -> None:
    if wrong:
        raise InputError(
            f"{what} is {found}.", expected=expected, found=str(found), do=f"change {what}"
        )
