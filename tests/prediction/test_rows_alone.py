"""An event's prediction has the same bits whichever events are predicted with it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from share.particle_models import SMALL, groups_of, model_of, quantities
from steepest.errors import EventsError
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.scaling import fit_scaling
from steepest.trained import ROWS, TrainedModel


def model(features: int, hidden: tuple[int, ...], outputs: int, scaling: str) -> TrainedModel:
    random = np.random.default_rng(features)
    names = [f"x{i}" for i in range(features)]
    shape = Dense(features, hidden, outputs, initialization="glorot-normal")
    X = random.normal(size=(500, features)) * 10.0
    return TrainedModel(
        scaling=fit_scaling(scaling, [(X, None)], names),
        model=shape,
        loss=loss_named("binary-cross-entropy" if outputs == 1 else "cross-entropy"),
        theta=shape.initial(seed=1),
        classes=tuple(map(str, range(max(outputs, 2)))),
        label="y",
        features=tuple(names),
    )


@pytest.mark.parametrize("scaling", ["standard", "whiten", "quantile"])
@pytest.mark.parametrize(
    ("features", "hidden", "outputs"),
    [(1, (), 1), (28, (), 1), (28, (), 5), (7, (13,), 1), (28, (64, 64), 1), (20, (300,), 3)],
)
def test_any_rows_give_the_bits_of_all_rows(
    features: int, hidden: tuple[int, ...], outputs: int, scaling: str
):
    trained = model(features, hidden, outputs, scaling)
    events = np.random.default_rng(0).normal(size=(3 * ROWS + 17, features)) * 10.0
    expected = trained.predict(events)

    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, len(events) - 1), st.integers(1, len(events)))
    def holds(first: int, count: int):
        rows = slice(first, first + count)
        assert np.array_equal(trained.predict(events[rows]), expected[rows])

    holds()
    chosen = np.random.default_rng(1).permutation(len(events))[:100]
    assert np.array_equal(trained.predict(events[chosen]), expected[chosen])


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k == "deep-sets" else pytest.mark.slow) for k in SMALL]
)
def test_networks_of_particles_round_by_the_events_beside(kind: str):
    pytest.importorskip("torch", reason="needs the extra [torch]")
    lengths = np.random.default_rng(2).integers(0, 30, 300)
    trained = model_of(kind)
    events = groups_of(trained, quantities(lengths, 3), lengths)
    expected = trained.predict(events)
    for rows in (np.arange(300)[::-1], np.arange(40, 60), np.array([7])):
        np.testing.assert_allclose(trained.predict(events[rows]), expected[rows], atol=1e-14)


def test_no_events():
    assert model(3, (4,), 1, "standard").predict(np.empty((0, 3))).shape == (0,)
    assert model(3, (4,), 3, "standard").predict(np.empty((0, 3))).shape == (0, 3)


def test_a_message_counts_rows_from_the_first():
    events = np.ones((2 * ROWS, 3))
    events[ROWS + 5, 1] = np.nan
    with pytest.raises(EventsError, match=f"'x1' is not finite in row {ROWS + 5}"):
        model(3, (), 1, "standard").predict(events)
