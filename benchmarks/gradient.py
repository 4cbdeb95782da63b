"""One batch gradient of a linear model over a large array, against reading the array once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case, Options, fastest, in_turn, ratio, same_loss
from benchmarks.machine import cores, sum_once
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective

__all__ = ["events_of", "measure", "problems"]

Array = np.ndarray
SHAPES = [(4_000_000, 28), (1_000_000, 100), (10_000_000, 8)]
LOSSES = {"MSE": "mean-squared-error", "BCE": "binary-cross-entropy"}
SETTINGS = {
    "steepest": "DenseObjective.loss_and_gradient, as every batch step calls it",
    "NumPy, row-major": "two products, X in C order; sums of the loss too",
    "NumPy, feature-major": "two products, X in Fortran order; sums of the loss too",
    "torch": "autograd, F.linear and the fused loss with logits",
    "sum": "each number of X read once and added, compiled",
    "time": "of one of three calls in a row, as a descent makes them",
}
CALLS = 3


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each shape and loss."""
    for problem in problems(options):
        yield _case(*problem, options)


def problems(options: Options) -> Iterator[tuple[Array, Array, str, str]]:
    """Yield X, targets, and the loss's short and full name, for each shape and loss."""
    for events, features in SHAPES:
        X, logits = events_of(events // 100 if options.quick else events, features)
        for short, name in LOSSES.items():
            yield X, logits if short == "MSE" else (logits > 0).astype(np.float32), short, name


def events_of(events: int, features: int) -> tuple[Array, Array]:
    """Return X ``(events, features)``, and a linear function of it with noise."""
    random = np.random.default_rng(0)
    X = random.standard_normal((events, features), dtype=np.float32)
    truth = random.standard_normal(features, dtype=np.float32) / np.sqrt(np.float32(features))
    return X, X @ truth + random.standard_normal(events, dtype=np.float32)


def _case(X: Array, y: Array, short: str, name: str, options: Options) -> Case:
    theta = np.linspace(-0.1, 0.1, X.shape[1] + 1, dtype=np.float32)
    threads = cores()
    objective = DenseObjective(Dense(X.shape[1]), loss_named(name), 0.0, "float32")
    batch = Batch(X, y)
    feature_major = np.asfortranarray(X)
    contenders = {
        "steepest": lambda: objective.loss_and_gradient(theta, batch)[0],
        "NumPy, row-major": lambda: _numpy(X, y, theta, short),
        "NumPy, feature-major": lambda: _numpy(feature_major, y, theta, short),
        "torch": _torch(X, y, theta, short),
        "sum": lambda: sum_once(X, threads),
    }
    torch.set_num_threads(threads)
    with threadpool_limits(limits=threads):
        seconds, results = in_turn({n: _again(c) for n, c in contenders.items()}, options.rounds)
    seconds = {n: [s / CALLS for s in times] for n, times in seconds.items()}
    losses = {n: float(v) for n, v in results.items() if n != "sum"}  # type: ignore[arg-type]
    same_loss(losses, relative=1e-4)
    own = seconds["steepest"]
    numpy = fastest(seconds, ["NumPy, row-major", "NumPy, feature-major"])
    return Case(
        bench="gradient",
        work=f"{short}, {X.shape[0]:,} × {X.shape[1]}",
        seconds=seconds,
        claims=[
            ratio("share of the rate of summing X", seconds["sum"], own, 0.90),
            ratio(f"against {numpy}", seconds[numpy], own, 2.0),
            ratio("against torch", seconds["torch"], own, 4.0),
        ],
        settings=SETTINGS | {"threads": str(threads)},
        losses=losses,
        numbers={"GB": X.nbytes / 1e9},
    )


def _again(call: Callable[[], float]) -> Callable[[], float]:
    return lambda: [call() for _ in range(CALLS)][-1]


def _numpy(X: Array, y: Array, theta: Array, short: str) -> float:
    z = X @ theta[:-1] + theta[-1]
    if short == "MSE":
        residual = z - y
        loss = np.mean(residual * residual)
        upstream = 2 * residual
    else:
        p = 1 / (1 + np.exp(-z))
        loss = np.mean(np.logaddexp(np.float32(0), z) - y * z)
        upstream = p - y
    gradient = upstream @ X / len(y)
    assert np.isfinite(gradient).all()
    return float(loss)


def _torch(X: Array, y: Array, theta: Array, short: str):
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
    weights = torch.from_numpy(theta[:-1].copy()).requires_grad_()
    bias = torch.from_numpy(theta[-1:].copy()).requires_grad_()
    function = torch.nn.functional
    criterion = function.mse_loss if short == "MSE" else function.binary_cross_entropy_with_logits

    def run() -> float:
        weights.grad = bias.grad = None
        loss = criterion(inputs @ weights + bias, targets)
        loss.backward()
        return float(loss.detach())

    return run
