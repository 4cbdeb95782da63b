"""How near ``learning_rate = "auto"`` comes to the best η of a grid, on forty problems.

    python -m benchmarks.auto_eta [--held-out] [--problem NAME]

A problem is a table of events, a model, a rule and a length. Each is trained with "auto" and with
each η of a grid of half decades, with the same steps and seed; its *ratio* is the lowest validation
loss of "auto" over the lowest of the grid. The rule was made on the first twenty problems alone.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import datasets

from steepest import Classifier, Regressor

__all__ = ["PROBLEMS", "Problem", "ratio"]

Array = np.ndarray
GRID = [10.0 ** (-5 + k / 2) for k in range(12)]
ASKED = 1.1


@dataclass(frozen=True)
class Problem:
    """What is trained: a table by its name and size, and the estimator's parameters."""

    table: str
    events: int
    optimizer: str
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    batch_size: int = 128
    epochs: int = 20
    schedule: str = "one-cycle"
    weights: str = ""
    unit: float = 1.0

    @property
    def name(self) -> str:
        """In one line."""
        shape = "-".join(map(str, self.hidden))
        more = f"{self.weights}{'' if self.unit == 1 else f' unit {self.unit:g}'}"
        return f"{self.table} {self.events} {self.optimizer} {shape} {self.activation} {more}"


def events(problem: Problem, seed: int) -> tuple[Array, Array, Array | None]:
    """X, y and weights of either part."""
    random, m = np.random.default_rng(seed), problem.events
    loaded = {"breast": datasets.load_breast_cancer, "digits": datasets.load_digits,
              "wine": datasets.load_wine, "diabetes": datasets.load_diabetes}  # fmt: skip
    if problem.table in loaded:
        X, y = loaded[problem.table](return_X_y=True)
        order = np.random.default_rng(0).permutation(len(X))
        half = order[seed % 2 :: 2]
        return X[half], y[half] * problem.unit, None
    X = random.standard_normal((m, 10))
    noise = random.standard_normal(m)
    shapes = {
        "product": X[:, 0] * X[:, 1] + X[:, 2],
        "ring": X[:, 0] ** 2 + X[:, 1] ** 2 - 1.4 + 0.3 * X[:, 2],
        "plane": X @ np.linspace(-1, 1, 10),
        "sine": np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * np.abs(X[:, 3]),
        "steps": np.sign(X[:, 0]) + np.sign(X[:, 1]) * X[:, 2],
    }
    name, _, kind = problem.table.partition("-")
    z = shapes[name]
    if kind == "value":
        return X, problem.unit * (z + 0.1 * noise), None
    cut = 2.2 if problem.weights == "rare" else 0.0
    y = (z + 0.3 * noise > cut).astype(int)
    weights = None
    if problem.weights == "rare":
        weights = np.where(y == 1, 0.5 / max(y.mean(), 1e-9), 0.5 / max(1 - y.mean(), 1e-9))
    elif problem.weights:
        weights = random.lognormal(0.0, 1.0, m)
    return X, y, weights


