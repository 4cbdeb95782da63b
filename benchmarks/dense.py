"""Training steps of the dense network: against scikit-learn, torch, and the arithmetic alone.

Run by `make bench`. Everything is measured in one process, contenders in turn, several rounds;
what is quoted are medians with their spread, and ratios. Each contender takes the same steps on
the same batches in float32 with Adam and one thread, and must end at the same loss.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from steepest import recipe as spec
from steepest.descent import MemoryKeeper, Plan, descend
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

FEATURES, EVENTS, RATE = 28, 16_384, 1e-3
SHAPES = [((64, 64), 64), ((64, 64), 256), ((64, 64), 1024), ((256, 256), 256), ((256, 256), 1024)]
Array = np.ndarray


def sample() -> tuple[Array, Array]:
    """Standardised features and a label that depends on products of them."""
    random = np.random.default_rng(0)
    X = random.normal(size=(EVENTS, FEATURES)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.float32)


def steepest_run(X: Array, y: Array, hidden: tuple[int, ...], size: int, epochs: int):
    """The package as a user runs it, with history at every hundredth step."""
    objective = DenseObjective(
        Dense(FEATURES, hidden), loss_named("binary-cross-entropy"), 0.0, "float32"
    )
    recipe = spec.DescentRecipe(
        batch_size=size, epochs=epochs, schedule=spec.Constant(), record_every=100
    )
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    plan = Plan.of(recipe, rule, RATE, len(X), validated=False)
    events = Batch(X, y)

    def run() -> float:
        theta = descend(objective, events, plan, MemoryKeeper()).theta
        return objective.loss(theta, events)

    return run


def torch_run(X: Array, y: Array, hidden: tuple[int, ...], size: int, epochs: int):
    """Eager torch, fused Adam, batches gathered from one tensor; no DataLoader."""
    torch.set_num_threads(1)
    events, labels = torch.from_numpy(X), torch.from_numpy(y)[:, None]

    def run() -> float:
        torch.manual_seed(0)
        widths, layers = (FEATURES, *hidden, 1), []
        for fan_in, fan_out in pairwise(widths):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
            torch.nn.init.kaiming_normal_(layers[-2].weight)
            torch.nn.init.zeros_(layers[-2].bias)
        model = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
        criterion = torch.nn.BCEWithLogitsLoss()
        for _ in range(epochs):
            order = torch.randperm(len(X))
            for start in range(0, len(X), size):
                rows = order[start : start + size]
                optimizer.zero_grad(set_to_none=True)
                criterion(model(events[rows]), labels[rows]).backward()
                optimizer.step()
        with torch.no_grad():
            return float(criterion(model(events), labels))

    return run


def sklearn_run(X: Array, y: Array, hidden: tuple[int, ...], size: int, epochs: int):
    """MLPClassifier in float32, without its stopping rules."""

    def run() -> float:
        model = MLPClassifier(
            hidden,
            batch_size=size,
            learning_rate_init=RATE,
            alpha=0.0,
            max_iter=epochs,
            n_iter_no_change=10**6,
            tol=0.0,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it was told when to stop
            model.fit(X, y)
        p = np.clip(model.predict_proba(X)[:, 1], 1e-7, 1 - 1e-7)
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))

    return run


def arithmetic_run(X: Array, y: Array, hidden: tuple[int, ...], size: int, epochs: int):
    """The matrix products of the same steps, with nothing around them: the limit."""
    widths = (FEATURES, *hidden, 1)
    random = np.random.default_rng(0)
    A = [random.normal(size=(size, w)).astype(np.float32) for w in widths]
    W = [random.normal(size=s).astype(np.float32) for s in pairwise(widths)]
    forward = [np.empty((size, w.shape[1]), np.float32) for w in W]
    weights = [np.empty_like(w) for w in W]
    below = [np.empty((size, w.shape[0]), np.float32) for w in W]

    def run() -> float:
        for _ in range(epochs * -(-EVENTS // size)):
            for a, w, out in zip(A, W, forward, strict=False):
                np.matmul(a, w, out=out)
            for index in range(len(W) - 1, -1, -1):
                np.matmul(A[index].T, A[index + 1], out=weights[index])
                if index:
                    np.matmul(A[index + 1], W[index].T, out=below[index])
        return float("nan")

    return run


CONTENDERS: dict[str, Callable] = {
    "steepest": steepest_run,
    "torch eager": torch_run,
    "scikit-learn": sklearn_run,
    "products alone": arithmetic_run,
}


def measure(hidden: tuple[int, ...], size: int, rounds: int, epochs: int) -> dict:
    """Milliseconds a step of each contender, in turn, after one round that does not count."""
    X, y = sample()
    runs = {name: make(X, y, hidden, size, epochs) for name, make in CONTENDERS.items()}
    steps = epochs * -(-EVENTS // size)
    times: dict[str, list[float]] = {name: [] for name in runs}
    losses = {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            losses[name] = run()
            if turn:
                times[name].append(1e3 * (time.perf_counter() - began) / steps)
    reached = [loss for name, loss in losses.items() if name != "products alone"]
    if max(reached) > 1.25 * min(reached) + 0.01:
        raise SystemExit(f"The contenders did not reach the same loss: {losses}")
    return {
        "hidden": hidden,
        "batch_size": size,
        "steps": steps,
        "milliseconds": times,
        "losses": {name: loss for name, loss in losses.items() if loss == loss},
    }


def main() -> None:
    """Measure all shapes, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench-results/dense.json"))
    options = parser.parse_args()
    table = Table(title="Milliseconds a step, Adam, float32, one thread: median (min–max)")
    table.add_column("network, batch")
    for name in CONTENDERS:
        table.add_column(name, justify="right")
    table.add_column("ratio to the best peer", justify="right")
    results = []
    for hidden, size in SHAPES:
        with threadpool_limits(limits=1):
            result = measure(hidden, size, options.rounds, options.epochs)
        results.append(result)
        medians = {name: statistics.median(t) for name, t in result["milliseconds"].items()}
        cells = [
            f"{medians[name]:.3f} ({min(times):.3f}–{max(times):.3f})"
            for name, times in result["milliseconds"].items()
        ]
        best = min(medians["torch eager"], medians["scikit-learn"])
        shape = "→".join(map(str, (FEATURES, *hidden, 1)))
        table.add_row(f"{shape}, {size}", *cells, f"{best / medians['steepest']:.2f}×")
    Console(width=150).print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
