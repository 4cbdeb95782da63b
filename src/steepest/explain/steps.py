"""How many steps a descent on a convex J takes to a loss, without taking all of them.

A jump takes k steps at once: along each eigenvector of ∇²J at θ, k steps of the rule on the
quadratic there are a power of a 2 × 2 matrix. It counts if the gradient where it ends is the one
that the quadratic told, to a part of `TOLERANCE`; then the next jump is twice as long, else half.
Where jumps are no longer than a few steps, steps are taken.
"""

from __future__ import annotations

import math

import numpy as np

from steepest.curvature import hessian
from steepest.explain.setting import MOST_STEPS, mode_matrices
from steepest.objective import Batch, Objective
from steepest.optimizers import update_rule
from steepest.recipe import Optimizer

Array = np.ndarray

TOLERANCE = 0.02
AT_FIRST, TAKEN, MOST_TRIES = 256, 8, 400
"""Steps that are taken at first, and after a jump that does not count; jumps and blocks at most."""
PART, OF_SWINGS = 0.02, 0.05
"""Parts of the steps so far: of a jump that ends at the loss, and of any with momentum."""
LOST = 1e6


def steps_taken(
    objective: Objective, events: Batch, start: Array, rate: float, rule: Optimizer, goal: float
) -> float:
    """Steps of all events from `start`, at rest, until J is `goal`; infinite for never.

    For SGD, momentum and Nesterov. NaN where that was not found out by `MOST_TRIES` jumps.
    """
    update = update_rule(rule, np.ones(len(start), dtype=bool))
    theta, speed = np.asarray(start, dtype=np.float64), np.zeros(len(start))
    first = loss = objective.loss(theta, events)
    most = 1.0 if rule.name == "sgd" else OF_SWINGS
    total, length, block, lowest = 0, TAKEN, AT_FIRST, [math.inf, math.inf]
    for attempt in range(MOST_TRIES):
        length = min(length, int(most * total))
        jumped = None
        if total >= AT_FIRST and length >= TAKEN:
            jumped = _jump(objective, events, theta, speed, rate, rule, length)
        if jumped is not None:
            loss = objective.loss(jumped[0], events)
            if loss <= goal and length > PART * total:
                length //= 2
                continue
            theta, speed = jumped
            total += length
            if loss <= goal:
                return float(total)
            length *= 2
        else:
            for _ in range(block):
                loss, gradient = objective.loss_and_gradient(theta, events)
                if loss <= goal:
                    return float(total)
                if not loss < LOST * abs(first):
                    return math.inf
                state = (speed,)[: update.state_vectors]
                theta, state = update.update(theta, np.asarray(gradient), state, rate, 1)
                speed = state[0] if state else speed
                total += 1
            length, block = max(length // 2, TAKEN), TAKEN
        late = attempt > MOST_TRIES // 2
        lowest[late] = min(lowest[late], loss)
        if total > MOST_STEPS:
            return math.inf
    return math.inf if lowest[1] >= lowest[0] else math.nan


def _jump(
    objective: Objective,
    events: Batch,
    theta: Array,
    speed: Array,
    rate: float,
    rule: Optimizer,
    length: int,
) -> tuple[Array, Array] | None:
    """θ and v after so many steps on the quadratic at θ; None where J is another there."""
    values, vectors = np.linalg.eigh(hessian(objective, theta, events))
    values = np.maximum(values, 1e-10 * values[-1])
    gradient = np.asarray(objective.loss_and_gradient(theta, events)[1], dtype=np.float64)
    away = (vectors.T @ gradient) / values
    powers = np.linalg.matrix_power(mode_matrices(values, rate, rule), length)
    places = powers @ np.stack([away, vectors.T @ speed], axis=1)[:, :, None]
    there = theta + vectors @ (places[:, 0, 0] - away)
    told = vectors @ (values * places[:, 0, 0])
    found = objective.loss_and_gradient(there, events)[1]
    if not np.linalg.norm(found - told) <= TOLERANCE * np.linalg.norm(found):
        return None
    return there, vectors @ places[:, 1, 0]
