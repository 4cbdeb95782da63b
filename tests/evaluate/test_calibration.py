"""Calibration: scikit-learn's curve, exact sums, toys for coverage."""

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.calibration import calibration_curve as reference

from steepest.errors import EventsError, InputError
from steepest.evaluate import (
    ONE_SIGMA,
    auc,
    calibration_curve,
    calibration_error,
    confidence_of,
    multiclass_merits,
    roc_curve,
    roc_curves_by_class,
)


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_the_curve_is_that_of_scikit_learn(toy, bins):
    labels, scores, _ = toy(rounded=False)
    fraction, mean = reference(labels, scores, n_bins=bins)
    curve = calibration_curve(labels, scores, bins=bins)
    filled = curve.events > 0
    np.testing.assert_allclose(curve.fraction[filled], fraction, rtol=1e-12)
    np.testing.assert_allclose(curve.score[filled], mean, rtol=1e-12)
    assert curve.events.sum() == labels.size


@pytest.mark.parametrize("negative", [0.0, 0.1])
def test_curve_and_error_are_those_of_a_plain_loop(toy, negative):
    labels, scores, weights = toy(negative=negative)
    curve = calibration_curve(labels, scores, weights)
    error = 0.0
    for index in range(10):
        low, high = curve.edges[index], curve.edges[index + 1]
        inside = (scores >= low) & ((scores < high) | (index == 9))
        w, y, p = weights[inside], labels[inside], scores[inside]
        assert curve.events[index] == inside.sum()
        assert curve.score[index] == pytest.approx((w * p).sum() / w.sum())
        assert curve.fraction[index] == pytest.approx((w * y).sum() / w.sum())
        assert curve.events_effective[index] == pytest.approx(w.sum() ** 2 / (w**2).sum())
        error += abs((w * (y - p)).sum()) / weights.sum()
    merit = calibration_error(curve)
    assert merit.counts["expected_calibration_error"] == pytest.approx(error)
    square = (curve.deviation**2 - curve.deviation_error**2) / curve.share
    assert merit.value**2 == pytest.approx(abs(square.sum()))


def test_an_event_of_weight_two_moves_the_curve_as_two_do(toy):
    labels, scores, _ = toy(size=300)
    twice = calibration_curve(np.tile(labels, 2), np.tile(scores, 2))
    double = calibration_curve(labels, scores, np.full(300, 2.0))
    np.testing.assert_allclose(double.fraction, twice.fraction)
    np.testing.assert_allclose(double.deviation, twice.deviation)
    assert calibration_error(double).uncertainty > calibration_error(twice).uncertainty


def test_a_pair_that_cancels_changes_no_value():
    labels, scores = [0, 1, 1, 1], [0.15, 0.65, 0.95, 0.95]
    plain = calibration_curve(labels[:2], scores[:2])
    signed = calibration_curve(labels, scores, [1, 1, 1, -1])
    assert np.isnan(signed.fraction[9])
    np.testing.assert_array_equal(signed.fraction[:9], plain.fraction[:9])
    np.testing.assert_array_equal(signed.deviation, plain.deviation)


def distorted(slope: float, size: int = 200_000):
    """Scores, true probabilities, and the true root mean square deviation in ten bins."""
    logits = np.random.default_rng(1).normal(0, 2, size)
    scores, truth = 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-slope * logits))
    place = np.minimum((scores * 10).astype(int), 9)
    deviation, events = np.bincount(place, truth - scores), np.bincount(place)
    return scores, truth, np.sqrt((deviation**2 / events).sum() / size)


@pytest.mark.parametrize("slope", [1.0, 1.3, 3.0])
@pytest.mark.parametrize("signed", [False, True])
def test_interval_of_the_error_covers_and_does_not_pile_up_at_zero(slope, signed):
    scores, truth, error = distorted(slope)
    random = np.random.default_rng(2)
    merits = []
    for _ in range(300):
        rows = random.integers(0, scores.size, 1500)
        outcomes = (random.random(1500) < truth[rows]).astype(float)
        sign = np.where(random.random(1500) < 0.05, -1.0, 1.0)
        weights = random.lognormal(0, 0.5, 1500) * sign if signed else None
        merits.append(calibration_error(calibration_curve(outcomes, scores[rows], weights)))
    covered = np.mean([m.low <= error <= m.high for m in merits])
    assert 0.62 < covered < 0.75
    assert all(m.low <= m.value <= m.high for m in merits)
    if slope == 1.0:
        assert 0.35 < np.mean([m.value > 0 for m in merits]) < 0.6
        assert 0.05 < np.mean([m.high < 0 for m in merits]) < 0.25  # as often too low as too high


