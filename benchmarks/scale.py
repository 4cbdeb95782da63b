"""What a gradient costs against the number of events, of features, the width and the threads.

Beside each time stand the three that bound it from below: what a call costs that has a single
event, reading the array once, and the arithmetic of as many events that lie in the cache.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import Case, Claim, Options, in_turn
from benchmarks.machine import cores, matrix_peak, on_cores, sum_once
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.objective.compiled import Linear, Network

__all__ = ["LIMITS", "measure"]

Array = np.ndarray

EVENTS = (100, 1_000, 10_000, 100_000, 1_000_000, 4_000_000, 10_000_000)
FEATURES = (2, 8, 28, 100, 300)
WIDTHS = (4, 16, 64, 256, 1024)
LIMITS = ("a call", "memory", "arithmetic")
"""What bounds the time from below, in the order in which it does with growing size."""
LOSS = "binary-cross-entropy"
LASTING = 0.05
"""Seconds for which the same is repeated: a call after a pause finds a machine that has rested."""
FEW, MORE = 128, 1024
"""Events that lie in the cache; the difference is free of what a call costs."""
SETTINGS = {
    "time": "of DenseObjective.loss_and_gradient, again and again, as a descent calls it",
    "a call": "the same with a single event",
    "memory": "each number of X read once and added, by one thread or all, whichever is faster",
    "arithmetic": "the same kernel on events in the cache, shared by all threads",
}


@dataclass(frozen=True)
class _Point:
    """A sample and a model, and how it is named in the table."""

    name: str
    events: int
    features: int = 28
    hidden: tuple[int, ...] = ()

    def sample(self) -> tuple[Array, Array]:
        """X and labels that the first feature tells."""
        random = np.random.default_rng(0)
        X = random.standard_normal((self.events, self.features), dtype=np.float32)
        return X, (X[:, 0] > 0).astype(np.float32)

    @property
    def model(self) -> Dense:
        """The network, or the linear model."""
        return Dense(self.features, self.hidden)


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each of the four."""
    most = 100_000 if options.quick else EVENTS[-1]
    by_events = [_Point(str(m), m) for m in EVENTS if m <= most]
    by_features = [_Point(str(n), 200_000, n) for n in FEATURES]
    by_width = [_Point(str(w), 10_000, hidden=(w, w)) for w in WIDTHS]
    yield _linear(_case("events m of a logistic regression on 28 features", by_events, options))
    yield _case("features n of a logistic regression on 200,000 events", by_features, options)
    yield _case("width of a network 28→w→w→1 on 10,000 events", by_width, options)
    same = [
        _Point("logistic, 2M × 28", most // 5),
        _Point("28→256→256→1, 10,000", 10_000, hidden=(256, 256)),
    ]
    for threads in range(1, cores() + 1):
        with on_cores(threads):
            yield _case(f"{threads} core{'s' if threads > 1 else ''}", same, options)


def _case(what: str, points: list[_Point], options: Options) -> Case:
    seconds, limits = {}, {name: {} for name in LIMITS}
    for point in points:
        seconds[point.name], bounds = _measured(point, options)
        for name in LIMITS:
            limits[name][point.name] = bounds[name]
    peak = matrix_peak(cores()) / 1e9
    numbers = {"limits, seconds": limits, "sgemm peak, GFLOP/s": peak}
    return Case("scale", what, seconds, [], SETTINGS, numbers=numbers)


def _measured(point: _Point, options: Options) -> tuple[list[float], dict[str, float]]:
    """The seconds of one gradient in each round, and the medians of what bounds them."""
    X, y = point.sample()
    objective = DenseObjective(point.model, loss_named(LOSS), 0.0, "float32")
    theta = objective.initial(0)
    one, whole = Batch(X[:1], y[:1]), Batch(X, y)
    runs = {
        "gradient": lambda: objective.loss_and_gradient(theta, whole),
        "a call": lambda: objective.loss_and_gradient(theta, one),
        "one thread": lambda: sum_once(X, 1),
        "all threads": lambda: sum_once(X, cores()),
    }
    repeats = {name: _repeats(run) for name, run in runs.items()}
    together = {name: _again(run, repeats[name]) for name, run in runs.items()}
    times, _ = in_turn(together, options.rounds)
    each = {name: [s / repeats[name] for s in times[name]] for name in runs}
    middle = {name: statistics.median(values) for name, values in each.items()}
    return each["gradient"], {
        "a call": middle["a call"],
        "memory": min(middle["one thread"], middle["all threads"]),
        "arithmetic": _arithmetic(point, theta) * point.events / cores(),
    }


def _repeats(run: Callable[[], object]) -> int:
    """How often to run it for it to last."""
    run()
    began = time.perf_counter()
    run()
    return max(1, math.ceil(LASTING / (time.perf_counter() - began)))


def _again(run: Callable[[], object], times: int) -> Callable[[], object]:
    return lambda: [run() for _ in range(times)]


def _arithmetic(point: _Point, theta: Array) -> float:
    """Seconds of one thread for an event that lies in the cache."""
    X, y = _Point("", MORE, point.features).sample()
    of_kind = Network if point.model.hidden else Linear
    kernels, gradient = of_kind(point.model, LOSS, 0.0, "float32"), np.zeros(len(theta))
    seconds = {}
    for rows in (FEW, MORE):
        block = Batch(X[:rows], y[:rows])

        def run(block: Batch = block) -> float:
            return kernels.add_block(theta, block, 1.0, gradient)

        times = _repeats(run)
        began = time.perf_counter()
        _again(run, times)()
        seconds[rows] = (time.perf_counter() - began) / times
    return (seconds[MORE] - seconds[FEW]) / (MORE - FEW)


def _linear(case: Case) -> Case:
    """Claim that the time is linear in the number of events, between the last two."""
    before, last = (statistics.median(times) for times in list(case.seconds.values())[-2:])
    fewer, more = (int(name) for name in list(case.seconds)[-2:])
    value = more / fewer * before / last
    case.claims.append(Claim("linear in m at the end (1: exactly)", value, value, value, 0.8))
    return case
