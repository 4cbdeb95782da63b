"""The Asimov significance: exact limits, scipy, and toys."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from steepest.errors import InputError
from steepest.evaluate import (
    Experiment,
    asimov_significance,
    best_cut,
    roc_curve,
    significance_at,
    significance_scan,
)


@pytest.mark.parametrize("background", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("relative", [0.0, 0.01, 1.0])
def test_a_small_signal_has_s_over_the_root_of_the_variance(background, relative):
    sigma = relative * background
    signal = 1e-7 * background
    expected = signal / np.sqrt(background + sigma**2)
    assert asimov_significance(signal, background, sigma).item() == pytest.approx(
        expected, rel=3e-7
    )


def test_without_uncertainty_it_is_the_known_formula():
    s, b = np.meshgrid([0.5, 3.0, 100.0, 1e4], [0.1, 3.0, 1e3])
    expected = np.sqrt(2 * ((s + b) * np.log(1 + s / b) - s))
    # the formula as it is written loses the digits that it is here computed without losing
    np.testing.assert_allclose(asimov_significance(s, b), expected, rtol=1e-9)
    np.testing.assert_allclose(asimov_significance(s, b, 1e-8), expected, rtol=1e-9)


def test_with_uncertainty_it_is_cowans_equation_20():
    s, b, relative = np.meshgrid([1.0, 30.0, 1e3], [1.0, 50.0, 1e3], [0.05, 0.3, 2.0])
    sigma = relative * b
    v = sigma**2
    expected = np.sqrt(2 * ((s + b) * np.log((s + b) * (b + v) / (b**2 + (s + b) * v))
                            - b**2 / v * np.log1p(v * s / (b * (b + v)))))  # fmt: skip
    np.testing.assert_allclose(asimov_significance(s, b, sigma), expected, rtol=1e-7)


def test_it_is_the_profile_likelihood_ratio_of_the_asimov_data():
    s, b, sigma = 12.0, 40.0, 6.0
    tau = b / sigma**2
    n, m = s + b, tau * b

    def negative_log_likelihood(x):  # of Poisson counts that are no integers
        return -(n * np.log(x) - x + m * np.log(tau * x) - tau * x)

    null = minimize_scalar(negative_log_likelihood, bounds=(1, 100), options={"xatol": 1e-10})
    best = -(n * np.log(n) - n + m * np.log(m) - m)
    assert asimov_significance(s, b, sigma).item() == pytest.approx(
        np.sqrt(2 * (null.fun - best)), rel=1e-6
    )


def test_no_signal_no_background_and_less():
    assert asimov_significance([0, -1, 5], [10, 10, 0]).tolist() == [0, 0, np.inf]
    assert asimov_significance(5, 0, 3).item() == 0
    assert np.isnan(asimov_significance(5, -1).item())


def test_median_significance_of_toys():
    """Half of the toy experiments with signal have a p value below that of Z."""
    s, b = 30.0, 100.0
    counts = np.random.default_rng(0).poisson(s + b, 4000)
    z = asimov_significance(s, b).item()
    median = asimov_significance(np.median(counts) - b, b).item()
    assert z == pytest.approx(median, abs=0.1)
    from scipy.stats import norm

    p = poisson.sf(np.median(counts) - 1, b)
    assert norm.isf(p) == pytest.approx(z, abs=0.12)


def events(seed, size=4000, negative=0.0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, size)
    scores = random.normal(labels * 1.5)
    weights = np.where(random.random(size) < negative, -1.0, 1.0) * random.lognormal(0, 0.3, size)
    return labels, scores, weights


def test_scan_and_cut_are_those_of_a_plain_loop():
    labels, scores, weights = events(0, 300, negative=0.05)
    experiment = Experiment(50, 500, 0.1)
    scan = significance_scan(roc_curve(labels, scores, weights), experiment)
    best, best_threshold = 0.0, None
    for threshold in scores:
        passed = scores >= threshold
        behind = weights[passed & (labels == 0)]
        if behind.size == 0 or behind.sum() ** 2 < 10 * (behind**2).sum():
            continue
        s = 50 * weights[passed & (labels == 1)].sum() / weights[labels == 1].sum()
        b = 500 * behind.sum() / weights[labels == 0].sum()
        z = asimov_significance(s, b, 0.1 * b).item()
        if z > best:
            best, best_threshold = z, threshold
    assert best_cut(scan) == best_threshold
    merit = significance_at(labels, scores, best_threshold, experiment, weights)
    assert merit.value == pytest.approx(best)
    assert merit.counts["background_passed"] >= 10


def test_too_little_background_leaves_no_cut():
    scan = significance_scan(roc_curve([0] * 9 + [1], np.arange(10.0)), Experiment(1, 1))
    assert best_cut(scan) is None
    assert best_cut(scan, minimum_background=9) == 0.0


def test_the_largest_of_a_scan_is_too_large_but_not_on_other_events():
    experiment = Experiment(100, 1000)
    on_choosing, on_others, truth = [], [], []
    reference = roc_curve(*events(99, 200_000))
    exact = significance_scan(reference, experiment)
    for seed in range(60):
        labels, scores, weights = events(seed, 400)
        cut = best_cut(significance_scan(roc_curve(labels, scores, weights), experiment))
        on_choosing.append(significance_at(labels, scores, cut, experiment, weights).value)
        other = events(1000 + seed, 4000)
        on_others.append(significance_at(*other[:2], cut, experiment, other[2]).value)
        truth.append(exact.significance[np.searchsorted(-exact.thresholds, -cut)])
    spread = np.std(on_others) / np.sqrt(60)
    assert np.mean(on_choosing) > np.mean(truth) + 5 * spread
    assert np.mean(on_others) == pytest.approx(np.mean(truth), abs=4 * spread)


@pytest.mark.parametrize("negative", [0.0, 0.1])
@pytest.mark.parametrize("uncertainty", [0.0, 0.2])
def test_interval_covers_and_uncertainty_is_the_spread(negative, uncertainty):
    experiment = Experiment(100, 1000, uncertainty)
    labels, scores, weights = events(0, 400_000, negative)
    exact = significance_at(labels, scores, 1.2, experiment, weights)
    merits = []
    for part in range(200):
        rows = slice(part * 2000, (part + 1) * 2000)
        merits.append(significance_at(labels[rows], scores[rows], 1.2, experiment, weights[rows]))
    covered = np.mean([m.low <= exact.value <= m.high for m in merits])
    assert 0.62 < covered < 0.82
    spread = np.std([m.value for m in merits])
    assert np.mean([m.uncertainty for m in merits]) == pytest.approx(spread, rel=0.15)
    assert exact.uncertainty == pytest.approx(spread / np.sqrt(200), rel=0.15)


def test_equal_weights_change_nothing():
    labels, scores, _ = events(1)
    experiment = Experiment(10, 100, 0.1)
    one = significance_at(labels, scores, 1.0, experiment)
    three = significance_at(labels, scores, 1.0, experiment, np.full(labels.size, 3.0))
    for name in ("value", "low", "high", "uncertainty"):
        assert getattr(three, name) == pytest.approx(getattr(one, name))


def test_no_background_behind_the_cut_leaves_a_lower_limit():
    labels, scores = np.repeat([0, 1], 50), np.arange(100.0)
    merit = significance_at(labels, scores, 60, Experiment(100, 1000))
    assert merit.value == np.inf
    assert merit.reason == "no background passes: only a lower limit is known"
    assert merit.format().startswith("> ")
    weights = np.ones(100)
    weights[48:50] = 1, -1
    cancelled = significance_at(labels, scores, 48, Experiment(100, 1000), weights)
    assert cancelled.reason == (
        "negative weights cancel the background: only a lower limit is known"
    )
    assert 0 < cancelled.low < np.inf


def test_a_background_that_weights_nearly_cancel_has_a_wide_interval():
    labels, scores = np.repeat([0, 1], 50), np.arange(100.0)
    weights = np.ones(100)
    weights[47:50] = 1, 1, -1.5
    merit = significance_at(labels, scores, 47, Experiment(100, 1000), weights)
    assert np.isfinite(merit.value)
    assert merit.high > 2 * merit.value
    assert merit.reason is None


def test_no_signal_behind_the_cut():
    labels, scores = np.repeat([1, 0], 50), np.arange(100.0)
    merit = significance_at(labels, scores, 60, Experiment(100, 1000))
    assert (merit.value, merit.low) == (0, 0)
    assert merit.high > 0


@pytest.mark.parametrize(
    ("numbers", "name", "kind", "found"),
    [
        ((0, 1), "the expected signal", "a finite number above 0", "0"),
        ((1, np.inf), "the expected background", "a finite number above 0", "inf"),
        ((1, 1, -0.1), "the relative background uncertainty", "a finite number, 0 or above",
         "-0.1"),
    ],
)  # fmt: skip
def test_experiments_that_are_none(message, numbers, name, kind, found):
    assert message(InputError, Experiment, *numbers) == [
        f"{name} is not a valid number.",
        f"  expected: {kind}",
        f"  found:    {found}",
        "  cause:    a cross section or a luminosity of the wrong sign, or a division by zero",
        "  do:       give expected events for signal and background, and 0.1 for 10 %",
    ]


def test_a_negative_background_uncertainty(message):
    assert message(InputError, asimov_significance, 1, 1, [0.1, -0.2]) == [
        "the background uncertainty is negative.",
        "  expected: σ_b of 0 or more, in events",
        "  found:    -0.2",
        "  cause:    a downward variation with its sign",
        "  do:       give its size",
    ]


def test_one_over_one():
    """Z² = 2 (2 ln 2 − 1)."""
    assert asimov_significance(1, 1).item() ** 2 == pytest.approx(4 * np.log(2) - 2, rel=1e-14)
