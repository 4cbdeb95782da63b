"""What a gradient costs against the number of events, of features, the width and the threads."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case, Claim, Options, in_turn
from benchmarks.machine import cores, matrix_peak, sum_once
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective

__all__ = ["measure"]

EVENTS = (100, 1_000, 10_000, 100_000, 1_000_000, 4_000_000)
FEATURES = (2, 8, 28, 100, 300)
WIDTHS = (4, 16, 64, 256, 1024)


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each of the four."""
    most = 100_000 if options.quick else EVENTS[-1]
    yield _case("events m of a logistic regression on 28 features", options, [
        (str(m), m, 28, ()) for m in EVENTS if m <= most
    ], linear=True)  # fmt: skip
    yield _case("features n of a logistic regression on 200,000 events", options, [
        (str(n), 200_000, n, ()) for n in FEATURES
    ])  # fmt: skip
    yield _case("width of a network 28→w→w→1 on 10,000 events", options, [
        (str(w), 10_000, 28, (w, w)) for w in WIDTHS
    ])  # fmt: skip
    for threads in range(1, cores() + 1):
        with threadpool_limits(limits=threads):
            yield _case(f"{threads} threads", options, [
                ("logistic, 2M × 28", most // 2, 28, ()),
                ("28→256→256→1, 10,000", 10_000, 28, (256, 256)),
            ])  # fmt: skip


def _case(
    what: str,
    options: Options,
    points: list[tuple[str, int, int, tuple[int, ...]]],
    linear: bool = False,
) -> Case:
    random = np.random.default_rng(0)
    seconds, limits = {}, {}
    for name, events, features, hidden in points:
        X = random.standard_normal((events, features), dtype=np.float32)
        y = (X[:, 0] > 0).astype(np.float32)
        loss = loss_named("binary-cross-entropy")
        objective = DenseObjective(Dense(features, hidden), loss, 0.0, "float32")
        theta, batch = objective.initial(0), Batch(X, y)
        repeats = max(1, int(2e5 / events))
        runs = {
            name: lambda o=objective, t=theta, b=batch, n=repeats: [
                o.loss_and_gradient(t, b) for _ in range(n)
            ],
            "sum": lambda X=X, n=repeats: [sum_once(X, 1) for _ in range(n)],
        }
        times, _ = in_turn(runs, options.rounds)
        seconds[name] = [s / repeats for s in times[name]]
        limits[name] = statistics.median(times["sum"]) / repeats
    claims = []
    if linear:
        last, before = (statistics.median(seconds[p[0]]) for p in (points[-1], points[-2]))
        factor = points[-1][1] / points[-2][1]
        value = factor * before / last
        claims.append(Claim("linear in m at the end (1: exactly)", value, value, value, 0.8))
    return Case("scale", what, seconds, claims, numbers={
        "reading X once, seconds": limits, "sgemm peak, GFLOP/s": matrix_peak(cores()) / 1e9,
    })  # fmt: skip
