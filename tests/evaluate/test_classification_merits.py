import json

import numpy as np
import pytest
from scipy.stats import beta, norm
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.metrics import confusion_matrix as reference_matrix

from steepest.evaluate import auc, binary_merits, confusion_matrix, multiclass_merits

TAILS = norm.cdf([-1, 1])


@pytest.fixture
def classes():
    random = np.random.default_rng(8)
    labels = random.integers(0, 3, 1500)
    logits = random.normal(size=(1500, 3))
    logits[np.arange(1500), labels] += 1.2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities, random.lognormal(0, 0.5, 1500)


@pytest.mark.parametrize("weighted", [False, True])
def test_binary_values_are_those_of_scikit_learn(toy, weighted):
    labels, scores, weights = toy(rounded=False)
    chosen = weights if weighted else None
    merits = binary_merits(labels, scores, chosen)
    assert list(merits) == [
        "auc",
        "accuracy",
        "background_rejection_at_0.3",
        "background_rejection_at_0.5",
        "background_rejection_at_0.7",
        "background_rejection_at_0.9",
        "binary_cross_entropy",
    ]
    expected = {
        "auc": roc_auc_score(labels, scores, sample_weight=chosen),
        "accuracy": accuracy_score(labels, scores >= 0.5, sample_weight=chosen),
        "binary_cross_entropy": log_loss(labels, scores, sample_weight=chosen),
    }
    for name, value in expected.items():
        assert merits[name].value == pytest.approx(value, rel=1e-10)


def test_every_merit_carries_its_interval_counts_and_definition(toy):
    for merit in binary_merits(*toy(negative=0.05)).values():
        assert merit.low < merit.value < merit.high
        assert merit.uncertainty > 0
        assert merit.counts
        assert merit.definition
        json.dumps(merit.to_json(), allow_nan=False)


def test_accuracy_has_the_jeffreys_interval():
    merit = binary_merits([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.8])["accuracy"]
    low, high = beta.ppf(TAILS, 3.5, 1.5)
    assert (merit.low, merit.high) == (pytest.approx(low), pytest.approx(high))
    assert merit.counts == {"right": 3, "events": 4, "events_effective": 4.0}


def test_probabilities_of_zero_are_clipped_and_counted():
    scores = np.array([0.0, 1.0, 1.0, 0.5], dtype=np.float32)
    merit = binary_merits([0, 0, 1, 1], scores)["binary_cross_entropy"]
    assert merit.counts["clipped"] == 1
    smallest = np.finfo(np.float32).eps
    assert merit.value == pytest.approx((-np.log(smallest) + np.log(2)) / 4)
    assert "probabilities not below 1.19e-07" in merit.definition


def test_single_events_leave_uncertainties_undefined_with_a_reason():
    merits = binary_merits([0, 1, 0], [0.2, 0.8, 0.7], [1.0, 1.0, -0.5])
    assert merits["binary_cross_entropy"].reason == (
        "the uncertainty needs more than one effective event"
    )
    assert merits["auc"].reason == "the uncertainty needs more than one effective signal event"


@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_values_are_those_of_scikit_learn(classes, weighted):
    labels, probabilities, weights = classes
    chosen = weights if weighted else None
    merits = multiclass_merits(labels, probabilities, chosen, ["qcd", "top", "w"])
    called = probabilities.argmax(axis=1)
    assert merits["accuracy"].value == pytest.approx(
        accuracy_score(labels, called, sample_weight=chosen)
    )
    assert merits["cross_entropy"].value == pytest.approx(
        log_loss(labels, probabilities, sample_weight=chosen)
    )
    each = [roc_auc_score(labels == k, probabilities[:, k], sample_weight=chosen) for k in range(3)]
    for value, name in zip(each, ("qcd", "top", "w"), strict=True):
        assert merits[f"auc_{name}"].value == pytest.approx(value)
    assert merits["auc_macro"].value == pytest.approx(np.mean(each))


def test_macro_uncertainty_is_that_of_the_bootstrap(classes):
    labels, probabilities, weights = classes
    random = np.random.default_rng(9)
    replicas = []
    for _ in range(200):
        i = random.integers(0, labels.size, labels.size)
        values = [auc(labels[i] == k, probabilities[i, k], weights[i]).value for k in range(3)]
        replicas.append(np.mean(values))
    merit = multiclass_merits(labels, probabilities, weights)["auc_macro"]
    assert merit.uncertainty == pytest.approx(np.std(replicas), rel=0.12)


def test_two_classes_by_softmax_are_the_binary_merits(toy):
    labels, scores, weights = toy(rounded=False)
    binary = binary_merits(labels, scores, weights)
    several = multiclass_merits(labels, np.column_stack([1 - scores, scores]), weights)
    assert several["auc_macro"].value == pytest.approx(binary["auc"].value)
    assert several["auc_macro"].uncertainty == pytest.approx(binary["auc"].uncertainty)
    assert several["accuracy"].value == pytest.approx(binary["accuracy"].value)
    assert several["cross_entropy"].value == pytest.approx(binary["binary_cross_entropy"].value)


def test_a_class_without_events_is_undefined_with_a_reason(classes):
    labels, probabilities, _ = classes
    kept = labels != 2
    merits = multiclass_merits(labels[kept], probabilities[kept])
    assert merits["auc_2"].to_json()["reason"] == "no events of class 2"
    assert merits["auc_macro"].to_json()["reason"] == "no events of class 2"
    assert merits["auc_0"].reason is None
    matrix = confusion_matrix(labels[kept], probabilities[kept]).to_json()
    assert matrix["fractions"][2] == matrix["low"][2] == [None, None, None]
    json.dumps(matrix, allow_nan=False)


def test_macro_of_a_single_event_in_a_class_has_no_uncertainty():
    rows = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.2, 0.3]]
    merit = multiclass_merits([0, 1, 2], rows)["auc_macro"]
    assert merit.reason == "the uncertainty needs more than one effective event in each class"


@pytest.mark.parametrize("weighted", [False, True])
def test_confusion_matrix_is_that_of_scikit_learn(classes, weighted):
    labels, probabilities, weights = classes
    chosen = weights if weighted else None
    called = probabilities.argmax(axis=1)
    matrix = confusion_matrix(labels, probabilities, chosen)
    np.testing.assert_array_equal(matrix.counts, reference_matrix(labels, called))
    np.testing.assert_allclose(
        matrix.sums, reference_matrix(labels, called, sample_weight=chosen), rtol=1e-12
    )
    np.testing.assert_allclose(
        matrix.fractions,
        reference_matrix(labels, called, sample_weight=chosen, normalize="true"),
    )
    assert (matrix.low < matrix.fractions).all()
    assert (matrix.fractions < matrix.high).all()


def test_confusion_intervals_are_jeffreys(classes):
    labels, probabilities, _ = classes
    matrix = confusion_matrix(labels, probabilities)
    total = matrix.counts.sum(axis=1, keepdims=True)
    low, high = (beta.ppf(q, matrix.counts + 0.5, total - matrix.counts + 0.5) for q in TAILS)
    np.testing.assert_allclose(matrix.low, low)
    np.testing.assert_allclose(matrix.high, high)


def test_large_samples_are_quick():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200_000)
    binary_merits(labels, random.random(200_000), random.lognormal(size=200_000))
