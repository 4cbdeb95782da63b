"""Events that cannot be trained on: each is refused with one whole message."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steepest.errors import EventsError, RecipeError
from steepest.events import load_events, load_sample
from steepest.recipe import EventsRecipe

N = 200
ROW = np.arange(N)
BROKEN = ROW + 1.0
BROKEN[7], BROKEN[9] = np.nan, np.inf
GAPS = pa.array([None, *range(1, N)], pa.float32())
BOTH = np.where(ROW % 2 == 1, 1, -1)

JETS: dict[str, Any] = {
    "pt": ROW + 1.0,
    "mass": np.sqrt(ROW + 1.0),
    "y": (ROW % 2).astype(np.int8),
    "w": np.ones(N),
    "n": ROW,
    "kind": np.where(ROW % 3 == 0, "qcd", "top"),
    "flag": ROW % 2 == 0,
    "hits": [[1.0, 2.0]] * N,
}


def derived(value: str) -> list[Any]:
    return ["mass", {"name": "r", "value": value}]


# Each case: what the file has instead, what the recipe says, the loss, the message.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None, str]] = {
    "NaN and infinity in a feature": ({"pt": BROKEN}, {}, None, """
The feature 'pt' is not a finite number for 2 of 200 selected events, first in DIR/jets.parquet at row 7.
  expected: a finite number for each event
  found:    1 NaN, 1 infinite
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = 'isfinite(pt)'
"""),
    "NaN in a feature, with a selection": ({"pt": BROKEN}, {"select": "kind == 'top'"}, None, """
The feature 'pt' is not a finite number for 1 of 133 selected events, first in DIR/jets.parquet at row 7.
  expected: a finite number for each event
  found:    1 NaN
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = "(kind == 'top') AND isfinite(pt)"; or say how to fill the feature: fill = "median"
"""),
    "NaN in all events": ({"pt": [float("nan")] * N}, {}, None, """
The feature 'pt' is not a finite number for 200 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    200 NaN
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       leave it out: pt tells nothing of these events
"""),
    "null in a feature": ({"pt": GAPS}, {}, None, """
The feature 'pt' is not a finite number for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    1 null
  cause:    a value that is missing in the file
  do:       exclude these events: select = 'isfinite(pt)'; or say how to fill the feature: fill = "median"
"""),
    "a division by zero": ({}, {"features": derived("pt / n")}, None, """
The feature 'r' is not a finite number for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    1 infinite
  cause:    a division by zero in pt / n
  do:       exclude these events: select = 'isfinite(pt / n)'
"""),
    "a logarithm of zero": ({}, {"features": derived("log(n)")}, None, """
The feature 'r' is not a finite number for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    1 infinite
  cause:    log(n) has no finite value for these events
  do:       exclude these events: select = 'isfinite(log(n))'
"""),
    "an overflow": ({}, {"features": derived("exp(pt * 4)")}, None, """
The feature 'r' is not a finite number for 23 of 200 selected events, first in DIR/jets.parquet at row 177.
  expected: a finite number for each event
  found:    23 infinite
  cause:    an overflow in exp(pt * 4)
  do:       exclude these events: select = 'isfinite(exp(pt * 4))'
"""),
    "NaN in the label": ({"y": BROKEN}, {}, None, """
The label 'y' is not a finite number for 2 of 200 selected events, first in DIR/jets.parquet at row 7.
  expected: a finite number for each event
  found:    1 NaN, 1 infinite
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = 'isfinite(y)'
"""),
    "null in a label of integers": ({"y": pa.array([None, *([0, 1] * 99), 1])}, {}, None, """
The label 'y' is not a finite number for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: a finite number for each event
  found:    1 null
  cause:    a value that is missing in the file
  do:       exclude these events: select = 'isfinite(y)'
"""),
    "null in a label of text": ({"kind": [None, *["a", "b"] * 99, "a"]}, {"label": "kind"}, None, """
