"""The results of runs from the basin of a local minimum: `steepest.lecture.pictures.escapes`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.evaluate.merits.intervals import clopper_pearson

__all__ = ["Escapes", "Rattle", "Share", "noise_scale"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Share:
    """How many runs with the same η and batch size have left the basin.

    Attributes
    ----------
    rate, batch_size, steps
        η, events per step, and steps of each run.
    noise : float
        η (1/B − 1/m), see `noise_scale`.
    runs, left : int
        Number of runs, each with its own start and order of the events, and number of those that
        have left: batch descent with a small η from their end leads to a minimum other than B.
    lower, diverged : int
        How many of these reached a minimum below B, and how many diverged.
    fraction, low, high : float
        left/runs and its Clopper–Pearson interval of 68.27 %.
    losses
        ``(runs,)``: J of the minimum that each run leads to; NaN if it diverged.
    """

    rate: float
    batch_size: int
    steps: int
    noise: float
    runs: int
    left: int
    lower: int
    diverged: int
    fraction: float
    low: float
    high: float
    losses: Array

    @staticmethod
    def of(
        rate: float, batch_size: int, steps: int, events: int, losses: Array, stays: Array,
        poorer: float,
    ) -> Share:  # fmt: skip
        """Return the counts from the `losses` of the reached minima, and which of these are B."""
        runs, left = len(losses), int((~stays).sum())
        low, high = clopper_pearson(left, runs)
        return Share(
            rate=rate,
            batch_size=batch_size,
            steps=steps,
            noise=noise_scale(rate, batch_size, events),
            runs=runs,
            left=left,
            lower=int((~stays & (losses < poorer)).sum()),
            diverged=int(np.isnan(losses).sum()),
            fraction=left / runs,
            low=float(low),
            high=float(high),
            losses=losses,
        )


@dataclass(frozen=True, eq=False)
class Rattle:
    """J of all events along one of the runs, after `passed` = η × steps."""

    batch_size: int
    rate: float
    passed: Array
    losses: Array


@dataclass(frozen=True, eq=False)
class Escapes:
    """Runs of all batch sizes and η from the basin of the higher minimum.

    Attributes
    ----------
    lowest, poorer : float
        J of the minima A and B of the picture "minima".
    curvature, bound : float
        The largest eigenvalue λ of ∇²J at B, and 2/λ, above which batch descent leaves B as well.
    start : float
        Mean of J at the starts of the runs.
    time : float
        η × steps of each run.
    rattles : tuple[Rattle, …]
        The first run of some batch sizes with the largest η.
    shares : tuple[Share, …]
        By η, then by batch size.
    """

    lowest: float
    poorer: float
    curvature: float
    bound: float
    start: float
    time: float
    network: str
    events: int
    features: tuple[str, ...]
    rattles: tuple[Rattle, ...]
    shares: tuple[Share, ...]

    @property
    def rates(self) -> list[float]:
        """The learning rates, descending."""
        return sorted({share.rate for share in self.shares}, reverse=True)

    def at(self, rate: float) -> list[Share]:
        """Return the shares with one η, without batch descent."""
        return [share for share in self.shares if share.rate == rate and share.noise > 0]


def noise_scale(rate: float, batch_size: int, events: int) -> float:
    """Return η (1/B − 1/m), the strength of the noise of steps with B of m events.

    The gradient of B events drawn without replacement has the covariance C (1/B − 1/m) m/(m − 1),
    where C is that of single events. Over a time η × steps, the diffusion of θ is proportional to η
    times this covariance (arXiv:1710.06451, arXiv:1711.04623).

    Examples
    --------
    >>> noise_scale(0.5, 1, 40), noise_scale(0.5, 40, 40)
    (0.4875, 0.0)
    """
    return rate * (1 / batch_size - 1 / events)
