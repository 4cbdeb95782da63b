"""Newton's method against SciPy, scikit-learn and least squares; what ends it; bits on disk."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from steepest import Classifier, Regressor
from steepest import recipe as spec
from steepest.curvature import hessian
from steepest.descent import Callback, MemoryCheckpointer, Plan
from steepest.descent import newton as module
from steepest.descent.exact import least_squares
from steepest.descent.newton import newton
from steepest.errors import EventsError, Interrupted, RecipeError
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule
from steepest.recipe import Recipe

LOSSES = {"mean-squared-error": 1, "binary-cross-entropy": 1, "cross-entropy": 4}


def problem(loss: str, events: int = 3_000, features: int = 5, l2: float = 0.0, weighted=True):
    """Correlated features of scales from 1e-2 to 1e2, and targets of a linear model."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(events, features)) @ rng.normal(size=(features, features))
    X = X * np.logspace(-2, 2, features) + 1.0
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.normal(size=(features, LOSSES[loss]))
    y = {
        "mean-squared-error": lambda: z[:, 0] + rng.normal(size=events),
        "binary-cross-entropy": lambda: (z[:, 0] + rng.logistic(size=events) > 0) * 1.0,
        "cross-entropy": lambda: np.argmax(z + rng.gumbel(size=z.shape), axis=1),
    }[loss]()
    weights = rng.uniform(0.5, 1.5, events) if weighted else None
    weights = None if weights is None else weights / weights.mean()
    objective = DenseObjective(Dense(features, outputs=LOSSES[loss]), loss_named(loss), l2)
    return objective, Batch(X, y, weights)


def plan_of(objective: DenseObjective, events: Batch, **options) -> Plan:
    recipe = spec.DescentRecipe(
        batch_size="all", epochs=options.pop("epochs", 50), schedule=spec.Constant(), **options
    )
    rule = update_rule(spec.SGD(), objective.weight_mask)
    return Plan.of(recipe, rule, 1.0, len(events), validated=False)


def solve(objective: DenseObjective, events: Batch, checkpointer=None, callback=None, **options):
    plan = plan_of(objective, events, **options)
    return newton(objective, events, plan, checkpointer or MemoryCheckpointer(), callback=callback)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_the_hessian_is_that_of_the_products(loss, l2) -> None:
    objective, events = problem(loss, events=200, l2=l2)
    theta = np.random.default_rng(0).normal(size=objective.size) / 50
    columns = [objective.hessian_vector(theta, e, events) for e in np.eye(objective.size)]
    np.testing.assert_allclose(hessian(objective, theta, events), np.stack(columns, 1), rtol=1e-9,
                               atol=1e-12)  # fmt: skip


def test_the_hessian_of_a_network_is_symmetric_and_that_of_the_products() -> None:
    objective = DenseObjective(Dense(3, (4,), activation="tanh"), loss_named("mean-squared-error"))
    rng = np.random.default_rng(0)
    events = Batch(rng.normal(size=(50, 3)), rng.normal(size=50))
    theta = objective.initial(0)
    whole = hessian(objective, theta, events)
    np.testing.assert_allclose(whole, whole.T, atol=1e-12)
    vector = rng.normal(size=objective.size)
    np.testing.assert_allclose(whole @ vector, objective.hessian_vector(theta, vector, events))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_it_finds_the_minimum_that_scipy_finds(loss, l2) -> None:
    objective, events = problem(loss, l2=l2)
    outcome, _ = solve(objective, events, stop=spec.Stop(loss_tolerance=1e-14))
    peer = minimize(
        lambda t: objective.loss_and_gradient(t, events), objective.initial(0), jac=True,
        hess=lambda t: hessian(objective, t, events), method="trust-exact",
        options={"gtol": 1e-10, "maxiter": 500},
    )  # fmt: skip
    assert objective.loss(outcome.theta, events) <= peer.fun + 1e-12
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == "optimum"


