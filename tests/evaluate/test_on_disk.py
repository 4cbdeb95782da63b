"""Figures of merit of events on disk are those of the same events in memory, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from steepest import evaluate, storage
from steepest.errors import EventsError
from steepest.evaluate import columns, figures
from steepest.evaluate.columns import (
    back_in_order,
    first_reaching,
    joined,
    running,
    sorted_together,
)
from steepest.storage import DiskArray, in_memory
from steepest.storage import total as summed

EVENTS = 3_000


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks and runs so small that a few thousand events have many, cut many times."""
    monkeypatch.setattr(storage, "BLOCK", 257)
    monkeypatch.setattr(columns, "RUN", 100)


@pytest.fixture
def on_disk(tmp_path):
    """Move an array to disk; None stays None."""

    def move(array):
        if array is None:
            return None
        disk = DiskArray(tmp_path, array.dtype, array.shape[1:])
        disk.append(array)
        return disk

    return move


def weights_of(kind: str):
    rng = np.random.default_rng(7)
    return {
        "none": None,
        "weighted": rng.uniform(0.1, 3, EVENTS),
        "negative": rng.choice([1.0, 2.0, -0.3], EVENTS),
    }[kind]


def scores_of(kind: str):
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 2, EVENTS)
    scores = 1 / (1 + np.exp(-rng.normal(size=EVENTS) - labels))
    scores = {
        "distinct": scores,
        "float32": scores.astype(np.float32),
        "tied": np.round(scores, 1),
        "equal": np.full(EVENTS, 0.25),
        "separate": labels * 0.5 + scores / 3,
    }[kind]
    return labels, scores


def same(one, other) -> None:
    """Compare dataclasses, dicts, arrays and numbers, bit for bit; NaN is NaN."""
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            same(first, second)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.tobytes() == in_memory(other).tobytes()
    elif isinstance(one, float) and np.isnan(one):
        assert np.isnan(other)
    else:
        assert one == other


WEIGHTS = ("none", "weighted", "negative")
SCORES = ("distinct", "float32", "tied", "equal", "separate")
EXPERIMENT = evaluate.Experiment(100, 1_000, 0.1)


@pytest.mark.parametrize("weighting", WEIGHTS)
@pytest.mark.parametrize("kind", SCORES)
def test_two_classes(on_disk, kind, weighting):
    labels, scores = scores_of(kind)
    second, weights = np.sqrt(scores_of("distinct")[1]), weights_of(weighting)
    column = np.random.default_rng(2).normal(size=EVENTS)

    def everything(place):
        y, s, w, other = place(labels), place(scores), place(weights), place(second)
        roc, area = evaluate.roc_curve(y, s, w), evaluate.auc(y, s, w)
        curve = evaluate.calibration_curve(y, s, w)
        scan = evaluate.significance_scan(roc, EXPERIMENT)
        cut = evaluate.significance_at(y, s, 0.4, EXPERIMENT, w)
        return [
            evaluate.binary_merits(y, s, w),
            evaluate.auc_difference(y, s, other, w),
            [roc, evaluate.cut_at(roc, 0.35), evaluate.best_cut(scan), scan, cut],
            [curve, evaluate.calibration_error(curve)],
            evaluate.efficiency_in_bins(y, s, place(column), [-1, 0, 0.5, 1], 0.5, w),
            figures.rejection_curve(roc, "model", area, minimum_background=3, points=50),
            figures.significance_curve(roc, evaluate.roc_curve(y, other, w), EXPERIMENT, cut),
            figures.significance_curve(roc, None, EXPERIMENT, cut, points=20),
            figures.score_histograms(y, s, y, other, w, w),
        ]

    same(everything(lambda array: array), everything(on_disk))


