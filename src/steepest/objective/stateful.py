"""What some models hold besides θ: buffers, and random streams.

The running mean and variance of a batch normalisation are buffers; the generator that dropout draws
from is a random stream. An objective with either implements `Stateful`. It holds them itself, as a
`torch.nn.Module` does, and the descent asks for a copy at the end of each block of steps.

================================  ========================  =====================
call                              mode                      changes the memory
================================  ========================  =====================
loss_and_gradient, run_steps      training                  yes
loss, predict, hessian_vector     evaluation                no
================================  ========================  =====================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Memory:
    """Copies of an objective's buffers and of the states of its random streams."""

    buffers: Mapping[str, np.ndarray] = field(default_factory=dict)  # arrays by name
    # states by name, each of JSON values: what ``BitGenerator.state`` returns, or the bytes of a
    # ``torch.Generator`` as hexadecimal text
    streams: Mapping[str, Any] = field(default_factory=dict)


NONE = Memory()


@runtime_checkable
class Stateful(Protocol):
    """An objective with buffers or random streams."""

    def initial_memory(self, seed: int) -> Memory:
        """The memory at the start of a descent."""
        ...

    def memory(self) -> Memory:
        """A copy of the memory as it is now."""
        ...

    def restore(self, memory: Memory) -> None:
        """Go on from that memory; it is copied, not kept."""
        ...


def memory_of(objective: object) -> Memory:
    """The objective's memory; an empty one if it has none."""
    return objective.memory() if isinstance(objective, Stateful) else NONE


def restore_memory(objective: object, memory: Memory) -> None:
    """Restore the objective's memory, if it has one."""
    if isinstance(objective, Stateful):
        objective.restore(memory)


@contextmanager
def preserved_memory(objective: object) -> Iterator[None]:
    """Leave the memory as it was, whatever is computed meanwhile."""
    memory = memory_of(objective)
    try:
        yield
    finally:
        restore_memory(objective, memory)
