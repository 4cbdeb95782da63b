"""Expressions: their grammar, their values against NumPy, and every message."""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.errors import EventsError, InputError, RecipeError
from steepest.events import FeatureReader, load_sample, open_events, parse
from steepest.events.source import Condition
from steepest.recipe import EventsRecipe

BATCH = pa.record_batch(
    {
        "x": [1.0, 2.0, float("nan"), None],
        "i": pa.array([1, 2**60 + 1, 3, None], pa.int64()),
        "u": pa.array([2**64 - 1, 2**53, 2**53 + 1, 0], pa.uint64()),
        "small": pa.array([100, 127, -128, 5], pa.int8()),
        "s": ["a", "b", None, "c"],
        "flag": [True, False, None, True],
        "jet.pt": pa.array([0.1, 0.2, 0.3, 0.4], pa.float32()),
        "odd name-1": [1, 2, 3, 4],
        "kind": pa.array(["a", "b", None, "c"]).dictionary_encode(),
        "day": pa.array([1, 2, 3, 4], pa.date32()),
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("100 / 10 / 5", 2),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("-7 % 3", 2),
        ("7.5 % -2", -0.5),
        ("3 / 10", 0.3),
        ("log10(1000)", 3),
        ("- - 3", 3),
        ("+3", 3),
        (".5 + 5. + 1e3 + 1.5E-1", 1005.65),
        ("round(2.5) + round(3.5)", 6),
        ("min(3, 1, 2) + max(3, 1, 2)", 4),
        ("where(1 < 2, 10, 20)", 10),
        ("hypot(3, 4)", 5),
        ("atan2(1, 1) * 4", np.pi),
        ("1 / 0", np.inf),
        ("sign(-3) + floor(1.5) + ceil(1.5) + abs(-2)", 4),
        ("550 < 600 < 650", True),
        ("550 < 700 < 650", False),
        ("1 < 2 AND NOT 2 < 1", True),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("NOT true OR true", True),
        ("!false && true", True),
        ("false || TRUE", True),
        ("'a' == \"a\"", True),
        ("'a' < 'b'", True),
        ("2 in [1, 2.0, -3]", True),
        ("-3 in (1, 2, -3)", True),
        ("'x' not in ['a', 'b']", True),
        ("true == !false", True),
        ("false == NOT 1 < 2 AND true", True),
        ("true == NOT false == NOT true", False),
        ("!NOT true", True),
        ("!true == false", True),
        ("-3 % 5 + 2 ** -1 ** 2", 2.5),
        ("pow(2, 10) == 2 ** 10", True),
        ("6 & 3", 2),
        ("14 % 8 & 4 == 4", True),
        ("-1 & 18446744073709551615 == 18446744073709551615", True),
        ("0 < (6 & 3) < 3", True),
        ("bit(5, 0) AND NOT bit(5, 1) AND bit(5, 2) AND bit(-1, 63)", True),
        ("007 == 7", True),
        ("1 == 1 != 2", True),
    ],
)
def test_precedence_and_values(text: str, expected: float) -> None:
    values = parse(text).evaluate(BATCH)
    assert values.shape == (4,)
    assert np.allclose(values, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i == 1152921504606846977", [False, True, False, False]),
        ("i == 1152921504606846976", [False, False, False, False]),
        ("i in [1152921504606846976, 3]", [False, False, True, False]),
        ("u > 9007199254740992", [True, False, True, False]),
        ("u == 9007199254740993", [False, False, True, False]),
        ("u == 18446744073709551615", [True, False, False, False]),
        ("u > i", [True, False, True, False]),
        ("u > -1", [True, True, True, True]),
        ("u < 1e30", [True, True, True, True]),
        ("i > 2.5", [False, True, True, False]),
        ("i == 3.0", [False, False, True, False]),
        ("u % 2 == 1", [True, False, True, False]),
        ("small + small > 200", [False, True, False, False]),
        ("x == x", [True, True, False, False]),
        ("x != x", [False, False, True, False]),
        ("x > 1", [False, True, False, False]),
        ("x < 1e300", [True, True, False, False]),
        ("x <= 1e300 OR x >= 0", [True, True, False, False]),
        ("NOT x > 1", [True, False, True, False]),  # NaN compares false, null gives no answer
        ("isfinite(x)", [True, True, False, False]),
        ("isnan(x)", [False, False, True, True]),
        ("x > 1 OR isnan(x)", [False, True, True, True]),
        ("flag", [True, False, False, True]),
        ("NOT flag", [False, True, False, False]),
        ("flag == true", [True, False, False, True]),
        ("s in ['a', 'c']", [True, False, False, True]),
        ("s not in ['a', 'c']", [False, True, False, False]),
        ("s != 'a'", [False, True, False, True]),
        ("kind == 'a' or kind == 'c'", [True, False, False, True]),
        ("`odd name-1` >= 3", [False, False, True, True]),
        ("jet.pt > 0.25", [False, False, True, True]),
        ("small & 4 == 4", [True, True, False, True]),
        ("bit(small, 7)", [False, False, True, False]),
        ("bit(u, 63)", [True, False, False, False]),
        ("bit(i, 60)", [False, True, False, False]),
        ("bit(i, 0) AND bit(i & u, 0)", [True, False, True, False]),
        ("jet.pt == 0.1", [False, False, False, False]),  # float32's 0.1 is another number
    ],
)
def test_conditions_on_columns(text: str, expected: list[bool]) -> None:
    values = parse(text).evaluate(BATCH)
    assert values.dtype == bool
    assert values.tolist() == expected