TUNED = (
    Problem("product", 4000, "adam"),
    Problem("ring", 1000, "adam", activation="tanh"),
    Problem("sine-value", 4000, "adam"),
    Problem("sine-value", 4000, "sgd"),
    Problem("steps-value", 2000, "momentum", (32,)),
    Problem("breast", 284, "adam", activation="tanh", batch_size=32, epochs=60),
    Problem("digits", 900, "adam", batch_size=64, epochs=40),
    Problem("wine", 90, "sgd", (16,), batch_size=16, epochs=60),
    Problem("diabetes", 220, "adamw", (32,), batch_size=32, epochs=60),
    Problem("product", 4000, "adam", weights="rare"),
    Problem("product", 4000, "sgd", weights="lognormal"),
    Problem("ring", 20000, "adamw", batch_size=256, epochs=8),
    Problem("product", 300, "adamw", (32, 32), batch_size=32, epochs=60),
    Problem("sine-value", 500, "rmsprop", (32,), batch_size=32, epochs=40),
    Problem("plane", 2000, "adam", ()),
    Problem("plane-value", 2000, "adam", (), schedule="constant"),
    Problem("steps", 4000, "nesterov", activation="tanh"),
    Problem("ring", 4000, "rmsprop", schedule="cosine"),
    Problem("sine-value", 2000, "adam", activation="tanh", unit=1e-3),
    Problem("product", 8000, "momentum", (128,), schedule="constant", epochs=10),
)
HELD_OUT = (
    Problem("ring", 3000, "adam", (32, 32)),
    Problem("product", 1500, "adam", activation="tanh", batch_size=64),
    Problem("steps-value", 5000, "adam"),
    Problem("steps-value", 3000, "sgd", activation="tanh"),
    Problem("sine-value", 3000, "momentum", (64,)),
    Problem("breast", 284, "sgd", (32,), batch_size=32, epochs=60),
    Problem("digits", 900, "momentum", (64,), batch_size=64, epochs=40),
    Problem("wine", 90, "adam", (32,), "tanh", batch_size=16, epochs=60),
    Problem("diabetes", 220, "adam", (64, 64), batch_size=32, epochs=40),
    Problem("ring", 6000, "adamw", weights="rare"),
    Problem("steps", 3000, "adam", weights="lognormal"),
    Problem("product", 30000, "adam", batch_size=512, epochs=10),
    Problem("ring", 250, "sgd", (32,), batch_size=32, epochs=60),
    Problem("steps-value", 400, "adamw", (32, 32), batch_size=32, epochs=40),
    Problem("plane", 3000, "rmsprop", ()),
    Problem("plane-value", 1000, "adamw", (), schedule="cosine"),
    Problem("ring", 4000, "momentum", activation="tanh", schedule="cosine"),
    Problem("product", 4000, "nesterov", (32, 32)),
    Problem("sine-value", 3000, "sgd", (32,), unit=1e5),
    Problem("steps", 8000, "adam", (128,), schedule="constant", epochs=10),
)
PROBLEMS = TUNED + HELD_OUT


def loss(problem: Problem, rate: Any) -> tuple[float, float]:
    """The lowest validation loss at that η, and the η that was taken."""
    X, y, w = events(problem, 0)
    other = tuple(part for part in events(problem, 1) if part is not None)
    value = problem.table.endswith("value") or problem.table == "diabetes"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = (Regressor if value else Classifier)(
            hidden=problem.hidden, activation=problem.activation, optimizer=problem.optimizer,
            batch_size=problem.batch_size, epochs=problem.epochs, schedule=problem.schedule,
            learning_rate=rate, dtype="float32",
        ).fit(X, y, w, validation=other)  # fmt: skip
    assert model.history_ is not None
    losses = model.history_["validation_loss"].drop_nulls().to_numpy()
    return float(losses.min(initial=np.inf)), model.learning_rate_ or np.nan


def ratio(problem: Problem) -> tuple[float, float, float]:
    """The ratio of the losses, the η of "auto", and the best of the grid."""
    automatic, rate = loss(problem, "auto")
    grid = [loss(problem, each)[0] for each in GRID]
    return automatic / min(grid), rate, GRID[int(np.argmin(grid))]


def main() -> None:
    """Print a line for each problem, and the share within 10 %."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--problem", default="")
    options = parser.parse_args()
    chosen = [p for p in (HELD_OUT if options.held_out else TUNED) if options.problem in p.name]
    ratios = []
    for problem in chosen:
        found, rate, best = ratio(problem)
        ratios.append(found)
        print(f"{found:6.3f}  η {rate:8.2e}  best {best:8.2e}  {problem.name}", flush=True)
    within = np.mean(np.array(ratios) <= ASKED)
    print(f"{within:.0%} of {len(ratios)} within {ASKED - 1:.0%} of the best of the grid")


if __name__ == "__main__":
    main()
