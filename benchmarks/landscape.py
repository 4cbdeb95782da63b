"""Loss surfaces: against the package loss-landscapes (PyTorch), and the arithmetic alone.

Run by `make bench-landscape`, which installs loss-landscapes. One process, float32, one thread:
J at 51 × 51 points on 200,000 events, for logistic regression and for a dense network 28→64→64→1,
with all events and with as many as a standard error of 1 % of J takes. The peer runs with what is
fastest of several numbers of events at once, without gradients. Where both evaluate the same θ
their values must agree to 1e-5.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import loss_landscapes
import numpy as np
import torch
from loss_landscapes.metrics.metric import Metric
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from steepest import recipe as spec
from steepest.descent import MemoryKeeper, Plan, descend
from steepest.landscape import spans
from steepest.landscape.directions import Directions
from steepest.landscape.estimate import Anchors
from steepest.landscape.grid import Grid
from steepest.landscape.surface import Surface, drawn_events, evaluate
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

FEATURES, ACCURACY, TOLERANCE = 28, 0.01, 1e-5
AT_ONCE = (1024, 4096, 16_384, 200_000)
Array = np.ndarray


def sample(count: int) -> Batch:
    """Standardised features and a label that depends on products of them."""
    random = np.random.default_rng(0)
    X = random.normal(size=(count, FEATURES)).astype(np.float32)
    noise = 0.5 * random.normal(size=count)
    return Batch(X, (X[:, 0] * X[:, 1] + X[:, 2] + noise > 0).astype(np.float32))


def trained(hidden: tuple[int, ...], events: Batch) -> tuple[DenseObjective, Array]:
    """A model after two epochs of Adam on 20,000 events."""
    model = Dense(FEATURES, hidden, initialization="he-normal")
    objective = DenseObjective(model, loss_named("binary-cross-entropy"), 0.0, "float32")
    recipe = spec.DescentRecipe(batch_size=256, epochs=2, schedule=spec.Constant())
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    few = events.take(slice(0, 20_000))
    plan = Plan.of(recipe, rule, 1e-3, len(few), validated=False)
    return objective, descend(objective, few, plan, MemoryKeeper()).theta.astype(np.float64)


def network_of(model: Dense, theta: Array) -> torch.nn.Sequential:
    """The same network for PyTorch, without gradients."""
    parts: list[torch.nn.Module] = []
    for layer in model.layers(theta.astype(np.float32)):
        linear = torch.nn.Linear(*layer.weights.shape)
        linear.weight.data = torch.from_numpy(layer.weights.T.copy())
        linear.bias.data = torch.from_numpy(layer.biases.copy())
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).requires_grad_(False)


class MeanLoss(Metric):
    """The mean loss over all events, so many at once."""

    def __init__(self, events: Batch, at_once: int) -> None:
        super().__init__()
        pieces = [events.take(slice(i, i + at_once)) for i in range(0, len(events), at_once)]
        self.pieces = [
            (torch.from_numpy(p.inputs), torch.from_numpy(p.targets)[:, None]) for p in pieces
        ]
        self.count = len(events)
        self.loss = torch.nn.BCEWithLogitsLoss(reduction="sum")

    def __call__(self, wrapper) -> float:
        """J at the wrapper's parameters."""
        return sum(float(self.loss(wrapper.forward(x), y)) for x, y in self.pieces) / self.count


def peer(model: Dense, plane: Directions, events: Batch, points: int, at_once: int):
    """Seconds and values of loss-landscapes on the plane through θ₀, θ₀ + d₁ and θ₀ + d₂."""
    networks = [
        network_of(model, theta)
        for theta in (
            plane.origin,
            plane.origin + plane.vectors[0],
            plane.origin + plane.vectors[1],
        )
    ]
    metric = MeanLoss(events, at_once)
    with torch.inference_mode():
        began = time.perf_counter()
        values = loss_landscapes.planar_interpolation(*networks, metric, steps=points)
        return time.perf_counter() - began, values


