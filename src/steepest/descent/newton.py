"""The optimum of a convex model, by gradient descent whose scaling is the measured curvature.

Use it when the model has no hidden layer and the minimum itself is wanted: with H = ∇²J as the
metric all contours are round, and θ ← θ − η H⁻¹∇J(θ) with η = 1 is near the minimum after a few
steps, whatever the features' scales and correlations. A step costs one pass over all events; H
comes from a sample of them, which also gives the start::

    _sampled     evenly spaced events
    _optimum_of  the optimum of the sample: steps with the sample's own gradient and curvature
    newton       steps with the gradient of all events, and the curvature of the sample

The predicted excess ``δ = ½ ∇Jᵀ H⁻¹ ∇J`` says how far J is above its minimum, and ends the descent.
A sample of s events with n parameters leaves an excess of about n/(2s), and each step takes all but
some n/s of what is left; where it takes less than three quarters, the sample grows.

Erdogdu and Montanari, "Convergence rates of sub-sampled Newton methods", NIPS 2015,
arXiv:1508.02810; Boyd and Vandenberghe, Convex Optimization (2004), section 9.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.curvature import hessian
from steepest.descent.history import History
from steepest.descent.loop import Callback, Monitor, Outcome
from steepest.descent.plan import Plan
from steepest.descent.state import Best, Checkpointer, Path, State, StopReason
from steepest.errors import EventsError, Interrupted, Preempted
from steepest.models import has_intercept
from steepest.objective import Batch, Objective
from steepest.objective.over_ranks import OverRanks
from steepest.ranks import current
from steepest.storage import blocks, map_blocks

Array = np.ndarray
Solve = Callable[[Array], Array]

TOLERANCE = 1e-10
"""The predicted excess of J at which the descent ends, if the recipe has no loss tolerance."""
LEAST_SAMPLE, SAMPLE_PER_PARAMETER, SAMPLE_SHARE = 20_000, 200, 0.01
SLOW = 0.25
"""A step after which so much of the predicted excess is left makes the sample grow."""
GROWTH = 8
ROUNDING = float(np.finfo(np.float64).eps)
SMALLEST_STEP = 2.0**-30
ARMIJO = 1e-4
SAMPLE_STEPS = 50
MOST_VECTORS = 500
"""Parameters up to which H is inverted by its eigenvectors."""
FAR = 100.0
"""A mean so many standard deviations from zero makes the features be taken from their means."""
FAR_STEP = 0.01
"""A last step so large for θ leads to no minimum: near one, steps shrink quadratically."""
FLAT = 1e-13
"""Curvatures below this part of the largest count as flat: no step goes there."""


@dataclass(frozen=True)
class _Point:
    """θ with J, ∇J, the step −H⁻¹∇J and the predicted excess there."""

    theta: Array
    loss: float
    gradient: Array
    step: Array
    excess: float


def newton(
    objective: Objective,
    events: Batch,
    plan: Plan,
    checkpointer: Checkpointer,
    *,
    monitor: Monitor | None = None,
    metrics: tuple[str, ...] = (),
    state: State | None = None,
    callback: Callback | None = None,
) -> tuple[Outcome, str]:
    """Go to the minimum of a convex J; return where it ended, and how in a sentence.

    Parameters
    ----------
    objective, events
        J, convex, and the training events, in memory or on disk.
    plan
        Gives the seed of θ₀, the most steps over all events (`Plan.total_steps`) and the stopping
        criteria: a loss tolerance, a gradient norm, wall time.
    checkpointer
        Is given the state, history and path once, at the end.
    monitor, metrics
        What is validated after each step, as for `descend`.
    state
        Of a descent that has ended: nothing is left to do. One that was interrupted starts anew.
    callback
        Progress; may ask to stop.

    Raises
    ------
    EventsError
        The curvature is negative somewhere, which negative weights can do: J may have no minimum.
    Interrupted
        If `callback.interrupted` became true.
    """
    if state is not None:
        return _outcome(plan, state), "Newton's method had ended."
    callback, ranks = callback or Callback(), current()
    if ranks.size > 1:
        objective = OverRanks(objective, ranks)
    shift = _shift(objective, _sampled(events, objective.size))
    recorder = _Recorder(objective, plan, monitor, metrics, shift)
    theta = objective.initial(plan.seed)
    if shift is not None:
        inputs = map_blocks(lambda x: (x - shift).astype(x.dtype), events.inputs)
        events = Batch(inputs, events.targets, events.weights)
        theta = _moved(objective, theta, shift)
    sample = _sampled(events, objective.size)
    start, steps = _optimum_of(objective, sample, theta)
    how = "" if len(sample) == len(events) else f" of {len(sample):,} of the {len(events):,} events"
    for point, rate in _points(objective, events, sample, start):
        state = recorder.step(state, point, rate, callback)
        if ranks.any(callback.interrupted) and state.reason is None:
            kind = Preempted if ranks.any(callback.preempted) else Interrupted
            raise kind(f"Interrupted after step {state.step:,}.")
        if state.reason is not None:
            break
    assert state is not None  # there is a start
    if ranks.is_main:
        checkpointer.save(state, recorder.history.take(), recorder.taken())
    took = "1 step" if steps == 1 else f"{steps} steps"
    said = f"Newton's method: {took} to the optimum{how}, {state.step} over all events."
    return _outcome(plan, state), said


def _shift(objective: Objective, sample: Batch) -> Array | None:
    """The means of a sample's features, if rounding would hide how one varies about its own.

    A linear model with an intercept has the same minimum whatever its features are measured from.
    """
    model = getattr(objective, "model", None)
    if model is None or not has_intercept(model):
        return None
    ranks = current()
    first = ranks.from_main(sample.take(slice(1)).inputs[0].astype(np.float64))
    sums, squares = np.zeros_like(first), np.zeros_like(first)
    for (inputs,) in blocks(sample.inputs):
        distance = inputs - first
        sums += distance.sum(axis=0)
        squares += (distance**2).sum(axis=0)
    mean, variance = ranks.sum(np.stack([sums, squares])) / ranks.total(len(sample))
    variance -= mean**2
    centre = first + mean
    return centre if (centre**2 > FAR**2 * variance).any() else None


def _moved(objective: Any, theta: Array, shift: Array, sign: float = 1.0) -> Array:
    """θ for features x − shift, from that for x; with sign −1 the other way."""
    theta = theta.astype(np.float64)
    weights, biases = objective.model.linear_layer(theta)
    biases += sign * (shift @ weights)
    return theta.astype(objective.dtype)


def _outcome(plan: Plan, state: State) -> Outcome:
    if plan.keep == "best":
        return Outcome(state.best.theta, state.best.step, state)
    return Outcome(state.theta, state.step, state)


def _sampled(events: Batch, size: int, least: int = 0) -> Batch:
    """At least so many events, evenly spaced, or all of them; of many ranks, of this one's."""
    wanted = max(LEAST_SAMPLE, SAMPLE_PER_PARAMETER * size, int(SAMPLE_SHARE * len(events)))
    wanted = max(-(-wanted // current().size), least)
    if wanted >= len(events):
        return events
    return events.take(slice(None, None, len(events) // wanted))


def _optimum_of(objective: Objective, sample: Batch, theta: Array) -> tuple[Array, int]:
    """The optimum of the sample, each step with its own curvature; and the number of steps."""
    point = _point(objective, theta, sample, inverse_curvature(objective, theta, sample))
    for count in range(SAMPLE_STEPS):
        if point.excess <= TOLERANCE:
            return point.theta, count
        after, _ = _lower(objective, sample, point, None)
        if after is None:
            return point.theta, count
        point = after
    return point.theta, SAMPLE_STEPS


def _points(
    objective: Objective, events: Batch, sample: Batch, theta: Array
) -> Iterator[tuple[_Point, float]]:
    """Yield the start and each point after it, with the η of the step there; 0 is no step."""
    inverse = inverse_curvature(objective, theta, sample)
    point = _point(objective, theta, events, inverse)
    yield point, 0.0
    while True:
        after, rate = _lower(objective, events, point, inverse)
        if after is None:
            yield point, 0.0
            return
        if after.excess > SLOW * point.excess:
            sample = _sampled(events, objective.size, GROWTH * len(sample))
            inverse = inverse_curvature(objective, after.theta, sample)
            after = _aimed(after.theta, after.loss, after.gradient, inverse)
        point = after
        yield point, rate


def _point(objective: Objective, theta: Array, events: Batch, inverse: Solve) -> _Point:
    return _aimed(theta, *objective.loss_and_gradient(theta, events), inverse)


def _aimed(theta: Array, loss: float, gradient: Array, inverse: Solve) -> _Point:
    gradient = gradient.astype(np.float64)
    step = -inverse(gradient)
    return _Point(theta, loss, gradient, step, float(-step @ gradient) / 2)


def _lower(
    objective: Objective, events: Batch, point: _Point, inverse: Solve | None
) -> tuple[_Point | None, float]:
    """The point at θ + η s with the largest η = 1, ½, ¼ … at which J falls enough, if any.

    Without `inverse`, the next step is aimed with the curvature at that point.
    """
    rate = 1.0
    slack = 4 * float(np.finfo(point.theta.dtype).eps) * abs(point.loss)
    while rate > SMALLEST_STEP:
        theta = point.theta + (rate * point.step).astype(point.theta.dtype)
        if (theta == point.theta).all():
            return None, 0.0
        loss, gradient = objective.loss_and_gradient(theta, events)
        if loss <= point.loss - 2 * ARMIJO * rate * point.excess + slack:
            aim = inverse_curvature(objective, theta, events) if inverse is None else inverse
            return _aimed(theta, loss, gradient, aim), rate
        rate /= 2
    return None, 0.0


class _Recorder:
    """What is recorded of the steps over all events, and when they end."""

    def __init__(
        self,
        objective: Objective,
        plan: Plan,
        monitor: Monitor | None,
        metrics: tuple[str, ...],
        shift: Array | None = None,
    ) -> None:
        self.objective, self.plan, self.monitor, self.shift = objective, plan, monitor, shift
        self.history = History(metrics, per_epoch=1)
        self.path: list[tuple[int, Array]] = []
        self.before: _Point | None = None
        self.began = current().clock()

    def step(self, state: State | None, point: _Point, rate: float, callback: Callback) -> State:
        """Write down the step that led to `point`, and see whether there is a reason to stop."""
        if self.shift is not None:
            point = replace(point, theta=_moved(self.objective, point.theta, self.shift, -1.0))
        validated: Mapping[str, float] = {}
        if self.monitor is not None:
            validated = current().from_main(dict(self.monitor(point.theta)))
        monitored = float(validated.get("validation_loss", point.loss))
        if state is None:
            state = State(point.theta, (), 0, Best(point.theta, monitored, 0), math.inf)
            self.path.append((0, point.theta))
        elif rate:
            state = self._record(state, point, rate, monitored)
            row = {"training_loss": point.loss, **validated, "seconds": state.seconds}
            self.history.add_round(row)
            callback.steps(state, point.loss, rate, float(state.step))
            callback.round(state, row)
        ended = self.before is not None and rate == 0.0
        reason = self._reason(state, point, ended)
        self.before = point
        return state.with_changes(reason=reason)

    def taken(self) -> Path:
        """θ at every step."""
        return Path(np.array([s for s, _ in self.path]), np.stack([t for _, t in self.path]))

    def _record(self, state: State, point: _Point, rate: float, monitored: float) -> State:
        assert self.before is not None  # the start comes first
        before, step = self.before, state.step + 1
        change, size = (
            float(np.linalg.norm(v)) for v in (point.theta - before.theta, before.theta)
        )
        norm = float(np.linalg.norm(before.gradient))
        values = [before.loss, rate, norm, change / size if size else math.inf]
        self.history.add_steps(np.array([step]), np.array([values]))
        self.path.append((step, point.theta))
        best = Best(point.theta, monitored, step) if monitored < state.best.loss else state.best
        return state.with_changes(
            theta=point.theta,
            step=step,
            round_step=step,
            best=best,
            seconds=current().clock() - self.began,
        )

    def _reason(self, state: State, point: _Point, ended: bool) -> StopReason | None:
        stop = self.plan.stop
        norm = float(np.linalg.norm(point.gradient))
        if stop.gradient_norm is not None and norm < stop.gradient_norm:
            sentence = f"the gradient norm {norm:.3g} is below {stop.gradient_norm:g}"
            return StopReason("gradient-norm", sentence)
        if point.excess <= (stop.loss_tolerance or TOLERANCE):
            if np.linalg.norm(point.step) > FAR_STEP * np.linalg.norm(point.theta) > 0:
                return StopReason(
                    "separable",
                    f"J still falls towards {point.loss - point.excess:.3g} while θ grows without "
                    "end, as where classes can be separated; an L2 penalty gives it a minimum",
                )
            sentence = f"J is {max(point.excess, 0.0):.2g} above its minimum, as curvature predicts"
            return StopReason("optimum", sentence)
        if ended or point.excess <= ROUNDING * abs(point.loss):
            return StopReason("optimum", "no step lowers J by more than rounding")
        if stop.seconds is not None and state.seconds >= stop.seconds:
            sentence = f"{state.seconds:.1f} s of wall time are over {stop.seconds:g} s"
            return StopReason("seconds", sentence)
        if state.step >= self.plan.total_steps:
            return StopReason("epochs", f"all {self.plan.total_steps:,} steps are done")
        return None


def inverse_curvature(objective: Objective, theta: Array, sample: Batch) -> Solve:
    """V ↦ H⁻¹ v at θ, in float64; nothing, or little, along directions in which J is flat.

    Which these are is judged with every parameter measured in units of H's diagonal, so that the
    features' scales do not matter. Up to `MOST_VECTORS` parameters H's eigenvectors are taken; of
    more, which would cost 30 times as much, a Cholesky factor of H + δ, with δ above rounding.

    Raises
    ------
    EventsError
        If H has a negative eigenvalue.
    """
    curvature = hessian(objective, theta, sample)
    diagonal = np.abs(np.diag(curvature))
    units = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    curvature = curvature / units[:, None] / units
    if len(units) > MOST_VECTORS and (factor := _factor(curvature)) is not None:
        from scipy.linalg import cho_solve

        return lambda vector: cho_solve(factor, vector / units) / units
    values, vectors = np.linalg.eigh(curvature)
    largest, lowest = float(values[-1]), float(values[0])
    if lowest < -1e-9 * abs(largest) and current().any(sample.some_negative):
        raise EventsError(
            "With these weights the loss is not convex, and may have no minimum.",
            expected="a curvature that is nowhere negative",
            found=f"a lowest eigenvalue of the Hessian of {lowest:.3g}",
            cause="negative weights that outweigh the positive ones in some direction",
            do='use more events, or set descent.method = "descent"',
        )
    curved = values > max(FLAT * len(values) * largest, -2 * lowest)  # below: rounding
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=curved)
    vectors /= units[:, None]
    matrix = (vectors * inverse) @ vectors.T
    return lambda vector: matrix @ vector


def _factor(curvature: Array) -> Any:
    """A Cholesky factor of H + δ with the smallest δ that makes it one; None if 10⁻⁶ does not."""
    from scipy.linalg import LinAlgError, cho_factor

    shift = 10 * FLAT * len(curvature)
    while shift < 1e-6:
        try:
            return cho_factor(curvature + shift * np.eye(len(curvature)), check_finite=False)
        except LinAlgError:
            shift *= 30
    return None
