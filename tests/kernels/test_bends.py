"""Activations in whole vectors against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.kernels.activations import ACTIVATIONS as TWINS
from steepest.kernels.bends import bend, bend_sum
from steepest.kernels.compiled import entry
from steepest.kernels.pointwise import ACTIVATIONS

ROUNDING = {"float32": 1e-6, "float64": 1e-14}


@entry
def run_bend(kind, sums, values):
    bend(kind, sums, values)


@entry
def run_bend_sum(kind, start, one, two, share, other, room, values):
    bend_sum(kind, start, one, two, share, other, room, values)


def bent(name: str, x: np.ndarray) -> np.ndarray:
    values = np.full_like(x, np.nan)
    run_bend(ACTIVATIONS[name], x.copy(), values)
    return values


def test_tanh_is_right_to_the_last_digits():
    x = np.concatenate([np.linspace(-10, 10, 300_000), np.geomspace(1e-30, 1, 100_000)])
    x = x[: 16 * (len(x) // 16)].astype(np.float32)
    found, expected = bent("tanh", x), np.tanh(x.astype(np.float64))
    assert (np.abs(found - expected) / np.spacing(np.abs(expected).astype(np.float32))).max() <= 7
    np.testing.assert_array_equal(bent("tanh", -x), -found)


@pytest.mark.parametrize("vectors", [1, 2, 4, 5])
def test_tanh_far_out_at_zero_and_of_what_is_no_number(vectors: int):
    x = np.zeros(16 * vectors, np.float32)
    x[:6] = [-0.0, 0.0, np.inf, -np.inf, 3e38, -3e38]
    found = bent("tanh", x)
    np.testing.assert_allclose(found[:6], [0, 0, 1, -1, 1, -1], rtol=3e-7)
    np.testing.assert_array_equal(np.signbit(found[:2]), [True, False])
    x[-1] = np.nan
    assert np.isnan(bent("tanh", x)[-1])


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_of_sums_are_numpy_s(name: str, dtype: str):
    random = np.random.default_rng(0)
    for size in (16, 48, 64, 112):
        start, one, two = random.normal(size=(3, size)).astype(dtype)
        share, other = np.array([0.7, -1.3], dtype)
        room, values = np.empty((2, size), dtype)
        run_bend_sum(ACTIVATIONS[name], start, one, two, share, other, room, values)
        z = start.astype(float) + share * one.astype(float) + other * two.astype(float)
        np.testing.assert_allclose(values, TWINS[name].value(z), rtol=0, atol=ROUNDING[dtype])
        expected = TWINS[name].value(start)
        np.testing.assert_allclose(bent(name, start), expected, rtol=0, atol=ROUNDING[dtype])
