"""Intervals of 68.27 % hold the truth in 68 % of toy experiments, merit by merit."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from steepest import evaluate
from steepest.evaluate import ONE_SIGMA, Experiment

EXPERIMENT = Experiment(50, 1_000, 0.05)


def unit(random, size):
    return None


def spread(random, size):
    return random.lognormal(0, 0.7, size)


def negative(random, size):
    return np.where(random.random(size) < 0.1, -1.0, 1.0)


WEIGHTS = {"unit": unit, "spread": spread, "negative": negative}


def classified(random, events, weights, share=0.5, distance=1.5):
    """Gaussian scores of two classes, calibrated, and what is true of them."""
    labels = (random.random(events) < share).astype(float)
    z = random.normal(distance * labels, 1)
    logits = distance * z - distance**2 / 2 + math.log(share / (1 - share))
    return labels, 1 / (1 + np.exp(-logits)), weights(random, events)


def binary(random, events, weights):
    labels, scores, w = classified(random, events, weights)
    merits = evaluate.binary_merits(labels, scores, w)
    cut = 1 / (1 + math.exp(-(1.5 * 1.0 - 1.5**2 / 2)))
    merits["significance"] = evaluate.significance_at(labels, scores, cut, EXPERIMENT, w)
    curve = evaluate.calibration_curve(labels, scores, w)
    merits["calibration_error"] = evaluate.calibration_error(curve)
    return merits


def binary_truth():
    grid = np.linspace(-8, 10, 200_001)
    logits = 1.5 * grid - 1.5**2 / 2
    density = (norm.pdf(grid, 1.5) / 2, norm.pdf(grid) / 2)
    entropy = density[0] * np.log1p(np.exp(-logits)) + density[1] * np.log1p(np.exp(logits))
    right = np.where(logits >= 0, *density)
    return {
        "auc": norm.cdf(1.5 / math.sqrt(2)),
        "accuracy": np.trapezoid(right, grid),
        "binary_cross_entropy": np.trapezoid(entropy, grid),
        "significance": float(EXPERIMENT.significance(norm.sf(-0.5), norm.sf(1.0))),
        "calibration_error": 0.0,
        **{
            f"background_rejection_at_{e:g}": 1 / norm.sf(1.5 + norm.isf(e))
            for e in (0.3, 0.5, 0.7, 0.9)
        },
    }


def regression(random, events, weights):
    truth = random.normal(0, 2, events)
    residual = 0.5 + random.standard_t(8, events)
    return evaluate.regression_merits(truth, truth + residual, weights(random, events))


def regression_truth():
    square = 8 / 6
    return {
        "bias": 0.5,
        "resolution": math.sqrt(square),
        "robust_resolution": float(t.ppf(norm.cdf(1), 8)),
        "mean_squared_error": 0.25 + square,
        "r_squared": 1 - (0.25 + square) / 4,
    }


def pulls(random, events, weights):
    """Pulls with the resolution of other events, as many, in two bins."""
    edges = np.linspace(0, 1, 3)
    place, other = random.random((2, events))
    residual, w = random.normal(0, 1 + place), weights(random, events)
    measured = evaluate.regression_in_bins(
        np.zeros(events), random.normal(0, 1 + other), other, edges, weights(random, events)
    ).merits["resolution"]
    sigma = np.array([merit.value for merit in measured])
    errors = np.array([merit.uncertainty for merit in measured]) / sigma
    group = evaluate.place_in_bins(place, edges)
    values = evaluate.pulls(np.zeros(events), residual, sigma[group])
    return evaluate.pull_merits(values, w, shared=(group, errors))


def difference(random, events, weights):
    labels, scores, w = classified(random, events, weights)
    worse = random.normal(np.log(scores / (1 - scores)), 1)
    return {"auc_difference": evaluate.auc_difference(labels, scores, worse, w)}


TABLE = {
    "binary": (binary, binary_truth()),
    "regression": (regression, regression_truth()),
    "pulls": (pulls, {"pull_mean": 0.0, "pull_width": 1.0}),
    "difference": (
        difference,
        {"auc_difference": norm.cdf(1.5 / math.sqrt(2)) - norm.cdf(1.5**2 / math.sqrt(2 * 3.25))},
    ),
}


def coverage(kind, weights, events, toys, seed=1):
    """Return the share of toys whose interval holds the truth, by merit."""
    random = np.random.default_rng(seed)
    measure, truth = TABLE[kind]
    # where less than five background events pass the interval is wider: it is a limit for none
    truth = {
        name: value
        for name, value in truth.items()
        if not name.startswith("background") or events / (2 * value) >= 5
    }
    hits = dict.fromkeys(truth, 0)
    for _ in range(toys):
        merits = measure(random, events, WEIGHTS[weights])
        for name, value in truth.items():
            hits[name] += merits[name].low <= value <= merits[name].high
    return {name: hit / toys for name, hit in hits.items()}


@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_intervals_cover_in_a_few_toys(kind, weights):
    toys = 100
    # four standard deviations of a share of so many toys
    room = 4 * math.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / toys)
    for name, share in coverage(kind, weights, 600, toys).items():
        assert abs(share - ONE_SIGMA) < room, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("events", [200, 2_000])
def test_intervals_cover(kind, weights, events):
    toys = 4_000 if events < 2_000 else 2_000
    measured = coverage(kind, weights, events, toys)
    # 2 % besides three standard deviations of the toys; for few events of unequal weights 4 %
    few = 0.04 if events < 2_000 else 0.02
    room = few + 3 * math.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / toys)
    assert {n: c for n, c in measured.items() if abs(c - ONE_SIGMA) > room} == {}, measured
