"""Progress of an estimator's descent: what callbacks are given, and what `verbose` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from steepest.descent import Callback, State
from steepest.training import TrainingCallback

LINES = 20
"""About so many lines are printed in a fit."""


@dataclass(frozen=True)
class Progress:
    """How far a descent is, at the end of an epoch.

    Parameters
    ----------
    epoch, epochs
        Epochs done, and of how many. With `partial_fit` a pass is an epoch.
    step
        Steps done.
    loss
        Mean of the batch losses since the last look, each before its step, the penalty included.
    learning_rate
        η of the last step.
    validation
        ``validation_loss``, and ``validation_auc`` (two classes), ``validation_accuracy`` (more) or
        ``validation_r_squared`` (regression); empty without a validation sample.
    seconds
        Wall time of the descent so far.

    Examples
    --------
    >>> print(Progress(epoch=5, epochs=100, step=40, loss=0.25, learning_rate=0.1))
    epoch 5 of 100: loss 0.25, η 0.1
    """

    epoch: int
    epochs: int
    step: int
    loss: float
    learning_rate: float
    validation: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    seconds: float = 0.0

    def __str__(self) -> str:
        values = {"loss": self.loss, **self.validation, "η": self.learning_rate}
        listed = ", ".join(f"{name} {value:.6g}" for name, value in values.items())
        return f"epoch {self.epoch:,} of {self.epochs:,}: {listed}"


ProgressCallback = Callable[[Progress], Any]
"""Called at the end of each epoch; returning True ends the descent there."""


Verbose = bool | Literal["bar"]
"""Whether lines are printed, or a bar is shown."""


@contextmanager
def told(
    callbacks: Sequence[ProgressCallback], epochs: int, verbose: Verbose
) -> Iterator[CallbackAdapter]:
    """Give what a descent tells; with "bar" it is shown as `steepest.train` shows it."""
    if verbose != "bar":
        yield CallbackAdapter(callbacks, epochs, bool(verbose))
        return
    from steepest.terminal import progress_unless

    with progress_unless(False) as bar:
        bar.stage("Descending", epochs)
        yield CallbackAdapter(callbacks, epochs, False, bar)


class CallbackAdapter(Callback):
    """Hands each epoch's `Progress` to callbacks, prints some, and moves a bar."""

    def __init__(
        self,
        callbacks: Sequence[ProgressCallback],
        epochs: int,
        verbose: bool,
        bar: TrainingCallback | None = None,
    ) -> None:
        self.callbacks = callbacks
        self.epochs = epochs
        self.verbose = verbose
        self.bar = bar
        self.epoch, self.rate = 0, 0.0
        self.printed = 0

    def say(self, sentence: str) -> None:
        """Print a sentence, such as the choice of η."""
        if self.bar is not None:
            self.bar.say(sentence)
        elif self.verbose:
            print(sentence)

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        """Remember η and the epoch; move the bar."""
        if self.bar is not None:
            self.bar.steps(state, loss, rate, epochs)
        self.epoch, self.rate = round(epochs), rate

    def round(self, state: State, values: Mapping[str, float | None]) -> None:
        """Tell, print, and stop if one of the callbacks says so."""
        if self.bar is not None:
            self.bar.round(state, values)
        validation = {
            name: value
            for name, value in values.items()
            if name.startswith("validation_") and value is not None
        }
        progress = Progress(
            epoch=self.epoch,
            epochs=self.epochs,
            step=state.step,
            loss=float(values["training_loss"] or 0.0),
            learning_rate=float(self.rate),
            validation=MappingProxyType(validation),
            seconds=state.seconds,
        )
        if self.verbose and self._is_due(state):
            print(progress)
        for callback in self.callbacks:
            if callback(progress) is True:
                self.enough = True

    def _is_due(self, state: State) -> bool:
        """Whether a line is due: the first, the last, and about `LINES` on the way."""
        due = not self.printed or (self.epoch - self.printed) * LINES >= self.epochs
        if due or state.reason is not None:
            self.printed = self.epoch
            return True
        return False