@pytest.mark.parametrize(
    ("text", "expected", "dtype"),
    [
        ("x * 2", [2, 4, np.nan, np.nan], np.float64),
        ("i * 0", [0, 0, 0, np.nan], np.float64),
        ("u", [2**64 - 1, 2**53, 2**53 + 1, 0], np.uint64),
        ("small", [100, 127, -128, 5], np.int64),
        ("small % 3", [1, 1, 1, 2], np.int64),
        ("min(x, i)", [1, 2, np.nan, np.nan], np.float64),
        ("x % 0", [np.nan, np.nan, np.nan, np.nan], np.float64),
        ("small % 0", [np.nan, np.nan, np.nan, np.nan], np.float64),
        ("where(flag, 1, 2)", [1, 2, np.nan, 1], np.float64),
        ("where(small > 5, u, i)", [2.0**64, 2.0**53, 3, np.nan], np.float64),
        ("u % 7", [(2**64 - 1) % 7, 2**53 % 7, (2**53 + 1) % 7, 0], np.float64),
    ],
)
def test_numbers_of_columns(text: str, expected: list[float], dtype: type) -> None:
    values = parse(text).evaluate(BATCH)
    assert values.dtype == dtype
    assert np.array_equal(values, np.array(expected, dtype=dtype), equal_nan=dtype is np.float64)


def test_text_is_an_object_array() -> None:
    assert parse("s").evaluate(BATCH).tolist() == ["a", "b", None, "c"]
    assert parse("where(x > 1, 'up', 'down')").evaluate(BATCH).tolist() == [
        "down", "up", "down", None,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["class", "None", "lambda", "_0", "µ", "été.π", "is"])
def test_a_column_may_have_any_name(name: str) -> None:
    batch = pa.record_batch({name: [1.0, 2.0], "x": [2.0, 1.0]})
    expression = parse(f"sqrt({name}) > x AND {name} in [2]")
    assert expression.columns == {name, "x"}
    assert expression.evaluate(batch).tolist() == [False, True]


def test_text_has_any_letters() -> None:
    letters = 'a\\n{x}\n"#é'
    batch = pa.record_batch({"s": [letters, "a"]})
    assert parse(f"s == '{letters}'").evaluate(batch).tolist() == [True, False]


def test_same_as_ignores_how_it_is_written() -> None:
    assert parse("a&&(b  > 1)").same_as(parse("a AND `b` > 1.0"))
    for other in (
        "a AND b > true",
        "a AND b > 2",
        "a OR b > 1",
        "a AND c > 1",
        "a AND b > 1 AND a",
        "a",
    ):
        assert not parse("a AND b > 1").same_as(parse(other))