The label 'kind' has no value for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: text for each event
  found:    1 null
  cause:    a value that is missing in the file
  do:       exclude these events: select = 'kind != ""'
"""),
    "null in a label of conditions": ({"pt": GAPS}, {"label": "pt > 5", "features": ["n"]}, None, """
The label 'pt > 5' has no value for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: a condition for each event
  found:    1 null
  cause:    a value that is missing in the file
  do:       exclude these events: select = 'isfinite(where(pt > 5, 1, 0))'
"""),
    "NaN in the weight": ({"w": BROKEN}, {"weight": "w"}, None, """
The weight is not a finite number for 2 of 200 selected events, first in DIR/jets.parquet at row 7.
  expected: a finite number for each event
  found:    1 NaN, 1 infinite
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = 'isfinite(w)'
"""),
    "null in a feature of text": ({"kind": [None, *["a", "b"] * 99, "a"]}, {"features": ["kind"]}, None, """
The feature 'kind' has no value for 1 of 200 selected events, first in DIR/jets.parquet at row 0.
  expected: text for each event
  found:    1 null
  cause:    a value that is missing in the file
  do:       exclude these events: select = 'kind != ""'; or say how to fill the feature: fill = "none"
"""),
    "lists as a feature": ({}, {"features": ["pt", "hits"]}, None, """
The feature 'hits': a list stands where one value an event is needed.
    hits
    ^^^^
  expected: one value an event: x[0], sum(x), count(x), mean(x), min(x), max(x), any(condition) or all(condition) of a list x
  found:    a list of numbers
"""),
    "dates as a feature": ({"day": pa.array(np.arange(200, dtype=np.int32)).cast(pa.date32())}, {"features": ["pt", "day"]}, None, """
The feature 'day' holds no plain values in DIR/jets.parquet.
  expected: numbers, booleans or text, one value an event, such as pt, mass, y, w, n
  found:    date32[day]
  do:       name columns of plain values
"""),
    "no such feature": ({}, {"features": ["pt", "mas"]}, None, """
There is no column 'mas' (a feature) in DIR/jets.parquet.
  expected: one of pt, mass, y, w, n, kind, flag, hits
  found:    'mas'
  do:       write 'mass'
"""),
    "a feature that should be derived": ({}, {"features": ["pt / mass"]}, None, """
There is no column 'pt / mass' (a feature) in DIR/jets.parquet.
  expected: one of pt, mass, y, w, n, kind, flag, hits
  found:    'pt / mass'
  do:       give what is derived a name: {name = "ratio", value = 'pt / mass'}
"""),
    "a feature that is nothing": ({}, {"features": ["a b"]}, None, """
There is no column 'a b' (a feature) in DIR/jets.parquet.
  expected: one of pt, mass, y, w, n, kind, flag, hits
  found:    'a b'
  do:       check the name
"""),
    "a derived feature of no column": ({}, {"features": derived("pt / mas")}, None, """
The feature 'r': there is no column 'mas'.
    pt / mas
         ^^^
  expected: one of pt, mass, y, w, n, kind, flag, hits
  do:       write mass
"""),
    "the label among the features": ({}, {"features": ["pt", "y"]}, None, """
The feature 'y' gives the label 'y' away.
  expected: features that are known without the label
  found:    the label itself
  do:       remove 'y' from events.features
"""),
    "the label in a derived feature": ({}, {"features": derived("y * pt")}, None, """
The feature 'r' gives the label 'y' away.
  expected: features that are known without the label
  found:    y * pt
  do:       remove 'r' from events.features
"""),
    "the label's code among the features": ({}, {"label": "n == 3", "features": ["pt", "n"]}, None, """
The feature 'n' gives the label 'n == 3' away.
  expected: features that are known without the label
  found:    n
  do:       remove 'n' from events.features
