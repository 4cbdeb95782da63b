"""The encoding: fills and categories, learnt on training events, saved, applied to raw values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.encoding import CategoryColumn, Encoding, NumberColumn, fit_encoding
from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.recipe import Derived, Recipe

NAN = math.nan
FILLED = Derived(name="b", value="b", missing=-999, fill="median", indicator=True)


def refused(kind: type[Exception], message: str, call, *args, **options) -> None:
    with pytest.raises(kind) as caught:
        call(*args, **options)
    assert str(caught.value) == message.strip("\n")


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None]


def test_plain_features_pass_unchanged() -> None:
    X = np.array([[1.0, -999.0], [2.0, 0.0]])
    encoding = fit_encoding(["pt", Derived(name="m", value="mass")], X)
    assert encoding.is_plain
    assert encoding.names == ("pt", "m")
    assert encoding.transform(X) is X  # and a sentinel that is not declared is just a value


def test_a_fill_and_its_indicator() -> None:
    encoding = fit_encoding(["pt", FILLED], np.array([[1.0, 0.2], [2.0, -999.0], [3.0, 0.4]]))
    assert encoding.names == ("pt", "b", "b_missing")
    assert encoding.columns[1].fill == pytest.approx(0.3)
    found = encoding.transform(np.array([[5.0, NAN], [6.0, -999.0], [7.0, 0.9]]))
    fill = encoding.columns[1].fill
    assert np.array_equal(found, [[5, fill, 1], [6, fill, 1], [7, 0.9, 0]])
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    ("fill", "expected"), [("mean", 2.5), ("median", 3.0), (7, 7.0), (-0.5, -0.5)]
)
def test_fills_are_weighted(fill: float | str, expected: float) -> None:
    table = Derived(name="b", value="b", missing=-999, fill=fill)
    weights = np.array([1.0, 3.0, 100.0, 100.0])
    encoding = fit_encoding([table], column(1.0, 3.0, -999.0, NAN), weights)
    assert encoding.columns[0].fill == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6) | st.just(NAN) | st.just(-999.0), st.integers(0, 3)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["mean", "median"]),
)
def test_an_event_of_weight_two_is_that_event_twice(events, fill: str) -> None:
    table = Derived(name="b", value="b", missing=-999, fill=fill)
    values, weights = np.array(events).T
    repeated = np.repeat(values, weights.astype(int))
    present = repeated[~np.isnan(repeated) & (repeated != -999)]
    if not len(present):
        with pytest.raises(EventsError):
            fit_encoding([table], values[:, None], weights)
        return
    twin = getattr(np, fill)(present)  # for the median: the middle of the two middle ones
    once = fit_encoding([table], values[:, None], weights).columns[0].fill
    assert once == pytest.approx(twin, rel=1e-12, abs=1e-6)
    assert fit_encoding([table], repeated[:, None]).columns[0].fill == pytest.approx(
        once, rel=1e-12, abs=1e-9
    )


def test_categories_are_those_of_training_in_order() -> None:
    known = {"process": ("W", "qcd", "top")}
    encoding = fit_encoding(["process", "pt"], np.array([[2.0, 1.0], [1.0, 1.0]]), None, known)
    assert encoding.names == ("process=qcd", "process=top", "pt")
    raw = [["top", 5.0], ["qcd", 6]]
    assert np.array_equal(encoding.transform(raw), [[0, 1, 5], [1, 0, 6]])
    codes = np.array([[0.0, 5.0], [1.0, 6.0]])
    other = {"process": ("top", "qcd", "unused")}
    assert np.array_equal(encoding.transform(codes, categories=other), [[0, 1, 5], [1, 0, 6]])


def test_an_unseen_category_is_an_error_or_zeros() -> None:
    message = """
The feature 'process' has a category that training had not for 2 of 3 events, first at row 1.
  expected: one of 'qcd', 'top'
  found:    'W'
  do:       train on events of that category too, or set unseen = "zeros" for the feature
"""
    raw = [["top"], ["W"], ["Z"]]
    encoding = Encoding((CategoryColumn("process", ("qcd", "top")),))
    refused(EventsError, message, encoding.transform, raw)
    lenient = Encoding((CategoryColumn("process", ("qcd", "top"), unseen="zeros"),))
    assert np.array_equal(lenient.transform(raw), [[0, 1], [0, 0], [0, 0]])


def test_missing_text_is_a_category_if_the_recipe_says_so() -> None:
    table = Derived(name="tag", value="tag", missing="?", fill="none", indicator=True)
    known = {"tag": ("?", "b", "c")}
    encoding = fit_encoding([table], column(1.0, 2.0, 0.0, NAN), None, known)
    assert encoding.names == ("tag=b", "tag=c", "tag=none", "tag_missing")
    expected = [[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert np.array_equal(encoding.transform([["b"], ["?"], [None], [NAN]]), expected)
    assert np.array_equal(
        encoding.transform(column(1.0, 0.0, NAN, NAN), categories=known), expected
    )


def test_a_missing_value_without_a_fill_is_refused() -> None:
    number = Encoding((NumberColumn("b", missing=-999.0),))
    message = """
