"""Where the time goes: the parts of a gradient, a step and a first training.

No peer is here, and nothing is asked for. The parts are measured by themselves, so that they need
not add up to the whole: what overlaps is counted twice, what waits for another part once.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import steepest
from benchmarks.dense import BATCHES, HIDDEN, sample, steepest_run
from benchmarks.gradient import events_of, problems
from benchmarks.harness import Case, Options, in_turn
from benchmarks.machine import cores, on_cores, sum_once
from benchmarks.peers import Work
from steepest import recipe as spec
from steepest.descent.batch_loader import BatchLoader
from steepest.descent.batches import Batches
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.objective.compiled import Compiled, compiled
from steepest.objective.step_block import StepBlock
from steepest.optimizers import UpdateRule, update_rule

__all__ = ["measure"]

Array = np.ndarray
CACHED = 300_000
"""Bytes of events that lie in a core's second cache."""
AGAIN = 200
COLD = """
import json, sys, time
from numba.core import event
kernels, running = {}, []
class Told(event.Listener):
    def on_start(self, told):
        running.append(time.perf_counter())
    def on_end(self, told):
        took = time.perf_counter() - running.pop()
        if not running:
            function = told.data["dispatcher"].py_func
            name = f"compiling {function.__module__.rpartition('.')[2]}.{function.__name__}"
            kernels[name] = kernels.get(name, 0) + took
event.register("numba:compile", Told())
from steepest.cli import main
sys.argv[1:] = ["train", "--out", sys.argv[1]]
try:
    main()
finally:
    print(json.dumps(kernels), file=sys.stderr)
"""


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each gradient, each step, and the first training."""
    for problem in problems(options):
        yield _gradient(*problem, options)
    for hidden in HIDDEN:
        for batch_size in BATCHES:
            yield _step(hidden, batch_size, options)
    yield _single_events(options)
    yield _first_training(options)


def _gradient(X: Array, y: Array, short: str, name: str, options: Options) -> Case:
    """Arithmetic without waiting for memory, memory without arithmetic, and both."""
    theta = np.linspace(-0.1, 0.1, X.shape[1] + 1, dtype=np.float32)
    model, loss = Dense(X.shape[1]), loss_named(name)
    objective, batch = DenseObjective(model, loss, 0.0, "float32"), Batch(X, y)
    kernels = compiled(model, name, 0.0, "float32")
    few = CACHED // X[0].nbytes
    blocks = {rows: Batch(X[:rows].copy(), y[:rows].copy()) for rows in (few // 8, few)}

    def of_cached(rows: int) -> float:
        gradient, began = np.zeros(len(theta)), time.perf_counter()
        for _ in range(AGAIN):
            kernels.add_block(theta, blocks[rows], 1.0, gradient)
        return (time.perf_counter() - began) / AGAIN

    def alone() -> None:
        kernels.add_block(theta, batch, 1.0 / len(batch), np.zeros(len(theta)))

    contenders = {
        "the gradient": lambda: objective.loss_and_gradient(theta, batch),
        "the gradient, one thread": alone,
        "the array summed": lambda: sum_once(X, cores()),
        "the array summed, one thread": lambda: sum_once(X, 1),
    }
    seconds, _ = in_turn(contenders, options.rounds)
    each = [(of_cached(few) - of_cached(few // 8)) / (few - few // 8) * len(X)
            for _ in range(options.rounds)]  # fmt: skip
    seconds["as many events from the cache, one thread"] = each
    return Case("profile", f"{short}, {X.shape[0]:,} × {X.shape[1]}", seconds, [])


def _step(hidden: tuple[int, ...], batch_size: int, options: Options) -> Case:
    """A step with and without its optimiser's work and its second thread, and the products."""
    works = {
        name: Work(*sample(), hidden, batch_size, name, 1 if options.quick else 5)
        for name in ("adam", "sgd")
    }
    steps = works["adam"].steps

    def alone() -> None:
        with on_cores(1):
            steepest_run(works["adam"])()

    contenders: dict[str, Callable[[], object]] = {
        "a step with Adam": steepest_run(works["adam"]),
        "a step with SGD": steepest_run(works["sgd"]),
        "a step with Adam, one thread": alone,
        "its products by BLAS": _products(works["adam"], cores()),
        "its products by BLAS, one thread": _products(works["adam"], 1),
        "its rows copied": _copies(works["adam"]),
    }
    seconds, _ = in_turn(contenders, options.rounds)
    step = {name: [s / steps for s in times] for name, times in seconds.items()}
    shape = "→".join(map(str, works["adam"].widths))
    return Case("profile", f"{shape}, batch {batch_size}", step, [])


