"""The results of the search for minima and plateaus: `steepest.lecture.pictures.minima`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Minima", "Minimum", "Plateau", "plateau_of"]

Array = np.ndarray

SLOPE = 0.2
"""On a plateau, the decrease of ln J per step is below this fraction of the mean to the end."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum, and the start that leads to it.

    Attributes
    ----------
    seed : int
        Seed of the start.
    loss, gradient : float
        J and ‖∇J‖ at the minimum, refined by Newton steps.
    eigenvalues
        All eigenvalues of ∇²J at the minimum, ascending.
    moved : float
        J at the end of the run minus J at the minimum.
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
    """A part of a run in which J hardly falls, although it falls later.

    Attributes
    ----------
    seed, sample : int
        Seed of the start, and number of the sample.
    first, last : int
        First and last step of the plateau.
    loss_before, loss_after : float
        J at the first and last step.
    loss_end : float
        J at the end of the run.
    gradient : float
        The smallest ‖∇J‖ on the plateau.
    lowest, highest : float
        Eigenvalues of ∇²J where ‖∇J‖ is smallest. Near a saddle point the lowest is negative.
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
        The lowest minimum, and another one.
    line
        J on the straight line from the first (0) to the second (1), evenly spaced.
    barrier : dict
        The barrier on this line, see `barrier`.
    plateau : Plateau or None
        None if no run had a plateau.
    ends
        J of the minimum that each start leads to, by seed.
    network, events, sample, features
        Widths of the network, number of events, number of the sample (0, 1, …), and features.
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
    """Return the longest part in which J hardly falls although it falls later, or None.

    Step k belongs to a plateau if the decrease of ln J in this step is less than a fifth of the
    mean decrease per step from there to the end. The end is the step at which 99 % of the decrease
    is reached.

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
