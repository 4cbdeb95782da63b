import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, norm

from steepest.evaluate.intervals import (
    clopper_pearson,
    effective_count,
    efficiency_from_sums,
    weighted_efficiency,
    weighted_mean,
)


@pytest.mark.parametrize("level", [0.6827, 0.95])
def test_clopper_pearson_is_the_beta_quantiles(level):
    n = 37
    k = np.arange(n + 1)
    low, high = clopper_pearson(k, n, level)
    tail = (1 - level) / 2
    np.testing.assert_allclose(low[1:], beta.ppf(tail, k[1:], n - k[1:] + 1), rtol=1e-10)
    np.testing.assert_allclose(high[:-1], beta.ppf(1 - tail, k[:-1] + 1, n - k[:-1]), rtol=1e-10)
    assert low[0] == 0
    assert high[-1] == 1


def test_clopper_pearson_is_the_binomial_test_inverted():
    low, high = clopper_pearson(3, 20, 0.9)
    assert binom.sf(2, 20, low) == pytest.approx(0.05)
    assert binom.cdf(3, 20, high) == pytest.approx(0.05)


@pytest.mark.parametrize("n", [1, 7, 50])
def test_clopper_pearson_covers_at_least_at_its_level_everywhere(n):
    k = np.arange(n + 1)
    low, high = clopper_pearson(k, n)
    truth = np.linspace(0.0005, 0.9995, 999)[:, None]
    covered = (binom.pmf(k, n, truth) * ((low <= truth) & (truth <= high))).sum(axis=1)
    assert covered.min() >= 0.6826


def test_nothing_of_nothing_says_nothing():
    assert clopper_pearson(0, 0) == (0, 1)


def test_equal_weights_give_the_raw_counts_back():
    passed = np.arange(40) < 9
    for weight in (1.0, 0.01, 7.0):
        result = weighted_efficiency(passed, np.full(40, weight))
        assert result.passed_effective == pytest.approx(9)
        assert result.total_effective == pytest.approx(40)
        assert result.uncertainty == pytest.approx(np.sqrt(9 * 31 / 40**3))
        jeffreys = beta.ppf([norm.cdf(-1), norm.cdf(1)], 9.5, 31.5)
        np.testing.assert_allclose([result.low, result.high], jeffreys)


def test_rare_passing_events_count_as_their_own_effective_number():
    weights = np.ones(100_000)
    weights[:5] = [1, 2, 3, 4, 5]
    passed = np.arange(100_000) < 5
    result = weighted_efficiency(passed, weights)
    assert result.passed_effective == pytest.approx(15**2 / 55, rel=1e-3)


def test_none_and_all_passing():
    weights = np.array([1.0, 2.0, 3.0])
    none = weighted_efficiency([False] * 3, weights)
    everything = weighted_efficiency([True] * 3, weights)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(clopper_pearson(0, 36 / 14)[1])
    assert (everything.value, everything.high) == (1, 1)
    assert everything.low == pytest.approx(1 - none.high)


def test_cancelling_weights_leave_the_interval_in_range_and_wide_enough():
    weights = np.array([1.0] * 50 + [1.0, 1.0, -1.0, -1.0, -1.0])
    passed = np.arange(55) >= 50  # two up, three down: efficiency −1/49
    result = weighted_efficiency(passed, weights)
    assert result.value == pytest.approx(-1 / 49)
    assert result.uncertainty == pytest.approx(np.sqrt(5 * (50 / 49) ** 2 + 50 / 49**2) / 49)
    assert result.low == 0
    assert result.uncertainty / 2 < result.high < 2 * result.uncertainty


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 100)), min_size=1, max_size=30))
def test_interval_of_positive_weights_holds_the_efficiency(events):
    passed, weights = zip(*events, strict=True)
    result = weighted_efficiency(passed, weights)
    assert 0 <= result.low <= result.value + 1e-9
    assert result.value - 1e-9 <= result.high <= 1
    assert result.low < result.high


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(-5, 5)), min_size=2, max_size=30).filter(
        lambda events: sum(w for _, w in events) > 0.1
    )
)
def test_interval_of_any_weights_is_within_zero_and_one(events):
    passed, weights = zip(*events, strict=True)
    result = weighted_efficiency(passed, weights)
    assert 0 <= result.low <= result.high <= 1


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("negative", [0.0, 0.1])
def test_weighted_interval_covers_in_toys(truth, negative):
    random = np.random.default_rng(5)
    toys, events = 3000, 400
    weights = random.lognormal(0, 0.5, (toys, events))
    weights *= np.where(random.random((toys, events)) < negative, -1, 1)
    passed = random.random((toys, events)) < truth
    sums = [(weights * passed).sum(1), (weights**2 * passed).sum(1), weights.sum(1)]
    result = efficiency_from_sums(*sums, (weights**2).sum(1))
    covered = np.mean((result.low <= truth) & (truth <= result.high))
    assert 0.65 < covered < 0.71


def test_effective_count():
    assert effective_count(np.full(12, 3.0)) == pytest.approx(12)
    assert effective_count([1.0, 0.0, 0.0]) == 1
    assert effective_count([0.0]) == 0


def test_weighted_mean_is_the_textbook_one_for_equal_weights():
    values = np.random.default_rng(1).normal(size=50)
    for weights in (np.ones(50), np.full(50, 0.2)):
        mean = weighted_mean(values, weights)
        assert mean.value == pytest.approx(values.mean())
        assert mean.uncertainty == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_weighted_mean_of_one_event_has_no_uncertainty():
    assert np.isnan(weighted_mean(np.array([2.0]), np.ones(1)).uncertainty)
