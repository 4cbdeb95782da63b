"""Expressions over lists: each against plain Python, and every message."""

# ruff: noqa: E501

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.errors import EventsError, RecipeError
from steepest.events import load_sample, parse
from steepest.recipe import EventsRecipe

NAN = math.nan
BATCH = pa.record_batch(
    {
        "x": pa.array([3.0, 0.5, -1.0, None]),
        "n": pa.array([1, 0, -1, None], pa.int64()),
        "pt": pa.array([[40.0, 2.0, NAN], [], [7.0, None], None], pa.list_(pa.float64())),
        "charge": pa.array([[0, 1, -1], [], [1, 0], [1]], pa.list_(pa.int8())),
        "id": pa.array([[2**60 + 1, 2**60], [5], [2**64 - 1], []], pa.large_list(pa.uint64())),
        "good": pa.array([[True, None], [], [False, None], [True]], pa.list_(pa.bool_())),
        "kind": pa.array([["mu", "el"], [], ["el", None], ["mu"]], pa.list_(pa.string())),
        "pair": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int32(), 2)),
        "deep": pa.array([[[1.0]], [], [], []], pa.list_(pa.list_(pa.float64()))),
        "pt_of_hits": pa.array([[1.0, 2.0, 3.0], [], [4.0], []], pa.list_(pa.float32())),
    }
)
A_LIST = (
    "one value an event: x[0], sum(x), count(x), mean(x), min(x), max(x), any(condition) or "
    "all(condition) of a list x"
)


def plain(values: np.ndarray) -> list[Any]:
    """Arrays as lists, None and NaN as None, so that they compare."""
    return [
        plain(v) if isinstance(v, np.ndarray) else None if v is None or v != v else v
        for v in values.tolist()
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pt * 2 + x", [[83, 7, None], [], [13, None], None]),
        ("-pt[charge > 0]", [[-2], [], [-7], None]),
        ("pt[0]", [40, None, 7, None]),
        ("pt[1]", [2, None, None, None]),
        ("pt[-3]", [40, None, None, None]),
        ("pt[9223372036854775807]", [None] * 4),
        ("pt[18446744073709551615]", [None] * 4),
        ("pt[n]", [2, None, None, None]),
        ("-pt[0] ** 2", [-1600, None, -49, None]),
        ("(pt + 1)[0]", [41, None, 8, None]),
        ("pt[argmax(charge)]", [2, None, 7, None]),
        ("pt[charge != 0][0]", [2, None, 7, None]),
        ("sum(pt[isfinite(pt)])", [42, 0, 7, None]),
        ("sum(pt)", [None, 0, None, None]),
        ("mean(charge)", [0, None, 0.5, 1]),
        ("max(charge) - min(charge)", [2, None, 1, 0]),
        ("argmin(charge)", [2, None, 1, 0]),
        ("argmax(pt)", [2, None, None, None]),
        ("count(pt)", [3, 0, 2, None]),
        ("len(charge)", [3, 0, 2, 1]),
        ("max(charge, 0.5)", [[0.5, 1, 0.5], [], [1, 0.5], [1]]),
        ("max(max(charge), 5)", [5, None, 5, 5]),
        ("sum(where(charge > 0, 10, 1))", [12, 0, 11, 10]),
        ("count(kind[kind in ['mu']])", [1, 0, 0, 1]),
        ("kind[0]", ["mu", None, "el", "mu"]),
        ("sum(pair)", [3, 7, 11, 15]),
        ("charge[charge % 2 == 0 OR charge < 0]", [[0, -1], [], [0], []]),
        ("charge & 1", [[0, 1, 1], [], [1, 0], [1]]),
        ("bit(charge, 1)", [[False, False, True], [], [False, False], [False]]),
        ("id[bit(id, 0)]", [[2**60 + 1], [5], [2**64 - 1], []]),
        ("(id & 5)[0]", [1, 5, 5, None]),
        ("count(charge[charge & n == 0])", [1, 0, 1, 0]),
        ("1 < pt < 10", [[False, True, False], [], [True, None], None]),
        ("delta_phi(pair, 10 + x)", None),
    ],
)
def test_values(text: str, expected: list[Any] | None) -> None:
    values = parse(text).evaluate(BATCH)
    assert values.shape == (4,)
    if expected is not None:
        assert plain(values) == expected
    for row in range(4):  # alone, a row is what it is among others
        alone = parse(text).evaluate(BATCH.slice(row, 1))
        assert plain(alone) == plain(values)[row : row + 1]
    assert parse(text).evaluate(BATCH.slice(0, 0)).shape == (0,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("any(good)", [True, False, False, True]),
        ("all(good)", [False, True, False, True]),
        ("NOT any(good)", [False, True, False, False]),  # null leaves the third open
        ("NOT all(good)", [False, False, True, False]),  # and the first, but not the third
        ("any(pt > 30 AND charge == 0)", [True, False, False, False]),
        ("max(id) == 1152921504606846977", [True, False, False, False]),
        ("id[0] == 18446744073709551615", [False, False, True, False]),
        ("any(id == 1152921504606846976)", [True, False, False, False]),
        ("all(charge in [-1, 0, 1])", [True, True, True, True]),
        ("x > 0 AND any(!(charge == 0))", [True, False, False, False]),
    ],
)
def test_conditions(text: str, expected: list[bool]) -> None:
    assert parse(text).evaluate(BATCH).tolist() == expected
    assert parse(text).pruning() == tuple(c for c in parse("x > 0").pruning() if "x > 0" in text)


