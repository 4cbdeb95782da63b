"""All that a descent must remember to continue exactly where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from steepest.objective.stateful import Memory
from steepest.schedules import Plateau

Array = np.ndarray
FORMAT = {"format": "steepest-state", "version": 2}
"""Version 1 named the optimiser's vectors ``slot_0``, ``slot_1``, … and had no format entry."""
_BUFFER, _BEST_BUFFER = "buffer.", "best_buffer."


@dataclass(frozen=True)
class Best:
    """The parameters with the lowest monitored loss so far, and when they were seen."""

    theta: Array
    loss: float
    step: int
    buffers: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class StopReason:
    """Which criterion ended the descent, and in words."""

    kind: Literal["epochs", "gradient-norm", "loss-tolerance", "patience", "seconds", "asked",
                  "exact", "optimum", "separable", "finished", "negative-loss"]  # fmt: skip
    sentence: str


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on, and the best parameters so far.

    Parameters
    ----------
    theta, optimizer_state
        The parameters and the optimiser's vectors, each ``(size,)``.
    step
        Steps done.
    best
        Of the validation loss, or of the training loss where there is no validation part.
    loss_limit
        Above this a loss counts as exploded.
    memory
        The model's buffers and random streams.
    round_step
        The step after which the last validation was done.
    plateau, waited, last_loss
        What the schedule, patience and the loss tolerance remember.
    loss_sum, part_sums
        Sum of the batch losses since the last validation; of each part of a loss with heads.
    seconds
        Wall time spent, over all resumed parts.
    reason
        Why the descent stopped, once it has.
    relevance
        As the plan has it: θ is that of inputs which are multiplied by these.
    """

    theta: Array
    optimizer_state: tuple[Array, ...]
    step: int
    best: Best
    loss_limit: float
    memory: Memory = field(default_factory=Memory)
    plateau: Plateau = field(default_factory=Plateau)
    round_step: int = 0
    waited: int = 0
    last_loss: float = float("inf")
    loss_sum: float = 0.0
    seconds: float = 0.0
    reason: StopReason | None = None
    part_sums: tuple[float, ...] = ()
    relevance: tuple[float, ...] = ()

    def arrays(self) -> dict[str, Array]:
        """The arrays, for a safetensors file."""
        vectors = {f"optimizer_state_{i}": vector for i, vector in enumerate(self.optimizer_state)}
        buffers = {_BUFFER + name: array for name, array in self.memory.buffers.items()}
        best = {_BEST_BUFFER + name: array for name, array in self.best.buffers.items()}
        return {"theta": self.theta, "best_theta": self.best.theta, **vectors, **buffers, **best}

    def scalars(self) -> dict[str, Any]:
        """The other values, for a JSON file; `from_parts` gives the same bits back."""
        names = ("step", "loss_limit", "round_step", "waited", "last_loss", "loss_sum", "seconds")
        return {
            **FORMAT,
            **{name: getattr(self, name) for name in names},
            "plateau": asdict(self.plateau),
            "best": {"loss": self.best.loss, "step": self.best.step},
            "reason": asdict(self.reason) if self.reason else None,
            "streams": dict(self.memory.streams),
            **({"part_sums": list(self.part_sums)} if self.part_sums else {}),
            **({"relevance": list(self.relevance)} if self.relevance else {}),
        }

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], scalars: dict[str, Any]) -> State:
        """Put a state together again from `arrays` and `scalars`, of version 1 or 2."""
        values = {name: value for name, value in scalars.items() if name not in FORMAT}
        vectors = "slot_" if scalars.get("version", 1) == 1 else "optimizer_state_"
        count = sum(name.startswith(vectors) for name in arrays)
        reason = values.pop("reason")
        return cls(
            theta=arrays["theta"],
            optimizer_state=tuple(arrays[f"{vectors}{i}"] for i in range(count)),
            best=Best(
                arrays["best_theta"], **values.pop("best"), buffers=_named(arrays, _BEST_BUFFER)
            ),
            memory=Memory(_named(arrays, _BUFFER), values.pop("streams", {})),
            plateau=Plateau(**values.pop("plateau")),
            reason=StopReason(**reason) if reason else None,
            part_sums=tuple(values.pop("part_sums", ())),
            relevance=tuple(values.pop("relevance", ())),
            **values,
        )

    def with_changes(self, **changes: Any) -> State:
        """A copy with some fields replaced."""
        assert changes.keys() <= self.__dict__.keys()
        copy = object.__new__(State)  # `replace` takes as long as a step of a small network
        copy.__dict__.update(self.__dict__, **changes)
        return copy


def _named(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays whose names begin with a prefix, without it."""
    found = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays[name] for name in found}


@dataclass(frozen=True)
class Path:
    """θ at some steps: ``thetas`` is ``(points, size)``, ``steps`` is ``(points,)``."""

    steps: Array
    thetas: Array

    @classmethod
    def joined(cls, parts: list[Path]) -> Path:
        """The parts one after the other."""
        steps, thetas = zip(*((part.steps, part.thetas) for part in parts), strict=True)
        return cls(np.concatenate(steps), np.concatenate(thetas))


class Checkpointer(Protocol):
    """Where a descent's state, history and path are kept."""

    def save(self, state: State, history: pa.Table, path: Path | None) -> None:
        """Keep the state, and the history and path since the last call."""
        ...

    def publish(self, progress: Mapping[str, Any], history: pa.Table) -> None:
        """Show readers of a running descent its progress, and the history since the last call.

        Called at most twice a second. The same rows are given to `save` later.
        """
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

    def publish(self, progress: Mapping[str, Any], history: pa.Table) -> None:
        """Do nothing: nobody reads along."""
