"""The loss of the best constant, to which a run's loss is compared."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.explain.layers import loss_of_guessing
from steepest.losses import MeanSquaredError
from steepest.objective import Batch


class AbsoluteDeviation:
    """|z − y|, of which the best constant is the median."""

    name = "absolute-deviation"

    def value(self, logits, targets):
        return np.abs(logits[:, 0] - targets)


def test_the_best_constant_of_any_loss():
    random = np.random.default_rng(0)
    targets, weights = random.normal(-3, 2, 501), random.uniform(0.5, 2, 501)
    batch = Batch(np.zeros((501, 1)), targets, weights)
    grid = np.linspace(targets.min(), targets.max(), 4001)
    every = (weights @ np.abs(targets[:, None] - grid)) / weights.sum()

    assert loss_of_guessing(AbsoluteDeviation(), batch) == pytest.approx(every.min(), rel=1e-4)
    variance = np.average((targets - np.average(targets, weights=weights)) ** 2, weights=weights)
    assert loss_of_guessing(MeanSquaredError(), batch) == pytest.approx(variance)