# --- against Python -----------------------------------------------------------------------------

FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, math.pi, -math.pi, 1e300])
EVENTS = st.lists(
    st.tuples(
        FLOATS, st.lists(st.tuples(FLOATS, FLOATS, st.integers(-2, 2), st.booleans()), max_size=6)
    ),
    min_size=1,
    max_size=8,
)
Event = tuple[float, list[float], list[float], list[int], list[bool]]


def divided(a: float, b: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(a) / np.float64(b))


def wrapped(a: float, b: float) -> float:
    difference = a - b
    if not math.isfinite(difference):
        return NAN
    turned = math.remainder(difference, 2 * math.pi)
    return math.pi if turned == -math.pi else turned


def largest(values: list[float]) -> float:
    return NAN if any(v != v for v in values) else max(values, default=NAN)


def first_largest(values: list[float]) -> float:
    nan = next((i for i, v in enumerate(values) if v != v), None)
    if nan is not None:
        return nan
    return values.index(max(values)) if values else NAN


def total(values: list[float]) -> float:
    return reduce(add, values, 0.0)


def item(values: list[float], index: int) -> float:
    return values[index] if -len(values) <= index < len(values) else NAN


TWINS: dict[str, Any] = {
    "a + x": lambda x, a, b, q, c: [v + x for v in a],
    "a * b - x": lambda x, a, b, q, c: [v * w - x for v, w in zip(a, b, strict=True)],
    "x / a": lambda x, a, b, q, c: [divided(x, v) for v in a],
    "abs(a)": lambda x, a, b, q, c: [abs(v) for v in a],
    "a < b": lambda x, a, b, q, c: [v < w for v, w in zip(a, b, strict=True)],
    "a != x": lambda x, a, b, q, c: [v != x for v in a],
    "c OR a > 0": lambda x, a, b, q, c: [k or v > 0 for k, v in zip(c, a, strict=True)],
    "NOT c": lambda x, a, b, q, c: [not k for k in c],
    "q in [1, 2]": lambda x, a, b, q, c: [k in (1, 2) for k in q],
    "where(c, a, x)": lambda x, a, b, q, c: [v if k else x for k, v in zip(c, a, strict=True)],
    "a[c]": lambda x, a, b, q, c: [v for k, v in zip(c, a, strict=True) if k],
    "a[q != 0][-1]": lambda x, a, b, q, c: item(
        [v for k, v in zip(q, a, strict=True) if k != 0], -1
    ),
    "a[0]": lambda x, a, b, q, c: item(a, 0),
    "a[2]": lambda x, a, b, q, c: item(a, 2),
    "a[-2]": lambda x, a, b, q, c: item(a, -2),
    "a[count(c) % 2]": lambda x, a, b, q, c: item(a, len(c) % 2),
    "sum(a)": lambda x, a, b, q, c: total(a),
    "sum(a[c])": lambda x, a, b, q, c: total([v for k, v in zip(c, a, strict=True) if k]),
    "mean(a)": lambda x, a, b, q, c: total(a) / len(a) if a else NAN,
    "count(a)": lambda x, a, b, q, c: len(a),
    "max(a)": lambda x, a, b, q, c: largest(a),
    "min(q)": lambda x, a, b, q, c: min(q, default=NAN),
    "argmax(a)": lambda x, a, b, q, c: first_largest(a),
    "any(c)": lambda x, a, b, q, c: any(c),
    "all(a >= b)": lambda x, a, b, q, c: all(v >= w for v, w in zip(a, b, strict=True)),
    "delta_phi(a, b)": lambda x, a, b, q, c: [wrapped(v, w) for v, w in zip(a, b, strict=True)],
    "delta_r(a, b, x, a)": lambda x, a, b, q, c: [
        float(np.hypot(v - x, wrapped(w, v))) for v, w in zip(a, b, strict=True)
    ],
}


