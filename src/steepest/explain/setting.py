"""Why the present setting of a descent does what it does: one line, from the curvature where it is.

For small problems in memory; the page of the lab says the same, by the same sentences and bounds
(`steepest.explain.wording`), at every change of η. For convex J with
at most 300 parameters the whole spectrum is known, and with it the number of steps; for others
λmax at θ alone. Along the eigenvector of λ a step multiplies (θ − θ*, v) by a 2 × 2 matrix M(λ);
without momentum by the number 1 − ηλ (Goh, "Why Momentum Really Works", Distill 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steepest import recipe as spec
from steepest.curvature import Quadratic, hessian, largest_curvature, settled
from steepest.explain.wording import PART, SKEWED, SLOW, SMALL, count, lowered, number, said, times
from steepest.objective import Batch, Objective
from steepest.objective.stateful import preserved_memory
from steepest.optimizers import update_rule

Array = np.ndarray
Regime = Literal["too small", "just right", "overshooting", "diverging", "flat", "unknown"]

MOST_PARAMETERS = 300
"""Of a convex J whose whole spectrum is computed."""
MOST_STEPS, ONE_BY_ONE = 10_000_000, 20_000


@dataclass(frozen=True)
class Setting:
    """What η does where the descent is.

    Parameters
    ----------
    regime
        "too small", "just right", "overshooting", "diverging"; "flat" where λmax ≤ 0, "unknown"
        where J has no finite curvature or the rule adapts η by itself.
    rate
        η.
    largest
        λmax of ∇²J: at the minimum of a small convex J, at θ of others.
    newton, bound
        1/λmax, the η that ends along the steepest direction in one step; the largest stable η of
        the rule, 2/λmax for gradient descent.
    kappa
        λmax/λmin without flat directions; None where only λmax is known.
    steps, best_steps
        Steps of all events until J − J* is a thousandth of what it is now, at η and at a good η;
        None where J is not convex, infinite for never.
    sentence
        All of that in one line.
    """

    regime: Regime
    rate: float
    largest: float
    newton: float
    bound: float
    kappa: float | None
    steps: float | None
    best_steps: float | None
    sentence: str


def explain_setting(
    objective: Objective,
    theta: Array,
    events: Batch,
    rate: float,
    optimizer: spec.Optimizer | None = None,
) -> Setting:
    """Say in one line why η does what it does at θ: too small, just right, overshooting, diverging.

    Parameters
    ----------
    objective, events
        J, and the events that it is the mean over; of a mini-batch descent all events, too.
    theta
        Where the descent is, ``(size,)``.
    rate
        η of the next step.
    optimizer
        The rule; None is plain gradient descent.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> line = objective_named("dense", 1, "mean-squared-error")
    >>> print(explain_setting(line, np.array([0.0, 0.0]), events, rate=1.05).sentence)
    η is 5 % above the largest stable one, 2/λmax = 1: along the steepest direction each step \
