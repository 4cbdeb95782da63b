"""Inside scikit-learn: pipelines, searches, pandas and Polars frames, set_output, metadata."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from steepest import Classifier, Regressor

NAMES = ["pt", "eta", "mass"]
random = np.random.default_rng(2)
X = random.normal(size=(150, 3)) * [50.0, 1.0, 10.0] + [600.0, 0.0, 170.0]
Y = 0.1 * X[:, 0] + X[:, 2] + random.normal(size=150)
LABELS = np.where(np.median(Y) < Y, "top", "qcd")

FRAMES = {
    "pandas": (pd.DataFrame, pd.Series),
    "polars": (lambda X, columns: pl.DataFrame(X, schema=columns), pl.Series),
}


@pytest.fixture(params=FRAMES)
def frames(request):
    return FRAMES[request.param]


def test_names_of_frames_are_kept(frames):
    frame, series = frames
    events, w = frame(X, columns=NAMES), series(random.uniform(0.5, 1.5, 150))
    model = Classifier().fit(events, series(LABELS), sample_weight=w)
    assert model.feature_names_in_.tolist() == NAMES
    assert model.model_.names == tuple(NAMES)
    expected = Classifier().fit(X, LABELS, sample_weight=w.to_numpy())
    assert not hasattr(expected, "feature_names_in_")
    assert expected.model_.names == ("x0", "x1", "x2")
    assert model.predict_proba(events).tobytes() == expected.predict_proba(X).tobytes()
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(X, columns=["pt", "mass", "eta"]))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)


def test_passes_over_frames_keep_the_names(frames):
    frame, series = frames
    model = Regressor(batch_size=50)
    for rows in (slice(0, 70), slice(70, 150)):
        model.partial_fit(frame(X[rows], columns=NAMES), series(Y[rows]))
    assert model.feature_names_in_.tolist() == NAMES
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame(X, columns=["a", "b", "c"]), series(Y))


def test_validation_frames(frames):
    frame, series = frames
    events, y = frame(X, columns=NAMES), series(Y)
    model = Regressor(epochs=5).fit(events, y, validation=(events, y, series(np.ones(150))))
    assert "validation_loss" in model.history_.columns


@pytest.mark.parametrize("library", FRAMES)
def test_set_output_in_a_pipeline_hands_the_names_on(library):
    frame, series = FRAMES[library]
    steps = ColumnTransformer(
        [("scaled", StandardScaler(), ["mass"]), ("powers", PolynomialFeatures(2), ["pt"])]
    )
    pipeline = make_pipeline(steps, Regressor()).set_output(transform=library)
    pipeline.fit(frame(X, columns=NAMES), series(Y))
    names = ["scaled__mass", "powers__1", "powers__pt", "powers__pt^2"]
    assert pipeline[-1].feature_names_in_.tolist() == names
    assert pipeline[-1].model_.scaling.constant == ("powers__1",)
    assert pipeline.score(frame(X, columns=NAMES), series(Y)) > 0.98


def test_weights_and_validation_reach_the_last_step():
    w = random.uniform(0.5, 1.5, 150)
    pipeline = make_pipeline(StandardScaler(), Classifier(epochs=5))
    validation = (StandardScaler().fit_transform(X), LABELS)
    pipeline.fit(X, LABELS, classifier__sample_weight=w, classifier__validation=validation)
    assert pipeline[-1].history_["validation_loss"].null_count() == 0


@pytest.mark.slow
def test_grid_search_with_numbers_of_numpy():
    grid = {
        "classifier__epochs": np.array([1, 60]),
        "classifier__l2": np.array([0.0, 10.0]),
        "classifier__hidden": [(), [4], np.array([4])],
        "classifier__scaling": ["standard", "whiten"],
    }
    pipeline = make_pipeline(StandardScaler(), Classifier())
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, LABELS)
    assert search.best_params_["classifier__epochs"] == 60
    assert search.best_score_ > 0.9


def test_cross_validation_by_area_and_by_probability():
    for scoring in ("roc_auc", "neg_log_loss", "accuracy"):
        assert np.isfinite(
            cross_val_score(Classifier(l2=1e-3), X, LABELS, cv=3, scoring=scoring)
        ).all()


def test_inside_other_estimators():
    bagged = BaggingRegressor(Regressor(), n_estimators=3, random_state=0).fit(X, Y)
    assert bagged.score(X, Y) > 0.95
    network = Regressor(hidden=(16,), optimizer="adam", learning_rate=0.02, epochs=300)
    scaled = TransformedTargetRegressor(network, transformer=StandardScaler()).fit(X, 1e20 * Y)
    assert scaled.score(X, 1e20 * Y) > 0.98


def test_parameters_survive_clone_and_show_in_the_repr():
    parameters = {"hidden": (4,), "optimizer": {"name": "momentum", "momentum": 0.5}, "tol": 1e-3}
    model = Regressor(**parameters)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.fit(X, Y).predict(X).tobytes() == model.fit(X, Y).predict(X).tobytes()
    assert repr(Classifier(l2=0.1)) == "Classifier(l2=0.1)"


def test_before_fit():
    for model in (Classifier(), Regressor(), Regressor(method="exact")):
        for use in (lambda m: m.predict(X), lambda m: m.coef_, lambda m: m.intercept_):
            with pytest.raises(NotFittedError):
                use(model)


def test_a_column_of_targets_is_flattened_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector y was passed"):
        model = Regressor().fit(X, Y[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(X).shape == (150,)
