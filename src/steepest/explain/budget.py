"""Seconds that the measurements of a run may take, and what they leave out for it.

Networks of particles take a second for one product with ∇²J, so they are measured on fewer events
and at fewer points of the path; what is quick is measured whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from steepest.explain.findings import Check
from steepest.objective import Batch
from steepest.training import TrainingCallback

SECONDS = {"sharpness": 15.0, "noise": 10.0, "spectrum": 5.0}
"""Of each measurement; what has begun may go over it by the time of one product or gradient."""
PRODUCTS = 30
"""Products with ∇²J that one look at a spectrum should have the time for."""
FEWEST = 100
"""Events at least that curvature is measured on."""


class Budget:
    """Time left for the measurements of a run.

    Parameters
    ----------
    callback
        Told of each measurement, in a sentence where it is slow.
    seconds
        By measurement.
    """

    def __init__(
        self, callback: TrainingCallback | None = None, seconds: dict[str, float] = SECONDS
    ) -> None:
        self.callback, self.seconds = callback or TrainingCallback(), seconds
        self.skipped: dict[str, Check] = {}
        self._ends: dict[str, float] = {}

    def left(self, name: str) -> float:
        """Seconds left of a measurement, which begins with the first call."""
        now = time.monotonic()
        return self._ends.setdefault(name, now + self.seconds[name]) - now

    def skip(self, name: str, sentence: str) -> None:
        """List a measurement among the skipped checks, and say so once."""
        if name not in self.skipped:
            self.callback.say(f"Measured in part: {name}: {sentence}.")
        self.skipped[name] = Check(f"{name}, in part", False, sentence)

    def affordable(
        self,
        name: str,
        events: Batch,
        product: Callable[[Batch], Callable[[np.ndarray], np.ndarray]],
        size: int,
        seconds: float,
    ) -> Batch:
        """Events, or so many fewer that `PRODUCTS` products with their ∇²J take these seconds."""
        few = events.take(slice(0, FEWEST))
        took = math.inf
        for _ in range(2):  # the first may compile
            began = time.monotonic()
            product(few)(np.ones(size))
            took = (time.monotonic() - began) * len(events) / len(few)
            if PRODUCTS * took <= seconds:
                return events
        fits = int(len(events) * seconds / (PRODUCTS * took))
        kept = min(max(fits, FEWEST), len(events))
        self.skip(
            name,
            f"on {kept:,} events in place of {len(events):,}, since one product with ∇²J takes "
            f"{took:.1g} s",
        )
        return events.take(np.linspace(0, len(events) - 1, kept).astype(np.int64))


def ends_first(places: Sequence[int]) -> list[int]:
    """Places of a path in the order in which they matter: the start, the end, those between.

    Examples
    --------
    >>> ends_first([0, 3, 9, 30])
    [0, 30, 3, 9]
    """
    return list(dict.fromkeys([*places[:1], *places[-1:], *places]))


def of_the_path(done: int, places: int) -> str:
    """Say at how many points of the path something was measured."""
    return f"at {done} of {places} points of the path, for lack of time"
