import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm
from sklearn.metrics import roc_curve as reference

from steepest.evaluate.intervals import clopper_pearson
from steepest.evaluate.roc import background_rejection, roc_curve, working_point

events = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(1, 3)), min_size=2, max_size=40
).filter(lambda rows: {row[0] for row in rows} == {0, 1})


@pytest.mark.parametrize("weighted", [False, True])
def test_curve_is_that_of_scikit_learn(toy, weighted):
    labels, scores, weights = toy()
    chosen = weights if weighted else None
    roc = roc_curve(labels, scores, chosen)
    background, signal, thresholds = reference(
        labels, scores, sample_weight=chosen, drop_intermediate=False
    )
    np.testing.assert_allclose(roc.thresholds, thresholds)
    np.testing.assert_allclose(roc.signal_efficiency, signal)
    np.testing.assert_allclose(roc.background_efficiency, background)


def test_counts_and_sums_above_threshold(toy):
    labels, scores, weights = toy(negative=0.1)
    roc = roc_curve(labels, scores, weights)
    for index in (1, 10, 40):
        above = scores >= roc.thresholds[index]
        background = above & (labels == 0)
        assert roc.background_above[index] == background.sum()
        assert roc.signal_above[index] == (above & (labels == 1)).sum()
        assert roc.background_sum_above[index] == pytest.approx(weights[background].sum())
        assert roc.background_squares_above[index] == pytest.approx(
            (weights[background] ** 2).sum()
        )


@settings(max_examples=50, deadline=None)
@given(events, st.randoms())
def test_order_of_events_and_scale_of_scores_change_nothing(rows, random):
    labels, scores, weights = map(np.array, zip(*rows, strict=True))
    roc = roc_curve(labels, scores, weights)
    order = list(range(len(rows)))
    random.shuffle(order)
    other = roc_curve(labels[order], np.exp(scores[order] / 3.0), weights[order])
    np.testing.assert_array_equal(roc.signal_efficiency, other.signal_efficiency)
    np.testing.assert_array_equal(roc.background_above, other.background_above)


@settings(max_examples=50, deadline=None)
@given(events)
def test_weight_k_is_the_event_k_times(rows):
    labels, scores, weights = map(np.array, zip(*rows, strict=True))
    weighted = roc_curve(labels, scores, weights)
    repeated = roc_curve(np.repeat(labels, weights), np.repeat(scores, weights))
    np.testing.assert_allclose(weighted.signal_efficiency, repeated.signal_efficiency)
    np.testing.assert_allclose(weighted.background_efficiency, repeated.background_efficiency)


def test_a_cancelling_pair_changes_no_efficiency(toy):
    labels, scores, weights = toy()
    labels2, scores2 = np.append(labels, [0, 0]), np.append(scores, [0.5, 0.5])
    one = roc_curve(labels, scores, weights)
    two = roc_curve(labels2, scores2, np.append(weights, [3.0, -3.0]))
    np.testing.assert_allclose(one.background_efficiency, two.background_efficiency, atol=1e-14)


def test_negative_weights_may_make_the_curve_fall():
    roc = roc_curve([0, 1, 1, 1], [0.1, 0.9, 0.5, 0.3], [1, 1, -0.5, 1])
    np.testing.assert_allclose(roc.signal_efficiency, [0, 2 / 3, 1 / 3, 1, 1])
    assert roc.thresholds[working_point(roc, 0.5)] == 0.9


def test_working_point_is_the_weighted_quantile():
    scores = np.arange(20.0)
    labels = np.repeat([0, 1], 10)
    roc = roc_curve(labels, scores)
    for target, threshold in ((0.3, 17), (0.5, 15), (0.7, 13), (0.9, 11), (0.35, 16), (0.999, 10)):
        assert roc.thresholds[working_point(roc, target)] == threshold
    doubled = roc_curve(labels, scores, np.where(scores == 19, 9, 1))
    assert doubled.thresholds[working_point(doubled, 0.5)] == 19


def test_rejection_with_its_counts_and_interval(toy):
    labels, scores, _ = toy(size=5000, rounded=False)
    merit = background_rejection(roc_curve(labels, scores), 0.5)
    threshold = np.sort(scores[labels == 1])[::-1][int(np.ceil(0.5 * labels.sum())) - 1]
    passed, total = ((scores >= threshold) & (labels == 0)).sum(), (labels == 0).sum()
    assert merit.counts["threshold"] == threshold
    assert merit.counts["background_passed"] == passed
    assert merit.counts["background_passed_effective"] == pytest.approx(passed)
    assert merit.counts["background_total"] == total
    assert merit.value == pytest.approx(total / passed)
    fixed = beta.ppf(norm.cdf([1, -1]), passed + 0.5, total - passed + 0.5)
    assert merit.low < 1 / fixed[0] < merit.value < 1 / fixed[1] < merit.high
    assert merit.uncertainty > merit.value / np.sqrt(passed) * (1 - passed / total)
    assert merit.reason is None