@settings(max_examples=60, deadline=None)
@given(EVENTS)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_values_are_pythons(events: list[tuple[float, list[tuple]]]) -> None:
    rows: list[Event] = [
        (x, *(([e[i] for e in elements]) for i in range(4)))  # type: ignore[misc]
        for x, elements in events
    ]
    kinds = [pa.float64()] + [
        pa.list_(t) for t in (pa.float64(), pa.float64(), pa.int64(), pa.bool_())
    ]
    columns = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]
    batch = pa.record_batch(columns, names=["x", "a", "b", "q", "c"])
    for text, twin in TWINS.items():
        found = parse(text).evaluate(batch)
        for value, row in zip(found, rows, strict=True):
            expected = twin(*row)
            assert np.array_equal(
                np.asarray(value, np.float64), np.asarray(expected, np.float64), equal_nan=True
            ), (text, row)


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_delta_phi_is_wrapped(phi1: float, phi2: float) -> None:
    batch = pa.record_batch({"a": [phi1], "b": [phi2]})
    found = float(parse("delta_phi(a, b)").evaluate(batch)[0])
    assert -math.pi < found <= math.pi
    assert found == wrapped(phi1, phi2)


def test_delta_phi_at_the_edge() -> None:
    batch = pa.record_batch({"a": [math.pi, -math.pi, 3.0, -3.0], "b": [0.0, 0.0, -3.0, 3.0]})
    found = parse("delta_phi(a, b)").evaluate(batch)
    turn = 2 * math.pi
    assert found.tolist() == [math.pi, math.pi, 6 - turn, turn - 6]


# --- messages -----------------------------------------------------------------------------------