"""),
    "the label's expression as a feature": ({}, {"label": "pt>5", "features": derived("pt > 5")}, None, """
The feature 'r' gives the label 'pt>5' away.
  expected: features that are known without the label
  found:    the label itself
  do:       remove 'r' from events.features
"""),
    "no such label": ({}, {"label": "is_top"}, None, """
events.label: there is no column 'is_top'.
    is_top
    ^^^^^^
  expected: one of pt, mass, y, w, n, kind, flag, hits
  do:       check the name; text goes in quotes: "is_top"
"""),
    "lists as the label": ({}, {"label": "hits"}, None, """
events.label: a list stands where one value an event is needed.
    hits
    ^^^^
  expected: one value an event: x[0], sum(x), count(x), mean(x), min(x), max(x), any(condition) or all(condition) of a list x
  found:    a list of numbers
"""),
    "no such weight": ({}, {"weight": "wt"}, None, """
events.weight: there is no column 'wt'.
    wt
    ^^
  expected: one of pt, mass, y, w, n, kind, flag, hits
  do:       check the name; text goes in quotes: "wt"
"""),
    "text as the weight": ({}, {"weight": "kind"}, None, """
events.weight is text, not a number.
  expected: a number for each event
  found:    kind
  do:       name a numeric column
"""),
    "a number as the selection": ({}, {"select": "pt"}, None, """
events.select is a number, not a condition.
  expected: a condition for each event
  found:    pt
  do:       compare it, as in x > 0
"""),
    "nothing selected": ({}, {"select": "mass ** 2 > 1000"}, None, """
The selection leaves no event of DIR/jets.parquet.
  expected: at least one event
  found:    0 of 200 rows
  cause:    a condition that cannot hold, or another unit (GeV, MeV)
  do:       loosen events.select, which is 'mass ** 2 > 1000'
"""),
    "nothing selected, by statistics": ({}, {"select": "pt > 1000"}, None, """
The selection leaves no event of DIR/jets.parquet.
  expected: at least one event
  found:    0 of 200 rows (0 read; the statistics of the others exclude them)
  cause:    a condition that cannot hold, or another unit (GeV, MeV)
  do:       loosen events.select, which is 'pt > 1000'
"""),
    "no columns at all": ({}, {"label": "true", "features": [{"name": "a", "value": "1"}]}, None, """
The features and the label use no column.
  do:       name columns in them
"""),
    "weights of zero": ({"w": np.zeros(N)}, {"weight": "w"}, None, """
The weights of all selected events sum to 0.
  expected: a finite sum above 0 (single weights may be negative)
  found:    200 events: 200 of weight 0, 0 below 0
  cause:    the wrong column, or a selection that leaves few events
  do:       check events.weight and events.select
"""),
    "weights that cancel": ({"w": np.where(ROW < N // 2, 1, -1)}, {"weight": "w"}, None, """
The weights of all selected events sum to 0.
  expected: a finite sum above 0 (single weights may be negative)
  found:    200 events: 0 of weight 0, 100 below 0
  cause:    weights of both signs that cancel in few events
  do:       use more events, a larger share in this part (events.split), or no events.weight
"""),
    "a class of negative weight": ({"w": np.where(ROW % 2, 1, -0.5)}, {"weight": "w"}, None, """
The weights of the class '0' in the training part sum to -36.
  expected: a finite sum above 0 (single weights may be negative)
  found:    72 events: 0 of weight 0, 72 below 0
  cause:    the wrong column, or a selection that leaves few events
  do:       check events.weight and events.select
"""),
    "one class": ({"y": np.zeros(N, int)}, {}, None, """
The label 'y' has one class only.
  expected: events of at least two classes
  found:    0: 200 events
  cause:    the selection removes the other class, or its files are not given
  do:       add the other class's files to events.path, or loosen events.select
"""),
    "one class of text": ({}, {"label": "kind", "select": "kind == 'top'"}, None, """
