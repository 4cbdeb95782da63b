"""A few values far out do not decide the scaling; a tail, or what has no middle half, does."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.scaling import Moments, fit_scaling

random = np.random.default_rng(3)
X = random.normal(size=(20_000, 2)) * [1.0, 30.0] + [5.0, -2.0]
W = random.uniform(0.5, 1.5, 20_000)


def with_outliers(*rows: int, value: float = 1e5) -> np.ndarray:
    events = X.copy()
    events[list(rows), 1] = value
    return events


def blocks(events: np.ndarray, weights: np.ndarray | None) -> list:
    places = (slice(0, 7), slice(7, 12_000), slice(12_000, None))
    return [(events[p], None if weights is None else weights[p]) for p in places]


@pytest.mark.parametrize("weights", [None, W])
@pytest.mark.parametrize("name", ["standard", "whiten"])
@pytest.mark.parametrize("rows", [(8_000,), (3, 13_000, 19_999)])
def test_they_are_left_out_and_named(name: str, weights, rows):
    events = with_outliers(*rows)
    events[rows[0], 1] = -2e5
    scaling = fit_scaling(name, blocks(events, weights), ["pt", "mass"])
    rest = np.delete(np.arange(len(X)), rows)
    others = [(X[rest], None if weights is None else weights[rest])]
    for ours, right in zip(
        scaling.to_arrays().values(),
        fit_scaling(name, others, ["pt", "mass"]).to_arrays().values(),
        strict=True,
    ):
        np.testing.assert_allclose(ours, right, rtol=1e-12, atol=1e-12)
    (found,) = scaling.outliers
    assert (found.feature, found.count, found.value, found.row) == (
        "mass",
        len(rows),
        -2e5,
        rows[0],
    )
    assert found.low < -2 - 15 * 30 < -2 + 15 * 30 < found.high


def test_what_is_no_outlier():
    tail = X.copy()
    tail[:, 1] = np.exp(3 * random.normal(size=len(X)))  # over five decades, all of it meant
    rare = X.copy()
    rare[:, 1] = np.where(np.arange(len(X)) % 4000 == 0, 1e5, 0.0)  # no spread of the middle half
    few = with_outliers(5)[:300]
    for events in (X, tail, rare, few):
        scaling = fit_scaling("standard", [(events, None)], ["pt", "mass"])
        moments = Moments.of(events)
        assert scaling.outliers == ()
        np.testing.assert_allclose(scaling.to_arrays()["width"], np.sqrt(moments.variance))


def test_what_can_be_read_once_only_is_taken_as_it_is():
    events = with_outliers(5)
    scaling = fit_scaling("standard", iter([(events, None)]), ["pt", "mass"])
    assert scaling.outliers == ()
    np.testing.assert_allclose(scaling.to_arrays()["width"], events.std(axis=0))
