"""The pictures' numbers: what curvature predicts is what the runs do, minima are minima."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from small_lecture import SMALL
from steepest.errors import Interrupted
from steepest.evaluate.figures import save
from steepest.events import Sample
from steepest.lecture import (
    Effort,
    LectureData,
    batches,
    contours,
    logistic,
    minima,
    rates,
    section,
    seven_steps,
    spectrum,
)
from steepest.lecture.data import NotFound
from steepest.lecture.descents import Problem, problem, quadratic
from steepest.lecture.minima import plateau_of
from steepest.training import TrainingCallback


@pytest.fixture
def fit() -> Problem:
    """A linear regression of two features with weights."""
    random = np.random.default_rng(3)
    x = random.normal(size=(80, 2)) @ np.array([[1.0, 0.8], [0.0, 0.5]]) + 0.3
    y = x @ np.array([1.0, -2.0]) + random.normal(size=80)
    return problem(x, y, 0.5 + random.random(80))


# --- live descents ------------------------------------------------------------------------------


def test_quadratic_is_the_weighted_least_squares_answer(fit):
    batch = fit.events
    A = np.column_stack([batch.inputs, np.ones(80)])
    w = batch.weights
    exact = np.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * batch.targets))
    parabola = quadratic(fit)
    np.testing.assert_allclose(parabola.minimum, exact, rtol=1e-10)
    values = np.linalg.eigvalsh(2 / 80 * A.T @ (w[:, None] * A))
    np.testing.assert_allclose(parabola.eigenvalues, values, rtol=1e-10)


@pytest.mark.parametrize("part", [0.1, 0.6, 0.99, 1.02, 1.2])
def test_a_run_diverges_if_and_only_if_its_rate_is_above_the_bound(fit, part: float):
    parabola = quadratic(fit)
    run = fit.descend(rate=part * parabola.bound, epochs=1000)
    assert (run.diverged_at is not None) == (part > 1)
    predicted = parabola.losses(np.zeros(3), part * parabola.bound, np.arange(len(run.losses)))
    np.testing.assert_allclose(run.losses, predicted, rtol=1e-7)


def test_steps_are_predicted(fit):
    parabola = quadratic(fit)
    predicted = parabola.steps_to(np.zeros(3), parabola.best, 1e-4)
    losses = fit.descend(rate=parabola.best, epochs=predicted + 3).losses
    excess = (losses - parabola.lowest) / (losses[0] - parabola.lowest)
    assert int(np.argmax(excess <= 1e-4)) == predicted <= parabola.steps_at_most(1e-4)


def test_a_descent_keeps_every_step_of_a_short_run_from_its_start(fit):
    start = np.array([1.0, 2.0, 3.0])
    run = fit.descend(rate=0.1, epochs=5, start=start)
    np.testing.assert_array_equal(run.steps, np.arange(6))
    np.testing.assert_array_equal(run.thetas[0], start)
    theta = start
    for k in range(5):
        theta = theta - 0.1 * fit.loss_and_gradient(theta)[1]
        np.testing.assert_allclose(run.thetas[k + 1], theta, rtol=1e-13)


def test_a_descent_ends_when_it_has_settled(fit):
    rate = quadratic(fit).best
    run = fit.descend(rate=rate, epochs=5000, settled_below=1e-6)
    assert len(run.losses) < 5000
    assert np.linalg.norm(fit.loss_and_gradient(run.end)[1]) < 1e-6


def test_an_interrupted_descent_stops(fit):
    callback = TrainingCallback()
    callback.interrupted = True
    with pytest.raises(Interrupted):
        replace(fit, callback=callback).descend(rate=0.1, epochs=1000)


def test_settled_leaves_a_saddle():
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 1))
    network = problem(x, np.tanh(2 * x[:, 0]), hidden=(2,), activation="tanh")
    near_saddle = 0.01 * random.normal(size=network.objective.size)
    assert np.linalg.eigvalsh(network.hessian(near_saddle))[0] < 0
    assert network.loss(network.settled(near_saddle)) < 1e-3 * network.loss(near_saddle)


# --- the seven steps ----------------------------------------------------------------------------


def test_the_seven_steps_of_one_step(small: LectureData, callback: TrainingCallback):
    steps = seven_steps.compute(small, 0, SMALL, callback)
    assert steps.loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(steps.after, steps.start - steps.rate * steps.gradient)
    assert steps.end_loss < steps.loss_after < steps.loss
    names = [row["name"] for row in seven_steps.rows(steps)]
    assert names == ["init", "predict", "loss", "gradient", "step", "repeat", "stop"]


def test_gradients_agree_with_numerical_derivatives(small: LectureData, callback: TrainingCallback):
    checks = seven_steps.compute(small, 5, SMALL, callback).checks
    assert [check.loss for check in checks] == [
        "mean-squared-error", "binary-cross-entropy", "cross-entropy",
    ]  # fmt: skip
    assert max(check.numerical for check in checks) < 1e-8
    assert checks[0].matrix_product == pytest.approx(0, abs=1e-12)
    assert checks[2].classes == 3


# --- the pictures -------------------------------------------------------------------------------


def test_steps_lie_on_the_section_and_where_the_curvature_says(small, callback):
    numbers = section.compute(small, 0, SMALL, callback)
    assert numbers.off_section < 1e-9 * abs(numbers.minimum)
    np.testing.assert_allclose(numbers.steps, numbers.predicted, rtol=1e-9, atol=1e-9)
    drawn = np.interp(numbers.steps, numbers.slopes, numbers.losses)
    np.testing.assert_allclose(numbers.step_losses, drawn, rtol=1e-3)
    assert (np.diff(numbers.step_losses) < 0).all()
    assert numbers.lowest == pytest.approx(numbers.losses.min(), rel=1e-3)


def test_logits_are_those_of_a_logistic_regression(jets, callback):
    numbers = logistic.compute(jets, 0, SMALL, callback)
    shift, width = jets.train.features.mean(axis=0), jets.train.features.std(axis=0)
    reference = LogisticRegression(C=1e12, tol=1e-8, max_iter=1000).fit(
        (jets.train.features - shift) / width, jets.train.labels
    )
    z = reference.decision_function((jets.other.features - shift) / width)
    edges = numbers.signal.edges
    np.testing.assert_allclose(edges[[0, -1]], np.quantile(z, [0.001, 0.999]), rtol=1e-3, atol=1e-3)
    assert numbers.start_loss == pytest.approx(np.log(2))
    assert (numbers.low <= numbers.fractions).all()
    assert (numbers.fractions <= numbers.high).all()
    distances = np.abs(numbers.fractions - expit(numbers.logits))
    assert np.average(distances, weights=numbers.counts) < 0.05
    assert distances.max() < 0.25
    assert numbers.counts.min() >= logistic.LEAST_IN_BIN


def test_rates_do_what_was_predicted(small, callback):
    numbers = rates.compute(small, 0, SMALL, callback)
    for rate in numbers.rates:
        assert (rate.diverged_at is not None) == (rate.rate > numbers.curvature.bound)
        assert rate.diverged_at == rate.predicted_to_diverge_at
        np.testing.assert_allclose(rate.losses, rate.predicted, rtol=1e-6)
    x, y = numbers.x, numbers.y
    assert len(x) == rates.POINTS
    w = small.drawn(rates.POINTS, 0).weights
    slope, intercept = np.polyfit(x, y, 1, w=np.sqrt(w))
    np.testing.assert_allclose(numbers.exact, [intercept, slope], rtol=1e-8)
    np.testing.assert_allclose(numbers.rates[1].lines[-1], numbers.exact, rtol=0.02)


def test_counted_steps_are_the_predicted_ones(small, callback):
    numbers = contours.compute(small, 0, SMALL, callback)
    raw, standard, white = numbers.scaled
    assert raw.curvature.kappa > standard.curvature.kappa > white.curvature.kappa
    assert white.curvature.kappa == pytest.approx(1)
    assert white.counted == 1
    for one in numbers.scaled:
        assert one.counted == one.predicted <= one.at_most
        assert one.losses.min() >= one.curvature.lowest - 1e-12
        near = 0.01 * np.ptp(one.path)
        np.testing.assert_allclose(one.path[-1], one.curvature.minimum, atol=near)
    assert numbers.uncentred.kappa > raw.curvature.kappa
    assert numbers.uncentred_steps > raw.predicted


def test_features_of_very_different_spread_are_predicted_and_drawn(small, callback):
    """κ is too large to be run and to be drawn on one scale: both are said."""
    features = small.train.features * np.array([1.0, 1e-6, 1.0, 1.0, 1.0])
    train = Sample(features, small.train.labels, small.train.weights)
    numbers = contours.compute(replace(small, train=train), 0, SMALL, callback)
    raw = numbers.scaled[0]
    assert raw.counted is None
    assert raw.predicted > contours.MOST_STEPS
    assert any("not run" in sentence for sentence in contours.text(numbers))
    panel = contours.figure(numbers).axes[0]
    assert any("one axis stretched" in text.get_text() for text in panel.texts)


def test_stochastic_descent_settles_only_with_a_schedule(jets, callback):
    effort = replace(SMALL, epochs=8, repeats=3)
    numbers = batches.compute(jets, 0, effort, callback)
    batch, mini, single = numbers.batch_sizes
    assert batch.batch_size == numbers.events == 300
    assert (mini.batch_size, single.batch_size) == (batches.MINI, 1)
    assert single.rate < mini.rate < batch.rate
    assert (np.diff(batch.excess) < 0).all()
    assert single.epochs_to_target is not None
    assert batch.epochs_to_target is not None
    assert single.epochs_to_target < batch.epochs_to_target
    constant, falling = numbers.floors
    assert falling.excess < 0.5 * constant.excess
    assert min(constant.values) > 0
    assert constant.uncertainty == pytest.approx(np.std(constant.values, ddof=1) / 3**0.5)


def test_the_seconds_of_the_batch_sizes_hold_no_compilation(jets, callback, monkeypatch):
    """The first descent with a batch size may take seconds until its kernels are there."""
    done: set[int] = set()
    descend = Problem.descend

    def slow_at_first(fit, *, batch_size, **options):
        run = descend(fit, batch_size=batch_size, **options)
        late = batch_size not in done
        done.add(batch_size)
        return replace(run, seconds=100.0 if late else 0.5)

    monkeypatch.setattr(Problem, "descend", slow_at_first)
    numbers = batches.compute(jets, 0, replace(SMALL, epochs=8, repeats=3), callback)
    assert [one.seconds["epoch"] for one in numbers.batch_sizes] == pytest.approx([0.5 / 8] * 3)


@pytest.fixture(scope="module")
def found(jets) -> minima.Minima:
    return minima.compute(jets, 7, Effort(samples=1), TrainingCallback())


def test_minima_are_minima_with_a_barrier_between(found):
    numbers = found
    for one in numbers.minima:
        assert one.gradient < 1e-8
        assert one.eigenvalues[0] > 0
        assert 0 <= one.moved < minima.REACHED * one.loss
        assert one.losses[-1] == pytest.approx(one.loss, rel=2e-3)
    first, second = numbers.minima
    assert second.loss > (1 + minima.DIFFERENT) * first.loss
    assert numbers.line[[0, -1]] == pytest.approx([first.loss, second.loss])
    assert numbers.line.max() > second.loss
    assert numbers.barrier["height"] > 0
    plateau = numbers.plateau
    assert plateau is not None
    flat = np.log(plateau.losses[plateau.first] / plateau.losses[plateau.last])
    later = np.log(plateau.losses[plateau.last] / plateau.losses[-1])
    assert flat < later
    assert plateau.gradient == plateau.gradients[plateau.first : plateau.last].min()


def test_one_minimum_is_said(small, callback, monkeypatch):
    monkeypatch.setattr(minima, "DIFFERENT", 1e6)
    with pytest.raises(NotFound, match=r"2 starts in each of 1 samples of 40 events"):
        minima.compute(small, 0, replace(SMALL, samples=1, steps=20), callback)


@pytest.mark.parametrize("picture", [logistic, batches])
def test_separable_classes_have_no_minimum(picture, small, callback):
    features = small.train.features + 1e4 * small.train.labels[:, None]
    train = Sample(features, small.train.labels, small.train.weights)
    with pytest.raises(NotFound, match="separates the two classes without error"):
        picture.compute(replace(small, train=train), 0, SMALL, callback)


def test_no_plateau_in_an_even_fall_or_none_at_all():
    assert plateau_of(np.geomspace(1, 0.01, 200)) is None
    assert plateau_of(np.ones(5)) is None


def test_a_picture_without_a_plateau_says_so(found, tmp_path):
    numbers = replace(found, plateau=None)
    assert minima.text(numbers)[-1] == "No run had a plateau."
    assert save(minima.figure(numbers), tmp_path / "minima.png").exists()


@pytest.mark.parametrize("picture", [section, contours])
def test_same_seed_same_figure(picture, small, callback, tmp_path):
    def drawn(seed: int, name: str) -> bytes:
        numbers = picture.compute(small, seed, SMALL, callback)
        return save(picture.figure(numbers), tmp_path / name).read_bytes()

    first = drawn(0, "a.png")
    assert first == drawn(0, "b.png")
    assert first != drawn(1, "c.png")


def test_the_table_of_a_lecture_of_version_1_counts_passes():
    one = {"name": "batch", "batch_size": 10, "rate": 0.5}
    old = {**one, "passes_to_target": 3.0, "seconds": {"pass": 0.002, "target": 0.006}}
    new = {**one, "epochs_to_target": 3.0, "seconds": {"epoch": 0.002, "target": 0.006}}
    tables = [batches.table({"batch_sizes": [each], "target": 0.02}) for each in (old, new)]
    assert tables[0] == tables[1]
    assert tables[0][1] == ["batch", "10", "0.5", "3", "6 ms", "2 ms"]


def test_the_spectrum_predicts_the_losses_and_is_that_of_numpy(jets):
    found = spectrum.compute(jets, 0, SMALL, TrainingCallback())
    events = jets.drawn(SMALL.events, 0)
    names = list(jets.names)
    others = [names.index(name) for name in found.features]
    X, w = events.features[:, others], events.weights
    z = (X - np.average(X, axis=0, weights=w)) / X.std(axis=0)
    A = np.column_stack([z, np.ones(len(z))])
    values = np.linalg.eigvalsh(2 / len(A) * A.T @ A)
    np.testing.assert_allclose(found.eigenvalues.eigenvalues, values, rtol=1e-6)
    assert found.rate == pytest.approx(2 / (values[0] + values[-1]), rel=1e-6)
    path = found.path
    assert path.losses[-1] - path.lowest <= 1.01e-6 * (path.losses[0] - path.lowest)
    np.testing.assert_allclose(path.losses, path.predicted, rtol=1e-12)


def test_features_that_depend_on_each_other_have_no_spectrum(jets):
    features = np.column_stack([jets.train.features, jets.train.features[:, 1:2]])
    twice = replace(
        jets, names=(*jets.names, "again"), train=replace(jets.train, features=features)
    )
    with pytest.raises(NotFound, match="depend on each other"):
        spectrum.compute(twice, 0, SMALL, TrainingCallback())
