"""A small lecture: few events, short runs."""

from __future__ import annotations

from steepest.lecture import Effort

SMALL = Effort(
    events=300,
    points=13,
    starts=2,
    samples=2,
    steps=400,
    epochs=3,
    repeats=2,
    network_epochs=2,
    escapes=2,
)
