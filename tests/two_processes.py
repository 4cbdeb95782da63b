"""Ranks that are processes of this machine, with a pipe between them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from steepest.ranks import Ranks, Share, use

TIMEOUT = 120
"""Seconds that a rank waits for the other."""


class Pair(Ranks):
    """One of two processes."""

    size = 2

    def __init__(self, rank: int, other: Connection) -> None:
        self.rank, self.other = rank, other

    def sum(self, values: np.ndarray) -> np.ndarray:
        """In the order of the ranks, so that both have the same bits."""
        theirs = self._exchanged(values)
        return values + theirs if self.rank == 0 else theirs + values

    def gather(self, value: Any) -> list[Any]:
        theirs = self._exchanged(value)
        return [value, theirs] if self.rank == 0 else [theirs, value]

    def from_main(self, value: Any) -> Any:
        theirs = self._exchanged(value)
        return value if self.rank == 0 else theirs

    def _exchanged(self, value: Any) -> Any:
        self.other.send(value)
        if not self.other.poll(TIMEOUT):
            raise TimeoutError("The other rank does not answer.")
        return self.other.recv()


def on_two_processes(work: Callable[[Ranks], Any]) -> list[Any]:
    """Call a function of a module on two processes; return the result of each."""
    context = multiprocessing.get_context("spawn")
    ends = context.Pipe()
    results = [context.Pipe(duplex=False) for _ in ends]
    processes = [
        context.Process(target=_call, args=(work, rank, ends[rank], results[rank][1]))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    try:
        found = []
        for receiver, _ in results:
            assert receiver.poll(TIMEOUT)
            found.append(receiver.recv())
        return found
    finally:
        for process in processes:
            process.join(timeout=5)
            process.kill()


def _call(work: Callable[[Ranks], Any], rank: int, other: Connection, result: Connection) -> None:
    with use(Pair(rank, other)) as ranks:
        result.send(work(ranks))


def weighted_events() -> dict[str, np.ndarray]:
    """Events whose weights differ between the first and the second half."""
    random = np.random.default_rng(2)
    inputs = random.normal(size=(80, 3))
    targets = (inputs @ np.array([1.0, -2.0, 0.5]) + random.normal(size=80) > 0).astype(float)
    weights = np.where(np.arange(80) < 40, 0.2, 3.0) * random.uniform(0.5, 1.5, 80)
    weights[::9] *= -0.3  # as a generator beyond leading order has them
    return {"inputs": inputs, "targets": targets, "weights": weights}


def descended(ranks: Ranks) -> dict[str, Any]:
    """Descend with all events of this rank a step; with one rank, with all events."""
    from steepest.descent import MemoryCheckpointer, descend
    from steepest.objective import Batch, objective_named
    from toys import plan_for

    own = slice(None) if ranks.size == 1 else slice(40 * ranks.rank, 40 * (ranks.rank + 1))
    columns = {name: values[own] for name, values in weighted_events().items()}
    events = Batch.of(**columns, dtype="float64", over_ranks=ranks.total)
    objective = objective_named("dense", 3, "binary-cross-entropy", l2=0.01)
    plan = plan_for(objective, events, rate=0.3, batch_size="all", epochs=25)
    if ranks.size > 1:
        share = Share.of([[40], [40]], ranks.rank)
        plan = replace(plan, events=80, batch_size=80, share=share, ranks=2)
    checkpointer = MemoryCheckpointer()
    outcome = descend(objective, events, plan, checkpointer, ranks=ranks)
    return {
        "theta": outcome.theta,
        "losses": [part["loss"].to_pylist() for part in checkpointer.history],
        "mean_weight": float(events.weights.mean()),
    }