def test_many_signal_events_set_the_threshold_exactly():
    random = np.random.default_rng(2)
    signal, background = random.normal(1, 1, 200_000), random.normal(0, 1, 500)
    labels = np.repeat([1, 0], [200_000, 500])
    merit = background_rejection(roc_curve(labels, np.append(signal, background)), 0.5)
    passed = merit.counts["background_passed"]
    fixed = beta.ppf(norm.cdf([1, -1]), passed + 0.5, 500 - passed + 0.5)
    np.testing.assert_allclose([merit.low, merit.high], 1 / fixed, rtol=0.01)


def test_no_background_passing_leaves_a_lower_limit():
    labels, scores = np.repeat([0, 1], 100), np.repeat([0.1, 0.9], 100)
    merit = background_rejection(roc_curve(labels, scores), 0.9)
    assert merit.counts["background_passed"] == 0
    assert merit.low == pytest.approx(1 / clopper_pearson(0, 100)[1])
    entry = merit.to_json()
    assert (entry["value"], entry["high"], entry["uncertainty"]) == (None, None, None)
    assert entry["reason"] == "no background passes: only a lower limit is known"
    assert merit.format() == "> 54.8 (84 % CL)"


def test_cancelled_background_leaves_a_lower_limit():
    labels, scores = [1, 1, 0, 0, 0, 0], [0.9, 0.8, 0.95, 0.85, 0.1, 0.1]
    merit = background_rejection(roc_curve(labels, scores, [1, 1, 1, -1, 1, 1]), 0.9)
    assert merit.reason == "negative weights cancel the background: only a lower limit is known"
    assert np.isinf(merit.value)
    assert np.isfinite(merit.low)


def test_interval_that_reaches_zero_efficiency_is_said():
    labels, scores = [1, 1, 0, 0, 0, 0], [0.9, 0.6, 0.7, 0.75, 0.8, 0.1]
    weights = [1.0, 1.0, 1.0, 1.0, 1.0, -1.2]
    merit = background_rejection(roc_curve(labels, scores, weights), 0.9)
    assert merit.value == pytest.approx(0.6)
    assert merit.reason == "the interval of the background efficiency reaches 0"
    assert merit.to_json()["high"] is None


def test_the_cut_lies_between_signal_events_with_the_probability_of_a_binomial():
    """Many background events follow the signal's places: ε_B is then the place itself."""
    signal, background = np.arange(1, 21) / 21, np.linspace(0, 1, 200_001)
    labels = np.repeat([1, 0], [20, 200_001])
    merit = background_rejection(roc_curve(labels, np.append(signal, background)), 0.75)
    places = 1 / np.array([merit.high, merit.low])
    expected = beta.ppf(norm.cdf([-1, 1]), [15, 16], [6, 5])  # of the 15th and 16th of 20
    inner = beta.ppf(norm.cdf([-1, 1]), [16, 15], [5, 6])
    assert expected[0] - 0.005 < places[0] < inner[0] + 0.005
    assert inner[1] - 0.005 < places[1] < expected[1] + 0.005


def test_a_cut_does_not_divide_events_of_one_score():
    labels = np.repeat([1, 0], [1000, 1000])
    signal, background = ([3, 2, 1], [100, 800, 100]), ([3, 2, 1], [20, 300, 680])
    scores = np.concatenate([np.repeat(*signal), np.repeat(*background)])
    merit = background_rejection(roc_curve(labels, scores), 0.5)  # surely between 0.1 and 0.9
    low, high = beta.ppf(norm.cdf([-1, 1]), 320.5, 680.5)
    assert (merit.low, merit.value, merit.high) == pytest.approx((1 / high, 1 / 0.32, 1 / low))


@pytest.mark.parametrize(("step", "efficiency"), [(0.05, 0.5), (0.25, 0.7), (0.25, 0.9)])
def test_rejections_of_tied_scores_cover_in_toys(step, efficiency):
    random, covered, toys = np.random.default_rng(3), 0, 300
    steps = np.arange(-8, 8, step)
    cut = steps[norm.sf(steps - 1.5) >= efficiency].max()
    labels = np.repeat([0, 1], [1000, 1000])
    for _ in range(toys):
        scores = np.floor(random.normal(1.5 * labels) / step)
        merit = background_rejection(roc_curve(labels, scores), efficiency)
        covered += merit.low <= 1 / norm.sf(cut) <= merit.high
    assert 0.55 < covered / toys < 0.77  # interpolated: 58, 38 and 38 %


@pytest.mark.parametrize(("signal", "efficiency"), [(3000, 0.5), (300, 0.5), (300, 0.9)])
def test_rejection_interval_covers_in_toys(signal, efficiency):
    random = np.random.default_rng(11)
    truth, covered, toys = 1 / norm.sf(1.5 + norm.isf(efficiency)), 0, 400
    labels = np.repeat([0, 1], [1000, signal])
    for _ in range(toys):
        scores = random.normal(1.5 * labels)
        merit = background_rejection(roc_curve(labels, scores), efficiency)
        covered += merit.low <= truth <= merit.high
    assert 0.63 < covered / toys < 0.75
