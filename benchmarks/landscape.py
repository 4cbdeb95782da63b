"""Loss surfaces: against the package loss-landscapes (PyTorch), and the arithmetic alone.

One process, float32, as many threads as the machine has cores for both: J on 200,000 events at
51 × 51 points for logistic regression and a dense network 28→64→64→1 with ReLU, and at 21 × 21 for
one with tanh (the time is proportional to the points), with all events and with as many as a
standard error of 1 % of J takes. The peer runs with what is fastest of several numbers of events at
once, without gradients. Where both evaluate the same θ their values must agree to 1e-5.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import loss_landscapes
import numpy as np
import torch
from loss_landscapes.metrics.metric import Metric
from threadpoolctl import threadpool_limits

from benchmarks.harness import PAUSE, Case, Claim, Options, Times, ratio
from benchmarks.machine import cores, matrix_peak
from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.landscape import spans
from steepest.landscape.directions import Directions, Grid
from steepest.landscape.surface import Anchors, Surface, drawn_events, evaluate
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

FEATURES, ACCURACY, TOLERANCE = 28, 0.01, 1e-5
AT_ONCE = (1024, 4096, 16_384, 200_000)
MOST_ROUNDS = 3
"""A round takes minutes."""
WARM = 9_000
"""Events of the run that does not count."""
SETTINGS = {
    "threads": "as many as the machine has cores, for both",
    "loss-landscapes": "no gradients, the fastest of several numbers of events at once",
    "share of the sgemm peak": "the operations that remain when the first layer is linear in the "
    "coordinates and all others are multiplied at each point, over time and peak. The tanh network "
    "does them by BLAS; two hidden ReLU layers need fewer, so that their share may be "
    "above 1: a unit goes on or off once at most along a line of the grid, and the second layer's "
    "sums, polynomials in between, change there alone",
}
Array = np.ndarray


def sample(count: int) -> Batch:
    """Standardised features and a label that depends on products of them."""
    random = np.random.default_rng(0)
    X = random.normal(size=(count, FEATURES)).astype(np.float32)
    noise = 0.5 * random.normal(size=count)
    return Batch(X, (X[:, 0] * X[:, 1] + X[:, 2] + noise > 0).astype(np.float32))


def trained(
    hidden: tuple[int, ...], activation: str, events: Batch
) -> tuple[DenseObjective, Array]:
    """A model after two epochs of Adam on 20,000 events."""
    model = Dense(FEATURES, hidden, activation=activation, initialization="he-normal")
    objective = DenseObjective(model, loss_named("binary-cross-entropy"), 0.0, "float32")
    recipe = spec.DescentRecipe(batch_size=256, epochs=2, schedule=spec.Constant())
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    few = events.take(slice(0, 20_000))
    plan = Plan.of(recipe, rule, 1e-3, len(few), validated=False)
    return objective, descend(objective, few, plan, MemoryCheckpointer()).theta.astype(np.float64)


def network_of(model: Dense, theta: Array) -> torch.nn.Sequential:
    """The same network for PyTorch, without gradients."""
    parts: list[torch.nn.Module] = []
    for layer in model.layers(theta.astype(np.float32)):
        linear = torch.nn.Linear(*layer.weights.shape)
        linear.weight.data = torch.from_numpy(layer.weights.T.copy())
        linear.bias.data = torch.from_numpy(layer.biases.copy())
        parts += [linear, torch.nn.Tanh() if model.activation == "tanh" else torch.nn.ReLU()]
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


def peer(model: Dense, directions: Directions, events: Batch, points: int, at_once: int):
    """Seconds and values of loss-landscapes on the plane through θ₀, θ₀ + d₁ and θ₀ + d₂."""
    networks = [
        network_of(model, theta)
        for theta in (
            directions.origin,
            directions.origin + directions.vectors[0],
            directions.origin + directions.vectors[1],
        )
    ]
    metric = MeanLoss(events, at_once)
    time.sleep(PAUSE)
    with torch.inference_mode():
        began = time.perf_counter()
        values = loss_landscapes.planar_interpolation(*networks, metric, steps=points)
        return time.perf_counter() - began, values


def ours(
    objective: DenseObjective,
    directions: Directions,
    events: Batch,
    points: int,
    accuracy: float | None,
) -> tuple[float, Surface]:
    """Seconds and surface; drawing the events and the anchors count."""
    axis = np.arange(points) / points
    time.sleep(PAUSE)
    began = time.perf_counter()
    drawn = drawn_events(events, None, 0)
    grid, given = Grid((axis, axis)), (objective, directions)
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


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for logistic regression and two for dense networks; three rounds at most."""
    count, side = (20_000, 21) if options.quick else (200_000, 51)
    rounds = 1 if options.quick else min(options.rounds, MOST_ROUNDS)
    torch.set_num_threads(cores())
    shapes = (((), "relu", side), ((64, 64), "relu", side), ((64, 64), "tanh", min(side, 21)))
    for hidden, activation, points in shapes:
        with threadpool_limits(limits=cores()):
            yield _case(hidden, activation, sample(count), points, rounds)


