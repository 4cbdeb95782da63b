"""How much work the pictures take: the defaults are for a slide, tests take less."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Effort"]


@dataclass(frozen=True)
class Effort:
    """Sizes of what is computed.

    Attributes
    ----------
    events : int
        Of the descents that take all events a step.
    points : int
        Along each axis of the contours and of the landscape.
    starts, samples, steps : int
        Of the search for minima: starts of each small sample, samples at most, steps of a run.
    epochs, repeats : int
        Of the stochastic descents, and how many orders of the events they are measured on.
    network_epochs : int
        Of the network whose landscape is drawn.
    escapes : int
        Orders of the events in which each descent out of a local minimum is run.
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