MEANING = {
    "pt * pt_of_hits": (EventsError, """
The expression: lists of different lengths meet at row 2.
    pt * pt_of_hits
       ^
  expected: lists of one length in each event
  found:    1 and 2 elements
  cause:    the lists are of different objects
  do:       combine lists of the same objects, or reduce one to a number: x[0], sum(x)
"""),
    "sum(pt[pt_of_hits > 1])": (EventsError, """
The expression: lists of different lengths meet at row 2.
    sum(pt[pt_of_hits > 1])
                      ^
  expected: lists of one length in each event
  found:    1 and 2 elements
  cause:    the lists are of different objects
  do:       combine lists of the same objects, or reduce one to a number: x[0], sum(x)
"""),
    "pt[0.5]": (EventsError, """
The expression: an index is an integer, or a list of conditions.
    pt[0.5]
       ^^^
  found:    a number
  do:       x[0] is the first element, x[-1] the last, x[x > 5] what meets the condition
"""),
    "pt[x]": (EventsError, """
The expression: an index is an integer, or a list of conditions.
    pt[x]
       ^
  found:    a number
  do:       x[0] is the first element, x[-1] the last, x[x > 5] what meets the condition
"""),
    "pt[x > 1]": (EventsError, """
The expression: an index is an integer, or a list of conditions.
    pt[x > 1]
         ^
  found:    a condition
  do:       x[0] is the first element, x[-1] the last, x[x > 5] what meets the condition
"""),
    "pt[charge]": (EventsError, """
The expression: an index is an integer, or a list of conditions.
    pt[charge]
       ^^^^^^
  found:    a list of numbers
  do:       x[0] is the first element, x[-1] the last, x[x > 5] what meets the condition
"""),
    "x[0]": (EventsError, """
The expression: [...] takes an element of a list.
    x[0]
    ^
  expected: a column of lists
  found:    a number
"""),
    "sum(x)": (EventsError, """
The expression: sum of one argument takes a list.
    sum(x)
        ^
  found:    a number
"""),
    "sum(pt, x)": (RecipeError, """
The expression: sum has the wrong number of arguments.
    sum(pt, x)
    ^^^
  expected: 1 list
  found:    2
"""),
    "sum(pt > 5)": (EventsError, """
The expression: sum takes numbers.
    sum(pt > 5)
           ^
  found:    a list of conditions
  do:       where(condition, 1, 0) is a number
"""),
    "any(charge)": (EventsError, """
The expression: any takes conditions.
    any(charge)
        ^^^^^^
  found:    a list of numbers
  do:       compare it, as in x > 0
"""),
    "kind > 1": (EventsError, """
The expression: a list of texts is compared with a number.
    kind > 1
           ^
  expected: two values of one type
  do:       text goes in quotes: process == "top"; a number does not
"""),
    "sum(deep)": (EventsError, """
The expression: the column 'deep' holds lists of lists.
    sum(deep)
        ^^^^
  expected: numbers, booleans or text, one value or one list of them an event
  found:    list<item: list<item: double>>
  do:       write one list an event: flatten it, or give each part a column
"""),
}  # fmt: skip


@pytest.mark.parametrize("text", MEANING)
def test_errors_of_meaning_point_at_the_place(text: str, refused) -> None:
    kind, message = MEANING[text]
    refused(kind, message, parse(text).evaluate, BATCH)


SYNTAX = {
    "pt[0": """
The expression cannot be read: ']' is missing.
    pt[0
        ^
  expected: ']', to close the '[' at place 3
  found:    the end
""",
    "pt[]": """
The expression cannot be read: something is missing here.
    pt[]
       ^
  expected: a column, a number, text in quotes or (
  found:    ']'
""",
    "pt[0:2]": """
The expression cannot be read: ':' has no meaning here.
    pt[0:2]
        ^
  do:       x[0] is one element of a list; x[condition] are those that meet a condition
""",
    "5[0]": """
The expression cannot be read: '[' does not continue what stands before it.
    5[0]
     ^
  expected: an operator, or the end
""",
    "x" + "[0]" * 150: f"""
The expression cannot be read: it is more than 120 levels deep.
    x{"[0]" * 150}
    ^
  do:       simplify it
""",
}


@pytest.mark.parametrize("text", SYNTAX)
def test_syntax_errors_point_at_the_place(text: str, refused) -> None:
    refused(RecipeError, SYNTAX[text], parse, text)


# --- in a sample --------------------------------------------------------------------------------

N = 40
ROW = np.arange(N)
JETS = {
    "y": ROW % 2,
    "pt": pa.array([list(np.arange(1.0, row % 4 + 2)) for row in ROW]),
    "eta": pa.array([[0.0] * (row % 4 + 1 + (row == 17)) for row in ROW]),
}


def wanted(write, **keys: Any) -> EventsRecipe:
    split = {"validation": 0.0, "test": 0.0}
    return EventsRecipe(path=write(JETS, row_group_size=10), split=split, **{"label": "y", **keys})


