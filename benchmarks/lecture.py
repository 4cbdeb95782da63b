"""The lecture's fit: 20 points, 3 parameters, 1,000,000 batch steps, against the torch loop."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.harness import Case, Options, in_turn, ratio, same_loss
from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

__all__ = ["measure"]

STEPS, PEER_STEPS, RATE = 1_000_000, 20_000, 1e-5
SETTINGS = {
    "steepest": "float64, a record every 1,000 steps",
    "torch": f"the notebook's loop in float64, one thread, {PEER_STEPS:,} steps, scaled up",
}


def measure(options: Options) -> Iterator[Case]:
    """Yield the one case."""
    t = np.arange(20.0)
    y = 0.75 * (t - 9.5) ** 2 + 1 + 3 * np.random.default_rng(0).standard_normal(20)
    X = np.column_stack([t**2, t])
    contenders = {"steepest": lambda: _steepest(X, y, STEPS), "torch": lambda: _torch(t, y)}
    seconds, _ = in_turn(contenders, options.rounds)
    seconds["torch"] = [s * STEPS / PEER_STEPS for s in seconds["torch"]]
    losses = {"steepest": _steepest(X, y, PEER_STEPS), "torch": _torch(t, y)}
    same_loss(losses, relative=1e-6)
    yield Case(
        bench="lecture",
        work="20 points, 3 parameters, 1,000,000 batch steps",
        seconds=seconds,
        claims=[ratio("against the torch loop", seconds["torch"], seconds["steepest"], 100.0)],
        settings=SETTINGS,
        losses=losses,
    )


def _steepest(X: np.ndarray, y: np.ndarray, steps: int) -> float:
    objective = DenseObjective(Dense(2), loss_named("mean-squared-error"), 0.0, "float64")
    objective.initial = lambda seed: np.zeros(3)  # where the loop below starts
    recipe = spec.DescentRecipe(
        batch_size="all", epochs=steps, schedule=spec.Constant(), optimizer=spec.SGD(),
        record_every=1_000, validate_every=1_000, dtype="float64",
    )  # fmt: skip
    events = Batch(X, y)
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    plan = Plan.of(recipe, rule, RATE, len(y), validated=False)
    return objective.loss(descend(objective, events, plan, MemoryCheckpointer()).theta, events)


def _torch(t: np.ndarray, y: np.ndarray) -> float:
    torch.set_num_threads(1)
    time_, target = torch.from_numpy(t), torch.from_numpy(y)
    params = torch.zeros(3, dtype=torch.float64, requires_grad=True)

    def loss_of() -> torch.Tensor:
        a, b, c = params
        return ((a * time_**2 + b * time_ + c - target) ** 2).mean()

    for _ in range(PEER_STEPS):
        loss_of().backward()
        params.data -= RATE * params.grad
        params.grad = None
    return float(loss_of().detach())


if __name__ == "__main__":
    began = time.perf_counter()
    print([case.to_json() for case in measure(Options(rounds=1))], time.perf_counter() - began)