def ours(
    objective: DenseObjective, plane: Directions, events: Batch, points: int, accuracy: float | None
) -> tuple[float, Surface]:
    """Seconds and surface; drawing the events and the anchors count."""
    axis = np.arange(points) / points
    began = time.perf_counter()
    drawn = drawn_events(events, None, 0)
    grid, given = Grid((axis, axis)), (objective, plane)
    anchors = None if accuracy is None else Anchors.of(*given, grid, events)
    surface, _ = evaluate(
        *given, grid, drawn, len(events), anchors=anchors, standard_error=accuracy
    )
    return time.perf_counter() - began, surface


def largest_difference(values: Array, losses: Array) -> float:
    """Of the points that both have: the peer's even columns are one step further along d₂."""
    even = np.abs(values[0::2, :-1] / losses[0::2, 1:] - 1).max()
    odd = np.abs(values[1::2] / losses[1::2] - 1).max(initial=0)
    return float(max(even, odd))


def peak() -> float:
    """Of single-precision products of large matrices, in floating-point operations a second."""
    matrix = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    best = np.inf
    for _ in range(5):
        began = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best


def measure(name: str, hidden: tuple[int, ...], count: int, points: int) -> dict:
    """Everything about one model."""
    events = sample(count)
    objective, theta = trained(hidden, events)
    plane = spans.random(theta, objective.neuron_groups(), seed=1)
    probe = 3
    tried = {n: peer(objective.model, plane, events, probe, n)[0] / probe**2 for n in AT_ONCE}
    fastest = min(tried, key=tried.__getitem__)
    theirs, values = peer(objective.model, plane, events, points, fastest)
    flat_out = peak()
    seconds, surface = ours(objective, plane, events, points, None)
    quick, estimate = ours(objective, plane, events, points, ACCURACY)
    errors = estimate.losses / surface.losses - 1
    upper = sum(2 * a * b for a, b in pairwise(objective.model.widths[1:]))
    operations = (upper + 6 * objective.model.widths[1]) * count * points**2
    return {
        "model": name,
        "points": points,
        "events": count,
        "peer": {"seconds": theirs, "at_once": fastest, "seconds_a_point": tried},
        "steepest": {"seconds": seconds, "ratio": theirs / seconds},
        "accuracy": {
            "asked": ACCURACY,
            "seconds": quick,
            "ratio": theirs / quick,
            "events": estimate.events,
            "stated": estimate.largest_relative_error(),
            "true_rms": float(np.sqrt(np.mean(errors**2))),
            "true_largest": float(np.abs(errors).max()),
        },
        "largest_difference": largest_difference(values, surface.losses),
        "part_of_peak": operations / seconds / flat_out,
        "peak": flat_out,
    }


def main() -> None:
    """Measure both models, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=51)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=Path("bench-results/landscape.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = f"{options.points} × {options.points} points, {options.events:,} events"
    table = Table(title=f"{shape}, float32, one thread")
    for head in ("model", "loss-landscapes", "steepest", "", "to 1 %", "", "events", "true rms",
                 "largest difference", "of sgemm's peak"):  # fmt: skip
        table.add_column(head, justify="right")
    results = []
    for name, hidden in {"logistic": (), "dense": (64, 64)}.items():
        with threadpool_limits(limits=1):
            result = measure(name, hidden, options.events, options.points)
        results.append(result)
        mine, quick = result["steepest"], result["accuracy"]
        table.add_row(
            name,
            f"{result['peer']['seconds']:.1f} s",
            f"{mine['seconds']:.1f} s",
            f"{mine['ratio']:.1f}×",
            f"{quick['seconds']:.2f} s",
            f"{quick['ratio']:.0f}×",
            f"{quick['events']:,}",
            f"{100 * quick['true_rms']:.2f} %",
            f"{result['largest_difference']:.1e}",
            f"{result['part_of_peak']:.2f}",
        )
    Console(width=150).print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(f"written: {options.out}")
    if any(result["largest_difference"] > TOLERANCE for result in results):
        raise SystemExit("The values differ by more than 1e-5.")


if __name__ == "__main__":
    main()
