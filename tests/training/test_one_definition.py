"""A figure of merit is one number: in the report, in the history, and of an estimator."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score

import steepest
from steepest import Classifier, Regressor, evaluate
from steepest.training import TrainingCallback
from steepest.training.inputs import read

NAMES = ["a", "b", "c"]
DESCENT = {"epochs": 4, "batch_size": 20, "optimizer": "adam", "learning_rate": 0.01,
           "schedule": "constant", "l2": 0.1, "dtype": "float64"}  # fmt: skip
LOSSES = {
    "binary-cross-entropy": "auc",
    "cross-entropy": "accuracy",
    "mean-squared-error": "r_squared",
}
ENTROPIES = {"binary-cross-entropy": "binary_cross_entropy", "cross-entropy": "cross_entropy"}


@pytest.fixture(params=LOSSES)
def loss(request):
    return request.param


@pytest.fixture
def run(tmp_path, loss):
    """A run without a test part: the report is about the validation part."""
    random = np.random.default_rng(0)
    x = random.normal(size=(600, 3))
    weights = random.lognormal(0, 0.5, 600) * np.where(np.arange(600) % 15, 1, -1)
    y = x[:, 0] * x[:, 1] + x[:, 2] + random.normal(size=600)
    labels = {
        "binary-cross-entropy": (y > 0).astype(int),
        "cross-entropy": np.digitize(y, [-0.7, 0.7]),
        "mean-squared-error": 1e3 * y + 500,
    }
    columns = dict(zip(NAMES, x.T, strict=True)) | {"y": labels[loss], "w": weights}
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    events = {
        "path": str(tmp_path / "events.parquet"), "label": "y", "features": NAMES, "weight": "w",
        "train_weights": "as-given", "split": {"validation": 0.3, "test": 0.0},
    }  # fmt: skip
    recipe = {
        "events": events,
        "model": {"hidden": [5]},
        "descent": {**DESCENT, "loss": loss, "keep": "last"},
    }
    return steepest.train(recipe, out=tmp_path / "run", progress=False)


def columns(part):
    return np.asarray(part.features[:]), np.asarray(part.labels[:]), np.asarray(part.weights[:])


def test_report_history_and_score_agree(run: Any, loss: str):
    parts = read(run.recipe, TrainingCallback(), run.path).parts()
    train, (x, y, w) = columns(parts[0]), columns(parts[1])
    name = LOSSES[loss]
    merits = run.metrics["merits"]["model"]
    last = run.history.drop_nulls("validation_loss")[-1].to_dicts()[0]
    losses = run.metrics["losses"]["validation"]
    kind: Any = Regressor if loss == "mean-squared-error" else Classifier
    fit = kind(hidden=(5,), **DESCENT).fit(*train, validation=(x, y, w))
    history: Any = fit.history_
    of_fit = history.drop_nulls("validation_loss")[-1].to_dicts()[0]

    def same(*values):
        np.testing.assert_allclose(values, values[0], rtol=1e-12)

    same(merits[name]["value"], last[f"validation_{name}"])
    same(losses, last["validation_loss"])
    # the loss has no penalty, and that of a regression is in units of the width of the label
    width = run.model.loss.width if kind is Regressor else 1.0
    entry = merits[ENTROPIES.get(loss, "mean_squared_error")]
    same(losses, entry["value"] / width**2)
    score = fit.score(x, y, w)
    if kind is Regressor:
        same(of_fit["validation_r_squared"], score, evaluate.r_squared(y, fit.predict(x), w).value)
        same(score, r2_score(y, fit.predict(x), sample_weight=w))
        same(of_fit["validation_loss"], np.average((fit.predict(x) - y) ** 2, weights=w) / width**2)
        return
    probability = fit.predict_proba(x)
    given = probability[:, 1] if loss == "binary-cross-entropy" else probability
    same(score, evaluate.accuracy(y, given, w).value)
    same(score, accuracy_score(y, fit.predict(x), sample_weight=w))
    own = probability[np.arange(len(y)), y.astype(int)]
    same(of_fit["validation_loss"], -np.average(np.log(own), weights=w))
    if name == "accuracy":
        same(of_fit["validation_accuracy"], score)
    else:
        same(of_fit["validation_auc"], evaluate.auc(y, given, w).value)


def test_the_report_is_what_scikit_learn_says(run: Any, loss: str):
    x, y, w = columns(read(run.recipe, TrainingCallback(), run.path).parts()[1])
    merits, predicted = run.metrics["merits"]["model"], run.predict(x)
    positive = np.abs(w)  # scikit-learn refuses negative weights in some of these

    def again(name):
        measure = {"binary-cross-entropy": evaluate.binary_merits,
                   "cross-entropy": evaluate.multiclass_merits,
                   "mean-squared-error": evaluate.regression_merits}[loss]  # fmt: skip
        assert measure(y, predicted, w)[name].value == pytest.approx(merits[name]["value"], 1e-12)
        return pytest.approx(measure(y, predicted, positive)[name].value, rel=1e-12)

    if loss == "mean-squared-error":
        assert r2_score(y, predicted, sample_weight=positive) == again("r_squared")
        return
    assert log_loss(y, predicted, sample_weight=positive) == again(ENTROPIES[loss])
    called = predicted > 0.5 if loss == "binary-cross-entropy" else predicted.argmax(axis=1)
    assert accuracy_score(y, called, sample_weight=positive) == again("accuracy")
    if loss == "binary-cross-entropy":
        assert roc_auc_score(y, predicted, sample_weight=positive) == again("auc")


def test_of_equally_probable_classes_the_first_is_called():
    labels, halves = np.array([0, 0, 1]), np.full(3, 0.5)
    assert evaluate.accuracy(labels, halves).value == 2 / 3
    assert evaluate.accuracy(labels, np.column_stack([halves, halves])).value == 2 / 3
    assert evaluate.binary_merits(labels, halves)["accuracy"].value == 2 / 3
    constant = Classifier(learning_rate=1e-300, epochs=1).fit([[0.0], [0.0]], [0, 1])
    assert constant.predict_proba([[0.0]]).tolist() == [[0.5, 0.5]]
    assert constant.score([[0.0]] * 3, labels) == 2 / 3
