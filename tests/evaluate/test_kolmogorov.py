import numpy as np
import pytest
from scipy.stats import ks_2samp

from steepest.evaluate import kolmogorov_test


@pytest.mark.parametrize(("m", "n", "shift"), [(500, 300, 0.0), (400, 900, 0.1), (30, 2000, 0.3)])
@pytest.mark.parametrize("ties", [False, True])
def test_without_weights_it_is_that_of_scipy(m, n, shift, ties):
    random = np.random.default_rng(m)
    first, second = random.normal(size=m), random.normal(shift, 1, n)
    if ties:
        first, second = np.round(first, 1), np.round(second, 1)
    expected = ks_2samp(first, second, method="asymp")
    test = kolmogorov_test(first, second)
    assert test.statistic == pytest.approx(expected.statistic, rel=1e-10)
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.08])
def test_the_limit_of_many_events_is_close_to_the_distribution(shift):
    random = np.random.default_rng(4)
    first, second = random.normal(size=4000), random.normal(shift, 1, 3000)
    expected = ks_2samp(first, second, method="asymp").pvalue
    assert expected > 5e-4
    assert kolmogorov_test(first, second).p_value == pytest.approx(expected, rel=4e-3)


def test_weight_k_is_the_event_k_times_for_the_statistic():
    random = np.random.default_rng(1)
    first, second = random.normal(size=50), random.normal(size=40)
    weights = random.integers(1, 4, 50)
    weighted = kolmogorov_test(first, second, weights)
    repeated = kolmogorov_test(np.repeat(first, weights), second)
    assert weighted.statistic == pytest.approx(repeated.statistic)
    assert weighted.p_value > repeated.p_value
    assert weighted.first_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_p_values_of_weighted_samples_of_one_distribution_are_uniform():
    random = np.random.default_rng(2)
    p = []
    for _ in range(300):
        values, weights = random.normal(size=(2, 300)), random.lognormal(0, 0.7, (2, 300))
        p.append(kolmogorov_test(*values, *weights).p_value)
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_a_cancelling_pair_changes_no_distance():
    random = np.random.default_rng(3)
    first, second = random.normal(size=80), random.normal(size=90)
    pair = kolmogorov_test(np.append(first, [0, 0]), second, np.append(np.ones(80), [3, -3]))
    assert pair.statistic == pytest.approx(kolmogorov_test(first, second).statistic)


def test_extremes():
    same, apart = (
        kolmogorov_test([1, 2, 3], [1, 2, 3]),
        kolmogorov_test(np.arange(50), np.arange(50) + 60),
    )
    assert (same.statistic, same.p_value) == (0, 1)
    assert apart.statistic == pytest.approx(1)
    assert apart.p_value < 1e-20
    assert kolmogorov_test([1.0], [2.0]).p_value <= 1