def test_columns_and_text() -> None:
    expression = parse("a + `b c` * sqrt(d.e) > 1 AND f in ['g']")
    assert parse("-a").columns == parse("NOT a").columns == {"a"}
    assert expression.columns == {"a", "b c", "d.e", "f"}
    assert expression.text == "a + `b c` * sqrt(d.e) > 1 AND f in ['g']"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x > 1", [("x", ">", 1)]),
        ("1 < x <= 3.5", [("x", ">", 1), ("x", "<=", 3.5)]),
        ("x > 1 AND (y < 2 AND s == 'a')", [("x", ">", 1), ("y", "<", 2), ("s", "==", "a")]),
        ("abs(x) < 2", [("x", "<", 2), ("x", ">", -2)]),
        ("2 >= abs(x)", [("x", "<=", 2), ("x", ">=", -2)]),
        ("abs(x) > 2", []),
        ("x in [1, 2]", [("x", "in", (1, 2))]),
        ("x not in [1, 2]", []),
        ("x > 1 OR y > 1", []),
        ("NOT x > 1", []),
        ("x != 1", []),
        ("x > y", []),
        ("x + 1 > 2", []),
        ("flag AND NOT other", [("flag", "==", True), ("other", "==", False)]),
    ],
)
def test_pruning_is_what_must_hold(text: str, expected: list[tuple]) -> None:
    assert parse(text).pruning() == tuple(Condition(*condition) for condition in expected)


# --- nothing but an error, and nothing is run ---------------------------------------------------

