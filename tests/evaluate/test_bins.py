"""Figures of merit in bins, and pulls."""

import json

import numpy as np
import pytest
from scipy.stats import beta, norm

from steepest.errors import EventsError, InputError
from steepest.evaluate import (
    ONE_SIGMA,
    BinnedMerits,
    class_efficiency_in_bins,
    cut_at,
    efficiency_in_bins,
    place_in_bins,
    pull_merits,
    pulls,
    regression_in_bins,
    regression_merits,
    roc_curve,
    weighted_efficiency,
)

EDGES = [500.0, 550.0, 600.0, 700.0]


@pytest.fixture
def binned_toy(toy):
    labels, scores, weights = toy(size=3000, negative=0.05)
    pt = np.random.default_rng(7).uniform(450, 750, 3000)
    return labels, scores, weights, pt


def test_places_are_those_of_numpy():
    values = np.random.default_rng(0).uniform(450, 750, 1000)
    values[:4] = EDGES
    counts, _ = np.histogram(values, EDGES)
    place = place_in_bins(values, EDGES)
    assert np.bincount(place[place >= 0]).tolist() == counts.tolist()
    assert (place < 0).sum() == 1000 - counts.sum()


def test_efficiencies_are_those_of_each_bin_alone(binned_toy):
    labels, scores, weights, pt = binned_toy
    binned = efficiency_in_bins(labels, scores, pt, EDGES, 0.6, weights, "pt")
    assert binned.outside == ((pt < 500) | (pt > 700)).sum()
    for name, of in (("signal", labels == 1), ("background", labels == 0)):
        for index, merit in enumerate(binned.merits[f"{name}_efficiency"]):
            inside = of & (pt >= EDGES[index]) & (pt < EDGES[index + 1])
            expected = weighted_efficiency(scores[inside] >= 0.6, weights[inside])
            assert (merit.value, merit.low, merit.high) == (
                expected.value, expected.low, expected.high,
            )  # fmt: skip
            assert merit.counts["passed"] == (scores[inside] >= 0.6).sum()
            assert merit.counts["events"] == inside.sum()
            assert merit.level == ONE_SIGMA
            assert f"share of {name} events of the bin with score >= 0.6" in merit.definition


def test_the_working_point_is_reached_over_all_bins(binned_toy):
    labels, scores, weights, pt = binned_toy
    cut = cut_at(roc_curve(labels, scores, weights), 0.5)
    merit = efficiency_in_bins(labels, scores, pt, [0, 1000], cut, weights).merits[
        "signal_efficiency"
    ][0]
    assert 0.5 <= merit.value < 0.55


def test_without_weights_the_interval_is_that_of_jeffreys():
    binned = efficiency_in_bins([1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1] * 5, [0, 2], 0.5)
    low, high = beta.ppf(norm.cdf([-1, 1]), 3.5, 1.5)
    merit = binned.merits["signal_efficiency"][0]
    assert (merit.low, merit.high) == (pytest.approx(low), pytest.approx(high))
    assert merit.rests_on == "3 of 4"


def test_empty_bins_say_why(binned_toy):
    labels, scores = [1, 0, 0, 0], [0.9, 0.2, 0.3, 0.4]
    binned = efficiency_in_bins(labels, scores, [1, 3, 5, 5], [0, 2, 4, 6], 0.5, [1, 2, 1, -1])
    signal, background = binned.merits.values()
    assert [merit.reason for merit in signal] == [
        None, "no signal events in this bin", "no signal events in this bin",
    ]  # fmt: skip
    assert [merit.reason for merit in background] == [
        "no background events in this bin",
        None,
        "the weights of the background events in this bin have no positive sum",
    ]
    assert background[2].counts["events"] == 2
    residual = regression_in_bins([1, 2], [1, 2], [0.5, 0.6], [0, 1, 2])
    assert residual.merits["bias"][1].reason == "no events in this bin"


def test_classes_in_bins():
    random = np.random.default_rng(1)
    labels, probabilities = random.integers(0, 3, 900), random.dirichlet([1, 1, 1], 900)
    pt, weights = random.uniform(500, 700, 900), random.lognormal(0, 0.5, 900)
    binned = class_efficiency_in_bins(
        labels, probabilities, pt, EDGES, weights, ["qcd", "top", "w"], "pt"
    )
    assert list(binned.merits) == ["efficiency_qcd", "efficiency_top", "efficiency_w"]
    inside = (labels == 1) & (pt >= 550) & (pt < 600)
    right = probabilities[inside].argmax(axis=1) == 1
    merit = binned.merits["efficiency_top"][1]
    assert merit.value == weighted_efficiency(right, weights[inside]).value
    assert merit.name == "efficiency_top"