The feature 'b' has no value for 1 of 2 events, first at row 1.
  expected: a value for each event, since the model was trained without a fill
  found:    -999
  do:       leave these events out, or train with a fill, such as fill = "median"
"""
    refused(EventsError, message, number.transform, column(1.0, -999.0))
    text = Encoding((CategoryColumn("tag", ("b", "c")),))
    message = """
The feature 'tag' has no value for 1 of 2 events, first at row 1.
  expected: one of 'b', 'c'
  found:    null
  do:       leave these events out, or train with a fill, such as fill = "none"
"""
    refused(EventsError, message, text.transform, [["b"], [None]])


def test_values_of_the_wrong_type_and_shape_are_refused() -> None:
    encoding = Encoding((CategoryColumn("tag", ("b", "c")), NumberColumn("pt")))
    message = """
The feature 'tag' is not text at row 0.
  expected: text
  found:    5.0
  cause:    columns in another order than the model's features
"""
    refused(EventsError, message, encoding.transform, [[5.0, "b"]])
    message = """
The feature 'pt' is not a number at row 0.
  expected: a number
  found:    'c'
  cause:    columns in another order than the model's features
"""
    refused(EventsError, message, encoding.transform, [["b", "c"]])
    message = """
The events do not have the shape that the features ask for.
  expected: a matrix (events, 2), columns tag, pt
  found:    an array of shape (1, 1)
"""
    refused(EventsError, message, encoding.transform, [["b"]])


def test_what_cannot_be_learnt_is_refused() -> None:
    message = """
The feature 'b' cannot be filled with its median.
  expected: training events with a value, and with weights that sum to more than 0
  found:    0 training events with a value, of weight 0
  cause:    the column is empty, or `missing` is what all events have
  do:       give the fill as a number
"""
    refused(EventsError, message, fit_encoding, [FILLED], column(NAN, -999.0))
    message = """
The feature 'tag' is text with 1 category in the training part.
  expected: 2 to 100 categories
  found:    'b'
  cause:    a selection that leaves one
  do:       remove 'tag' from events.features
"""
    refused(EventsError, message, fit_encoding, ["tag"], column(0.0), None, {"tag": ("b", "c")})
    message = """
The feature 'tag' is text with 101 categories in the training part.
  expected: 2 to 100 categories
  found:    '000', '001', '002', '003', '004', …
  cause:    an identifier, not a category
  do:       remove 'tag' from events.features
"""
    many = {"tag": tuple(f"{n:03}" for n in range(101))}
    refused(EventsError, message, fit_encoding, ["tag"], column(*range(101)), None, many)
    message = """
The features give the model two inputs of the name 'b_missing'.
  expected: each input's name once (NAME_missing for an indicator, NAME=CATEGORY)
  do:       give one of the features another name
"""
    refused(RecipeError, message, fit_encoding, [FILLED, "b_missing"], np.ones((2, 2)))


def test_json_there_and_back() -> None:
    columns = (
        NumberColumn("pt"),
        NumberColumn("b", -999.0, 0.1 + 0.2, indicator=True),
        CategoryColumn("tag", ("b", "c", "none"), "?", "none", True, "zeros"),
    )
    encoding = Encoding(columns)
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding
    message = """
The saved feature encoding cannot be read.
  expected: version 1, with columns
  found:    version 2 with version
  cause:    a damaged file, or one written by a newer release
  do:       use the release that wrote it, or train again
"""
    refused(RunFolderError, message, Encoding.from_json, {"version": 2})
    message = """
The saved feature encoding cannot be read.
  expected: a kind of number or category, with its keys
  found:    name = 'pt', kind = 'angle'
  cause:    a damaged file, or one written by a newer release
  do:       use the release that wrote it, or train again
"""
    damaged = {"version": 1, "columns": [{"name": "pt", "kind": "angle"}]}
    refused(RunFolderError, message, Encoding.from_json, damaged)


# --- the recipe ---------------------------------------------------------------------------------


def with_feature(**options: object) -> dict:
    feature = {"name": "b", "value": "b", **options}
    return {"events": {"path": "jets.parquet", "label": "y", "features": [feature]}}


def test_a_recipe_is_written_as_it_was_given() -> None:
    for options in ({}, {"missing": -999.0, "fill": "median", "indicator": True}, {"fill": 0.0}):
        table = with_feature(**options)
        recipe = Recipe.from_dict(table)
        assert recipe.to_dict()["events"]["features"] == table["events"]["features"]
        assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_an_indicator_needs_a_fill() -> None:
    message = """
The recipe has a wrong value for 'events.features[0]'.
  expected: a valid string or a table with fill, which indicator = true needs
  found:    {'name': 'b', 'value': 'b', 'indicator': True}
"""
    refused(RecipeError, message, Recipe.from_dict, with_feature(indicator=True))


def test_a_sentinel_is_finite() -> None:
    with pytest.raises(RecipeError, match=r"wrong value for 'events.features\[0\]"):
        Recipe.from_dict(with_feature(missing=NAN))
