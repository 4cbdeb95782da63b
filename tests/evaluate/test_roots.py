"""Roots of many functions at once, against SciPy's of one and exact ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from steepest.evaluate import roots
from steepest.evaluate.roots import roots_of


def test_roots_are_those_of_brentq_in_few_evaluations():
    """Of smooth, flat, steep and nearly discontinuous functions, together and each alone."""
    random = np.random.default_rng(0)
    powers = np.array([1.0, 3.0, 9.0, 1 / 9, 1.0, 1.0])
    places = random.uniform(-1, 1, 6)
    scales = np.array([1.0, 1.0, 1.0, 1.0, 1e6, 1e-6])
    count = 0

    def function(x: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        far = x - places
        return np.sinh(scales * np.sign(far) * np.abs(far) ** powers / 1e6)

    low, high = np.full(6, -1.5), np.full(6, 2.0)
    found = roots_of(function, low, high)
    assert count < 60
    np.testing.assert_allclose(found, places, atol=1e-10)
    for index in range(6):
        expected = brentq(
            lambda x, i=index: function(np.full(6, x))[i], -1.5, 2.0, xtol=1e-13, maxiter=9999
        )
        assert found[index] == pytest.approx(expected, abs=1e-10)
        alone = roots_of(lambda x, i=index: function(np.full(6, x[0]))[[i]], low[:1], high[:1])
        assert alone[0] == pytest.approx(places[index], abs=1e-10)


def test_a_jump_is_found_between_its_sides():
    found = roots_of(lambda x: np.where(x < 0.3, -1.0, 1.0), np.zeros(3), np.ones(3))
    np.testing.assert_allclose(found, 0.3, atol=2 * roots.EXACT)


@pytest.mark.parametrize("root", [0.0, 0.5, 1.0])
def test_roots_at_the_ends_and_amid_are_exact(root: float):
    assert roots_of(lambda x: x - root, np.zeros(2), np.ones(2)).tolist() == [root, root]


def test_a_bracket_without_width_is_its_root():
    assert roots_of(lambda x: x - 0.25, np.full(1, 0.25), np.full(1, 0.25)).tolist() == [0.25]
