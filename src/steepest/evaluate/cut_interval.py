"""The interval of the background efficiency behind a cut that a signal efficiency sets.

Two things fluctuate: which score the cut is at, and how many background events pass it. For few
events neither is normal, so their distributions are taken as they are. Of n signal events, the
number J above the true cut is binomial with n and ε_S; whatever the scores' distribution is, the
true cut lies between the J-th and the next signal event with its probability. Given the cut, ε_B
has the beta distribution of Jeffreys' interval. The interval holds the central part of the mixture.

Order statistics as an interval of a quantile: W. R. Thompson, Annals of Mathematical Statistics 7
(1936) 122, doi:10.1214/aoms/1177732502. Jeffreys' interval: see `efficiency_from_sums`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.arrays import Floats
from steepest.evaluate.columns import first_reaching, total_of
from steepest.evaluate.intervals import Efficiency, beta_of_sums, efficiency_from_sums
from steepest.evaluate.merit import ONE_SIGMA
from steepest.evaluate.roots import roots_of
from steepest.storage import AnyArray

CUTS = 40
"""Places of the cut, equally probable, whose beta distributions are mixed."""
TIED = 1.5
"""Effective signal events of one score from which the score is one that many events have."""


def cut_interval(
    signal: tuple[AnyArray, AnyArray],
    background: tuple[AnyArray, AnyArray],
    at: NDArray[np.intp],
    wanted: Floats,
    level: float = ONE_SIGMA,
) -> Efficiency:
    """Return ε_B with its interval at the thresholds that reach the wanted signal efficiencies.

    Parameters
    ----------
    signal, background
        Σ w and Σ w² above each threshold of a ROC curve, from the highest one down.
    at
        Rows of the thresholds, (points,).
    wanted
        ε_S, (points,), for which they are taken.
    level
        Confidence level.

    Notes
    -----
    For weights, n of the signal is that of the binomial with the variance of ε_S at the cut. The
    background that lies between two places of the cut has fluctuations of its own, which are those
    of ε_B and would count twice: the spread of ε_B over the places is scaled to the variance
    without Σ w² of the events between them.
    """
    here, total, squared = _at(background, at), total_of(background[0]), total_of(background[1])
    fixed = efficiency_from_sums(*here, total, squared, level)
    passing, failing = beta_of_sums(*_at(signal, at), total_of(signal[0]), total_of(signal[1]))
    n = np.maximum(passing + failing - 1, 1.0)
    sums, squares = _behind(signal, background, _places(n, wanted), n)
    between = np.mean(np.square(sums - here[0][:, None]), axis=1)
    noise = np.mean(np.abs(squares - here[1][:, None]), axis=1)
    scale = np.sqrt(np.maximum(between - noise, 0) / np.where(between > 0, between, 1))[:, None]
    sums = here[0][:, None] + scale * (sums - here[0][:, None])
    squares = here[1][:, None] + scale * (squares - here[1][:, None])
    low, high = _central(*beta_of_sums(sums, squares, total, squared), level)
    physical = np.clip(fixed.value, 0, 1)
    spread = np.sqrt(np.square(fixed.uncertainty) + scale[:, 0] ** 2 * between / total**2)
    return Efficiency(
        fixed.value,
        np.where(fixed.low > 0, np.minimum(low, physical), 0.0),
        np.maximum(high, np.where(fixed.low > 0, physical, fixed.high)),
        spread,
        fixed.passed_effective,
        fixed.total_effective,
    )


def _at(sums: tuple[AnyArray, AnyArray], at: NDArray[np.intp]) -> tuple[Floats, Floats]:
    return sums[0][at], sums[1][at]


def _places(n: Floats, wanted: Floats) -> Floats:
    """Return quantiles of the cut's place in the sample, as ε_S (points, CUTS); 1 + 1/n at most.

    Between the j-th signal event and the next the place is j to j + 1 over n.
    """
    from scipy.special import bdtrik

    u = (np.arange(CUTS) + 0.5) / CUTS
    n, wanted = n[:, None], np.clip(wanted, 1e-12, 1 - 1e-12)[:, None]
    none = (1 - wanted) ** n  # the probability that no signal event lies above the true cut
    first = u / np.maximum(none, u)  # where u is below that
    place = np.where(u < none, first, 1 + bdtrik(np.maximum(u, none), n, wanted))
    return np.minimum(place, n + 1) / n


def _behind(
    signal: tuple[AnyArray, AnyArray],
    background: tuple[AnyArray, AnyArray],
    places: Floats,
    n: Floats,
) -> tuple[Floats, Floats]:
    """Return Σ w and Σ w² of the background above each place, linear between signal events.

    A place among signal events of one score is that score: a cut lies above or below all of them.
    """
    sums, squares = signal
    total, shape = total_of(sums), places.shape
    wanted = np.minimum(places, 1.0).ravel() * total * (1 - 1e-12)
    after = first_reaching(sums, wanted)
    above = np.maximum(after - 1, 0)
    reached = sums[above]
    before = np.where(after > 0, first_reaching(sums, reached), 0)
    step = sums[after] - sums[before]
    part = np.where(step > 0, (wanted - sums[before]) / np.where(step > 0, step, 1), 0.0)
    own = np.where(after > 0, squares[after] - squares[above], squares[after])
    tied = step**2 > TIED * np.abs(own)  # more than one event, which n_eff = (Σw)² / Σw² counts
    part = np.where(tied & (own != 0), 1.0, part)
    beyond = np.maximum((places - 1) * n[:, None], 0).ravel()
    found = []
    for column in background:
        inside = column[before] + np.clip(part, 0, 1) * (column[after] - column[before])
        found.append((inside + beyond * (total_of(column) - inside)).reshape(shape))
    return found[0], found[1]


def _central(a: Floats, b: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the central interval of each row's mixture of beta distributions."""
    from scipy.special import betainc, betaincinv

    ends = []
    for quantile in ((1 - level) / 2, (1 + level) / 2):
        each = betaincinv(a, b, quantile)

        def excess(x: Floats, quantile: float = quantile) -> Floats:
            return betainc(a, b, x[:, None]).mean(axis=1) - quantile

        ends.append(roots_of(excess, each.min(axis=1), each.max(axis=1)))
    return ends[0], ends[1]