def test_least_squares() -> None:
    objective, events = problem("mean-squared-error", l2=0.01)
    outcome, _ = solve(objective, events)
    exact = least_squares(events.inputs, events.targets, events.weights, 0.01)
    np.testing.assert_allclose(outcome.theta[:-1], exact.coefficients, rtol=1e-7)
    assert outcome.step <= 2


def test_few_passes_over_many_events(monkeypatch) -> None:
    """With curvature from 1 % of them, three steps leave less than 1e-8."""
    objective, events = problem("binary-cross-entropy", events=200_000, weighted=False)
    monkeypatch.setattr(module, "LEAST_SAMPLE", 2_000)
    outcome, said = solve(objective, events, stop=spec.Stop(loss_tolerance=1e-8))
    exact, _ = solve(objective, events, stop=spec.Stop(loss_tolerance=1e-13))
    assert objective.loss(outcome.theta, events) < objective.loss(exact.theta, events) + 1e-8
    assert outcome.step <= 3
    assert "of 2,000 of the 200,000 events" in said


def test_a_sample_that_is_too_small_grows(monkeypatch) -> None:
    """Twelve events say little of the curvature, so that steps get slow."""
    objective, events = problem("binary-cross-entropy", events=20_000)
    expected, _ = solve(objective, events)
    for name in ("LEAST_SAMPLE", "SAMPLE_PER_PARAMETER", "SAMPLE_SHARE"):
        monkeypatch.setattr(module, name, {"LEAST_SAMPLE": 200}.get(name, 0))
    sizes = []
    grown = module._sampled
    monkeypatch.setattr(module, "_sampled", lambda *a: sizes.append(len(grown(*a))) or grown(*a))
    outcome, _ = solve(objective, events)
    assert len(sizes) > 1
    assert sizes == sorted(sizes)
    np.testing.assert_allclose(outcome.theta, expected.theta, rtol=1e-4, atol=1e-5)


def test_float32() -> None:
    objective, events = problem("binary-cross-entropy")
    single = DenseObjective(objective.model, objective.loss_function, dtype="float32")
    weights = events.weights.astype(np.float32)
    small = Batch(events.inputs.astype(np.float32), events.targets.astype(np.float32), weights)
    outcome, _ = solve(single, small)
    expected, _ = solve(objective, events)
    theta = outcome.theta.astype(np.float64)
    assert outcome.theta.dtype == np.float32
    assert objective.loss(theta, events) < objective.loss(expected.theta, events) + 1e-7


def test_flat_directions_are_left_alone() -> None:
    """A repeated feature: of all minima the start's component along the flat direction is kept."""
    objective, events = problem("binary-cross-entropy", features=3)
    doubled = Batch(events.inputs[:, [0, 1, 2, 0]], events.targets, events.weights)
    wider = DenseObjective(Dense(4), objective.loss_function)
    outcome, _ = solve(wider, doubled)
    expected, _ = solve(objective, events)
    assert outcome.theta[0] == pytest.approx(outcome.theta[3])
    np.testing.assert_allclose(outcome.theta[0] * 2, expected.theta[0], rtol=1e-5)


def test_separable_classes_end_near_zero() -> None:
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    objective = DenseObjective(Dense(1), loss_named("binary-cross-entropy"))
    outcome, _ = solve(objective, Batch(X, (X[:, 0] > 0) * 1.0))
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == "separable"
    assert objective.loss(outcome.theta, Batch(X, (X[:, 0] > 0) * 1.0)) < 1e-9


