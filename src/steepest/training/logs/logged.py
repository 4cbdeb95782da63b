"""What a training tells the loggers that its recipe names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from steepest.errors import DivergenceError, Interrupted
from steepest.folder import RunFolder
from steepest.recipe import Recipe
from steepest.training.callback import ForwardingCallback, TrainingCallback
from steepest.training.logs.mlflow import MLflow
from steepest.training.logs.tensorboard import TensorBoard


class Logger(Protocol):
    """Writes what a training is told; made when it begins or goes on."""

    def __init__(self, folder: RunFolder, recipe: Recipe) -> None:
        """Raise InputError where nothing can be written."""
        ...

    @staticmethod
    def require() -> None:
        """Raise MissingExtraError if its package is not installed."""
        ...

    def begin(self, step: int) -> None:
        """Forget what was logged after a step: the descent goes on from there."""
        ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write finite numbers of a step."""
        ...

    def end(self, status: str) -> None:
        """Close the log: "complete", "diverged", "interrupted" or "failed"."""
        ...


LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "mlflow": MLflow}
"""By the name in a recipe."""


def require_loggers(recipe: Recipe) -> None:
    """Raise MissingExtraError for a logger whose package is not installed."""
    for name in recipe.descent.log:
        LOGGERS[name].require()


@contextmanager
def logged(
    folder: RunFolder, recipe: Recipe, callback: TrainingCallback, rounds: bool = True
) -> Iterator[TrainingCallback]:
    """Give a callback that logs, beside `callback`, what the recipe asks for, on the main rank.

    At the end the figures of merit are logged. Without `rounds` they alone are: of all folds.
    """
    if not recipe.descent.log or not folder.is_main:
        yield callback
        return
    loggers = [LOGGERS[name](folder, recipe) for name in dict.fromkeys(recipe.descent.log)]
    told = LoggedCallback(callback, loggers, folder)
    status = "failed"
    try:
        yield told if rounds else callback
        status = "complete"
    except DivergenceError:
        status = "diverged"
        raise
    except (Interrupted, KeyboardInterrupt):
        status = "interrupted"
        raise
    finally:
        metrics = folder.metrics if status == "complete" else None
        if metrics is not None:
            told.log(_kept_step(metrics), results_of(metrics))
        told.close(status)


def _kept_step(metrics: Mapping[str, Any]) -> int:
    return int(metrics["descent"]["kept_step"])


def results_of(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the figures of merit of the evaluated part, and the losses of all parts, by name."""
    part = metrics["part"]
    merits = metrics["merits"]["model"].items()
    losses = {f"{name}/loss": value for name, value in metrics["losses"].items()}
    return {f"{part}/{name}": entry.get("value") for name, entry in merits} | losses


def _of_told(name: str) -> property:
    """A wish that is the other callback's own, whoever reads or sets it."""
    return property(
        lambda self: getattr(self.told, name), lambda self, wish: setattr(self.told, name, wish)
    )


class LoggedCallback(ForwardingCallback):
    """Tells another callback everything, and the loggers of each validation.

    A logger that fails while the descent goes on is left out, and told once: the training counts
    for more.
    """

    def __init__(
        self, told: TrainingCallback, loggers: Sequence[Logger], folder: RunFolder
    ) -> None:
        super().__init__(told)
        self.folder = folder
        self.loggers, self.rate = list(loggers), None
        self.has_begun = False

    interrupted: Any = _of_told("interrupted")
    preempted: Any = _of_told("preempted")
    enough: Any = _of_told("enough")

    def begun(self, objective: Any, events: Any, plan: Any, state: Any) -> None:
        """A descent begins, or goes on."""
        self.told.begun(objective, events, plan, state)
        self._begin(state.step)

    def steps(self, state: Any, loss: float, rate: float, epochs: float) -> None:
        """Remember η."""
        self.rate = rate
        self.told.steps(state, loss, rate, epochs)

    def round(self, state: Any, values: Mapping[str, float | None]) -> None:
        """Log a validation."""
        self.told.round(state, values)
        if not self.has_begun:  # Newton's method does not say so
            self._begin(state.step - 1)
        self.log(state.step, {**values, "learning_rate": self.rate})

    def log(self, step: int, values: Mapping[str, float | None]) -> None:
        """Log what is a finite number."""
        known = {name: v for name, v in values.items() if v is not None and math.isfinite(v)}
        self._each("log", step, known)

    def _begin(self, step: int) -> None:
        self.has_begun = True
        self._each("begin", step)

    def close(self, status: str) -> None:
        """End the logs."""
        self._each("end", status)

    def _each(self, method: str, *arguments: Any) -> None:
        for logger in list(self.loggers):
            try:
                getattr(logger, method)(*arguments)
            except Exception as error:
                self.loggers.remove(logger)
                why = f"{type(error).__name__}: {error}".splitlines()[0]
                sentence = f"{type(logger).__name__} is not told any more: {why}."
                self.folder.say(sentence)
                self.told.say(sentence)
