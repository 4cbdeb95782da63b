"""Classifier.explain and Regressor.explain."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from steepest import Classifier, Regressor
from steepest.errors import EventsError

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(600, 3))
Y = (X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.5 * RANDOM.normal(size=600) > 0).astype(int)


@pytest.mark.slow
def test_a_rate_that_is_too_small_is_named():
    model = Classifier((8,), learning_rate=1e-6, optimizer="adam", epochs=20, batch_size=32)
    found = model.fit(X[:400], Y[:400], validation=(X[400:], Y[400:])).explain(
        X[:400], Y[:400], validation=(X[400:], Y[400:])
    )
    assert found.findings[0].cause in ("learning-rate-too-small", "too-few-steps")
    assert found.findings[0].trial is not None


def test_a_rate_above_the_bound_and_a_healthy_one():
    y = X @ [1.0, 2.0, -1.0] + 0.1 * RANDOM.normal(size=600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Regressor(learning_rate=3.0, optimizer="sgd", epochs=200, batch_size="all").fit(
            X, y
        )
    first = model.explain(X, y, try_fixes=False).findings[0]
    assert (first.cause, first.severity) == ("learning-rate-too-large", "wrong")
    assert not Regressor().fit(X, y).explain(X, y).findings


def test_events_of_other_values_are_others():
    model = Classifier(method="newton").fit(X, Y, sample_weight=np.full(len(X), 2.0))
    model.explain(X.copy(), list(Y), 2.0, try_fixes=False)
    for other in ((5 * X + 3, Y, 2.0), (X, 1 - Y, 2.0), (X, Y, 1.0)):
        with pytest.raises(EventsError, match="with other values"):
            model.explain(*other, try_fixes=False)


@pytest.mark.slow
def test_early_stopping_and_other_events():
    model = Classifier((4,), epochs=20, early_stopping=True).fit(X, Y)
    assert "J = " in model.explain(X, Y, try_fixes=False).verdict
    with pytest.raises(EventsError, match="other events"):
        model.explain(X[:100], Y[:100])
