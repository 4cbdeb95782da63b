"""Expressions against NumPy: random pairs of a text, and its value, computed beside it.

Only functions that both sides round correctly are used, so that values are compared to the bit and
a comparison cannot fall to the other side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.events import parse

_random = np.random.default_rng(7)
COLUMNS: dict[str, np.ndarray] = {
    "x": np.concatenate([_random.normal(size=20), [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300]]),
    "y": np.concatenate([_random.normal(size=20) * 9, [1.0, np.nan, np.inf, 0.0, 5.0, -1e300]]),
    "n": _random.integers(-5, 6, 26).astype(np.int16),
    "big": 2**60 + _random.integers(-3, 4, 26),
}
Pair = tuple[str, Any]

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.mod, "**": np.power,
}  # fmt: skip
COMPARE: dict[str, Callable[..., Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater,
    ">=": np.greater_equal,
}  # fmt: skip
UNARY: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "round": np.rint,
    "sign": np.sign, "log10": np.log10,
}  # fmt: skip
BINARY: dict[str, Callable[..., Any]] = {
    "min": np.minimum, "max": np.maximum, "hypot": np.hypot,
}  # fmt: skip
BIND = {"+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "**": 8}


def _compute(function: Callable[..., Any], *values: Any) -> Any:
    full = [np.broadcast_to(np.asarray(value, dtype=np.float64), 26) for value in values]
    with np.errstate(all="ignore"):
        return function(*full)


def _leaves() -> st.SearchStrategy[Pair]:
    """Columns and literals, as float64: `%` of two integers has rules of its own."""
    columns = st.sampled_from(
        [("x", COLUMNS["x"]), ("y", COLUMNS["y"]), ("(n + 0)", COLUMNS["n"].astype(np.float64))]
    )
    literals = st.one_of(
        st.integers(0, 9).map(float), st.floats(0, 1e6, allow_subnormal=False)
    ).map(lambda value: (repr(value), value))
    return st.one_of(columns, literals)


def _grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def binary(left: Pair, operator: str, right: Pair) -> Pair:
        value = _compute(ARITHMETIC[operator], left[1], right[1])
        return f"({left[0]}) {operator} ({right[0]})", value

    def call(name: str, argument: Pair) -> Pair:
        return f"{name}({argument[0]})", _compute(UNARY[name], argument[1])

    def call2(name: str, left: Pair, right: Pair) -> Pair:
        return f"{name}({left[0]}, {right[0]})", _compute(BINARY[name], left[1], right[1])

    def negative(argument: Pair) -> Pair:
        return f"-({argument[0]})", _compute(np.negative, argument[1])

    def chosen(operator: str, a: Pair, b: Pair, c: Pair, d: Pair) -> Pair:
        condition = _compute(COMPARE[operator], a[1], b[1])
        text = f"where({a[0]} {operator} {b[0]}, {c[0]}, {d[0]})"
        return text, np.where(condition, c[1], d[1])

    return st.one_of(
        st.builds(binary, inner, st.sampled_from(list(ARITHMETIC)), inner),
        st.builds(call, st.sampled_from(list(UNARY)), inner),
        st.builds(call2, st.sampled_from(list(BINARY)), inner, inner),
        st.builds(negative, inner),
        st.builds(chosen, st.sampled_from(list(COMPARE)), inner, inner, inner, inner),
    )


def numbers() -> st.SearchStrategy[Pair]:
    """Text and value of a random numeric expression over `COLUMNS`."""
    return st.recursive(_leaves(), _grown, max_leaves=8)


def conditions() -> st.SearchStrategy[Pair]:
    """Text and value of a random condition; integers beyond 2**53 are compared exactly."""

    def compared(left: Pair, operator: str, right: Pair) -> Pair:
        return f"({left[0]}) {operator} ({right[0]})", _compute(
            COMPARE[operator], left[1], right[1]
        )

    def chained(a: Pair, first: str, b: Pair, second: str, c: Pair) -> Pair:
        value = _compute(COMPARE[first], a[1], b[1]) & _compute(COMPARE[second], b[1], c[1])
        return f"({a[0]}) {first} ({b[0]}) {second} ({c[0]})", value

    def exact(operator: str, offset: int) -> Pair:
        return f"big {operator} {2**60 + offset}", COMPARE[operator](COLUMNS["big"], 2**60 + offset)

    def among(values: list[int]) -> Pair:
        return f"n in {values}", np.isin(COLUMNS["n"], values)

    inner = numbers()
    operator = st.sampled_from(list(COMPARE))
    leaves = st.one_of(
        st.builds(compared, inner, operator, inner),
        st.builds(chained, inner, operator, inner, operator, inner),
        st.builds(exact, operator, st.integers(-4, 4)),
        st.builds(among, st.lists(st.integers(-6, 6), min_size=1, max_size=4)),
    )

    def grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
        return st.one_of(
            st.builds(lambda a, b: (f"({a[0]}) AND ({b[0]})", a[1] & b[1]), inner, inner),
            st.builds(lambda a, b: (f"({a[0]}) || ({b[0]})", a[1] | b[1]), inner, inner),
            st.builds(lambda a: (f"NOT ({a[0]})", ~a[1]), inner),
        )

    return st.recursive(leaves, grown, max_leaves=4)


TABLE = pa.record_batch({name: pa.array(values) for name, values in COLUMNS.items()})


@settings(max_examples=200, deadline=None)
@given(numbers())
def test_numbers_are_numpys(pair: tuple[str, np.ndarray]) -> None:
    text, expected = pair
    found = parse(text).evaluate(TABLE).astype(np.float64)
    assert np.array_equal(found, np.broadcast_to(expected, found.shape), equal_nan=True), text


@settings(max_examples=200, deadline=None)
@given(conditions())
def test_conditions_are_numpys(pair: tuple[str, np.ndarray]) -> None:
    text, expected = pair
    found = parse(text).evaluate(TABLE)
    assert found.dtype == bool
    assert np.array_equal(found, np.broadcast_to(expected, found.shape)), text


@pytest.mark.parametrize(
    "name",
    [
        "sqrt",
        "exp",
        "log",
        "log1p",
        "log10",
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "arcsinh",
        "arccosh",
        "arctanh",
        "abs",
        "floor",
        "ceil",
        "sign",
    ],
)
def test_functions_are_numpys(name: str) -> None:
    x = COLUMNS["x"]
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    found = parse(f"{name}(x)").evaluate(TABLE)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@settings(max_examples=60, deadline=None)
@given(numbers(), st.integers(0, len(TABLE) - 1))
def test_a_row_does_not_depend_on_its_batch(pair: tuple[str, np.ndarray], row: int) -> None:
    whole = parse(pair[0]).evaluate(TABLE)
    alone = parse(pair[0]).evaluate(TABLE.slice(row, 1))
    assert np.array_equal(whole[row : row + 1], alone, equal_nan=True)
