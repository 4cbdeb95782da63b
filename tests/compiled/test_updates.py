"""Update rules in compiled code are those of NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.compiled import rules, updates
from steepest.compiled.jit import kernel

OPTIONS = [
    rules.SGD(),
    rules.Momentum(0.9),
    rules.Nesterov(0.8),
    rules.RMSprop(0.9, 1e-8),
    rules.Adam(0.9, 0.999, 1e-8),
    rules.AdamW(0.9, 0.999, 1e-8, 0.1),
]


@kernel
def stepped(rule, options, rate, step, constants, theta, gradient, first, second, start, stop):
    updates.write_constants(rule, options, rate, step, constants)
    updates.update(rule, constants, theta, gradient, first, second, start, stop)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_steps_are_those_of_numpy(options, dtype, size):
    random, arithmetic = np.random.default_rng(size), rules.RULES[type(options)]
    theta = random.normal(size=size + 2).astype(dtype)
    inner = slice(1, size + 1)
    expected, state = theta.copy(), tuple(np.zeros_like(theta) for _ in range(arithmetic.state))
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    array, constants = np.array(options, dtype="float64"), np.empty(updates.CONSTANTS, dtype)
    for step in (1.0, 2.0, 3.0):
        gradient = random.normal(size=size + 2).astype(dtype)
        stepped(rules.CODES[type(options)], array, 0.1, step, constants, theta, gradient, first,
                second, 1, size + 1)  # fmt: skip
        given = arithmetic.constants(options, 0.1, step)
        changed, state = arithmetic.update(expected, gradient, state, given)
        expected[inner] = changed[inner]
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(theta, expected, rtol=tolerance, atol=tolerance)
    for found, twin in zip((first, second), state, strict=False):
        np.testing.assert_allclose(found[inner], twin[inner], rtol=tolerance, atol=tolerance)
        assert found[0] == found[-1] == 0.0
