"""Estimators have the tables and figures of a run."""

import base64

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from steepest import Classifier, Regressor, evaluate
from steepest.errors import InputError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 2))
W = RANDOM.lognormal(0, 0.5, 300)
Y = X[:, 0] + RANDOM.normal(size=300)
SIGNAL = np.where(Y > 0, "top", "qcd")


@pytest.fixture(scope="module")
def classifier():
    return Classifier(epochs=20, class_weight="balanced").fit(X, SIGNAL, W)


@pytest.fixture(scope="module")
def regressor():
    return Regressor(epochs=20).fit(X, Y)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_figures_of_merit_with_intervals(classifier):
    merits = classifier.evaluate(X, SIGNAL, W)
    scores = classifier.predict_proba(X)[:, 1]
    auc = roc_auc_score(SIGNAL, scores, sample_weight=W)
    assert merits["auc"].value == pytest.approx(auc, rel=1e-12)
    assert merits["auc"].low < auc < merits["auc"].high
    assert merits["accuracy"].value == pytest.approx(classifier.score(X, SIGNAL, W), rel=1e-12)
    same = evaluate.binary_merits(SIGNAL == "top", scores, W)
    assert merits["background_rejection_at_0.5"] == same["background_rejection_at_0.5"]
    assert merits.to_json()["auc"]["counts"]["signal"] == (SIGNAL == "top").sum()
    line = next(row for row in repr(merits).splitlines() if row.startswith("AUC"))
    assert merits["auc"].format() in line
    assert f"<td>{merits['auc'].format()}</td>" in merits._repr_html_()


def test_figures_of_merit_of_several_classes_and_of_numbers(regressor):
    labels = np.digitize(Y, [-0.5, 0.5])
    several = Classifier(epochs=5).fit(X, labels)
    merits = several.evaluate(X, labels)
    assert {"auc_0", "auc_macro", "accuracy"} <= set(merits)
    assert regressor.evaluate(X, Y, W)["r_squared"].value == regressor.score(X, Y, W)
    several.plot.confusion(X, labels)
    assert len(several.plot.roc(X, labels).get_legend().get_texts()) >= 3


def test_a_notebook_shows_the_results(classifier, regressor):
    assert 'alt="roc"' in classifier.evaluate(X, SIGNAL, W)._repr_html_()
    assert 'alt="residuals"' in regressor.evaluate(X, Y)._repr_html_()
    html = classifier._repr_html_()
    assert "sk-estimator" in html  # scikit-learn's diagram
    _, said, descent = html.rpartition(f"steps: {classifier.stop_reason_}. η = ")
    assert said
    assert classifier._repr_mimebundle_()["text/html"].endswith(descent)
    png = base64.b64decode(descent.partition("data:image/png;base64,")[2].partition('"')[0])
    assert png.startswith(b"\x89PNG")
    assert "data:image/png" not in Regressor()._repr_html_()
    solved = Regressor(method="exact").fit(X, Y)._repr_html_()
    assert solved.endswith("by an orthogonal factorisation.</p>")


def test_figures_are_drawn_into_axes(classifier, regressor):
    _, (left, right) = plt.subplots(1, 2)
    assert classifier.plot.roc(X, SIGNAL, W, axes=left) is left
    merits = classifier.evaluate(X, SIGNAL, W)
    assert merits["auc"].format() in left.get_legend().get_texts()[0].get_text()
    classifier.plot.roc(X[:200], SIGNAL[:200], axes=left)
    said = [text.get_text() for text in left.get_legend().get_texts()]
    assert sum(label.startswith(("Classifier 1: ", "Classifier 2: ")) for label in said) == 2
    assert classifier.plot.scores(X, SIGNAL, axes=right, training=(X, SIGNAL, W)) is right
    for axes in (
        classifier.plot.loss(),
        classifier.plot.calibration(X, SIGNAL),
        classifier.plot.features(X, SIGNAL),
        regressor.plot.residuals(X, Y),
    ):
        assert all(each.has_data() for each in np.ravel(axes))


def test_what_cannot_be_drawn(regressor):
    with pytest.raises(InputError, match="no figure 'roc'"):
        regressor.plot.roc(X, Y)
    with pytest.raises(InputError, match="no history"):
        Regressor(method="exact").fit(X, Y).plot.loss()
    with pytest.raises(Exception, match="lack"):
        Classifier(epochs=1).fit(X, SIGNAL).evaluate(X, np.full(300, "W"))