multiplies J − J* by (1 − ηλmax)² = 1.21.
    >>> explain_setting(line, np.array([0.0, 0.0]), events, rate=0.25).steps
    5.0
    """
    rule = optimizer or spec.SGD()
    stability = update_rule(rule, objective.weight_mask).stability
    with preserved_memory(objective), np.errstate(all="ignore"):
        quadratic = _quadratic(objective, theta, events)
        largest = largest_curvature(objective, theta, events, tolerance=1e-3)
    if quadratic is not None:  # a descent must be stable at the minimum, where it ends
        largest = float(quadratic.eigenvalues[-1])
    if not math.isfinite(largest):
        return _unknown(rate, largest, said("not-finite"))
    if largest <= 0:
        return Setting("flat", rate, largest, math.inf, math.inf, None, None, None,
                       f"{said('flat', largest=number(largest))}.")  # fmt: skip
    if stability is None:
        values = {"largest": number(largest), "rule": rule.name, "rate": number(rate)}
        return _unknown(rate, largest, said("no-bound", **values))
    return _judged(theta, rate, rule, largest, stability / largest, quadratic)


def _quadratic(objective: Objective, theta: Array, events: Batch) -> Quadratic | None:
    """∇²J at the minimum of a small convex J, without flat directions; None of another, or NaN."""
    if objective.size > MOST_PARAMETERS:
        return None
    try:
        if objective.curvature_bounds(events) is None:
            return None
        minimum = settled(objective, np.asarray(theta, dtype=np.float64), events)
        values, vectors = np.linalg.eigh(hessian(objective, minimum, events))
    except np.linalg.LinAlgError:  # something is infinite
        return None
    if not (np.isfinite(values).all() and values[-1] > 0):
        return None
    kept = values > 1e-12 * values[-1]
    lowest = objective.loss(minimum, events)
    return Quadratic(values[kept], vectors[:, kept], minimum, lowest)


def _judged(
    theta: Array,
    rate: float,
    rule: spec.Optimizer,
    largest: float,
    bound: float,
    quadratic: Quadratic | None,
) -> Setting:
    steps = best = kappa = None
    small = rate < bound / SMALL
    if quadratic is not None:
        kappa = quadratic.kappa
        steps = steps_to(quadratic, theta, rate, rule)
        good = quadratic.best if rule.name == "sgd" else bound / 2
        tried = {one: steps_to(quadratic, theta, one, rule) for one in (good, good / 2, good / 4)}
        quickest = min(tried, key=lambda one: tried[one])
        best = tried[quickest]
        if rule.name == "sgd":
            small = rate < quickest and steps > SLOW * max(best, 1.0)
    regime: Regime = "just right"
    if rate > bound:
        regime = "diverging"
    elif small:
        regime = "too small"
    elif rate > 1 / largest:
        regime = "overshooting"
    sentence = _sentence(regime, rate, largest, bound, kappa, steps, rule)
    return Setting(regime, rate, largest, 1 / largest, bound, kappa, steps, best, sentence)


def _sentence(
    regime: Regime,
    rate: float,
    largest: float,
    bound: float,
    kappa: float | None,
    steps: float | None,
    rule: spec.Optimizer,
) -> str:
    plain = rule.name == "sgd"
    name = "2/λmax" if plain else f"{number(bound * largest)}/λmax"
    values = {"name": name, "bound": number(lowered(bound)), "newton": number(1 / largest)}
    if regime == "diverging":
        text = said("too-large", times=times(rate / bound), **values)
        if plain:
            growth = number((1 - rate * largest) ** 2)
            text += f": {said('grows', along='the steepest direction', growth=growth)}"
        return f"{text}." if kappa is not None else f"{text}; {said('edge')}."
    if regime == "too small":
        text = f"{said('too-small', times=times(bound / rate))}, {said('slowly', **values)}."
    elif regime == "just right":
        text = f"{said('just-right', part=number(rate / bound), **values)}."
    else:
        left = number(1 - rate * largest)
        text = f"{said('overshoots' if plain else 'swings', left=left, **values)}."
    if steps is not None:
        key = "steps" if math.isfinite(steps) else "never"
        text += f" {said(key, steps=count(steps), part=number(PART))}."
    if kappa is not None and kappa > SKEWED and plain:
        text += f" {said('skewed', kappa=number(kappa))}: {said('scale')}."
    return text


def steps_to(
    quadratic: Quadratic,
    theta: Array,
    rate: float,
    rule: spec.Optimizer,
    part: float = PART,
) -> float:
    """Steps from θ, at rest, until J − J* is `part` of its value there; infinite for never.

    Examples
    --------
    >>> line = Quadratic(np.array([1.0]), np.eye(1), np.zeros(1), 0.0)
    >>> steps_to(line, np.ones(1), 0.5, spec.SGD(), part=1 / 16)
    2.0
    """
    values = quadratic.eigenvalues
    away = quadratic.vectors.T @ (np.asarray(theta, dtype=np.float64) - quadratic.minimum)
    first = float((values * away**2).sum())
    if not first > 0:
        return 0.0
    if spectral_radius(values, rate, rule) >= 1:
        return math.inf
    step = mode_matrices(values, rate, rule)

    def reached(steps: int) -> bool:
        places = np.linalg.matrix_power(step, steps)[:, 0, 0] * away
        return float((values * places**2).sum()) <= part * first

    enough = 1
    while not reached(enough):
        enough *= 2
        if enough > MOST_STEPS:
            return math.inf
    if enough <= ONE_BY_ONE:  # with momentum J swings, and is there before that
        places = np.stack([away, np.zeros_like(away)], axis=1)[:, :, None]
        for taken in range(1, enough):
            places = step @ places
            if float((values * places[:, 0, 0] ** 2).sum()) <= part * first:
                return float(taken)
    low, high = enough // 2, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return float(high)


def spectral_radius(values: Array, rate: float, rule: spec.Optimizer) -> float:
    """The largest |eigenvalue| of a step over all directions: above 1 it diverges.

    Examples
    --------
    >>> round(spectral_radius(np.array([1.0]), 0.5, spec.SGD()), 6)
    0.5
    """
    return float(np.abs(np.linalg.eigvals(mode_matrices(values, rate, rule))).max())


def mode_matrices(values: Array, rate: float, rule: spec.Optimizer) -> Array:
    """M(λ) of (θ − θ*, v) for each λ, ``(k, 2, 2)``: v ← βv + λθ, θ ← θ − ηv or its relatives."""
    beta = rule.momentum if isinstance(rule, spec.Momentum | spec.Nesterov) else 0.0
    matrices = np.zeros((len(values), 2, 2))
    ahead = beta if isinstance(rule, spec.Nesterov) else 1.0
    plain = 1.0 if isinstance(rule, spec.Nesterov) else 0.0
    matrices[:, 0, 0] = 1 - rate * (plain + ahead) * values
    matrices[:, 0, 1] = -rate * ahead * beta
    matrices[:, 1, 0], matrices[:, 1, 1] = values, beta
    return matrices


def _unknown(rate: float, largest: float, sentence: str) -> Setting:
    nan = math.nan
    newton = 1 / largest if largest > 0 else nan
    return Setting("unknown", rate, largest, newton, nan, None, None, None, f"{sentence}.")
