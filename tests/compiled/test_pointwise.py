"""Activations, losses and elementary functions in compiled code, against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.compiled import pointwise
from steepest.compiled.jit import kernel
from steepest.losses import loss_named
from steepest.models.layers import ACTIVATIONS

COUNTS = [0, 1, 7, 8, 9, 63, 64, 65]
DTYPES = ["float32", "float64"]


@kernel
def exponentials(x, out):
    for i in range(len(x)):
        out[i] = pointwise.exp_nonpositive(x[i])


@kernel
def exponentials_less_one(x, out):
    for i in range(len(x)):
        out[i] = pointwise.expm1_nonpositive(x[i])


@kernel
def logarithms(x, out):
    for i in range(len(x)):
        out[i] = pointwise.log1p_nonnegative(x[i])


@kernel
def logarithms_of_units(x, out):
    for i in range(len(x)):
        out[i] = pointwise.log1p_unit(x[i])


ELEMENTARY = {
    "exp": (exponentials, np.exp, lambda x: -(np.abs(x) ** 3)),
    "expm1": (exponentials_less_one, np.expm1, lambda x: -(np.abs(x) ** 3)),
    "log1p of [0, 1]": (logarithms_of_units, np.log1p, lambda x: np.exp(-np.abs(x))),
    "log1p": (logarithms, np.log1p, lambda x: np.expm1(np.abs(x))),
}


@pytest.mark.parametrize("name", ELEMENTARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementary_functions_are_within_a_few_units(name, dtype):
    function, twin, domain = ELEMENTARY[name]
    spread = np.random.default_rng(0).normal(0, 1.5, 20_000)
    x = np.append(domain(spread), [0.0, domain(1e-3), domain(1e-8)]).astype(dtype)
    x = x[np.abs(x) < 86]
    found, expected = np.empty_like(x), twin(x.astype("float128"))
    function(x, found)
    unit = np.spacing(np.abs(expected).astype(dtype)).astype("float128")
    assert (np.abs(found - expected) / unit).max() <= 3.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials_end_at_the_edge_of_the_type_and_keep_nan(dtype):
    x = np.array([-1e30, -np.inf, np.nan], dtype=dtype)
    found = np.empty_like(x)
    exponentials(x, found)
    assert found[0] == found[1] == pytest.approx(0.0, abs=1e-37)
    assert np.isnan(found[2])


@kernel
def activated(kind, values, slopes):
    pointwise.activate(kind, values, slopes)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", COUNTS)
def test_activations(name, dtype, count):
    z = np.random.default_rng(count).normal(0, 3, count).astype(dtype)
    values, slopes, twin = z.copy(), np.empty_like(z), ACTIVATIONS[name]
    activated(pointwise.ACTIVATIONS[name], values, slopes)
    if name == "relu":
        slopes = (values > 0).astype(dtype)
    tolerance = (
        {"rtol": 2e-6, "atol": 5e-7} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-15}
    )
    np.testing.assert_allclose(values, twin.value(z), **tolerance)
    np.testing.assert_allclose(slopes, twin.first(z), **tolerance)


@kernel
def differentiated(kind, logits, targets, weights, scale, upstream, work):
    return pointwise.differentiate(kind, logits, targets, weights, scale, upstream, work)


@kernel
def weighted(kind, logits, targets, weights, upstream, work):
    return pointwise.weighted_loss(kind, logits, targets, weights, upstream, work)


def block(name, dtype, count, spread=3.0):
    random, outputs = np.random.default_rng(count), 5 if name == "cross-entropy" else 1
    logits = random.normal(0, spread, (outputs, count)).astype(dtype)
    targets = random.integers(0, max(outputs, 2), count)
    if name != "cross-entropy":
        targets = targets.astype(dtype)
    return logits, targets, random.normal(1, 1, count).astype(dtype)


@pytest.mark.parametrize("name", pointwise.LOSSES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", COUNTS)
def test_losses_with_weights_of_either_sign(name, dtype, count):
    logits, targets, weights = block(name, dtype, count)
    upstream, work, twin = np.empty_like(logits), np.empty((3, count), dtype), loss_named(name)
    scale, kind = weights.dtype.type(0.25), pointwise.LOSSES[name]
    total = differentiated(kind, logits, targets.astype(dtype), weights, scale, upstream, work)
    alone = weighted(kind, logits, targets.astype(dtype), weights, np.empty_like(logits), work)
    wide = logits.T.astype("float64")
    expected = float(weights.astype("float64") @ twin.value(wide, targets))
    slopes = twin.gradient(wide, targets) * weights[:, None] * 0.25
    tolerance = (
        {"rtol": 1e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}
    )
    np.testing.assert_allclose([total, alone], expected, **tolerance)
    np.testing.assert_allclose(upstream.T, slopes, **tolerance)


@pytest.mark.parametrize("name", pointwise.LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(name, bad):
    logits, targets, weights = block(name, "float32", 70)
    logits[0, 33] = bad
    upstream, work = np.empty_like(logits), np.empty((3, 70), "float32")
    total = differentiated(pointwise.LOSSES[name], logits, targets.astype("float32"), weights,
                           np.float32(1.0), upstream, work)  # fmt: skip
    if not (name == "binary-cross-entropy" and np.isinf(bad) and targets[33] == 1):
        assert not np.isfinite(total)


@pytest.mark.parametrize("z", [-1e4, -30.0, 30.0, 1e4])
def test_slopes_of_nearly_certain_predictions_do_not_cancel(z):
    logits = np.array([[z], [0.0]], dtype="float64")
    upstream, work = np.empty_like(logits), np.empty((3, 1))
    ones, scale = np.ones(1), 1.0
    total = differentiated(2, logits, np.zeros(1), ones, scale, upstream, work)
    twin = loss_named("cross-entropy")
    assert total == pytest.approx(twin.value(logits.T, np.array([0]))[0], rel=1e-14)
    expected = twin.gradient(logits.T, np.array([0]))[0]
    np.testing.assert_allclose(upstream[:, 0], expected, rtol=1e-13, atol=1e-300)
