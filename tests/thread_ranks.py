"""Ranks that are threads of this process."""

from __future__ import annotations

import pickle
import threading
import time
from typing import Any

import numpy as np

from steepest.ranks import Ranks, use


class Meeting:
    """Where the ranks exchange values."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=300)
        self.values: list[Any] = [None] * size


class Threads(Ranks):
    """A rank that is a thread of this process."""

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.size, self.meeting = rank, len(meeting.values), meeting

    def exchanged(self, value: Any) -> list[Any]:
        self.meeting.values[self.rank] = pickle.dumps(value)  # each gets a copy, as over a network
        self.meeting.barrier.wait()
        values = [pickle.loads(each) for each in self.meeting.values]
        self.meeting.barrier.wait()
        return values

    def sum(self, values: np.ndarray) -> np.ndarray:
        return np.sum(self.exchanged(values), axis=0)

    def sum_tensor(self, values: Any) -> Any:
        return sum(self.exchanged(values))

    def gather(self, value: Any) -> list[Any]:
        return self.exchanged(value)

    def to_main(self, value: Any) -> list[Any]:
        return self.exchanged(value) if self.is_main else self.exchanged(value)[:0]

    def from_main(self, value: Any) -> Any:
        return self.exchanged(value)[0]


def on_ranks(work, size: int = 2) -> list[Any]:
    """Call work(ranks) in a thread for each rank; return the results, or what was raised."""
    meeting = Meeting(size)
    results: list[Any] = [None] * size

    def call(rank: int) -> None:
        try:
            with use(Threads(rank, meeting)) as ranks:
                results[rank] = work(ranks)
        except Exception as error:
            results[rank] = error
            time.sleep(1.0)  # the others may be about to raise it too
            meeting.barrier.abort()  # who waits for this one ends

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=400)
    return results
