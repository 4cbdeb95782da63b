"""Every update rule against torch.optim, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steepest import recipe as spec
from steepest.optimizers import update_rule

PAIRS = {
    "sgd": (spec.SGD(), lambda p: torch.optim.SGD(p, lr=1.0)),
    "momentum": (spec.Momentum(momentum=0.8), lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.8)),
    "nesterov": (
        spec.Nesterov(momentum=0.7),
        lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.7, nesterov=True),
    ),
    "rmsprop": (
        spec.RMSprop(decay=0.95, epsilon=1e-7),
        lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.95, eps=1e-7),
    ),
    "adam": (
        spec.Adam(beta1=0.85, beta2=0.99, epsilon=1e-7),
        lambda p: torch.optim.Adam(p, lr=1.0, betas=(0.85, 0.99), eps=1e-7),
    ),
    "adamw": (
        spec.AdamW(weight_decay=0.05),
        lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.05),
    ),
}


@pytest.mark.parametrize("name", sorted(PAIRS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_takes_the_same_steps(name: str, dtype: str):
    options, make = PAIRS[name]
    random = np.random.default_rng(0)
    theta = random.normal(size=7).astype(dtype)
    parameters = torch.tensor(theta.copy(), requires_grad=True)
    optimizer = make([parameters])
    rule = update_rule(options, np.ones(7, dtype=bool))
    optimizer_state = rule.initial_state(theta)
    assert len(optimizer_state) == rule.state_vectors
    for step in range(1, 30):
        gradient = random.normal(size=7).astype(dtype)
        rate = float(0.1 / step)
        optimizer.param_groups[0]["lr"] = rate
        parameters.grad = torch.tensor(gradient)
        optimizer.step()
        theta, optimizer_state = rule.update(theta, gradient, optimizer_state, rate, step)
        assert theta.dtype == dtype
        assert all(vector.dtype == dtype for vector in optimizer_state)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(theta, parameters.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_weight_decay_leaves_biases_alone():
    rule = update_rule(spec.AdamW(weight_decay=0.5), np.array([True, False]))
    theta = np.array([1.0, 1.0])
    after, _ = rule.update(theta, np.zeros(2), rule.initial_state(theta), 0.1, 1)
    np.testing.assert_allclose(after, [0.95, 1.0])
