"""``learning_rate = "auto"``: from the curvature where J is convex, else from a range test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.descent.batch_loader import BatchLoader
from steepest.descent.batches import Batches
from steepest.objective import Batch, CurvatureBounds, Objective
from steepest.optimizers import UpdateRule

__all__ = ["LearningRate", "choose_learning_rate", "range_test"]

RANGE = (1e-6, 10.0)
RANGE_STEPS = 200
RANGE_BATCH = 4096
"""Events a step of the range test at most: with more the test would cost more than it tells."""
_TEST_STREAM_OFFSET = 1_000_003
"""Keeps the range test's batches apart from those of the training."""


@dataclass(frozen=True)
class LearningRate:
    """A learning rate and the sentence that says where it comes from."""

    value: float
    reason: str


def choose_learning_rate(
    objective: Objective,
    events: Batch,
    rule: UpdateRule,
    batch_size: int,
    seed: int,
    momentum: float = 0.0,
    steps: int | None = None,
) -> LearningRate:
    """Choose η for a rule whose step is proportional to the gradient, or for one that adapts.

    Convex objectives with SGD, momentum or Nesterov take it from the measured curvature
    (`from_curvature`); all others from a range test (`range_test`).
    """
    curvature = None
    if rule.name in ("sgd", "momentum", "nesterov"):
        curvature = objective.curvature_bounds(events)
    if curvature is not None:
        return from_curvature(curvature, len(events), batch_size, momentum, steps)
    return range_test(objective, events, rule, batch_size, seed)


def from_curvature(
    curvature: CurvatureBounds,
    events: int,
    batch_size: int,
    momentum: float = 0.0,
    steps: int | None = None,
) -> LearningRate:
    """η from bounds L ≥ λmax(∇²J) that hold at every θ.

    With all events a step: 2/(λ₁ + λₙ) for the mean squared error without momentum, the best fixed
    rate on a quadratic for steps without end, and at most γ(T)/λ₁, the best for T `steps`
    (`best_for_steps`), which matters where κ = λ₁/λₙ is not small for T; else 1/L. With b of m
    events a step: 1/𝓛 with the expected smoothness
    𝓛 = m(b−1)/(b(m−1)) L + (m−b)/(b(m−1)) max ᵢ Lᵢ (Gower et al., arXiv:1901.09401), times 1 − β
    with momentum β.
    """
    m, b = events, batch_size
    largest, lowest = curvature.largest, curvature.lowest
    if b == m:
        if curvature.exact and lowest > 0 and not momentum:
            rate = 2.0 / (largest + lowest)
            most = 2.0 if steps is None else best_for_steps(steps)
            if rate * largest > most:
                rate = most / largest
                return LearningRate(
                    rate,
                    f"η = {most:.4g}/λ₁ = {rate:.4g}, the best for {steps:,} steps at the "
                    f"curvature λ₁ = {largest:.4g}, λₙ = {lowest:.4g} (κ = {largest / lowest:.4g})",
                )
            return LearningRate(
                rate,
                f"η = 2/(λ₁ + λₙ) = {rate:.4g}, from the curvature λ₁ = {largest:.4g}, "
                f"λₙ = {lowest:.4g} (κ = {largest / lowest:.4g})",
            )
        rate = 1.0 / largest
        return LearningRate(
            rate, f"η = 1/L = {rate:.4g}, from the curvature bound L = {largest:.4g}"
        )
    smoothness = (m * (b - 1) * largest + (m - b) * curvature.instance) / (b * (m - 1))
    rate = (1.0 - momentum) / smoothness
    return LearningRate(
        rate,
        f"η = {rate:.4g}, from the expected smoothness 𝓛 = {smoothness:.4g} of batches of {b:,} "
        f"(L = {largest:.4g} over all events, {curvature.instance:.4g} for the steepest one)",
    )


def best_for_steps(steps: int) -> float:
    """γ of the rate γ/λ₁ with the least loss, in the worst case, after so many steps.

    A direction of curvature λ keeps λ(1 − ηλ)²ᵀ of its loss after T steps. Over 0 < λ ≤ λ₁ this is
    largest at λ₁ or at λ = 1/(η(2T + 1)); the best η = γ/λ₁ makes the two equal,
    γ (2T + 1) (γ − 1)²ᵀ = (2T/(2T + 1))²ᵀ. It rises from 4/3 to 2 with T.

    Examples
    --------
    >>> [round(best_for_steps(steps), 6) for steps in (1, 100, 10_000)]
    [1.333333, 1.965718, 1.99942]
    """
    from scipy.optimize import brentq  # where it is needed: it takes a quarter of a second

    twice = 2 * steps

    def excess(gamma: float) -> float:
        ends = math.log(gamma * (twice + 1)) + twice * math.log(gamma - 1.0)
        return ends + twice * math.log1p(1.0 / twice)

    root: Any = brentq(excess, 1.0 + 1e-12, 2.0, xtol=1e-15)
    return float(root)


def range_test(
    objective: Objective, events: Batch, rule: UpdateRule, batch_size: int, seed: int
) -> LearningRate:
    """Raise η from 1e-6 to 10 over 200 steps; take a tenth of where the smoothed loss is lowest.

    The loss is smoothed with an exponential mean (0.9, bias-corrected); the test ends where it is
    four times its lowest value (Smith, arXiv:1506.01186).
    """
    rates = np.geomspace(*RANGE, RANGE_STEPS)
    size = min(batch_size, len(events), RANGE_BATCH)
    loader = BatchLoader(events, Batches(len(events), size, seed + _TEST_STREAM_OFFSET))
    theta = objective.initial(seed)
    optimizer_state = rule.initial_state(theta)
    mean, best, best_rate = 0.0, math.inf, float(rates[0])
    with np.errstate(all="ignore"):
        for step, rate in enumerate(rates.tolist(), start=1):
            batch = loader.batch(step - 1)
            loss, gradient = objective.loss_and_gradient(theta, batch)
            mean = 0.9 * mean + 0.1 * loss
            smooth = mean / (1.0 - 0.9**step)
            if not math.isfinite(smooth) or (step > 10 and smooth > 4.0 * best):
                break
            if smooth < best:
                best, best_rate = smooth, rate
            theta, optimizer_state = rule.update(theta, gradient, optimizer_state, rate, step)
    chosen = best_rate / 10.0
    return LearningRate(
        chosen,
        f"η = {chosen:.3g}, a tenth of where a range test's loss was lowest "
        f"(J = {best:.4g} at η = {best_rate:.3g})",
    )
