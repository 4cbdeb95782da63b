"""The amount of computation for the pictures: the defaults are for slides, tests use less."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Effort"]


@dataclass(frozen=True)
class Effort:
    """Numbers of events, points, steps and runs.

    Attributes
    ----------
    events : int
        Events of batch descents.
    points : int
        Grid points along each axis of the contours and of the landscape.
    starts, samples, steps : int
        Search for minima: starts per small sample, maximum number of samples, steps per run.
    epochs, repeats : int
        Stochastic descents: epochs, and number of orders of the events.
    network_epochs : int
        Epochs of the network whose landscape is drawn.
    escapes : int
        Number of runs from the local minimum for each setting.
    """

    events: int = 2_000
    points: int = 61
    starts: int = 8
    samples: int = 10
    steps: int = 3_000
    epochs: int = 12
    repeats: int = 4
    network_epochs: int = 30
    escapes: int = 30
