import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from steepest.evaluate.area import auc, auc_difference
from steepest.evaluate.intervals import clopper_pearson

events = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(1, 3)), min_size=2, max_size=40
).filter(lambda rows: {row[0] for row in rows} == {0, 1})


def pairs(labels, scores):
    signal, background = scores[labels == 1], scores[labels == 0]
    difference = signal[:, None] - background[None, :]
    return np.where(difference > 0, 1.0, np.where(difference == 0, 0.5, 0.0))


def delong_covariance(labels, *columns):
    """DeLong's covariance, written out over all pairs."""
    psi = [pairs(labels, scores) for scores in columns]
    by_signal = np.cov([p.mean(axis=1) for p in psi])
    by_background = np.cov([p.mean(axis=0) for p in psi])
    m, n = psi[0].shape
    return by_signal / m + by_background / n


def of_pairs(psi):
    """What DeLong's variance counts twice: the interaction of the two events of a pair."""
    m, n = psi.shape
    rest = psi - psi.mean(axis=1, keepdims=True) - psi.mean(axis=0) + psi.mean()
    return np.square(rest).sum() / (m * n * (m - 1) * (n - 1))


@pytest.mark.parametrize("weighted", [False, True])
def test_value_is_that_of_scikit_learn(toy, weighted):
    labels, scores, weights = toy()
    chosen = weights if weighted else None
    expected = roc_auc_score(labels, scores, sample_weight=chosen)
    assert auc(labels, scores, chosen).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [30, 300])
def test_uncertainty_is_delongs_without_what_it_counts_twice(toy, size):
    labels, scores, _ = toy(size=size)
    merit = auc(labels, scores)
    expected = delong_covariance(labels, scores) - of_pairs(pairs(labels, scores))
    assert merit.uncertainty == pytest.approx(np.sqrt(expected), rel=1e-10)
    assert merit.value == pytest.approx(pairs(labels, scores).mean(), rel=1e-12)


def test_common_factor_of_the_weights_changes_nothing(toy):
    labels, scores, weights = toy()
    one, two = auc(labels, scores, weights), auc(labels, scores, weights * 1e-4)
    assert two.value == pytest.approx(one.value)
    assert two.uncertainty == pytest.approx(one.uncertainty)


@pytest.mark.parametrize(("weighted", "negative"), [(False, 0.0), (True, 0.0), (True, 0.08)])
def test_uncertainty_is_that_of_the_bootstrap(toy, weighted, negative):
    labels, scores, weights = toy(seed=3, size=1500, negative=negative)
    weights = weights if weighted else np.ones_like(scores)
    random = np.random.default_rng(4)
    replicas = []
    for _ in range(500):
        chosen = random.integers(0, labels.size, labels.size)
        replicas.append(auc(labels[chosen], scores[chosen], weights[chosen]).value)
    assert auc(labels, scores, weights).uncertainty == pytest.approx(np.std(replicas), rel=0.1)


@pytest.mark.parametrize("distance", [0.5, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_interval_covers_in_toys(distance, weighted):
    random = np.random.default_rng(7)
    truth, covered, toys = norm.cdf(distance / np.sqrt(2)), 0, 600
    labels = np.repeat([0, 1], [120, 80])
    for _ in range(toys):
        scores = random.normal(labels * distance)
        weights = random.lognormal(0, 0.5, labels.size) if weighted else None
        merit = auc(labels, scores, weights)
        covered += merit.low <= truth <= merit.high
    assert covered / toys == pytest.approx(0.6827, abs=0.06)


@settings(max_examples=50, deadline=None)
@given(events)
def test_weight_k_is_the_event_k_times_for_the_value(rows):
    labels, scores, weights = map(np.array, zip(*rows, strict=True))
    repeated = auc(np.repeat(labels, weights), np.repeat(scores, weights))
    assert auc(labels, scores, weights).value == pytest.approx(repeated.value, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(events, st.randoms())
def test_symmetries(rows, random):
    labels, scores, weights = map(np.array, zip(*rows, strict=True))
    one = auc(labels, scores, weights)
    order = list(range(len(rows)))
    random.shuffle(order)
    for other in (
        auc(labels[order], scores[order], weights[order]),
        auc(labels, np.exp(scores), weights),
        auc(1 - labels, -scores, weights),
    ):
        assert other.value == pytest.approx(one.value, abs=1e-12)
        assert other.uncertainty == pytest.approx(one.uncertainty, abs=1e-12, nan_ok=True)
    assert auc(labels, 1 - scores, weights).value == pytest.approx(1 - one.value, abs=1e-12)
    assert 0 <= one.value <= 1


def test_a_cancelling_pair_changes_no_value(toy):
    labels, scores, weights = toy()
    with_pair = auc(
        np.append(labels, [1, 1]), np.append(scores, [0.3, 0.3]), np.append(weights, [5, -5])
    )
    assert with_pair.value == pytest.approx(auc(labels, scores, weights).value, rel=1e-12)
    assert with_pair.uncertainty > auc(labels, scores, weights).uncertainty


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 3, 30)])
def test_complete_separation_has_a_limit_from_disjoint_pairs(weights):
    labels, scores = np.repeat([0, 1], [20, 10]), np.arange(30.0)
    merit = auc(labels, scores, weights)
    assert (merit.value, merit.high, merit.uncertainty) == (1, 1, 0)
    fewest = min(merit.counts["signal_effective"], merit.counts["background_effective"])
    assert merit.low == pytest.approx(clopper_pearson(fewest, fewest)[0])
    wrong = auc(labels, -scores, weights)
    assert (wrong.value, wrong.low) == (0, 0)
    assert wrong.high == pytest.approx(1 - merit.low)


def test_equal_scores_give_one_half():
    merit = auc([0, 0, 1, 1, 1], [0.3] * 5)
    assert (merit.value, merit.uncertainty, merit.low, merit.high) == (0.5, 0, 0.5, 0.5)


def test_one_event_of_a_class_leaves_the_uncertainty_undefined():
    merit = auc([0, 0, 1], [0.1, 0.6, 0.5])
    assert merit.value == 0.5
    assert merit.reason == "the uncertainty needs more than one effective signal event"
    assert merit.to_json()["uncertainty"] is None
    assert merit.format() == "0.5 (uncertainty undefined)"


def test_negative_weights_may_lead_out_of_range_but_not_the_interval():
    labels, scores = np.repeat([0, 1], [12, 12]), np.arange(24.0)
    weights = np.ones(24)
    scores[0], weights[0] = 100, -1  # a negative background event above all signal
    merit = auc(labels, scores, weights)
    assert merit.value == pytest.approx(1.1)
    assert 0 < merit.low < merit.high == 1


def test_difference_has_delongs_covariance(toy):
    labels, scores, _ = toy(size=300)
    other = scores + np.random.default_rng(2).normal(0, 0.2, 300)
    merit = auc_difference(labels, scores, other)
    covariance = delong_covariance(labels, scores, other)
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    expected -= of_pairs(pairs(labels, scores) - pairs(labels, other))
    assert merit.uncertainty == pytest.approx(np.sqrt(expected), rel=1e-10)
    assert merit.value == pytest.approx(auc(labels, scores).value - auc(labels, other).value)
    independent = np.hypot(auc(labels, scores).uncertainty, auc(labels, other).uncertainty)
    assert merit.uncertainty < 0.8 * independent