The label 'kind' has one class only.
  expected: events of at least two classes
  found:    'top': 133 events
  cause:    the selection removes the other class, or its files are not given
  do:       add the other class's files to events.path, or loosen events.select
"""),
    "one class of conditions": ({}, {"label": "n >= 0"}, None, """
The label 'n >= 0' has one class only.
  expected: events of at least two classes
  found:    true: 200 events
  cause:    the selection removes the other class, or its files are not given
  do:       add the other class's files to events.path, or loosen events.select
"""),
    "one value that is no class": ({"y": np.full(N, 5)}, {}, "binary-cross-entropy", """
The label 'y' has one class only.
  expected: events of at least two classes
  found:    5: 200 events
  cause:    the selection removes the other class, or its files are not given
  do:       add the other class's files to events.path, or loosen events.select
"""),
    "a constant": ({"y": np.full(N, 0.5)}, {}, None, """
The label 'y' is the same for all 200 selected events.
  expected: a label that varies
  found:    0.5
  do:       check events.label and events.select
"""),
    "minus one and one": ({"y": BOTH}, {}, None, """
The label 'y' has other values than 0 and 1.
  expected: 0 for background and 1 for signal, or a condition
  found:    -1: 100 events, 1: 100 events; first -1 in DIR/jets.parquet at row 0
  do:       say which is the signal: label = 'y == 1'
"""),
    "minus one and one as floats": ({"y": BOTH * 1.0}, {}, None, """
The label 'y' has other values than 0 and 1.
  expected: 0 for background and 1 for signal, or a condition
  found:    -1: 100 events, 1: 100 events; first -1 in DIR/jets.parquet at row 0
  do:       say which is the signal: label = 'y == 1'
"""),
    "an expression of two values": ({"y": BOTH}, {"label": "y * 2"}, "binary-cross-entropy", """
The label 'y * 2' has other values than 0 and 1.
  expected: 0 for background and 1 for signal, or a condition
  found:    -2: 100 events, 2: 100 events; first -2 in DIR/jets.parquet at row 0
  do:       say which is the signal: label = '(y * 2) == 2'
"""),
    "text of three values for two classes": (
        {"kind": ["qcd", "top", "w", "top"] * 50}, {"label": "kind"}, "binary-cross-entropy", """
The label 'kind' has other values than 0 and 1.
  expected: 0 for background and 1 for signal, or a condition
  found:    'qcd': 50 events, 'top': 100 events, 'w': 50 events; first 'qcd' in DIR/jets.parquet at row 0
  do:       say which is the signal: label = 'kind == "w"'
"""),
    "text for regression": ({}, {"label": "kind"}, "mean-squared-error", """
The label 'kind' is text, which mean-squared-error cannot take.
  expected: a number for each event
  found:    'qcd', 'top'
  do:       set descent.loss = 'cross-entropy', or leave it out
"""),
    "fractions for classes": ({}, {"label": "mass / 2", "features": ["n"]}, "cross-entropy", """
The label 'mass / 2' is no class: it has values that are not integers.
  expected: text or integers, as cross-entropy needs
  found:    0.5, 0.707106781186548, 0.866025403784439, 1, 1.11803398874989 and 195 more
  do:       set descent.loss = 'mean-squared-error', or derive classes with where(...)
"""),
    "text of too many values": ({"kind": [f"{n:03}" for n in ROW]}, {"label": "kind"}, None, """
The label 'kind' has 200 values, too many for classes.
  expected: at most 100 classes
  found:    '000', '001', '002', '003', '004' and 195 more
  cause:    the column is an identifier or a quantity, not a class
  do:       check events.label
"""),
    "an empty validation part": ({"n": ROW * 0}, {"split": {"by": "n"}}, None, """
The validation part got none of the 200 selected events.
  expected: at least one event for its share of 0.1
  found:    train: 200, validation: 0, test: 0
  cause:    too few events, or too few distinct values of events.split.by
  do:       use more events, or change events.split
