"""The numbers of `steepest.lecture.pictures.batches`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Batches", "Floor", "Way"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Way:
    """A descent with one batch size.

    Attributes
    ----------
    name : str
        "batch", "mini-batch" or "stochastic".
    batch_size, rate
        Events per step, and the automatic η of the package.
    passes, excess
        Passes over the events, and J − J*, at the recorded points of the path.
    path
        ``(points, 2)``.
    passes_to_target : float or None
        Passes until J − J* is `TARGET` of its start; None if it was not reached.
    seconds : dict
        Time of a pass, and time to the target, on this machine.
    """

    name: str
    batch_size: int
    rate: float
    passes: Array
    excess: Array
    path: Array
    passes_to_target: float | None
    seconds: dict[str, float | None]


@dataclass(frozen=True, eq=False)
class Floor:
    """The mean excess loss over the last quarter of stochastic runs, one value per order of events.

    `excess` is their mean, `uncertainty` its standard error.
    """

    schedule: str
    values: Array
    excess: float
    uncertainty: float
    passes: Array
    curve: Array


@dataclass(frozen=True, eq=False)
class Batches:
    """Three descents on one surface, and the noise floor with and without a schedule."""

    feature: str
    classes: tuple[str, str]
    events: int
    axes: tuple[Array, Array]
    losses: Array
    minimum: Array
    lowest: float
    start_excess: float
    target: float
    ways: tuple[Way, ...]
    floors: tuple[Floor, ...]