def _products(work: Work, threads: int) -> Callable[[], object]:
    """The matrix products of forward and backward, written into arrays that are there."""
    random, m = np.random.default_rng(0), work.batch_size

    def matrix(*shape: int) -> Array:
        return random.standard_normal(shape, dtype=np.float32)

    sizes = list(pairwise(work.widths))
    values = [matrix(m, width) for width in work.widths]
    weights = [matrix(*size) for size in sizes]
    gradients, upstream = [matrix(*size) for size in sizes], [matrix(m, w) for w in work.widths]

    def run() -> None:
        with threadpool_limits(limits=threads):
            for _ in range(work.steps):
                for k, weight in enumerate(weights):
                    np.matmul(values[k], weight, out=values[k + 1])
                    values[k + 1] *= 1e-2  # so that they neither grow nor vanish
                for k in reversed(range(len(weights))):
                    np.matmul(values[k].T, upstream[k + 1], out=gradients[k])
                    if k:
                        np.matmul(upstream[k + 1], weights[k].T, out=upstream[k])
                        upstream[k] *= 1e-2

    return run


def _copies(work: Work) -> Callable[[], object]:
    """The gathering of the batches' rows."""
    rows = np.random.default_rng(0).permutation(len(work.X))
    out = np.empty((work.batch_size, work.X.shape[1]), dtype=np.float32)

    def run() -> None:
        for _ in range(work.epochs):
            for start in range(0, len(rows) - work.batch_size + 1, work.batch_size):
                np.take(work.X, rows[start : start + work.batch_size], axis=0, out=out, mode="clip")

    return run


def _single_events(options: Options) -> Case:
    """Steps of single events in three orders: what waiting for memory costs; and the shuffle."""
    X, logits = events_of(20_000 if options.quick else 2_000_000, 28)
    events, steps = Batch(X, (logits > 0).astype(np.float32)), len(X)
    name = "binary-cross-entropy"
    kernels = compiled(Dense(X.shape[1]), name, 0.0, "float32")
    rule = update_rule(spec.SGD(), np.ones(X.shape[1] + 1, dtype=bool))
    theta, never = np.zeros(X.shape[1] + 1, dtype=np.float32), np.zeros(steps, dtype=bool)
    few = CACHED // X[0].nbytes

    def take(rows: Array) -> Callable[[], object]:
        step_block = StepBlock(events, rows, 1, np.full(steps, 1e-3), 0, never, never, np.inf)
        return lambda: kernels.run_steps(step_block, rule, theta, (), 0.0)

    contenders = {
        "shuffled": take(Batches(steps, 1, seed=0).order(0)),
        "in order": take(np.arange(steps)),
        "in order, from the cache": take(np.arange(steps) % few),
        "shuffled, laid by a helper": _laid(events, kernels, rule, theta),
        "the shuffle": lambda: Batches(steps, 1, seed=0).order(0),
    }
    seconds, _ = in_turn(contenders, options.rounds)
    each = {name: [s / steps for s in times] for name, times in seconds.items()}
    return Case("profile", f"a single event of {steps:,} × {X.shape[1]}", each, [])


def _laid(events: Batch, kernels: Compiled, rule: UpdateRule, theta: Array) -> Callable[[], object]:
    """The steps with the order drawn, and the events laid, by a second thread where it pays."""
    steps = len(events)
    loader = BatchLoader(events, Batches(steps, 1, seed=0), in_order=True)
    rates, never = np.full(steps, 1e-3), np.zeros(steps, dtype=bool)

    def run() -> None:
        at = theta
        for each in loader.runs(0, steps):
            part = slice(each.steps)
            step_block = StepBlock(
                each.events, each.rows, 1, rates[part], 0, never[part], never[part], np.inf
            )
            at = kernels.run_steps(step_block, rule, at, (), 0.0).theta

    return run


def _first_training(options: Options) -> Case:
    """The compilation of each kernel, and the same command when all are compiled."""
    seconds: dict[str, list[float]] = {"the whole command": [], "with compiled kernels": []}
    for _ in range(min(options.rounds, 3)):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(steepest.__file__).parent
            ignored = shutil.ignore_patterns("*.nbi", "*.nbc")
            shutil.copytree(source, Path(folder) / "steepest", ignore=ignored)
            for name in ("the whole command", "with compiled kernels"):
                began = time.perf_counter()
                kernels = _train(folder, name.replace(" ", "-"))
                seconds[name].append(time.perf_counter() - began)
                for kernel, took in kernels.items():
                    seconds.setdefault(kernel, []).append(took)
    long = sorted(seconds, key=lambda name: -statistics.median(seconds[name]))
    return Case("profile", "first training", {name: seconds[name] for name in long}, [])


def _train(folder: str, out: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(Path(folder) / out)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": folder, "NUMBA_CACHE_DIR": str(Path(folder) / "kernels")},
    )
    return json.loads(done.stderr.splitlines()[-1])