@pytest.mark.parametrize("weighting", WEIGHTS)
@pytest.mark.parametrize("decimals", [1, 12])
def test_several_classes(on_disk, weighting, decimals):
    rng = np.random.default_rng(4)
    labels, weights = rng.integers(0, 3, EVENTS), weights_of(weighting)
    raw = np.exp(rng.normal(size=(EVENTS, 3)) + np.eye(3)[labels])
    probabilities = np.round(raw / raw.sum(axis=1, keepdims=True), decimals)
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    probabilities = np.clip(probabilities, 0, 1)
    column = rng.normal(size=EVENTS)

    def everything(place):
        y, p, w = place(labels), place(probabilities), place(weights)
        outcomes, confidence = evaluate.confidence_of(y, p, w)
        return [
            evaluate.multiclass_merits(y, p, w),
            evaluate.roc_curves_by_class(y, p, w),
            evaluate.confusion_matrix(y, p, w),
            evaluate.calibration_curve(outcomes, confidence, w),
            [evaluate.calibration_curve(*evaluate.one_class(y, p, k), w) for k in range(3)],
            evaluate.class_efficiency_in_bins(y, p, place(column), [-1, 0, 1], w),
        ]

    same(everything(lambda array: array), everything(on_disk))


@pytest.mark.parametrize("weighting", WEIGHTS)
@pytest.mark.parametrize("counts", [False, True])
def test_regression(on_disk, weighting, counts):
    rng = np.random.default_rng(5)
    truth, weights = rng.normal(50, 10, EVENTS), weights_of(weighting)
    truth = np.round(truth) if counts else truth
    predicted = truth + (rng.integers(-2, 3, EVENTS) if counts else rng.normal(1, 3, EVENTS))
    column, sigma = rng.normal(size=EVENTS), rng.uniform(1, 3, EVENTS)

    def everything(place):
        y, p, w = place(truth), place(predicted), place(weights)
        merits = evaluate.regression_merits(y, p, w)
        pulls = evaluate.pulls(y, p, place(sigma))
        return [
            merits,
            evaluate.regression_in_bins(y, p, place(column), [-1, 0, 1, 9], w),
            evaluate.pull_merits(pulls, w),
            figures.pull_histogram(pulls, w),
            figures.residual_histograms(y, p, w, merits),
            evaluate.kolmogorov_test(y, p, w, w),
        ]

    same(everything(lambda array: array), everything(on_disk))


@pytest.mark.parametrize("events", [1, 99, 100, 101, 1_750])
@pytest.mark.parametrize("levels", [1, 3, 10**9])
def test_sorting_on_disk_keeps_the_order_of_equal_keys(on_disk, events, levels):
    keys = np.random.default_rng(events).integers(0, levels, events) / 7
    rows = np.arange(events)
    wide = np.column_stack([rows, -rows])
    order = np.argsort(keys, kind="stable")
    key, *beside = sorted_together(on_disk(keys), rows, on_disk(wide))
    same(keys[order], key)
    same([rows[order], wide[order]], beside)
    same(keys, back_in_order(beside[0], key))


def test_columns(on_disk):
    rng = np.random.default_rng(0)
    x = rng.normal(size=1_000)
    same(np.cumsum(x), running(on_disk(x), from_zero=False))
    same(np.concatenate([x, x]), joined(x, on_disk(x)))
    assert summed(on_disk(x)) == summed(x) == pytest.approx(x.sum())
    wanted = np.array([2.0, -5.0, 99.0, 0.0])
    expected = np.searchsorted(np.maximum.accumulate(x), wanted)
    for column in (x, on_disk(x)):
        assert np.array_equal(first_reaching(column, wanted), np.minimum(expected, 999))


def test_bad_events_on_disk_are_named(on_disk):
    scores = np.linspace(0, 1, 1_000)
    scores[[700, 800]] = np.nan
    with pytest.raises(EventsError) as error:
        evaluate.auc(on_disk(np.arange(1_000) % 2), on_disk(scores))
    assert str(error.value) == (
        "scores are not finite: row 700.\n"
        "  expected: finite numbers\n"
        "  found:    nan in row 700; 2 of 1000 rows are not finite\n"
        "  cause:    a model that diverged, or a feature that was not finite\n"
        "  do:       look at that event's features and at the loss of the last steps"
    )
    labels = np.arange(1_000) % 2
    labels[600] = 3
    with pytest.raises(EventsError) as error:
        evaluate.auc(on_disk(labels), on_disk(np.linspace(0, 1, 1_000)))
    assert str(error.value).startswith("labels are not 0 or 1: row 600.\n")
