"""Figures of merit of rows that come in clusters: their intervals take the clusters as the unit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from steepest import evaluate
from steepest.errors import EventsError
from steepest.evaluate import Merit, clustered_merits, kolmogorov_test
from steepest.evaluate.figures.histogram import histogram
from steepest.events import EVENT_ROW, Sample
from steepest.training.clustered import confusion_of
from steepest.training.scored import Scored


def toy(random: np.random.Generator, events: int) -> tuple[np.ndarray, ...]:
    """Events of 1 to 8 jets of one class; the scores of an event share half of their variance."""
    jets = random.integers(1, 9, events)
    event = np.repeat(np.arange(events), jets)
    labels = np.repeat(random.integers(0, 2, events), jets)
    common = np.repeat(random.normal(0, np.sqrt(0.5), events), jets)
    scores = labels + common + random.normal(0, np.sqrt(0.5), len(event))
    return labels, scores, event


def measured(labels: np.ndarray, scores: np.ndarray, *efficiencies: float) -> dict[str, Merit]:
    probabilities = norm.cdf(scores)
    return evaluate.binary_merits(labels, probabilities, efficiencies=efficiencies)


def of_events(
    labels: np.ndarray, scores: np.ndarray, event: np.ndarray, *efficiencies: float
) -> dict[str, Merit]:
    merits = measured(labels, scores, *efficiencies)
    return clustered_merits(
        merits, event, lambda kept: measured(labels[kept], scores[kept], *efficiencies)
    )


def spread(
    toys: int, events: int, *efficiencies: float
) -> tuple[dict[str, dict[str, float]], dict[str, np.ndarray]]:
    """For each merit: its scatter over toys, σ of events and of rows; all values and intervals."""
    random = np.random.default_rng(8)
    both = []
    for _ in range(toys):
        labels, scores, event = toy(random, events)
        of_rows = measured(labels, scores, *efficiencies)
        both.append((of_rows, of_events(labels, scores, event, *efficiencies)))
    found, numbers = {}, {}
    for name in both[0][0]:
        numbers[name] = np.array(
            [
                (r.value, r.low, r.high, e.low, e.high)
                for r, e in ((r[name], e[name]) for r, e in both)
            ]
        )
        found[name] = {
            "scatter": float(np.std(numbers[name][:, 0], ddof=1)),
            "rows": float(np.sqrt(np.mean([r[name].uncertainty ** 2 for r, _ in both]))),
            "events": float(np.sqrt(np.mean([e[name].uncertainty ** 2 for _, e in both]))),
        }
    return found, numbers


def test_sigma_is_the_scatter_of_toys() -> None:
    found, _ = spread(50, 100)
    for name in ("auc", "accuracy", "binary_cross_entropy"):
        assert found[name]["events"] == pytest.approx(found[name]["scatter"], rel=0.25)
        assert found[name]["rows"] < 0.75 * found[name]["scatter"]


@pytest.mark.slow
def test_intervals_hold_the_truth() -> None:
    """Of all merits of two classes; σ of rows alone would hold it in half of the toys."""
    truth = norm.cdf(1 / np.sqrt(2))
    _, numbers = spread(600, 300, 0.5)
    values = numbers["auc"]
    covered = np.mean((values[:, 3] <= truth) & (truth <= values[:, 4]))
    of_rows = np.mean((values[:, 1] <= truth) & (truth <= values[:, 2]))
    assert covered == pytest.approx(0.68, abs=0.05)
    assert of_rows < 0.55
    for name, values in numbers.items():
        centre = np.median(values[:, 0])
        inside = np.mean((values[:, 3] <= centre) & (centre <= values[:, 4]))
        assert inside == pytest.approx(0.68, abs=0.07), name


def test_errors_and_p_values_of_histograms_are_those_of_events() -> None:
    """The scatter of toys, and p below 0.1 in a tenth of them."""
    random, edges = np.random.default_rng(2), np.linspace(-3, 4, 8)
    contents, errors, p_values, of_rows = [], [], [], []
    for _ in range(200):
        _, scores, event = toy(random, random.poisson(200))
        _, others, of_others = toy(random, 200)
        ones = np.ones(len(scores))
        one = histogram(scores, ones, edges, "x", normalised=False, event=event)
        contents.append(one.contents)
        errors.append(one.errors)
        given = {"first_event": event, "second_event": of_others}
        p_values.append(kolmogorov_test(scores, others, **given).p_value)
        of_rows.append(kolmogorov_test(scores, others).p_value)
    scatter, sigma = np.std(contents, axis=0, ddof=1), np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(sigma[1:-1], scatter[1:-1], rtol=0.2)
    assert (sigma[2:5] > 1.2 * np.sqrt(np.mean(contents, axis=0))[2:5]).all()
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(np.array(of_rows) < 0.1) > 0.25


def test_the_fractions_of_a_confusion_matrix_are_those_of_events() -> None:
    """An event five times is no more than one; a class without events stays empty."""
    random = np.random.default_rng(3)
    labels, predicted = random.integers(0, 2, 300), random.dirichlet([1, 1, 1], 300)
    model: Any = SimpleNamespace(task="multiclass", classes=("a", "b", "c"), heads=())
    event = {EVENT_ROW: np.repeat(np.arange(300.0), 5)}
    events = Sample(np.zeros((1500, 1)), np.repeat(labels, 5), extra=event, classes=model.classes)
    repeated = Scored(model, events, np.repeat(predicted, 5, axis=0))
    one = evaluate.confusion_matrix(labels, predicted, class_names="abc")
    five = confusion_of(repeated)
    assert np.isnan(five.low[2]).all()
    np.testing.assert_allclose(five.fractions, one.fractions)
    widths = [(m.high - m.low)[:2] for m in (five, one)]
    np.testing.assert_allclose(widths[0], widths[1], rtol=0.45)
    assert (widths[0] > 1.5 * widths[1] / np.sqrt(5)).all()


def test_rows_of_their_own_keep_their_uncertainty() -> None:
    random = np.random.default_rng(2)
    ratios = []
    for _ in range(10):
        labels = random.integers(0, 2, 800)
        scores = labels + random.normal(size=800)
        rows, events = measured(labels, scores), of_events(labels, scores, np.arange(800))
        ratios.append(events["auc"].uncertainty / rows["auc"].uncertainty)
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_rows_repeated_k_times_have_the_uncertainty_of_one() -> None:
    labels, scores, _ = toy(np.random.default_rng(3), 300)
    once = of_events(labels, scores, np.arange(len(labels)))
    four = [np.repeat(column, 4) for column in (labels, scores, np.arange(len(labels)))]
    repeated = of_events(*four)
    for name in ("auc", "accuracy", "binary_cross_entropy"):
        assert repeated[name].uncertainty == pytest.approx(once[name].uncertainty, rel=1e-9)
        assert repeated[name].value == pytest.approx(once[name].value, rel=1e-12)


def test_shares_stay_between_0_and_1_and_rejections_above_0() -> None:
    labels, scores, event = toy(np.random.default_rng(4), 40)
    for merit in of_events(labels, 4 * scores, event).values():
        assert merit.low >= 0
        if merit.name in ("auc", "accuracy"):
            assert merit.high <= 1
        assert "jackknife of" in merit.definition or "rows count as independent" in merit.definition


def test_a_value_without_uncertainty_keeps_its_interval() -> None:
    labels, event = np.arange(100) % 2, np.arange(100) // 4
    rows = measured(labels, labels * 4.0 - 2)["auc"]
    found = of_events(labels, labels * 4.0 - 2, event)["auc"]
    assert (found.low, found.high) == (rows.low, rows.high)
    assert found.definition.endswith("rows count as independent")


def test_one_event_has_no_uncertainty() -> None:
    with pytest.raises(EventsError, match="All rows are of one event"):
        of_events(np.array([0, 1, 1]), np.array([0.1, 0.3, 0.2]), np.zeros(3, dtype=int))