def test_negative_weights_without_a_minimum() -> None:
    objective, events = problem("binary-cross-entropy", events=400)
    weights = np.where(np.arange(400) % 2, -0.9, 2.9)
    weights[:20] *= -3
    with pytest.raises(EventsError) as caught:
        solve(objective, Batch(events.inputs, events.targets, weights - 2.5))
    assert str(caught.value).startswith(
        "With these weights the loss is not convex, and may have no minimum.\n"
        "  expected: a curvature that is nowhere negative\n"
    )


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"epochs": 1}, "epochs"),
        ({"stop": spec.Stop(gradient_norm=1e3)}, "gradient-norm"),
        ({"stop": spec.Stop(seconds=1e-9, loss_tolerance=1e-30)}, "seconds"),
        ({"stop": spec.Stop(loss_tolerance=1.0)}, "optimum"),
        ({"stop": spec.Stop(loss_tolerance=1e-300)}, "optimum"),
    ],
)
def test_why_it_ends(options, kind, monkeypatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_STEPS", 0)  # so that there are steps over all events
    objective, events = problem("binary-cross-entropy")
    outcome, _ = solve(objective, events, **options)
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == kind


def test_history_and_path(monkeypatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_STEPS", 0)
    objective, events = problem("binary-cross-entropy")
    checkpointer = MemoryCheckpointer()
    outcome, _ = solve(objective, events, checkpointer)
    table = checkpointer.history[0].to_pydict()
    assert table["step"] == list(range(1, outcome.step + 1))
    assert table["loss"] == sorted(table["loss"], reverse=True)
    assert table["loss"][0] == pytest.approx(np.log(2))
    np.testing.assert_array_equal(checkpointer.path[0].thetas[-1], outcome.theta)
    np.testing.assert_array_equal(checkpointer.path[0].thetas[0], objective.initial(0))


def test_interrupted(monkeypatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_STEPS", 0)
    objective, events = problem("binary-cross-entropy")
    callback = Callback()
    callback.interrupted = True
    with pytest.raises(Interrupted):
        solve(objective, events, callback=callback)


def test_estimators() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 4)) * [1, 10, 100, 1e4] + 5
    y = np.array(["b", "s"])[(X @ [1, 0.1, 0.01, 1e-4] - 5.6 + rng.logistic(size=2_000) > 0) * 1]
    ours = Classifier(method="newton").fit(X, y)
    peer = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-4)
    assert ours.stop_reason_.startswith("J is ")
    assert not hasattr(ours, "partial_fit")
    target = X @ [1, 2, 3, 4.0] + rng.normal(size=2_000)
    newtonian, exact = (Regressor(method=m).fit(X, target) for m in ("newton", "exact"))
    np.testing.assert_allclose(newtonian.coef_, exact.coef_, rtol=1e-8)


def test_it_is_for_models_without_hidden_layers() -> None:
    table = {"events": {"path": "x.parquet", "label": "y"}, "descent": {"method": "newton"},
             "model": {"hidden": [8]}}  # fmt: skip
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(table)
    assert str(caught.value) == (
        "The recipe: method 'newton' is for models without a hidden layer.\n"
        "  expected: model.hidden = []\n"
        "  found:    model.hidden = [8]\n"
        "  do:       set model.hidden = [], or descent.method = 'descent'"
    )


@pytest.mark.parametrize("offset", [0.0, 1e6, 1.7e9])
def test_features_far_from_zero_do_not_hide_the_optimum(offset):
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 5))
    y = X @ [1, -2, 0.5, 0, 3] + random.logistic(size=2000) > 0
    expected = Classifier(method="newton", scaling="standard").fit(X, y).coef_
    found = Classifier(method="newton", scaling="none").fit(X + offset, y)
    np.testing.assert_allclose(found.coef_, expected, rtol=1e-9 + 1e-15 * offset)
    assert "above its minimum" in found.stop_reason_


def test_more_parameters_than_eigenvectors_are_taken_for(monkeypatch):
    """By a Cholesky factor: the same optimum, with a feature that is there twice."""
    random = np.random.default_rng(1)
    X = random.normal(size=(400, 6))
    y = X[:, 0] + random.logistic(size=400) > 0
    X[:, 5] = X[:, 4]
    whole = Classifier(method="newton", l2=1e-3).fit(X, y)
    monkeypatch.setattr("steepest.descent.newton.MOST_VECTORS", 3)
    factored = Classifier(method="newton", l2=1e-3).fit(X, y)
    np.testing.assert_allclose(factored.coef_, whole.coef_, rtol=1e-6, atol=1e-9)
    flat = Classifier(method="newton").fit(X, y)
    assert np.isfinite(flat.coef_).all()
    assert "above its minimum" in flat.stop_reason_
