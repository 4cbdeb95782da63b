"""λmax along a descent against what the update rule can bear, and the noise of its gradients.

Gradient descent on a quadratic is stable for ηλ < 2; with momentum β for ηλ < 2(1 + β). Networks
rise to about this bound by themselves and stay there while J falls (Cohen et al.,
arXiv:2103.00065), so what tells a learning rate that is too large is ηλ at the *start*. Adam and
RMSprop divide the gradient by P = √v̂ + ε: what counts for them is λmax of P^−½ ∇²J P^−½, and the
bound is (2 + 2β₁)/(1 − β₁) (Cohen et al., arXiv:2207.14484).

The gradient noise scale is B = tr Σ/‖∇J‖², with Σ the covariance of single events' gradients: the
batch size at which noise and gradient are alike (McCandlish et al., arXiv:1812.06162).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice

import numpy as np

from steepest.curvature import hessian_product, lanczos
from steepest.explain.budget import Budget, ends_first, of_the_path
from steepest.explain.record import Record
from steepest.objective import Batch
from steepest.objective.stateful import preserved_memory

Array = np.ndarray

EVENTS = 2_000
"""Events at most that λmax of a network is measured on."""
BATCHES = 32
"""Mini-batches whose gradients give the noise and the size of v̂."""
MOST_SINGLE = 4_096
"""Events whose gradients are taken one by one for the noise; of more, those of batches."""
MOST_BATCHES, NOISE_ERROR = 1024, 0.04
"""Batches go on until B has this relative standard error, or until there are so many."""
FEWEST_BATCHES = 8
"""At least, where time ends."""
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sharpness:
    """λmax at one point of the path.

    Parameters
    ----------
    step, rate
        Where, and η there.
    largest
        λmax of ∇²J; for rules that divide the gradient, of P^−½ ∇²J P^−½.
    bound
        The largest stable η λ.
    """

    step: int
    rate: float
    largest: float
    bound: float

    @property
    def of_bound(self) -> float:
        """η λmax over the bound: above one, a quadratic would diverge."""
        return self.rate * self.largest / self.bound

    @property
    def largest_rate(self) -> float:
        """The largest stable η there."""
        return self.bound / self.largest if self.largest > 0 else math.inf

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return {**asdict(self), "of_bound": self.of_bound}


@dataclass(frozen=True)
class Noise:
    """The noise of gradients of `batch` events at a step, on events drawn anew."""

    step: int
    batch: int
    squared_gradient: float
    """‖∇J‖², without what noise adds to it."""
    variance: float
    """tr Σ of a single event."""

    @property
    def scale(self) -> float:
        """B = tr Σ/‖∇J‖², in events."""
        return self.variance / self.squared_gradient if self.squared_gradient > 0 else math.inf

    def to_json(self) -> dict[str, float | None]:
        """Plain values."""
        scale = self.scale if math.isfinite(self.scale) else None
        return {**asdict(self), "scale": scale}


def bound_of(record: Record) -> float:
    """The largest stable η λ of the update rule."""
    rule, options = record.rule, record.descent.optimizer
    if rule.stability is not None:
        return rule.stability
    beta = getattr(options, "beta1", 0.0)
    return 2.0 * (1.0 + beta) / (1.0 - beta)


def measure_sharpness(
    record: Record, points: int = 5, budget: Budget | None = None
) -> list[Sharpness]:
    """λmax at the start, at the end and between, at points of the path evenly in log-time.

    A slow network has it on fewer events and at fewer points, the start always; `budget` tells.
    """
    budget = budget or Budget()
    places, found = _places(len(record.thetas), points), dict[int, Sharpness]()
    if not places:
        return []
    budget.left("sharpness")
    share = budget.seconds["sharpness"] / len(places)
    with preserved_memory(record.objective):
        events = some_events(record.train, EVENTS)
        product = partial(hessian_product, record.objective, record.thetas[0])
        size = record.objective.size
        events = budget.affordable("sharpness", events, product, size, share)
        for index in ends_first(places):
            left = budget.left("sharpness")
            if found and left < share / 2:
                budget.skip("sharpness along the path", of_the_path(len(found), len(places)))
                break
            found[index] = _at(record, index, events, max(left, share))
            budget.callback.measured(len(found), len(places), "points")
    return [found[index] for index in sorted(found)]


def _places(count: int, points: int) -> list[int]:
    if not count:
        return []
    spread = np.geomspace(1, count, points).round().astype(int) - 1
    return sorted({0, *spread.tolist(), count - 1})


def _at(record: Record, index: int, events: Batch, seconds: float) -> Sharpness:
    theta, step = record.thetas[index], int(record.steps[index])
    plain = hessian_product(record.objective, theta, events)
    root = np.ones(1) if record.rule.stability is not None else np.sqrt(_divisor(record, theta))

    def product(vector: Array) -> Array:
        return plain(vector / root) / root

    try:
        size = record.objective.size
        found = lanczos(product, size, low=0, high=1, tolerance=TOLERANCE, seconds=seconds)
        largest = float(found.values[-1])
    except FloatingPointError:
        largest = math.nan
    return Sharpness(step, _rate_at(record, step), largest, bound_of(record))


def _divisor(record: Record, theta: Array) -> Array:
    """√v̂ + ε of Adam or RMSprop where they stay at θ: v̂ is the mean square of the gradients."""
    squares = np.mean(_gradients(record, theta, 0) ** 2, axis=0)
    return np.sqrt(squares) + getattr(record.descent.optimizer, "epsilon", 1e-8)


def _rate_at(record: Record, step: int) -> float:
    """η of the first recorded step after `step`."""
    rates = record.history.filter(record.history["learning_rate"].is_not_null())
    if not len(rates):
        return record.rate
    place = min(int(rates["step"].search_sorted(step + 1)), len(rates) - 1)
    return float(rates["learning_rate"][place])


def measure_noise(record: Record, index: int = -1, budget: Budget | None = None) -> Noise | None:
    """Measure the noise scale from gradients of mini-batches and of all events; None for batch.

    tr Σ = (E‖g‖² − ‖∇J‖²)/(1/b − 1/n) of batches of b events, drawn from n without putting back.
    """
    if record.takes_all or not len(record.thetas):
        return None
    theta, size = record.thetas[index], _batch_size(record)
    events = len(record.train)
    with preserved_memory(record.objective), np.errstate(all="ignore"):
        whole = record.objective.loss_and_gradient(theta, record.train)[1]
        whole = np.asarray(whole, dtype=np.float64)
        large = float(whole @ whole)
        if events <= MOST_SINGLE and not _in_torch(record):
            variance = _of_single_events(record, theta, whole)
        else:
            variance = _of_batches(record, theta, whole, budget or Budget())
    if not (math.isfinite(variance) and variance > 0):
        return None
    return Noise(int(record.steps[index]), size, max(large - variance / events, 0.0), variance)


def _of_single_events(record: Record, theta: Array, whole: Array) -> float:
    """Tr Σ of the gradients of all events, one by one; each with its weight, of mean one."""
    total = 0.0
    for row in range(len(record.train)):
        one = record.objective.loss_and_gradient(theta, record.train.take(slice(row, row + 1)))[1]
        total += float(((one - whole) ** 2).sum())
    return total / (len(record.train) - 1)


def _of_batches(record: Record, theta: Array, whole: Array, budget: Budget) -> float:
    """Tr Σ of batches, of so many that B has the error `NOISE_ERROR`; of fewer where time ends."""
    events, large = len(record.train), float(whole @ whole)
    each = 1.0 / (1.0 / _batch_size(record) - 1.0 / events)
    squares: list[float] = []
    variance = math.nan
    for gradient in islice(_each_gradient(record, theta, 1), MOST_BATCHES):
        squares.append(float(((gradient - whole) ** 2).sum()))
        late = len(squares) >= FEWEST_BATCHES and budget.left("noise") < 0
        if len(squares) % BATCHES and not late:
            continue
        variance = each * float(np.mean(squares))
        signal = large - variance / events
        if late:
            budget.skip("noise", f"from {len(squares):,} batches, for lack of time")
        if late or not signal > 0:
            break
        error = float(np.std(squares) / np.mean(squares)) / math.sqrt(len(squares))
        if error * large / signal <= NOISE_ERROR:  # δB/B = δ(tr Σ)/(tr Σ) · ‖∇J‖²/signal
            break
    return variance


def _in_torch(record: Record) -> bool:
    return hasattr(record.objective, "module")


def _batch_size(record: Record) -> int:
    size = record.descent.batch_size
    size = record.events if isinstance(size, str) else size
    return min(size, len(record.train))


def _gradients(record: Record, theta: Array, seed: int) -> Array:
    """Gradients of mini-batches as the descent takes them, ``(batches, size)``."""
    count = 1 if _batch_size(record) == len(record.train) else BATCHES
    return np.asarray(list(islice(_each_gradient(record, theta, seed), count)))


def _each_gradient(record: Record, theta: Array, seed: int) -> Iterator[Array]:
    """Gradients of mini-batches, without end."""
    size, random = _batch_size(record), np.random.default_rng(seed)
    while True:
        rows = np.sort(random.choice(len(record.train), size, replace=False))
        gradient = record.objective.loss_and_gradient(theta, record.train.take(rows))[1]
        yield np.asarray(gradient, dtype=np.float64)


def some_events(events: Batch, most: int = EVENTS) -> Batch:
    """Events evenly spaced through a batch, at most so many."""
    if len(events) <= most:
        return events
    return events.take(np.linspace(0, len(events) - 1, most).astype(np.int64))
