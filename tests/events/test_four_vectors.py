"""Four-vectors, sorted lists and bits in expressions, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steepest.errors import EventsError, RecipeError
from steepest.events import parse

COUNTS = [3, 2, 0, 4, 1]
RANDOM = np.random.default_rng(6)
JETS: dict[str, list[np.ndarray]] = {
    "pt": [RANDOM.exponential(50, n) for n in COUNTS],
    "eta": [RANDOM.normal(size=n) for n in COUNTS],
    "phi": [RANDOM.uniform(-3, 3, n) for n in COUNTS],
    "m": [RANDOM.uniform(0, 20, n) for n in COUNTS],
}
BATCH = pa.record_batch(
    {
        **{name: [each.tolist() for each in values] for name, values in JETS.items()},
        "a": [1, 2, 4, 8, -1],
        "b": [3, 5, -1, 0, 7],
        "u": np.array([2**63, 1, 2, 3, 2**64 - 1], np.uint64),
    }
)
JET = "p4(pt, eta, phi, m)"


def momenta(event: int, chosen: Any = slice(None)) -> np.ndarray:
    """The sum (px, py, pz, E) of some jets of an event."""
    pt, eta, phi, m = (values[event][chosen] for values in JETS.values())
    p = np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    return np.array([*p.sum(axis=-1), np.sqrt((p**2).sum(axis=0) + m**2).sum()])


def value(attribute: str, p: np.ndarray) -> float:
    px, py, pz, energy = p
    squared = energy**2 - px**2 - py**2 - pz**2
    return {
        "px": px, "py": py, "pz": pz, "E": energy,
        "pt": np.hypot(px, py), "phi": np.arctan2(py, px), "mass": np.sqrt(max(squared, 0)),
        "eta": np.arctanh(pz / np.sqrt(px**2 + py**2 + pz**2)),
    }[attribute]  # fmt: skip


@pytest.mark.parametrize("attribute", ["px", "py", "pz", "E", "pt", "eta", "phi", "mass"])
def test_the_sum_of_a_list(attribute) -> None:
    found = parse(f"sum({JET}[pt > 20]).{attribute}").evaluate(BATCH)
    for event in (0, 3):
        expected = value(attribute, momenta(event, JETS["pt"][event] > 20))
        assert found[event] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_elements_are_added_and_those_that_are_not_there_are_missing() -> None:
    found = parse(f"({JET}[0] + {JET}[1]).mass").evaluate(BATCH)
    for event in (0, 1, 3):
        expected = value("mass", momenta(event, slice(0, 2)))
        assert found[event] == pytest.approx(expected)
    assert np.isnan(found[[2, 4]]).all()
    difference = parse(f"({JET}[0] - {JET}[1]).px").evaluate(BATCH)
    expected = momenta(0, slice(0, 1))[0] - momenta(0, slice(1, 2))[0]
    assert difference[0] == pytest.approx(expected)


def test_one_vector_has_what_it_is_made_of() -> None:
    for attribute, name in {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}.items():
        found = parse(f"{JET}.{attribute}").evaluate(BATCH)
        for event, values in enumerate(found):
            np.testing.assert_allclose(values, JETS[name][event], rtol=1e-6, atol=1e-6)


def test_sorted_lists() -> None:
    own, other = (parse(text).evaluate(BATCH) for text in ("sort(pt)", "sort(eta, pt)"))
    leading = parse("sort(eta, pt)[0]").evaluate(BATCH)
    for event, pt in enumerate(JETS["pt"]):
        order = np.argsort(-pt)
        np.testing.assert_array_equal(own[event], pt[order])
        np.testing.assert_array_equal(other[event], JETS["eta"][event][order])
        if len(pt):
            assert leading[event] == JETS["eta"][event][order[0]]


def test_nan_is_sorted_to_the_end() -> None:
    batch = pa.record_batch({"x": [[1.0, float("nan"), 3.0, None]]})
    (found,) = parse("sort(x)").evaluate(batch)
    np.testing.assert_array_equal(found, [3.0, 1.0, np.nan, np.nan])


def test_bits_of_integers() -> None:
    a, b, u = (BATCH[name].to_numpy() for name in "abu")
    np.testing.assert_array_equal(parse("a | b").evaluate(BATCH), a | b)
    np.testing.assert_array_equal(parse("a & b | 8").evaluate(BATCH), a & b | 8)
    np.testing.assert_array_equal(parse("u | b").evaluate(BATCH), u | b.astype(np.uint64))
    np.testing.assert_array_equal(parse("u & b").evaluate(BATCH), u & b.astype(np.uint64))
    np.testing.assert_array_equal(parse("a | b == 3").evaluate(BATCH), (a | b) == 3)


def test_the_name_of_a_component_tells_expressions_apart() -> None:
    assert not parse(f"{JET}.pt").same_as(parse(f"{JET}.eta"))
    assert parse(f"{JET}.pt").same_as(parse("p4(pt,eta,phi,m) .pt"))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (JET, EventsError, "a four-vector stands where a number is needed"),
        (f"{JET}.foo", EventsError, "a four-vector has no 'foo'"),
        ("p4(pt, eta).mass", RecipeError, "p4 has the wrong number of arguments"),
        ("(pt).mass", EventsError, "only a four-vector has components"),
        ("sum(p4(a, a, a, a)).mass", EventsError, "takes a list of four-vectors"),
        ("sort(a)", EventsError, "sort takes lists"),
        ("sort(pt, eta, phi)", RecipeError, "sort has the wrong number of arguments"),
        ("pt | a", EventsError, r"\| takes integers"),
        (f"{JET}.mass > 5", EventsError, "a list stands where one value an event is needed"),
    ],
)
def test_what_is_refused(text, error, message) -> None:
    with pytest.raises(error, match=message):
        parse(text).scalar(BATCH.schema)
