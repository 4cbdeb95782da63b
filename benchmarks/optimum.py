"""How long until a convex fit is within 1e-6 of its optimum, from raw features, scaling counted."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case, Options, Times, in_turn, ratio
from benchmarks.machine import cores
from steepest import Classifier

__all__ = ["measure"]

Array = np.ndarray
EVENTS, FEATURES, EXCESS = 5_000_000, 28, 1e-6
PATIENCE = 45.0
"""Seconds after which a peer that has not arrived is not tried any harder."""
BEYOND = 3.0
"""A solver that goes event by event gets so many times the time of the fastest peer before it."""
BY_EVENTS = ("sag", "saga", "SGDClassifier")
TOLERANCES = (1e-3, 1e-5, 1e-7)
SETTINGS = {
    "steepest": 'Classifier(method="newton", scaling="none", dtype="float32"), no penalty',
    "scikit-learn": "StandardScaler, then LogisticRegression(C=inf), float32 where the "
    "solver keeps it; the loosest tolerance of 1e-3, 1e-5, 1e-7 that arrives",
    "sag, saga, SGDClassifier": "as many passes as fit into three times the time of the fastest of "
    "the others; who has not arrived then cannot be the fastest",
    "rounds": "steepest and the fastest peer in turn, after the round that found who that is; the "
    "other peers have the time of that round alone",
    "excess": f"J − J* ≤ {EXCESS:g}, J* by newton-cholesky in float64 with tolerance 1e-10",
}


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for two classes, and one for five."""
    events = EVENTS // 100 if options.quick else EVENTS
    for classes, solvers, asked in (
        (2, ("newton-cholesky", "lbfgs", "sag", "saga", "SGDClassifier"), 5.0),
        (5, ("newton-cholesky", "lbfgs", "sag", "saga"), 3.0),
    ):
        size = events if classes == 2 else events // 5
        X, y = _sample(size, classes)
        yield _case(X, y, classes, solvers, asked, options)


def _sample(events: int, classes: int) -> tuple[Array, Array]:
    """Correlated features with scales from 1 to 1e4, and labels of a linear model."""
    random = np.random.default_rng(0)
    mixing = np.eye(FEATURES) + 0.5 * random.standard_normal((FEATURES, FEATURES)) / 3
    scales = np.logspace(0, 4, FEATURES)
    white = random.standard_normal((events, FEATURES), dtype=np.float32)
    truth = random.standard_normal((FEATURES, classes)) / 4
    logits = white @ truth.astype(np.float32) + random.gumbel(size=(events, classes))
    X = (white @ (mixing * scales).astype(np.float32)) + scales.astype(np.float32)
    return np.ascontiguousarray(X, dtype=np.float32), np.argmax(logits, axis=1)


def _case(
    X: Array, y: Array, classes: int, solvers: tuple[str, ...], asked: float, options: Options
) -> Case:
    best = _loss(X, y, _peer("newton-cholesky", 1e-10)(X.astype(np.float64), y))
    seconds: Times = {}
    runs: dict[str, Callable] = {}
    losses: dict[str, float] = {"optimum": best}
    with threadpool_limits(limits=cores()):
        for name, fit in {"steepest": _steepest, **dict.fromkeys(solvers)}.items():
            passes = None
            if name in BY_EVENTS:
                fastest = min(seconds[s][0] for s in solvers if s in runs)
                passes = _passes(X, y, name, BEYOND * fastest)
            run, took, losses[name] = _arrive(X, y, best, name, fit, passes)
            if run is not None:
                runs[name], seconds[name] = run, [took]
        peer = min((s for s in solvers if s in runs), key=lambda s: seconds[s][0])
        again = {name: partial(runs[name], X, y) for name in ("steepest", peer) if name in runs}
        seconds |= in_turn(again, options.rounds)[0]
    own = seconds.get("steepest", [float("inf")] * options.rounds)
    return Case(
        bench="optimum",
        work=f"{'logistic' if classes == 2 else f'softmax K = {classes}'}, {len(X):,} × {FEATURES}",
        seconds=seconds,
        claims=[ratio(f"against {peer}", seconds[peer], own, asked)],
        settings=SETTINGS,
        losses=losses,
        numbers={"did not arrive": [s for s in solvers if s not in seconds]},
    )


def _arrive(
    X: Array,
    y: Array,
    best: float,
    name: str,
    fit: Callable | None,
    passes: int | None,
) -> tuple[Callable | None, float, float]:
    """The cheapest settings that reach the optimum, with their time and loss; none if none do."""
    loss = took = float("nan")
    for tolerance in TOLERANCES:
        run = fit or _peer(name, tolerance, passes)
        began = time.perf_counter()
        decide = run(X, y)
        took, loss = time.perf_counter() - began, _loss(X, y, decide)
        if loss <= best + EXCESS:
            return run, took, loss
        if fit is not None or took > PATIENCE:
            break
    return None, took, loss


def _passes(X: Array, y: Array, name: str, seconds: float) -> int:
    """How many passes over the events fit into the time."""
    one, three = (_timed(_peer(name, 1e-9, passes), X, y) for passes in (1, 3))
    return int(seconds / max((three - one) / 2, 1e-3)) + 1


def _timed(run: Callable, X: Array, y: Array) -> float:
    began = time.perf_counter()
    run(X, y)
    return time.perf_counter() - began


def _steepest(X: Array, y: Array):
    """Newton's method needs no scaling: its metric is that of the curvature."""
    model = Classifier(method="newton", scaling="none", dtype="float32", tol=EXCESS / 5)
    model.fit(X, y)
    return lambda inputs: np.log(np.maximum(model.predict_proba(inputs), 1e-300))


def _peer(name: str, tolerance: float, passes: int | None = None) -> Callable:
    if name == "SGDClassifier":
        model = SGDClassifier(
            "log_loss", penalty=None, tol=tolerance, max_iter=passes or 100, average=True
        )
    else:
        model = LogisticRegression(C=np.inf, solver=name, tol=tolerance, max_iter=passes or 10_000)

    def fit(X: Array, y: Array):
        pipeline = make_pipeline(StandardScaler(), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged: its loss says so
            return pipeline.fit(X, y).decision_function

    return fit


def _loss(X: Array, y: Array, decide: Callable[[Array], Array]) -> float:
    """J over all events, in float64, block by block."""
    total = 0.0
    for start in range(0, len(X), 200_000):
        rows = slice(start, start + 200_000)
        z = np.asarray(decide(X[rows].astype(np.float64)), dtype=np.float64)
        z = np.column_stack([np.zeros(len(z)), z]) if z.ndim == 1 else z
        z = z - z.max(axis=1, keepdims=True)
        chosen = np.take_along_axis(z, y[rows, None], axis=1)[:, 0]
        total += float(np.sum(np.log(np.exp(z).sum(axis=1)) - chosen))
    return total / len(X)
