"""Training steps of dense networks: against the peers, and against the products alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case, Claim, Options, fastest, in_turn, ratio, same_loss
from benchmarks.machine import cores, matrix_peak
from benchmarks.peers import PEERS, RATE, Work
from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

__all__ = ["BATCHES", "HIDDEN", "measure", "sample", "steepest_run"]

Array = np.ndarray

FEATURES, EVENTS = 28, 16_384
HIDDEN = [(64, 64), (256, 256)]
BATCHES = (64, 256, 1024, 4096)
FAST = ["torch eager", "torch.compile", "JAX"]
SETTINGS = {
    "steepest": "descend, float32, a record every hundredth step",
    "torch eager": "fused optimiser, rows gathered from one tensor, no DataLoader",
    "torch.compile": "forward and backward compiled, fused optimiser, no DataLoader",
    "JAX": "optax, one jitted scan over the epoch's steps, rows gathered inside",
    "scikit-learn": "MLPClassifier in float32 without its stopping rules",
    "Lightning": "Trainer and DataLoader with their defaults but for the logger, which is off",
    "threads": "as many as the machine has cores, for all",
    "time": "of a whole training over its steps; the loss at its end is computed afterwards",
}


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each network, batch size and optimiser."""
    X, y = sample()
    torch.set_num_threads(cores())
    with threadpool_limits(limits=cores()):
        for hidden in HIDDEN:
            for batch_size in BATCHES:
                for optimizer in ("adam", "sgd"):
                    epochs = 1 if options.quick else 5 if hidden[0] > 64 else 10
                    work = Work(X, y, hidden, batch_size, optimizer, epochs)
                    yield _case(work, options)


def sample() -> tuple[Array, Array]:
    """Return X ``(events, features)`` and labels that no linear model finds."""
    X = np.random.default_rng(0).standard_normal((EVENTS, FEATURES), dtype=np.float32)
    return X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.float32)


def _case(work: Work, options: Options) -> Case:
    wide = work.hidden[0] > 64
    names = [n for n in PEERS if not wide or n in FAST]
    runs = {"steepest": steepest_run(work)} | {name: PEERS[name](work) for name in names}
    seconds, results = in_turn(runs, options.rounds)
    peaks = {threads: matrix_peak(threads) for threads in {1, cores()}}  # now: the clock drifts
    losses = {name: float(loss()) for name, loss in results.items()}  # type: ignore[operator]
    same_loss(losses, relative=0.25)  # each shuffles the events in its own way
    step = {name: [s / work.steps for s in times] for name, times in seconds.items()}
    best = fastest(step, FAST)
    asked = 1.2 if wide else 3.0 if work.batch_size <= 256 else 2.0
    claims = [ratio(f"against {best}", step[best], step["steepest"], asked)]
    if not wide:
        claims += [
            ratio("against scikit-learn", step["scikit-learn"], step["steepest"], 6.0),
            ratio("against Lightning", step["Lightning"], step["steepest"], 15.0),
        ]
    claims += _limits(work, step["steepest"], peaks)
    shape = "→".join(map(str, work.widths))
    return Case(
        bench="dense",
        work=f"{shape}, batch {work.batch_size}, {'Adam' if work.optimizer == 'adam' else 'SGD'}",
        seconds=step,
        claims=claims,
        settings=SETTINGS,
        losses=losses,
        numbers={"sgemm peak, GFLOP/s": {str(t): p / 1e9 for t, p in peaks.items()}},
    )


def _limits(work: Work, own: list[float], peaks: dict[int, float]) -> list[Claim]:
    """The share of the matrix products' peak that a step reaches."""
    sizes = [n * m for n, m in pairwise(work.widths)]
    flops = 2 * work.batch_size * (3 * sum(sizes) - sizes[0])
    asked = {(64, 256): 0.5, (256, 4096): 0.85}.get((work.hidden[0], work.batch_size))
    claims = []
    for threads, peak in sorted(peaks.items()):
        shares = [flops / peak / s for s in own]
        what = f"share of the sgemm peak of {threads} thread{'s' if threads > 1 else ''}"
        wanted = asked if threads == max(peaks) else None
        claims.append(Claim(what, statistics.median(shares), min(shares), max(shares), wanted))
    return claims


def steepest_run(work: Work) -> Callable[[], Callable[[], float]]:
    """Return what trains once, and gives what computes its loss."""
    loss = loss_named("binary-cross-entropy")
    objective = DenseObjective(Dense(FEATURES, work.hidden), loss, 0.0, "float32")
    recipe = spec.DescentRecipe(
        batch_size=work.batch_size,
        epochs=work.epochs,
        optimizer=spec.Adam() if work.optimizer == "adam" else spec.SGD(),
        schedule=spec.Constant(),
        record_every=100,
    )
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    plan = Plan.of(recipe, rule, RATE[work.optimizer], len(work.X), validated=False)
    events = Batch(work.X, work.y)

    def run() -> Callable[[], float]:
        theta = descend(objective, events, plan, MemoryCheckpointer()).theta
        return lambda: objective.loss(theta, events)

    return run
