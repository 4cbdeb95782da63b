"""Products in registers and functions without branches, against their NumPy twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.kernels.compiled import entry
from steepest.kernels.elementary import exp_below, expm1_below, log1p_unit
from steepest.kernels.product import PANEL, product
from steepest.kernels.rows import add_products, dots
from steepest.kernels.vector import VECTOR_BYTES

DTYPES = st.sampled_from(["float32", "float64"])
ROUNDING = {"float32": 1e-5, "float64": 1e-13}


@entry
def run_product(memory, rows, columns, depth, other, places, strides):
    product(
        memory, rows, columns, depth, places[0], strides[0], strides[1], other, places[1],
        strides[2], strides[3], places[2], strides[4], places[3], strides[5],
    )  # fmt: skip


@entry
def run_dots(rows, start, count, n, weights, bias, out):
    dots(rows, start, count, n, weights, bias, out)


@entry
def run_add_products(rows, start, count, n, factors, out):
    add_products(rows, start, count, n, factors, out)


def laid_out(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arrays one after the other, with something between them, and where each begins."""
    gap = np.full(5, np.nan, dtype=arrays[0].dtype)
    pieces = [piece for array in arrays for piece in (gap, array.ravel())]
    ends = np.cumsum([len(piece) for piece in pieces])
    return np.concatenate([*pieces, gap]), ends[::2].astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(
    fours=st.integers(1, 9),
    panels=st.integers(1, 3),
    depth=st.integers(0, 40),
    transposed=st.booleans(),
    in_panels=st.booleans(),
    apart=st.booleans(),
    start=st.sampled_from(["zeros", "one row", "itself"]),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_a_product_is_numpy_s(
    fours, panels, depth, transposed, in_panels, apart, start, dtype, seed
):
    random, panel = np.random.default_rng(seed), PANEL * VECTOR_BYTES // np.dtype(dtype).itemsize
    rows, columns = 4 * fours, panel * panels
    A, B = random.normal(size=(rows, depth)), random.normal(size=(depth, columns))
    A, B = A.astype(dtype), B.astype(dtype)
    C = random.normal(size=(rows, columns)).astype(dtype)
    S = random.normal(size=columns).astype(dtype) * (start == "one row")
    stored_B = B.reshape(depth, panels, panel).transpose(1, 0, 2) if in_panels else B
    memory, places = laid_out(A.T if transposed else A, np.ascontiguousarray(stored_B), C, S)
    if start == "itself":
        places[3] = places[2]
    strides = (
        (1, rows) if transposed else (depth, 1),
        (depth, panel) if in_panels else (1, columns),
        (columns, columns if start == "itself" else 0),
    )
    other = memory
    if apart:  # B in an array of its own
        other, at = laid_out(np.ascontiguousarray(stored_B))
        memory[places[1] : places[1] + B.size], places[1] = np.nan, at[0]
    run_product(memory, rows, columns, depth, other, places,
                np.array(sum(strides, ()), dtype=np.int64))  # fmt: skip
    found = memory[places[2] : places[2] + C.size].reshape(C.shape)
    expected = A @ B + (C if start == "itself" else S)
    np.testing.assert_allclose(found, expected, rtol=0, atol=50 * ROUNDING[dtype])
    gaps = 25 + (B.size if apart else 0)
    assert np.isnan(memory).sum() == gaps  # nothing was written between the arrays


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 40),
    n=st.integers(1, 40),
    skipped=st.integers(0, 3),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_products_with_vectors_are_numpy_s(count, n, skipped, dtype, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(count + skipped, n)).astype(dtype)
    w, g, d = (random.normal(size=size).astype(dtype) for size in (n, n, count))
    bias, out = w.dtype.type(0.25), np.full(count + 1, 7.0, dtype=dtype)
    tolerance = {"rtol": 0, "atol": 50 * ROUNDING[dtype]}
    run_dots(X.ravel(), skipped * n, count, n, w, bias, out)
    np.testing.assert_allclose(out[:count], X[skipped:] @ w + 0.25, **tolerance)
    assert out[count] == 7.0
    expected = g + X[skipped:].T @ d
    padded = np.append(g, w.dtype.type(7.0))
    run_add_products(X.ravel(), skipped * n, count, n, d, padded)
    np.testing.assert_allclose(padded[:n], expected, **tolerance)
    assert padded[n] == 7.0


@entry
def run_exp(x, out):
    for i in range(len(x)):
        out[i] = exp_below(x[i])


@entry
def run_expm1(x, out):
    for i in range(len(x)):
        out[i] = expm1_below(x[i])


@entry
def run_log1p(x, out):
    for i in range(len(x)):
        out[i] = log1p_unit(x[i])


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", 87.0), ("float64", 708.0)])
@pytest.mark.parametrize(
    ("run", "twin", "units"),
    [(run_exp, np.exp, 2.0), (run_expm1, np.expm1, 2.0), (run_log1p, np.log1p, 3.0)],
)
def test_functions_are_right_to_the_last_digits(run, twin, units, dtype, lowest):
    if twin is np.log1p:
        x = np.concatenate([np.linspace(0, 1, 20_001), np.geomspace(1e-30, 1, 2_000)])
    else:
        x = -np.concatenate([np.linspace(0, lowest, 50_001), np.geomspace(1e-30, 1, 2_000)])
    x = x.astype(dtype)
    out = np.empty_like(x)
    run(x, out)
    expected = twin(x.astype(np.longdouble))
    error = np.abs(out - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert error.max() <= units


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("run", [run_exp, run_expm1, run_log1p])
def test_what_is_no_number_stays_so(run, dtype):
    x = np.full(9, np.nan, dtype=dtype)
    out = np.zeros_like(x)
    run(x, out)
    assert np.isnan(out).all()


def test_far_below_zero_the_exponential_is_nothing():
    x = np.array([-1e4, -1e30, -np.inf], dtype=np.float32)
    out = np.empty_like(x)
    run_exp(x, out)
    assert (out >= 0.0).all()
    assert (out < 2e-38).all()
