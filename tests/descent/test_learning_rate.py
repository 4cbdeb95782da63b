"""``learning_rate = "auto"``: from curvature for convex models, from trial runs for others."""

from __future__ import annotations

import numpy as np
import pytest

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, choose_learning_rate, descend
from steepest.descent.learning_rate import best_for_steps
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

EIGENVALUES = (2.0, 18.0)


def regression() -> tuple[DenseObjective, Batch]:
    """Inputs of unit and threefold spread, uncorrelated: eigenvalues 2, 2 and 18."""
    X = np.array([[1.0, 3.0], [-1.0, 3.0], [1.0, -3.0], [-1.0, -3.0]])
    objective = DenseObjective(Dense(2), loss_named("mean-squared-error"))
    return objective, Batch(X, np.array([4.0, 1.0, -2.0, 0.5]))


def choose(objective, events, optimizer="sgd", batch_size=None, momentum=0.0, steps=1000, **more):
    options = spec.DescentRecipe.model_validate({"optimizer": optimizer}).optimizer
    rule = update_rule(options, objective.weight_mask)
    return choose_learning_rate(
        objective, events, rule, batch_size or len(events), 0, momentum, steps, **more
    )


def test_linear_regression_takes_the_best_fixed_rate():
    rate = choose(*regression())
    assert rate.value == pytest.approx(2 / sum(EIGENVALUES))
    assert rate.reason == ("η = 2/(λ₁ + λₙ) = 0.1, from the curvature λ₁ = 18, λₙ = 2 (κ = 9)")


def test_the_best_fixed_rate_converges_at_the_predicted_speed():
    """Each step shrinks the distance by (κ − 1)/(κ + 1) = 0.8, no more and no less."""
    objective, events = regression()
    rule = update_rule(spec.SGD(), objective.weight_mask)
    recipe = spec.DescentRecipe(batch_size="all", schedule=spec.Constant(), epochs=40)
    plan = Plan.of(recipe, rule, choose(objective, events).value, 4, validated=False)
    checkpointer = MemoryCheckpointer()
    descend(objective, events, plan, checkpointer)
    exact = np.linalg.lstsq(np.column_stack([events.inputs, np.ones(4)]), events.targets)[0]
    thetas = np.concatenate([p.thetas for p in checkpointer.path])
    distances = np.linalg.norm(thetas - exact, axis=1)
    np.testing.assert_allclose(distances[1:] / distances[:-1], 0.8, rtol=1e-6)


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-8])
def test_correlated_features_descend(spread):
    random = np.random.default_rng(0)
    first = random.normal(size=500)
    X = np.column_stack([first, first + spread * random.normal(size=500)])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    objective = DenseObjective(Dense(2), loss_named("mean-squared-error"))
    events = Batch(X, X.sum(axis=1))
    rate = choose_learning_rate(
        objective, events, update_rule(spec.SGD(), objective.weight_mask), 500, 0, steps=100
    ).value
    rule = update_rule(spec.SGD(), objective.weight_mask)
    recipe = spec.DescentRecipe(batch_size="all", schedule=spec.Constant(), epochs=100)
    outcome = descend(
        objective, events, Plan.of(recipe, rule, rate, 500, False), MemoryCheckpointer()
    )
    assert objective.loss(outcome.theta, events) < 2e-3 * objective.loss(np.zeros(3), events)


