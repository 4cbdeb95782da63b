"""What the search for minima finds, and what a plateau is: `steepest.lecture.pictures.minima`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Minima", "Minimum", "Plateau", "plateau_of"]

Array = np.ndarray

SLOPE = 0.2
"""On a plateau ln J falls, step by step, less than this part of its mean fall to the end."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum, and the start that leads to it.

    Attributes
    ----------
    seed : int
        Of the start.
    loss, gradient : float
        J and ‖∇J‖ at the minimum, which Newton steps have refined.
    eigenvalues
        Of ∇²J there, ascending, all of them.
    moved : float
        J at the end of the run less J at the minimum.
    losses
        J before each step of the run.
    """

    seed: int
    loss: float
    gradient: float
    eigenvalues: Array
    moved: float
    losses: Array


@dataclass(frozen=True, eq=False)
class Plateau:
    """A stretch of a run in which J hardly falls, before it does.

    Attributes
    ----------
    seed, sample : int
        Of the start; the how manyth sample of events it is on.
    first, last : int
        The steps between which it lies.
    loss_before, loss_after : float
        J at its ends.
    loss_end : float
        J at the end of the run.
    gradient : float
        The least ‖∇J‖ on it.
    lowest, highest : float
        Eigenvalues of ∇²J where ‖∇J‖ is least: the lowest is below zero beside a saddle.
    losses, gradients
        J and ‖∇J‖ before each step of the run.
    """

    seed: int
    sample: int
    first: int
    last: int
    loss_before: float
    loss_after: float
    loss_end: float
    gradient: float
    lowest: float
    highest: float
    losses: Array
    gradients: Array


@dataclass(frozen=True, eq=False)
class Minima:
    """Two minima of one surface, the line between them, and the longest plateau of all runs.

    Attributes
    ----------
    minima : tuple[Minimum, Minimum]
        The lowest, and another.
    line
        J on the straight line from the first (0) to the second (1), evenly spaced.
    barrier : dict
        How high J rises on it above the straight line between its ends.
    plateau : Plateau or None
        None where no run had one.
    ends
        J of the minimum that each start leads to, by seed.
    network, events, sample, features
        The network's widths, its events, and which sample of them it is: 0, 1, …
    """

    minima: tuple[Minimum, Minimum]
    line: Array
    barrier: dict[str, float]
    plateau: Plateau | None
    ends: Array
    network: str
    events: int
    sample: int
    features: tuple[str, ...]


def plateau_of(losses: Array) -> tuple[int, int] | None:
    """The longest stretch in which J hardly falls although it falls later; None if there is none.

    Step k belongs to a plateau where ln J falls per step by less than a fifth of the mean fall from
    there to the end of the descent, which is taken to be where 99 % of the fall are done.

    Examples
    --------
    >>> flat_then_down = np.concatenate([np.full(50, 1.0), np.geomspace(1.0, 0.01, 50)])
    >>> plateau_of(flat_then_down)
    (0, 50)
    >>> plateau_of(np.geomspace(1.0, 0.01, 100)) is None
    True
    """
    logs = np.log(losses)
    done = int((logs <= logs[-1] + 0.01 * (logs[0] - logs[-1])).argmax())
    if done < 2:
        return None
    k = np.arange(done)
    later = (logs[:done] - logs[done]) / (done - k)
    flat = -np.diff(logs[: done + 1]) < SLOPE * later
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    if not len(lengths) or lengths.max() < 0.1 * done:
        return None
    longest = int(lengths.argmax())
    return int(edges[2 * longest]), int(edges[2 * longest + 1])
