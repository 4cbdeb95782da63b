"""Gains in loss: paired differences on the same events."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from steepest.errors import EventsError
from steepest.evaluate import cross_entropy_gain, mean_squared_error_gain

random = np.random.default_rng(3)
LABELS = random.integers(0, 3, 400)
FIRST, SECOND = (random.dirichlet(np.ones(3), 400) for _ in range(2))
WEIGHTS = random.uniform(0.2, 2, 400)


def test_the_value_is_the_difference_of_the_losses_and_the_error_is_paired():
    gain = cross_entropy_gain(LABELS, FIRST, SECOND, WEIGHTS)
    expected = [log_loss(LABELS, p, sample_weight=WEIGHTS) for p in (FIRST, SECOND)]
    assert gain.value == pytest.approx(expected[1] - expected[0])
    rows = np.arange(400)
    of_events = np.log(FIRST[rows, LABELS]) - np.log(SECOND[rows, LABELS])
    equal = cross_entropy_gain(LABELS, FIRST, SECOND)
    assert equal.uncertainty == pytest.approx(of_events.std(ddof=1) / 20)
    swapped = cross_entropy_gain(LABELS, SECOND, FIRST, WEIGHTS)
    assert (swapped.value, swapped.low) == pytest.approx((-gain.value, -gain.high))


def test_scores_of_two_classes_are_probabilities_of_class_1():
    labels, one, two = LABELS > 0, FIRST[:, 0], SECOND[:, 0]
    both = [np.column_stack([1 - p, p]) for p in (one, two)]
    expected = cross_entropy_gain(labels, *both)
    assert cross_entropy_gain(labels, one, two).value == pytest.approx(expected.value)


def test_squared_errors():
    truth, one, two = random.normal(size=(3, 200))
    gain = mean_squared_error_gain(truth, one, two)
    expected = mean_squared_error(truth, two) - mean_squared_error(truth, one)
    assert gain.value == pytest.approx(expected)
    assert mean_squared_error_gain(truth, one, one).format() == "0"


@pytest.mark.parametrize("function", [cross_entropy_gain, mean_squared_error_gain])
def test_columns_of_other_lengths_are_refused(function):
    with pytest.raises(EventsError, match="3"):
        function([0.0, 1.0], [0.5, 0.5, 0.5], [0.5, 0.5])