def _case(
    hidden: tuple[int, ...], activation: str, events: Batch, points: int, rounds: int
) -> Case:
    objective, theta = trained(hidden, activation, events)
    directions = spans.random(theta, objective.neuron_groups(), seed=1)
    tried = {n: peer(objective.model, directions, events, 3, n)[0] for n in AT_ONCE}
    fastest = min(tried, key=tried.__getitem__)
    for accuracy in (None, ACCURACY):  # compiled before anything is timed
        ours(objective, directions, events.take(slice(0, WARM)), points, accuracy)
    seconds: Times = {"steepest": [], "steepest, to 1 %": [], "loss-landscapes": []}
    for _ in range(rounds):
        theirs, values = peer(objective.model, directions, events, points, fastest)
        exact, surface = ours(objective, directions, events, points, None)
        quick, estimate = ours(objective, directions, events, points, ACCURACY)
        for times, taken in zip(seconds.values(), (exact, quick, theirs), strict=True):
            times.append(taken)
    if (difference := largest_difference(values, surface.losses)) > TOLERANCE:
        raise SystemExit(f"The values differ by {difference:.2g}, more than {TOLERANCE:g}.")
    errors = estimate.losses / surface.losses - 1
    shape = "→".join(map(str, objective.model.widths))
    return Case(
        bench="landscape",
        work=f"{shape}{f' ({activation})' if hidden else ''}, {points} × {points} points, "
        f"{len(events):,} events",
        seconds=seconds,
        claims=_claims(objective, seconds, errors, len(events) * points**2),
        settings=SETTINGS,
        numbers={
            "largest difference": difference,
            "events at once": fastest,
            "events for 1 %": estimate.events,
            "largest stated error": estimate.largest_relative_error(),
            "largest true error": float(np.abs(errors).max()),
        },
    )


def _claims(
    objective: DenseObjective, seconds: Times, errors: Array, evaluations: int
) -> list[Claim]:
    exact, quick, theirs = seconds.values()
    model = objective.model
    stated = ACCURACY / float(np.sqrt(np.mean(errors**2)))
    claims = [
        ratio("against loss-landscapes", theirs, exact, 2.5 if model.hidden else 8.0),
        ratio(f"to a standard error of {ACCURACY:g}", theirs, quick, 20.0),
        Claim("stated over true error", stated, stated, stated, 1.0),
    ]
    if model.hidden:
        upper = sum(2 * a * b for a, b in pairwise(model.widths[1:]))
        operations = (upper + 6 * model.widths[1]) * evaluations
        at_peak = [operations / matrix_peak(cores())] * len(exact)
        options = 0.75 if model.activation == "relu" else None
        claims.append(ratio("share of the sgemm peak", at_peak, exact, options))
    return claims