def test_features_labels_and_selections_of_lists(write) -> None:
    features = [
        {"name": "leading", "value": "pt[0]"},
        {"name": "hard", "value": "sum(pt[pt > 2])"},
        {"name": "n", "value": "count(pt)"},
    ]
    recipe = wanted(write, features=features, label="max(pt) > 3", weight="mean(pt)",
                    select="any(pt == 2)")  # fmt: skip
    sample = load_sample(recipe)
    kept = ROW[ROW % 4 > 0]
    n = kept % 4 + 1
    assert np.array_equal(sample.rows, kept)
    hard = np.array([0, 0, 0, 3, 7])[n]
    assert np.array_equal(sample.features, np.column_stack([np.ones(len(kept)), hard, n]))
    assert np.array_equal(sample.labels, n > 3)
    assert np.array_equal(sample.weights, (n + 1) / 2)


def feature(value: str) -> list[dict[str, str]]:
    return [{"name": "f", "value": value}]


REFUSED = {
    "lists that differ": ({"features": feature("sum(pt * eta)")}, """
The feature 'f': lists of different lengths meet in DIR/jets.parquet at row 17.
    sum(pt * eta)
           ^
  expected: lists of one length in each event
  found:    2 and 3 elements
  cause:    the lists are of different objects
  do:       combine lists of the same objects, or reduce one to a number: x[0], sum(x)
"""),
    "lists that differ, behind a selection": (
        {"features": feature("sum(pt * eta)"), "select": "count(pt) == 2"}, """
The feature 'f': lists of different lengths meet in DIR/jets.parquet at row 17.
    sum(pt * eta)
           ^
  expected: lists of one length in each event
  found:    2 and 3 elements
  cause:    the lists are of different objects
  do:       combine lists of the same objects, or reduce one to a number: x[0], sum(x)
"""),
    "lists that differ in the selection": (
        {"features": feature("pt[0]"), "select": "any(pt > eta)"}, """
events.select: lists of different lengths meet in DIR/jets.parquet at row 17.
    any(pt > eta)
           ^
  expected: lists of one length in each event
  found:    2 and 3 elements
  cause:    the lists are of different objects
  do:       combine lists of the same objects, or reduce one to a number: x[0], sum(x)
"""),
    "a list as a feature": ({"features": feature("2 * pt")}, f"""
The feature 'f': a list stands where one value an event is needed.
    2 * pt
        ^^
  expected: {A_LIST}
  found:    a list of numbers
"""),
    "a list as the selection": ({"features": feature("pt[0]"), "select": "y == 1 AND pt[pt > 1] > 5"}, f"""
events.select: a list stands where one value an event is needed.
    y == 1 AND pt[pt > 1] > 5
               ^^^^^^^^^^
  expected: {A_LIST}
  found:    a list of numbers
"""),
    "a list as the weight": ({"features": feature("pt[0]"), "weight": "pt"}, f"""
events.weight: a list stands where one value an event is needed.
    pt
    ^^
  expected: {A_LIST}
  found:    a list of numbers
"""),
    "a list too short": ({"features": feature("pt[1]")}, """
The feature 'f' is not a finite number for 10 of 40 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    10 null
  cause:    a list that is too short in pt[1]
  do:       exclude these events: select = 'isfinite(pt[1])'; or say how to fill the feature: fill = "median"
"""),
    "an empty list": ({"features": feature("max(pt[pt > 1])")}, """
The feature 'f' is not a finite number for 10 of 40 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    10 null
  cause:    an empty list in max(pt[pt > 1])
  do:       exclude these events: select = 'isfinite(max(pt[pt > 1]))'; or say how to fill the feature: fill = "median"
"""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_lists_that_cannot_be_trained_on(case: str, write, refused) -> None:
    keys, message = REFUSED[case]
    refused(EventsError, message, load_sample, wanted(write, **keys))


def test_a_selection_excludes_lists_that_differ(write) -> None:
    recipe = wanted(write, features=feature("sum(pt * eta)"), select="count(pt) == count(eta)")
    assert np.array_equal(load_sample(recipe).rows, ROW[ROW != 17])