"""),
    "an empty training part": ({"n": ROW * 0 + 4}, {"split": {"by": "n", "validation": 0}}, None, """
The training part got none of the 200 selected events.
  expected: at least one event for its share of 0.8
  found:    train: 0, validation: 0, test: 200
  cause:    too few events, or too few distinct values of events.split.by
  do:       use more events, or change events.split
"""),
    "a class that is only tested": ({"n": ROW % 2 * 4}, {"split": {"by": "n", "validation": 0}}, None, """
The training part has no event of the class '1'.
  expected: events of each class to train on
  found:    100 selected events of it, in other parts
  cause:    too few events of that class, or too few values of events.split.by
  do:       use more events of it, or change events.split
"""),
}  # fmt: skip

RECIPES: dict[str, tuple[dict[str, Any], str]] = {
    "a feature twice": ({"features": ["pt", {"name": "pt", "value": "pt / 2"}]}, """
The feature 'pt' is given 2 times.
  expected: each feature's name once
  do:       remove it, or give the derived one another name
"""),
    "no feature": ({"features": []}, """
events.features is empty.
  expected: at least one feature
  do:       name features, or leave the key out to use every numeric column
"""),
    "a selection that is no expression": ({"select": "pt >"}, """
events.select cannot be read: something is missing here.
    pt >
        ^
  expected: a column, a number, text in quotes or (
  found:    the end
"""),
    "a feature that is no expression": ({"features": derived("pt // 2")}, """
The feature 'r' cannot be read: something is missing here.
    pt // 2
        ^
  expected: a column, a number, text in quotes or (
  found:    '/'
"""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_events_that_cannot_be_trained_on(name, write, refused) -> None:
    changes, keys, loss, message = CASES[name]
    path = write({**JETS, **changes})
    recipe = EventsRecipe(**{"path": path, "label": "y", "features": ["pt", "mass"], **keys})
    refused(EventsError, message, load_sample, recipe, loss=loss)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_that_cannot_be_followed(name, write, refused) -> None:
    keys, message = RECIPES[name]
    recipe = EventsRecipe(**{"path": write(JETS), "label": "y", "features": ["pt"], **keys})
    refused(RecipeError, message, load_sample, recipe)


def test_too_many_classes_by_name(write, refused) -> None:
    columns = {"pt": np.arange(1001.0), "y": np.arange(1001)}
    recipe = EventsRecipe(path=write(columns), label="y")
    message = """
The label 'y' has more than 1,000 values, too many for classes.
  expected: at most 1000 classes
  found:    0, 1, 2, 3, 4 and 996 more
  cause:    the column is an identifier or a quantity, not a class
  do:       check events.label
"""
    refused(EventsError, message, load_sample, recipe, loss="cross-entropy")


def test_no_numeric_column_is_left(write, refused) -> None:
    recipe = EventsRecipe(
        path=write({"y": [0, 1], "w": [1.0, 1.0], "kind": ["a", "b"]}), label="y", weight="w"
    )
    message = """
There is no numeric column left for a feature in DIR/jets.parquet.
  expected: numeric columns besides the label, the weight and the split's column
  found:    y, w, kind
  do:       name features in events.features
"""
    refused(EventsError, message, load_sample, recipe)


def test_weights_of_a_part(write, refused) -> None:
    part = load_sample(EventsRecipe(path=write(JETS), label="y", features=["pt"])).part
    weights = np.where(part == 1, -1.0, 5.0)
    recipe = EventsRecipe(
        path=write({**JETS, "w": weights}), label="y", features=["pt"], weight="w"
    )
    count = int((part == 1).sum())
    message = f"""
The weights of the validation part sum to -{count}.
  expected: a finite sum above 0 (single weights may be negative)
  found:    {count} events: 0 of weight 0, {count} below 0
  cause:    the wrong column, or a selection that leaves few events
  do:       check events.weight and events.select
"""
    refused(EventsError, message, load_sample, recipe)


@pytest.mark.parametrize(
    ("changes", "features"),
    [
        ({"pt": BROKEN}, ["pt"]),
        ({"pt": GAPS}, ["pt"]),
        ({"a-b": BROKEN}, ["a-b"]),
        ({}, derived("log(n - 3) / (n - 50)")),
    ],
)
def test_what_the_message_says_to_do_helps(changes, features, write) -> None:
    recipe = EventsRecipe(
        path=write({**JETS, **changes}), label="y", features=features, select="n < 180 OR mass < 2"
    )
    with pytest.raises(EventsError) as caught:
        load_sample(recipe)
    do = str(caught.value.details["do"]).partition("; or ")[0]
    select = do.partition("select = ")[2].strip("'\"")
    sample = load_sample(recipe.model_copy(update={"select": select}))
    assert np.isfinite(sample.features).all()
    assert 100 < len(sample.rows) < 185


# --- other events -------------------------------------------------------------------------------


def test_other_events_of_another_class(write, refused) -> None:
    recipe = EventsRecipe(path=write(JETS), label="kind", features=["pt"])
    message = """
The label 'kind' has a value that is none of the run's classes.
  expected: one of qcd, w
  found:    'top', first in DIR/jets.parquet at row 1
  do:       select the events of the run's classes, or train on all of these classes
"""
    refused(EventsError, message, load_events, recipe, None, ("qcd", "w"), "multiclass")


def test_other_events_with_fractions_for_classes(write, refused) -> None:
    recipe = EventsRecipe(path=write({**JETS, "y": ROW / 2}), label="y", features=["pt"])
    message = """
The label 'y' has a value that is none of the run's classes.
  expected: one of 0, 1
  found:    0.5, first in DIR/jets.parquet at row 1
  do:       select the events of the run's classes, or train on all of these classes
"""
    refused(EventsError, message, load_events, recipe, None, ("0", "1"), "binary")


def test_other_events_with_text_for_regression(write, refused) -> None:
    recipe = EventsRecipe(path=write(JETS), label="kind", features=["pt"])
    message = """
The label 'kind' is text, which mean-squared-error cannot take.
  expected: a number for each event
  found:    'qcd', 'top'
  do:       set descent.loss = 'cross-entropy', or leave it out
"""
    refused(EventsError, message, load_events, recipe, None, (), "regression")


def test_other_events_without_weight(write, refused) -> None:
    recipe = EventsRecipe(
        path=write({**JETS, "w": np.zeros(N)}), label="y", features=["pt"], weight="w"
    )
    message = """
The weights of all selected events sum to 0.
  expected: a finite sum above 0 (single weights may be negative)
  found:    200 events: 200 of weight 0, 0 below 0
  cause:    the wrong column, or a selection that leaves few events
  do:       check events.weight and events.select
"""
    refused(EventsError, message, load_events, recipe, None, ("0", "1"), "binary")


def test_columns_to_carry_along_that_cannot_be(write, refused) -> None:
    recipe = EventsRecipe(path=write(JETS), label="y", features=["pt"])
    refused(
        EventsError,
        """
The column 'kind' is text, not a number.
  expected: a number for each event
  found:    kind
  do:       name a numeric column
""",
        load_sample,
        recipe,
        extra=["kind"],
    )
    bad = np.arange(float(N))
    bad[3] = np.nan
    recipe = EventsRecipe(path=write({**JETS, "eta": bad}), label="y", features=["pt"])
    refused(
        EventsError,
        f"""
The column 'eta' is not a finite number for 1 of {N} selected events, first in DIR/jets.parquet at row 3.
  expected: a finite number for each event
  found:    1 NaN
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = 'isfinite(eta)'
""",
        load_sample,
        recipe,
        extra=["eta"],
    )