def test_intervals_of_the_curve_are_those_of_efficiencies():
    curve = calibration_curve([0, 1, 1, 1], [0.7, 0.7, 0.7, 0.7], bins=1)
    low, high = beta.ppf([(1 - ONE_SIGMA) / 2, (1 + ONE_SIGMA) / 2], 3.5, 1.5)
    assert (curve.low[0], curve.high[0]) == (pytest.approx(low), pytest.approx(high))


def test_a_perfect_prediction_has_no_error():
    merit = calibration_error(calibration_curve([0, 1], [0.0, 1.0]))
    assert (merit.value, merit.low, merit.high, merit.uncertainty) == (0, 0, 0, 0)


@pytest.mark.parametrize("near", [1e-15, 1e-60, 1e-150, 1e-300])
def test_scores_that_are_nearly_zero_have_an_error_that_is_finite(near: float):
    curve = calibration_curve([0, 0, 1, 1] * 50, [near, near, 1 - 1e-16, 1.0] * 50)
    found = calibration_error(curve)
    assert abs(found.value) < 1e-6
    assert found.low <= found.high < 1e-6


def test_several_classes_are_calibrated_by_their_confidence():
    random = np.random.default_rng(4)
    probabilities = random.dirichlet([1, 1, 1], 20_000)
    labels = (random.random(20_000)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    outcomes, scores = confidence_of(labels, probabilities)
    np.testing.assert_array_equal(scores, probabilities.max(axis=1))
    assert calibration_error(calibration_curve(outcomes, scores)).low < 0.005


def test_curves_of_classes_are_those_of_each_against_the_rest():
    random = np.random.default_rng(5)
    labels = random.integers(0, 3, 500)
    probabilities = random.dirichlet([1, 1, 1], 500)
    weights = random.lognormal(0, 0.4, 500) * np.where(random.random(500) < 0.05, -1, 1)
    names = ["qcd", "top", "w"]
    curves = roc_curves_by_class(labels, probabilities, weights, names)
    merits = multiclass_merits(labels, probabilities, weights, names)
    for index, name in enumerate(names):
        own = roc_curve(labels == index, probabilities[:, index], weights)
        np.testing.assert_array_equal(curves[name].background_efficiency, own.background_efficiency)
        signal, background = curves[name].signal_efficiency, curves[name].background_efficiency
        area = np.trapezoid(signal, background)
        assert merits[f"auc_{name}"].value == pytest.approx(area)
        assert auc(labels == index, probabilities[:, index], weights).value == pytest.approx(area)
    two = labels < 2
    assert set(roc_curves_by_class(labels[two], probabilities[two], None, names)) == {"qcd", "top"}


def test_weights_of_a_class_without_a_positive_sum(message):
    probabilities = [[0.5, 0.3, 0.2]] * 4
    said = message(EventsError, roc_curves_by_class, [0, 1, 2, 2], probabilities, [1, 2, 1, -1])
    assert said == [
        "the weights of events of class 2 do not have a positive sum.",
        "  expected: a sum above zero, since figures of merit are normalised to it",
        "  found:    0 from 2 events, 1 of them negative",
        "  cause:    too few events left after the selection, or weights without their sign "
        "convention",
        "  do:       use more events, or check the weight column",
    ]
    said = message(EventsError, roc_curves_by_class, [0, 1, 2], [[0.5, 0.3, 0.2]] * 3, [5, 1, -1])
    assert said[0] == "the weights of events that are not of class 0 do not have a positive sum."


def test_outcomes_that_are_none(message):
    assert message(EventsError, calibration_curve, [0, 2], [0.1, 0.2]) == [
        "outcomes are not 0 or 1: row 1.",
        "  expected: 1 if the outcome occurred, 0 if not",
        "  found:    2 in row 1",
        "  cause:    class numbers of more than two classes",
        "  do:       compare with one class, label == 2, or use confidence_of",
    ]


def test_no_bins(message):
    assert message(InputError, calibration_curve, [0, 1], [0.1, 0.2], bins=0) == [
        "a calibration curve needs bins.",
        "  expected: one bin or more",
        "  found:    0",
        "  cause:    a count that was computed",
        "  do:       give the number of equal bins from 0 to 1, for example 10",
    ]
