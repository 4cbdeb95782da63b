"""All that a descent must remember to go on exactly where it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from steepest.schedules import Plateau

__all__ = ["Best", "Checkpointer", "MemoryCheckpointer", "Path", "State", "StopReason"]

Array = np.ndarray


@dataclass(frozen=True)
class Best:
    """The parameters with the lowest monitored loss so far, and when they were seen."""

    theta: Array
    loss: float
    step: int


@dataclass(frozen=True)
class StopReason:
    """Which criterion ended the descent, and in words."""

    kind: Literal[
        "epochs",
        "gradient-norm",
        "loss-tolerance",
        "patience",
        "seconds",
        "asked",
        "exact",
        "optimum",
    ]
    sentence: str


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on, and what must never be lost.

    Parameters
    ----------
    theta, optimizer_state
        The parameters and the optimiser's memory, each ``(size,)``.
    step
        Steps done.
    best
        Of the validation loss, or of the training loss where there is no validation part.
    loss_limit
        Above this a loss counts as exploded.
    round_step
        The step after which the last validation was done.
    plateau, waited, last_loss
        What the schedule, patience and the loss tolerance remember.
    loss_sum
        Sum of the batch losses since the last validation.
    seconds
        Wall time spent, over all resumed parts.
    reason
        Why the descent stopped, once it has.
    """

    theta: Array
    optimizer_state: tuple[Array, ...]
    step: int
    best: Best
    loss_limit: float
    plateau: Plateau = field(default_factory=Plateau)
    round_step: int = 0
    waited: int = 0
    last_loss: float = float("inf")
    loss_sum: float = 0.0
    seconds: float = 0.0
    reason: StopReason | None = None

    def arrays(self) -> dict[str, Array]:
        """The vectors, for a safetensors file."""
        optimizer_state = {f"slot_{index}": slot for index, slot in enumerate(self.optimizer_state)}
        return {"theta": self.theta, "best_theta": self.best.theta, **optimizer_state}

    def scalars(self) -> dict[str, Any]:
        """The numbers, for a JSON file; `from_parts` gives the same bits back."""
        names = ("step", "loss_limit", "round_step", "waited", "last_loss", "loss_sum", "seconds")
        return {
            **{name: getattr(self, name) for name in names},
            "plateau": asdict(self.plateau),
            "best": {"loss": self.best.loss, "step": self.best.step},
            "reason": asdict(self.reason) if self.reason else None,
        }

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], scalars: dict[str, Any]) -> State:
        """Put a state together again from `arrays` and `scalars`."""
        values = dict(scalars)
        reason = values.pop("reason")
        count = sum(name.startswith("slot_") for name in arrays)
        return cls(
            theta=arrays["theta"],
            optimizer_state=tuple(arrays[f"slot_{index}"] for index in range(count)),
            best=Best(arrays["best_theta"], **values.pop("best")),
            plateau=Plateau(**values.pop("plateau")),
            reason=StopReason(**reason) if reason else None,
            **values,
        )

    def with_changes(self, **changes: Any) -> State:
        """A copy with some fields replaced."""
        assert changes.keys() <= self.__dict__.keys()
        copy = object.__new__(State)  # `replace` takes as long as a step of a small network
        copy.__dict__.update(self.__dict__, **changes)
        return copy


@dataclass(frozen=True)
class Path:
    """θ at some steps: ``thetas`` is ``(points, size)``, ``steps`` is ``(points,)``."""

    steps: Array
    thetas: Array

    @classmethod
    def joined(cls, parts: list[Path]) -> Path:
        """The parts one after the other."""
        return cls(
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.thetas for part in parts]),
        )


class Checkpointer(Protocol):
    """Who keeps a descent's state, history and path safe."""

    def save(self, state: State, history: pa.Table, path: Path | None) -> None:
        """Keep the state, and the history and path since the last call."""
        ...


class MemoryCheckpointer:
    """Keeps everything in memory: for estimators and baselines."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.history: list[pa.Table] = []
        self.path: list[Path] = []

    def save(self, state: State, history: pa.Table, path: Path | None) -> None:
        """Keep the state, and the history and path since the last call."""
        self.state = state
        self.history.append(history)
        if path is not None:
            self.path.append(path)
