"""The loop's ends: every criterion, divergence with its cause, the best that is kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from steepest import recipe as spec
from steepest.curvature import largest_curvature
from steepest.descent import Callback, MemoryCheckpointer, Plan, State, descend
from steepest.descent.plan import decided, resolve_batch_size
from steepest.errors import DivergenceError, EventsError, RecipeError, RunFolderError
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule


def parabola(size: int = 40, seed: int = 0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(size, 2)) * [1.0, 3.0]
    y = X @ [2.0, -1.0] + 0.5 * random.normal(size=size)
    objective = DenseObjective(Dense(2), loss_named("mean-squared-error"))
    return objective, Batch.of(X, y, None, "float64")


def run(objective, events, checkpointer=None, monitor=None, state=None, **descent):
    options = {"optimizer": "sgd", "schedule": "constant", "batch_size": "all", **descent}
    recipe = spec.DescentRecipe.model_validate(options)
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    rate = recipe.learning_rate
    assert rate != "auto"
    plan = Plan.of(recipe, rule, rate, len(events), monitor is not None)
    return descend(
        objective,
        events,
        plan,
        checkpointer or MemoryCheckpointer(),
        monitor=monitor,
        metrics=("validation_loss",) if monitor else (),
        state=state,
    )


def test_all_epochs():
    reason = run(*parabola(), learning_rate=0.01, epochs=7).state.reason
    assert reason is not None
    assert (reason.kind, reason.sentence) == ("epochs", "all 7 epochs are done")


def test_gradient_norm():
    objective, events = parabola()
    outcome = run(objective, events, learning_rate=0.05, epochs=5000, stop={"gradient_norm": 1e-6})
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == "gradient-norm"
    gradient = objective.loss_and_gradient(outcome.theta, events)[1]
    assert np.linalg.norm(gradient) < 1e-6
    assert outcome.step < 5000


def test_loss_tolerance():
    outcome = run(*parabola(), learning_rate=0.05, epochs=5000, stop={"loss_tolerance": 1e-6})
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == "loss-tolerance"
    assert outcome.step < 5000


def test_wall_time():
    outcome = run(*parabola(), learning_rate=0.001, epochs=10**7, stop={"seconds": 0.05})
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == "seconds"
    assert outcome.state.seconds >= 0.05


def test_a_callback_may_end_the_descent():
    objective, events = parabola()
    rule = update_rule(spec.SGD(), objective.weight_mask)
    plan = Plan(len(events), len(events), rule, 0.01, spec.Constant(), epochs=50)

    class EndsAtThree(Callback):
        def round(self, state, values):
            self.enough = state.step == 3

    outcome = descend(objective, events, plan, MemoryCheckpointer(), callback=EndsAtThree())
    assert outcome.state.reason is not None
    assert (outcome.state.reason.kind, outcome.step) == ("asked", 3)


def test_a_descent_goes_on_over_other_events():
    objective, events = parabola(50)
    rule = update_rule(spec.Momentum(), objective.weight_mask)
    cosine = spec.Cosine()
    whole = Plan(len(events), 8, rule, 0.01, cosine, epochs=4, seed=5)
    expected = descend(objective, events, whole, MemoryCheckpointer())
    state = None
    for epoch in range(4):
        part = Plan(
            len(events),
            8,
            rule,
            0.01,
            cosine,
            epochs=1,
            seed=5,
            first_step=7 * epoch,
            first_epoch=epoch,
            schedule_length=(28, 7),
        )
        state = state.with_changes(reason=None) if state else None
        state = descend(objective, events, part, MemoryCheckpointer(), state=state).state
    assert state is not None
    assert state.theta.tobytes() == expected.theta.tobytes()
    assert state.step == expected.state.step


def test_patience_keeps_the_best():
    objective, events = parabola()
    losses = iter([5.0, 4.0, 3.0, 3.5, 3.2, 9.9, 9.9])
    outcome = run(
        objective,
        events,
        monitor=lambda theta: {"validation_loss": next(losses)},
        learning_rate=0.01,
        epochs=50,
        stop={"patience": 3},
    )
    assert outcome.state.reason is not None
    assert outcome.state.reason.kind == "patience"
    assert outcome.state.step == 5
    assert outcome.step == 2  # the first loss is that of the start
    assert outcome.state.best.loss == 3.0
    assert not np.array_equal(outcome.theta, outcome.state.theta)


def test_keep_last_although_validated():
    objective, events = parabola()
    losses = iter([5.0, 4.0, 4.5, 4.6])
    outcome = run(
        objective,
        events,
        monitor=lambda theta: {"validation_loss": next(losses)},
        learning_rate=0.01,
        epochs=3,
        keep="last",
    )
    assert outcome.step == 3
    assert np.array_equal(outcome.theta, outcome.state.theta)


def test_rate_above_twice_the_inverse_curvature_diverges_and_is_named():
    objective, events = parabola()
    bounds = objective.curvature_bounds(events)
    assert bounds is not None
    limit = 2 / bounds.largest
    run(objective, events, learning_rate=0.98 * limit, epochs=2000)  # just stable
    checkpointer = MemoryCheckpointer()
    with pytest.raises(DivergenceError) as caught:
        run(objective, events, checkpointer, learning_rate=1.3 * limit, epochs=2000)
    start = objective.loss(np.zeros(3), events)
    state = checkpointer.state
    assert state is not None
    text = str(caught.value)
    assert text == (
        f"The descent diverged at step {state.step:,} (epoch {state.step:.3g}).\n"
        f"  expected: a finite loss, below {state.loss_limit:.3g} (10⁶ times that of the "
        f"start, or of a constant)\n"
        f"  found:    J(θ) = {objective.loss(state.theta, events):.4g}; the best was {start:.6g}, "
        f"after step 0: its parameters are kept\n"
        f"  cause:    the learning rate η = {1.3 * limit:.4g} is above 2/λmax = {limit:.4g}, the "
        f"largest that is stable where the curvature is λmax = {bounds.largest:.4g}\n"
        f'  do:       set descent.learning_rate below {limit:.3g}, or "auto"; feature scaling '
        "lowers the curvature"
    )
    assert caught.value.exit_code == 3
    assert not state.best.theta.any()  # the start: nothing was better
    history = pa.concat_tables(checkpointer.history)
    assert history["step"].to_pylist() == list(range(1, state.step + 1))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_the_stated_stability_limit_is_the_limit(optimizer):
    objective, events = parabola()
    bounds = objective.curvature_bounds(events)
    assert bounds is not None
    options = spec.DescentRecipe.model_validate({"optimizer": optimizer}).optimizer
    stability = update_rule(options, objective.weight_mask).stability
    assert stability is not None
    limit = stability / bounds.largest
    settings = {"optimizer": optimizer, "epochs": 5000}
    run(objective, events, learning_rate=0.99 * limit, **settings)
    with pytest.raises(DivergenceError, match=f"is above {stability:.4g}/λmax = {limit:.4g}"):
        run(objective, events, learning_rate=1.01 * limit, **settings)


def test_a_loss_that_falls_without_end_is_caught():
    objective, events = parabola()
    weights = np.where(np.arange(40) < 8, -6.0, 2.75)
    bad = Batch.of(events.inputs, events.targets, weights, "float64")
    assert objective.curvature_bounds(bad).lowest < 0  # type: ignore[union-attr]
    outcome = run(objective, bad, learning_rate=0.01, epochs=100_000)
    assert outcome.state.reason.kind == "negative-loss"
    assert outcome.state.step < 100_000


@pytest.mark.parametrize(("takes_long", "expected"), [(False, 1_000), (True, 16)])
def test_the_loss_of_the_start_is_that_of_few_events_where_passes_take_long(takes_long, expected):
    objective, events = parabola(2_000)
    seen = []

    class Counted(DenseObjective):
        slow = takes_long

        def loss(self, theta, batch):
            seen.append(len(batch))
            return super().loss(theta, batch)

    counted = Counted(objective.model, objective.loss_function)
    run(counted, events, learning_rate=0.01, epochs=1, batch_size=100)
    assert seen[0] == expected  # every second, or every 125th


def test_a_start_that_is_not_finite():
    objective, events = parabola()
    with pytest.raises(EventsError) as caught, np.errstate(over="ignore"):
        run(objective, Batch(events.inputs, events.targets * 1e200), learning_rate=0.1, epochs=1)
    assert str(caught.value) == (
        "The loss of the start is not finite.\n"
        "  expected: a loss that float64 can hold\n"
        "  found:    J(θ₀) = inf\n"
        "  cause:    targets, inputs or weights of enormous size\n"
        '  do:       rescale them, or set descent.dtype = "float64"'
    )


def test_divergence_at_the_end_of_a_round_is_found_again_after_a_kill():
    """It is the validation that diverges: who resumes must not step on without it."""
    objective, events = parabola()
    checkpointer = MemoryCheckpointer()
    losses = iter([1.0, np.inf, np.inf])
    settings = {"monitor": lambda theta: {"validation_loss": next(losses)}, "epochs": 9}
    with pytest.raises(DivergenceError, match="step 1 "):
        run(objective, events, checkpointer, learning_rate=0.01, **settings)
    assert checkpointer.state is not None
    again = State.from_parts(checkpointer.state.arrays(), checkpointer.state.scalars())
    with pytest.raises(DivergenceError, match="step 1 "):
        run(objective, events, checkpointer, state=again, learning_rate=0.01, **settings)


@pytest.mark.parametrize(
    ("scale", "rate", "cause"),
    [
        (1e6, 1.0, "inputs as large as"),
        (1.0, 1e4, "the learning rate η = 1e+04 is too large for this model"),
    ],
)
def test_other_causes_of_divergence(scale, rate, cause):
    objective, events = parabola()
    large = Batch(events.inputs * scale, events.targets)
    with pytest.raises(DivergenceError, match="diverged") as caught:
        run(objective, large, optimizer="rmsprop", learning_rate=rate, epochs=5000)
    assert caught.value.details["cause"].startswith(cause)


def test_a_loss_that_is_not_finite_stops_at_once():
    objective, events = parabola()
    checkpointer = MemoryCheckpointer()
    with pytest.raises(DivergenceError, match="step 1 "):
        run(objective, events, checkpointer, learning_rate=1e300, epochs=10)
    assert checkpointer.state is not None
    assert np.isfinite(checkpointer.state.best.theta).all()


def test_parameters_that_are_not_finite_after_the_last_step():
    objective, events = parabola()
    with pytest.raises(DivergenceError, match="step 1 "):
        run(objective, events, learning_rate=1e308, epochs=1)


def test_largest_curvature_is_the_largest_eigenvalue():
    random = np.random.default_rng(4)
    objective = DenseObjective(Dense(4, (5,), activation="tanh"), loss_named("mean-squared-error"))
    events = Batch(random.normal(size=(30, 4)), random.normal(size=30))
    theta = random.normal(size=objective.size)
    hessian = np.column_stack(
        [objective.hessian_vector(theta, e, events) for e in np.eye(objective.size)]
    )
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    expected = np.linalg.eigvalsh(hessian)[-1]
    assert largest_curvature(objective, theta, events, tolerance=1e-8) == pytest.approx(expected)


def test_batch_size_over_the_sample():
    assert resolve_batch_size("all", 7) == 7
    with pytest.raises(RecipeError) as caught:
        resolve_batch_size(1024, 700)
    assert str(caught.value) == (
        "descent.batch_size is 1,024, but there are only 700 training events.\n"
        '  expected: a number from 1 to 700, or "all"\n'
        "  cause:    a small sample, or a split or selection that leaves few events to train on\n"
        '  do:       set descent.batch_size = "all" for batch gradient descent, or a smaller number'
    )


@pytest.mark.parametrize(
    ("events", "size", "epochs"),
    [(20, 20, 3000), (430, 32, 214), (19_000, 256, 40), (10**6, 1024, 5)],
)
def test_what_is_left_open_fits_the_sample(events, size, epochs):
    recipe = decided(spec.DescentRecipe(), events, validated=True)
    assert (recipe.method, recipe.batch_size, recipe.epochs) == ("descent", size, epochs)
    assert recipe.stop.patience is None  # one-cycle falls most at the end
    constant = decided(spec.DescentRecipe(schedule=spec.Constant()), events, validated=True)
    assert constant.stop.patience == max(10, epochs // 4)
    assert decided(spec.DescentRecipe(), events, validated=False).stop.patience is None
    assert decided(recipe, events, validated=True) == recipe


def test_a_linear_model_takes_newton_unless_the_recipe_says_how_to_descend():
    """Also after the recipe was written with all its defaults, as a run's folder has it."""
    written = spec.DescentRecipe.model_validate(spec.DescentRecipe(epochs=7).model_dump())
    newton = decided(written, 50, validated=True, linear=True)
    assert (newton.method, newton.batch_size, newton.epochs) == ("newton", "all", 7)
    for key, value in {"batch_size": 8, "optimizer": "sgd", "learning_rate": 0.1}.items():
        recipe = spec.DescentRecipe.model_validate({key: value})
        assert decided(recipe, 50, validated=True, linear=True).method == "descent"
    exact = spec.DescentRecipe(method="exact", batch_size=1024)
    assert decided(exact, 50, validated=False, linear=True).batch_size == "all"


def test_the_state_of_another_model_is_refused():
    state = run(*parabola(), learning_rate=0.01, epochs=2).state.with_changes(reason=None)
    objective = DenseObjective(Dense(3), loss_named("mean-squared-error"))
    events = Batch.of(np.ones((40, 3)), np.ones(40), None, "float64")
    with pytest.raises(RunFolderError, match="checkpoint is of another model") as caught:
        run(objective, events, state=state, learning_rate=0.01, epochs=4)
    assert caught.value.details["found"] == "3 in float64; others are parameters"
