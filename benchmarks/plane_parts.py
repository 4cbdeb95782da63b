"""Where the time of a loss surface goes, for a network of tanh: part of the profile.

The network is taken as a whole and without its second hidden layer, on the same events and points,
with the products in vectors and, where the processor has such, in tiles.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case, Options, in_turn
from steepest.landscape.surface import CHUNK
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, losses_of_chunks
from steepest.objective.plane_ways import General, Tiled

__all__ = ["surface"]

FEATURES, WIDTH, SIDE, EVENTS = 28, 64, 21, 8192
LOSS = "binary-cross-entropy"
FEWER_ROUNDS = 3


def surface(options: Options) -> Case:
    """J at 21 × 21 points, and the same without parts of it; seconds for an event at a point."""
    random, axis = np.random.default_rng(0), np.linspace(-1, 1, SIDE)
    X = random.normal(size=(EVENTS, FEATURES)).astype(np.float32)
    events = Batch(X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.float32))
    points = np.stack([m.ravel() for m in np.meshgrid(axis, axis, indexing="ij")], axis=1)
    mix = np.column_stack([np.ones(len(points)), points]).astype(np.float32)

    def model(hidden: int) -> tuple[Dense, np.ndarray]:
        made = Dense(FEATURES, (WIDTH,) * hidden, activation="tanh")
        return made, 0.3 * np.random.default_rng(1).normal(size=(3, made.size))

    def whole() -> None:
        made, basis = model(2)
        objective = DenseObjective(made, loss_named(LOSS), 0.0, "float32")
        losses_of_chunks(objective, basis[0], basis[1:], points, events, CHUNK)

    def alone(kind: type[General], hidden: int) -> Callable[[], object]:
        made, basis = model(hidden)
        way = kind(made, LOSS, basis.astype(np.float32), mix)
        pieces = [events.take(slice(i, i + 8 * CHUNK)) for i in range(0, EVENTS, 8 * CHUNK)]
        return lambda: [way.sums(piece, CHUNK) for piece in pieces]

    values = random.normal(size=(EVENTS, WIDTH)).astype(np.float32)
    weights, out = values[:WIDTH].copy(), np.empty_like(values)

    def products() -> None:
        for _ in points:
            np.matmul(values, weights, out=out)

    contenders: dict[str, Callable[[], object]] = {
        "the surface": whole,
        "in vectors, one thread": alone(General, 2),
        "one hidden layer, one thread": alone(General, 1),
        "the second layer's products by BLAS, one thread": products,
    }
    if Tiled.serves(model(2)[0], np.float32):
        contenders["in tiles, one thread"] = alone(Tiled, 2)
    with threadpool_limits(limits=1, user_api="blas"):
        seconds, _ = in_turn(contenders, min(options.rounds, FEWER_ROUNDS))
    each = {name: [s / EVENTS / len(points) for s in times] for name, times in seconds.items()}
    shape = f"{FEATURES}→{WIDTH}→{WIDTH}→1 (tanh)"
    return Case("profile", f"an event at a point, {shape}, {SIDE} × {SIDE} points", each, [])