def ill_conditioned(kind: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    y = X @ [1.0, -2.0, 0.5]
    more = {
        "constant": np.zeros(200),
        "repeated": X[:, 0],
        "sum": X.sum(axis=1),
        "nearly repeated": X[:, 0] + 1e-3 * random.normal(size=200),
    }
    return np.column_stack([X, more[kind]]), y


@pytest.mark.parametrize("kind", ["constant", "repeated", "sum"])
def test_flat_directions_do_not_enter_the_rate(kind):
    """λₙ is the lowest curvature that is not zero: 100 steps reach the minimum all the same."""
    X, y = ill_conditioned(kind)
    objective = DenseObjective(Dense(4), loss_named("mean-squared-error"))
    events = Batch(X, y)
    A = np.column_stack([X, np.ones(200)])
    squares = np.linalg.svd(A, compute_uv=False) ** 2 * 2 / 200
    bounds = objective.curvature_bounds(events)
    assert bounds is not None
    assert bounds.lowest == pytest.approx(squares[squares > 1e-10].min())
    rule = update_rule(spec.SGD(), objective.weight_mask)
    rate = choose(objective, events).value
    plan = Plan(200, 200, rule, rate, spec.Constant(), epochs=100)
    outcome = descend(objective, events, plan, MemoryCheckpointer())
    assert objective.loss(outcome.theta, events) < 1e-12


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_the_best_rate_for_a_number_of_steps(steps):
    """No other rate has a lower worst case over all curvatures up to λ₁ = 1."""
    curvatures = np.linspace(0, 1, 20_001)

    def worst(rate: float) -> float:
        return (curvatures * (1 - rate * curvatures) ** (2 * steps)).max()

    best = best_for_steps(steps)
    others = np.linspace(0.5, 1.999, 400)
    assert worst(best) <= min(map(worst, others)) * (1 + 1e-6)


def test_a_descent_too_short_for_its_condition_takes_that_rate():
    X, y = ill_conditioned("nearly repeated")
    objective = DenseObjective(Dense(4), loss_named("mean-squared-error"))
    events = Batch(X, y)
    bounds = objective.curvature_bounds(events)
    assert bounds is not None
    assert bounds.lowest > 0
    rule = update_rule(spec.SGD(), objective.weight_mask)
    rate = choose_learning_rate(objective, events, rule, 200, 0, steps=100)
    worst_case = best_for_steps(100) / bounds.largest
    assert rate.value == pytest.approx(0.5 * worst_case)  # on these events
    assert "0.5 times η = 1.966/λ₁ = " in rate.reason
    assert "the best for 100 steps at the curvature λ₁ = " in rate.reason
    plan = Plan(200, 200, rule, rate.value, spec.Constant(), epochs=100)
    outcome = descend(objective, events, plan, MemoryCheckpointer())
    assert objective.loss(outcome.theta, events) < 2e-3 * np.var(y)


def test_momentum_and_logistic_regression_take_the_inverse_bound():
    objective, events = regression()
    assert choose(objective, events, "momentum", momentum=0.9).value == pytest.approx(1 / 18)
    logistic = DenseObjective(Dense(2), loss_named("binary-cross-entropy"))
    rate = choose(logistic, Batch(events.inputs, np.array([0.0, 1.0, 1.0, 0.0])))
    assert rate.value == pytest.approx(1 / (0.25 * 9))
    assert rate.reason == "η = 1/L = 0.4444, from the curvature bound L = 2.25"


def convex(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Features in units of their spread, and two classes."""
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 5))
    if kind == "collinear":
        X[:, 1] = X[:, 0] + 0.3 * X[:, 1]
    cut = {"rare": 2.3, "rarer": 4.2}.get(kind, 0.0)
    z = X @ [1.0, -1.0, 0.5, 0.2, 0.8]
    return X / X.std(axis=0), (z + 0.5 * random.logistic(size=3000) > cut).astype(float)


@pytest.mark.parametrize("kind", ["half", "rare", "rarer", "collinear"])
def test_a_convex_descent_is_near_its_end_in_no_more_than_twice_the_steps_of_the_best_rate(kind):
    X, y = convex(kind)
    objective, events = DenseObjective(Dense(5), loss_named("binary-cross-entropy")), Batch(X, y)
    rule = update_rule(spec.SGD(), objective.weight_mask)
    auto = choose_learning_rate(objective, events, rule, len(y), 0, steps=300).value

    def losses(rate: float) -> np.ndarray:
        plan = Plan(len(y), len(y), rule, rate, spec.Constant(), epochs=300)
        checkpointer = MemoryCheckpointer()
        descend(objective, events, plan, checkpointer)
        return np.concatenate([table["loss"].to_numpy() for table in checkpointer.history])

    of_grid = [losses(auto * 2 ** (k / 2)) for k in range(-4, 5)]
    lowest = min(each.min() for each in of_grid)
    goal = lowest + 1e-4 * (np.log(2) - lowest)

    def steps(of: np.ndarray) -> int:
        return int(np.flatnonzero(~(of <= goal))[-1]) + 1

    assert steps(losses(auto)) <= 2 * min(map(steps, of_grid))


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_mini_batches_take_the_expected_smoothness(batch_size):
    rate = choose(*regression(), batch_size=batch_size)
    m, b, whole, single = 4, batch_size, 18.0, 2 * (1 + 9 + 1)
    smoothness = (m * (b - 1) * whole + (m - b) * single) / (b * (m - 1))
    assert rate.value == pytest.approx(1 / smoothness)
    assert "expected smoothness" in rate.reason


@pytest.mark.parametrize("seed", range(3))
def test_single_events_at_the_automatic_rate_do_not_diverge(seed):
    random = np.random.default_rng(seed)
    X = random.standard_t(3, size=(200, 3))  # heavy tails: a few steep events
    objective = DenseObjective(Dense(3), loss_named("mean-squared-error"))
    events = Batch(X, X @ [1.0, 2.0, 3.0] + random.normal(size=200))
    rate = choose(objective, events, batch_size=1).value
    rule = update_rule(spec.SGD(), objective.weight_mask)
    recipe = spec.DescentRecipe(batch_size=1, schedule=spec.Constant(), epochs=20, seed=seed)
    outcome = descend(
        objective, events, Plan.of(recipe, rule, rate, 200, False), MemoryCheckpointer()
    )
    assert objective.loss(outcome.theta, events) < 0.2 * objective.loss(np.zeros(4), events)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_networks_take_trial_runs_and_train_with_their_best(optimizer):
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 4))
    y = (X[:, 0] * X[:, 1] > 0).astype(float)
    objective = DenseObjective(Dense(4, (16,)), loss_named("binary-cross-entropy"), 0, "float32")
    events = Batch.of(X, y, None, "float32")
    rate = choose(objective, events, optimizer, batch_size=64)
    assert "in trial runs of up to 600 steps" in rate.reason
    assert 1e-5 < rate.value <= 3.2
    recipe = spec.DescentRecipe.model_validate(
        {"optimizer": optimizer, "batch_size": 64, "epochs": 30, "schedule": "one-cycle"}
    )
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    plan = Plan.of(recipe, rule, rate.value, 2000, validated=False)
    outcome = descend(objective, events, plan, MemoryCheckpointer())
    assert objective.loss(outcome.theta, events) < 0.45


def test_held_out_events_that_tell_nothing_are_not_asked():
    """Labels drawn at random: what is learnt of some says nothing of others."""
    random = np.random.default_rng(2)
    events = Batch(random.normal(size=(60, 4)), np.tile([0.0, 1.0], 30))
    objective = DenseObjective(Dense(4, hidden=(8,)), loss_named("binary-cross-entropy"))
    objective.initial = lambda seed: 1e-3 * np.random.default_rng(seed).normal(size=objective.size)
    rate = choose(objective, events, "adam", batch_size=20, steps=200)
    assert "on the 60 events they train on, as no η brings the loss of held-out" in rate.reason
    assert rate.value >= 1e-4


def noisy_product(noise: float) -> tuple[DenseObjective, Batch]:
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 4))
    y = (X[:, 0] * X[:, 1] + noise * random.logistic(size=2000) > 0).astype(float)
    return classifier(0.0), Batch.of(X, y, None, "float32")


def classifier(l2: float) -> DenseObjective:
    return DenseObjective(Dense(4, (16,)), loss_named("binary-cross-entropy"), l2, "float32")


def test_the_rate_of_trial_runs_falls_with_the_root_of_the_steps():
    objective, events = noisy_product(0.1)
    rates = [choose(objective, events, "adam", 64, steps=T) for T in (600, 1500, 3000, 150_000)]
    best = [float(rate.reason.split(": ")[1].split(" ")[0]) for rate in rates]
    for rate, of_trial, steps, long in zip(
        rates, best, (600, 1500, 3000, 150_000), (600, 600, 600, 1000), strict=True
    ):
        assert rate.value == pytest.approx(of_trial * np.sqrt(long / steps), rel=2e-3)
    assert "falls" not in rates[0].reason
    assert "falls with the root of the steps, here 2.5 times as many" in rates[1].reason


@pytest.mark.parametrize(("noise", "largest"), [(0.02, False), (50.0, True)])
def test_of_penalties_as_good_as_each_other_the_largest_is_taken(noise, largest):
    """Labels at random: no λ is better than another, and a longer descent needs the most."""
    objective, events = noisy_product(noise)
    tried = {l2: classifier(l2) for l2 in (1e-4, 1e-2, 0.3)}
    rate = choose(objective, events, "adam", 64, judge=objective, penalized=tried)
    assert rate.penalty is not None
    l2, said = rate.penalty
    assert l2 in tried
    assert (l2 == 0.3) is largest
    assert said.startswith(f"λ = {l2:.2g}, the ")
    assert choose(objective, events, "adam", 64).penalty is None


def test_events_of_the_trial_runs_do_not_choose_the_penalty():
    """Where no rate helps held-out events, those that are learnt by heart would take the least."""
    objective, events = noisy_product(50.0)
    begin = (1e-3 * np.random.default_rng(0).normal(size=objective.size)).astype("float32")
    tried = {l2: classifier(l2) for l2 in (1e-5, 0.3)}
    for each in (objective, *tried.values()):
        each.initial = lambda seed: begin.copy()
    rate = choose(objective, events, "adam", 64, judge=objective, penalized=tried)
    assert "on the 2,000 events they train on, as no η brings the loss of" in rate.reason
    assert rate.penalty is not None
    assert rate.penalty[0] == 0.3