LETTERS = st.text(alphabet="xi s.0129eE+-*/%<>=!&|()[],'\"`\n\tandortNOTin_é\\{};:$@", max_size=40)
WORDS = st.lists(
    st.sampled_from(
        [
            "x",
            "i",
            "s",
            "flag",
            "nope",
            "1",
            "2.5",
            "'a'",
            "+",
            "-",
            "*",
            "/",
            "%",
            "**",
            "==",
            "<",
            "<=",
            "!=",
            "AND",
            "or",
            "not",
            "in",
            "(",
            ")",
            "[",
            "]",
            ",",
            "sqrt(",
            "where(",
            "min(",
            "__import__(",
            "`x`",
            "true",
        ]
    ),
    max_size=14,
).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(LETTERS, WORDS, st.text(max_size=30)))
def test_any_text_is_an_expression_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert len(parse(text).evaluate(BATCH)) == 4


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch ran')",
        "__import__('os')",
        "().__class__",
        "x.__class__",
        "open('ran', 'w')",
        "exec('1')",
        "x if x else x",
        "lambda: 1",
        "[x for x in [1]]",
        "x := 1",
        "f'{x}'",
    ],
)
def test_python_is_not_run(text: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        parse(text).evaluate(BATCH)
    assert list(tmp_path.iterdir()) == []


def test_size_is_bounded_but_generous() -> None:
    assert parse(" + ".join(["x"] * 500)).evaluate(BATCH)[0] == 500
    assert parse(" AND ".join(f"i != {n + 10}" for n in range(500))).evaluate(BATCH)[0]
    assert parse(f"i in {list(range(900))}").evaluate(BATCH)[0]
    assert parse("(" * 40 + "1" + ")" * 40).evaluate(BATCH)[0] == 1
    for text in ("(" * 10_000, "-" * 10_000 + "1", "+".join(["x"] * 5000), "2" + "**2" * 500,
                 "where(true, " * 500, "NOT " * 500 + "flag", "x in [1] in " * 3):  # fmt: skip
        with pytest.raises(RecipeError):
            parse(text)


# --- messages -----------------------------------------------------------------------------------

FUNCTIONS = (
    "abs, all, any, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, argmax, argmin, atan2, "
    "bit, ceil, cos, cosh, count, deltaPhi, deltaR, delta_phi, delta_r, exp, first, floor, hypot, "
    "isfinite, isnan, len, log, log10, log1p, max, mean, min, p4, pairs, pow, round, second, sign, "
    "sin, sinh, sort, sqrt, sum, tan, tanh, where"
)

BLANK = 4 * " "
SYNTAX = {
    "": f"""
The expression cannot be read: it is empty.
{BLANK}
    ^
  expected: a column, a number or a condition
""",
    "pt > > 5": """
The expression cannot be read: something is missing here.
    pt > > 5
         ^
  expected: a column, a number, text in quotes or (
  found:    '>'
""",
    "pt +": """
The expression cannot be read: something is missing here.
    pt +
        ^
  expected: a column, a number, text in quotes or (
  found:    the end
""",
    "pt eta": """
The expression cannot be read: 'eta' does not continue what stands before it.
    pt eta
       ^^^
  expected: an operator, or the end
""",
    "(pt + 1": """
The expression cannot be read: ')' is missing.
    (pt + 1
           ^
  expected: ')', to close the '(' at place 1
  found:    the end
""",
    "pt = 5": """
The expression cannot be read: '=' has no meaning here.
    pt = 5
       ^
  do:       two values are compared with ==
""",
    "a > 1 & b > 2": """
The expression cannot be read: '&' binds tighter than a comparison.
    a > 1 & b > 2
          ^
  do:       conditions are joined with AND or &&; bits go in parentheses
""",
    "a > 1 | b > 2": """
The expression cannot be read: '|' binds tighter than a comparison.
    a > 1 | b > 2
          ^
  do:       conditions are joined with OR or ||; bits go in parentheses
""",
    "x ; y": """
The expression cannot be read: ';' has no meaning here.
    x ; y
      ^
""",
    "s == 'top": """
The expression cannot be read: the quote ' is not closed.
    s == 'top
         ^
  do:       close it with '
""",
    "2pt": """
The expression cannot be read: a number runs into a name.
    2pt
    ^^
  do:       put an operator between them
""",
    "x < 1e999": """
The expression cannot be read: a number is too large.
    x < 1e999
        ^^^^^
  expected: less than 1.8e308 (float64)
""",
    "x in 3": """
The expression cannot be read: 'in' is followed by a list.
    x in 3
         ^
  expected: a list such as [1, 2] or ["a"]
""",
    "x in [y]": """
The expression cannot be read: a list holds numbers or text in quotes.
    x in [y]
          ^
  found:    'y'
""",
    "x in []": """
The expression cannot be read: a list holds numbers or text in quotes.
    x in []
          ^
  found:    ']'
""",
    "x in [1] + 2": """
The expression cannot be read: '+' does not continue what stands before it.
    x in [1] + 2
             ^
  expected: an operator, or the end
""",
    "(x, y)": """
The expression cannot be read: ')' is missing.
    (x, y)
      ^
  expected: ')', to close the '(' at place 1
  found:    ','
""",
    "é.µ > 1\nAND `a b`(1)": """
The expression cannot be read: '(' does not continue what stands before it.
    AND `a b`(1)
             ^
  expected: an operator, or the end
""",
    "x not 3": """
The expression cannot be read: 'not' between two values is followed by 'in'.
    x not 3
          ^
  expected: not in
""",
    "1 < x in [3]": """
The expression cannot be read: 'in' is not chained with other comparisons.
    1 < x in [3]
          ^^
  do:       put one of the two in parentheses
""",
    "x > 1\n\tAND AND": """
The expression cannot be read: something is missing here.
     AND AND
         ^^^
  expected: a column, a number, text in quotes or (
  found:    'AND'
""",
}


@pytest.mark.parametrize("text", SYNTAX)
def test_syntax_errors_point_at_the_place(text: str, refused) -> None:
    refused(RecipeError, SYNTAX[text], parse, text)


MEANING = {
    "sqr(x)": (RecipeError, f"""
The expression: there is no function 'sqr'.
    sqr(x)
    ^^^
  expected: one of {FUNCTIONS}
  do:       write sqrt
"""),
    "__import__('os')": (RecipeError, f"""
The expression: there is no function '__import__'.
    __import__('os')
    ^^^^^^^^^^
  expected: one of {FUNCTIONS}
"""),
    "abs(x, 2)": (RecipeError, """
The expression: abs has the wrong number of arguments.
    abs(x, 2)
    ^^^
  expected: 1 argument
  found:    2
"""),
    "min()": (RecipeError, """
The expression: min has the wrong number of arguments.
    min()
    ^^^
  expected: 1 list, or 2 or more arguments
  found:    0
"""),
    "min(x)": (EventsError, """
The expression: min of one argument takes a list.
    min(x)
        ^
  found:    a number
  do:       min(a, b) is of several numbers
"""),
    "where(x)": (RecipeError, """
The expression: where has the wrong number of arguments.
    where(x)
    ^^^^^
  expected: 3 arguments: where(condition, a, b)
  found:    1
"""),
    "flaag AND true": (EventsError, """
The expression: there is no column 'flaag'.
    flaag AND true
    ^^^^^
  expected: one of x, i, u, small, s, flag, jet.pt, odd name-1, kind, day
  do:       write flag
"""),
    "s == top_quark": (EventsError, """
The expression: there is no column 'top_quark'.
    s == top_quark
         ^^^^^^^^^
  expected: one of x, i, u, small, s, flag, jet.pt, odd name-1, kind, day
  do:       check the name; text goes in quotes: "top_quark"
"""),
    "day == 1": (EventsError, """
The expression: the column 'day' holds no plain values.
    day == 1
    ^^^
  expected: numbers, booleans or text, one value or one list of them an event
  found:    date32[day]
"""),
    "x > 'a'": (EventsError, """
The expression: a number is compared with text.
    x > 'a'
        ^^^
  expected: two values of one type
  do:       text goes in quotes: process == "top"; a number does not
"""),
    "s in [1]": (EventsError, """
The expression: text is compared with a number.
    s in [1]
          ^
  expected: two values of one type
  do:       text goes in quotes: process == "top"; a number does not
"""),
    "flag == 1": (EventsError, """
The expression: a condition is compared with a number.
    flag == 1
            ^
  expected: two values of one type
  do:       a boolean is a condition already: write flag or NOT flag
"""),
    "flag < true": (EventsError, """
The expression: two conditions are compared with <.
    flag < true
           ^^^^
  expected: == or !=
"""),
    "x AND flag": (EventsError, """
The expression: AND takes conditions.
    x AND flag
    ^
  found:    a number
  do:       compare it, as in x > 0
"""),
    "!x": (EventsError, """
The expression: NOT takes conditions.
    !x
     ^
  found:    a number
  do:       compare it, as in x > 0
"""),
    "s + 1": (EventsError, """
The expression: + takes numbers.
    s + 1
    ^
  found:    text
"""),
    "flag * x": (EventsError, """
The expression: * takes numbers.
    flag * x
    ^^^^
  found:    a condition
  do:       where(condition, 1, 0) is a number
"""),
    "-s": (EventsError, """
The expression: the sign takes numbers.
    -s
     ^
  found:    text
"""),
    "sqrt(s)": (EventsError, """
The expression: sqrt takes numbers.
    sqrt(s)
         ^
  found:    text
"""),
    "x > 1 &\n  flag": (EventsError, """
The expression: & takes integers.
      flag
      ^^^^
  expected: integers, such as a column of flags
  found:    a condition
  do:       conditions are joined with AND or &&
"""),
    "i & x == 1": (EventsError, """
The expression: & takes integers.
    i & x == 1
        ^
  expected: integers, such as a column of flags
  found:    numbers of float64
  do:       conditions are joined with AND or &&
"""),
    "bit(x, 1)": (EventsError, """
The expression: bit takes integers.
    bit(x, 1)
        ^
  expected: integers, such as a column of flags
  found:    numbers of float64
"""),
    "bit(i, 64)": (EventsError, """
The expression: the second argument of bit is not the number of a bit.
    bit(i, 64)
           ^^
  expected: 0 (the lowest) to 63
"""),
    "bit(i)": (RecipeError, """
The expression: bit has the wrong number of arguments.
    bit(i)
    ^^^
  expected: 2 arguments: bit(flags, 3)
  found:    1
"""),
    "where(x, 1, 2)": (EventsError, """
The expression: where takes conditions.
    where(x, 1, 2)
          ^
  found:    a number
  do:       compare it, as in x > 0
"""),
    "where(flag, 1, 'a')": (EventsError, """
The expression: where chooses between a number and text.
    where(flag, 1, 'a')
                   ^^^
  expected: two values of one type
"""),
}  # fmt: skip


@pytest.mark.parametrize("text", MEANING)
def test_errors_of_meaning_point_at_the_place(text: str, refused) -> None:
    kind, message = MEANING[text]
    refused(kind, message, parse(text).evaluate, BATCH)


def test_a_column_twice_in_the_file_is_refused(refused) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    message = """
The expression: there is more than one column 'x'.
    x > 0
    ^
  do:       rename one of them in the file
"""
    refused(EventsError, message, parse("x > 0").evaluate, batch)


# --- features that use features -----------------------------------------------------------------

JETS = {"y": [0, 1] * 10, "px": np.arange(20.0), "py": np.arange(20.0) + 1, "mass": np.ones(20)}
UNSPLIT = {"validation": 0.0, "test": 0.0}


def recipe_of(path: str, **values: str | dict) -> EventsRecipe:
    tables = [
        {"name": name, **({"value": value} if isinstance(value, str) else value)}
        for name, value in values.items()
    ]
    recipe = {"path": path, "label": "y", "split": UNSPLIT, "features": tables}
    return EventsRecipe.model_validate(recipe)


def test_derived_features_may_use_each_other(write) -> None:
    recipe = recipe_of(write(JETS), double="2 * energy", energy="sqrt(pt2 + mass ** 2)",
                       pt2="px ** 2 + py ** 2")  # fmt: skip
    energy = np.sqrt(JETS["px"] ** 2 + JETS["py"] ** 2 + 1)
    features = np.asarray(load_sample(recipe).features)
    np.testing.assert_allclose(features, np.column_stack([2 * energy, energy, energy**2 - 1]))
    reader = FeatureReader(recipe.features or [], (), open_events(str(recipe.path)))
    assert reader.columns == ["mass", "px", "py"]
    assert np.array_equal(reader.read(pa.record_batch(JETS), str).values, features)


def test_a_column_goes_before_a_feature_of_its_name(write) -> None:
    recipe = recipe_of(write(JETS), px="px / 2", sum="px + py")
    px = JETS["px"]
    features = np.asarray(load_sample(recipe).features)
    assert np.array_equal(features, np.column_stack([px / 2, 2 * px + 1]))


USES = {
    "a cycle": ({"a": "b + 1", "b": "c * 2", "c": "a + px"}, """
The feature 'a' is computed from itself: 'a' uses 'b' uses 'c' uses 'a'.
  expected: derived features that end in columns
  do:       compute one of them from columns
"""),
    "itself": ({"a": "a + 1"}, """
The feature 'a' is computed from itself: 'a' uses 'a'.
  expected: derived features that end in columns
  do:       compute one of them from columns
"""),
    "a missing value": ({"a": {"value": "px", "missing": -999, "fill": 0}, "b": "2 * a"}, """
The feature 'b' uses 'a', which declares a value as missing.
  expected: columns, and derived features without `missing`
  do:       write the expression of 'a' itself: 'px'
"""),
}  # fmt: skip


@pytest.mark.parametrize("case", USES)
def test_features_that_cannot_use_each_other(case: str, write, refused) -> None:
    values, message = USES[case]
    refused(RecipeError, message, load_sample, recipe_of(write(JETS), **values))


def test_errors_of_a_feature_show_it_in_columns(write, refused) -> None:
    message = """
The feature 'b': there is no column 'pxx'.
    2 * (pxx + 1)
         ^^^
  expected: one of y, px, py, mass
  do:       write px
"""
    recipe = recipe_of(write(JETS), b="2 * a", a="pxx + 1")
    refused(EventsError, message, load_sample, recipe)