@pytest.fixture
def regression():
    random = np.random.default_rng(2)
    truth = random.uniform(500, 700, 4000)
    sigma = 5 + (truth - 500) / 20
    prediction = truth + 2 + sigma * random.normal(size=4000)
    weights = random.lognormal(0, 0.3, 4000) * np.where(random.random(4000) < 0.05, -1, 1)
    return truth, prediction, weights, sigma


def test_regression_in_bins_is_that_of_each_bin_alone(regression):
    truth, prediction, weights, _ = regression
    binned = regression_in_bins(truth, prediction, truth, EDGES, weights, "pt")
    for index in range(3):
        inside = (truth >= EDGES[index]) & (truth < EDGES[index + 1])
        expected = regression_merits(truth[inside], prediction[inside], weights[inside])
        for name in ("bias", "resolution", "robust_resolution"):
            assert binned.merits[name][index] == expected[name]


def test_json_and_back(regression):
    truth, prediction, weights, _ = regression
    binned = regression_in_bins(truth, prediction, truth, [*EDGES, 800], weights, "pt")
    entry = binned.to_json()
    json.dumps(entry, allow_nan=False)
    again = BinnedMerits.from_json(entry)
    assert again.to_json() == entry
    assert again.merits["bias"][0] == binned.merits["bias"][0]


def test_edges_that_do_not_rise(message):
    for edges in ([1.0], [1.0, 1.0], [2.0, 1.0], [[1.0, 2.0]], [0.0, np.nan]):
        assert message(InputError, place_in_bins, [1.0], edges) == [
            "the edges of the bins are not increasing.",
            "  expected: two or more finite, increasing numbers",
            f"  found:    {edges}",
            "  cause:    a repeated edge, or edges from high to low",
            "  do:       sort the edges and remove duplicates",
        ]


def test_values_of_other_events(message):
    said = message(EventsError, efficiency_in_bins, [0, 1], [0.1, 0.9], [1.0], [0, 2], 0.5)
    assert said[0] == "scores and values have different lengths."
    said = message(EventsError, regression_in_bins, [0, 1], [0.1, 0.9], [1.0, np.nan], [0, 2])
    assert said[0] == "values are not finite: row 1."


# --- pulls --------------------------------------------------------------------------------------


def test_pulls_with_the_right_uncertainty_have_width_one(regression):
    truth, prediction, weights, sigma = regression
    values = pulls(truth, prediction - 2, sigma)
    merits = pull_merits(values, weights)
    assert merits["pull_mean"].value == pytest.approx(0, abs=3 * merits["pull_mean"].uncertainty)
    assert merits["pull_width"].value == pytest.approx(1, abs=3 * merits["pull_width"].uncertainty)
    reference = regression_merits(np.zeros(4000), values, weights)
    assert merits["pull_width"].uncertainty == reference["resolution"].uncertainty
    assert merits["pull_width"].counts["events"] == 4000


def test_pull_intervals_cover():
    random = np.random.default_rng(3)
    covered = [
        [m.low <= true <= m.high for m, true in zip(pull_merits(x).values(), (0, 1), strict=True)]
        for x in random.normal(size=(400, 200))
    ]
    mean, width = np.mean(covered, axis=0)
    assert 0.6 < mean < 0.76
    assert 0.6 < width < 0.76


def test_a_single_pull_has_no_width():
    merits = pull_merits([0.5])
    assert merits["pull_mean"].reason == "the uncertainty needs more than one effective event"
    assert merits["pull_width"].reason is not None


def test_uncertainties_that_are_none(message):
    assert message(EventsError, pulls, [1, 2], [1, 2], [1, 0]) == [
        "uncertainties are not above 0: row 1.",
        "  expected: a positive number for each event",
        "  found:    0 in row 1",
        "  cause:    a bin in which all predictions are exact, or a negative uncertainty",
        "  do:       leave these events out, or widen the bin",
    ]
    assert message(EventsError, pulls, [1, 2], [1, 2], [1])[0] == (
        "truth and uncertainties have different lengths."
    )
