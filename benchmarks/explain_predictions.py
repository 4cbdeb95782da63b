"""What `steepest explain` predicts, against what is so: on the held-out samples.

``python -m benchmarks.explain_predictions [--page docs/explain.md]``. Each prediction is compared
with a computation that shares nothing with it but J and its gradient: dense eigenvalues, bisection
of η by descents that are taken, steps that are taken, gradients of single events.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import explain_held_out
from benchmarks.explain_events import written
from benchmarks.explain_table import rate, write_between
from benchmarks.harness import Case, Claim

__all__ = ["case", "main", "predictions", "table"]

Array = np.ndarray
COUNT, SEED = 2_000, 950
RULES: dict[str, dict[str, Any]] = {
    "SGD": {"name": "sgd"},
    "momentum": {"name": "momentum", "momentum": 0.9},
    "Nesterov": {"name": "nesterov", "momentum": 0.9},
    "Adam": {"name": "adam"},
    "RMSprop": {"name": "rmsprop"},
}
ADAPTIVE = ("Adam", "RMSprop")
ASKED = {
    "λmax, dense eigenvalues": 0.01,
    "largest stable η, bisection": 0.02,
    "steps to an excess loss, taken": 0.10,
    "noise scale, gradients of single events": 0.15,
    "noise scale by batches, gradients of single events": 0.15,
}
BEGIN, END = "<!-- bench-predictions -->", "<!-- /bench-predictions -->"


@dataclass(frozen=True)
class Prediction:
    """One prediction beside what is so."""

    what: str
    problem: str
    rule: str
    predicted: float
    found: float

    @property
    def off(self) -> float:
        """By how much it is off, as a part of what is so."""
        if self.predicted == self.found:  # both never
            return 0.0
        return abs(self.predicted / self.found - 1)


def recipe_of(sample: str, folder: Path, model: dict[str, Any], **descent: Any) -> Any:
    """A recipe on a held-out sample, all of which is trained on."""
    from steepest.recipe import Recipe

    events = explain_held_out.MATRICES[sample](COUNT, SEED)
    return Recipe.from_dict(
        {
            "events": {**written(events, folder, False), "split": {"validation": 0.0, "test": 0.0}},
            "model": model,
            "descent": {
                "method": "descent", "schedule": "constant", "scaling": "standard", "l2": 0.0,
                "batch_size": "all", "epochs": 10, **descent,
            },
        }
    )  # fmt: skip


def predictions() -> Iterator[Prediction]:
    """Every prediction, on every problem it is made for."""
    for sample in explain_held_out.MATRICES:
        for loss in ("mean-squared-error", "binary-cross-entropy"):
            for scaling, rule in itertools.product(("standard", "min-max"), RULES):
                with tempfile.TemporaryDirectory() as folder:
                    yield from _of_linear(sample, loss, scaling, rule, Path(folder))
        for rule in RULES:
            with tempfile.TemporaryDirectory() as folder:
                yield from _of_network(sample, rule, Path(folder))


def _of_linear(
    sample: str, loss: str, scaling: str, rule: str, folder: Path
) -> Iterator[Prediction]:
    from steepest.explain import forecast

    given = recipe_of(sample, folder, {"hidden": []}, optimizer=RULES[rule], loss=loss,
                      scaling=scaling, learning_rate=1e-4)  # fmt: skip
    told = forecast(given)
    problem, record = f"{sample}, linear, {scaling}, {loss}", told.record
    largest = told.to_json()["largest_stable_rate"]
    assert told.linear is not None
    minimum = told.linear.curvature.minimum
    yield Prediction("largest stable η, bisection", problem, rule, largest,
                     _bisected(record, minimum, largest))  # fmt: skip
    if rule in ADAPTIVE:
        return
    for part_of_bound in (0.3, 0.9):
        rate = part_of_bound * largest
        for part in (1e-3, 1e-6):
            steps = told.linear.steps(rate, part, record.descent.optimizer)
            taken = _taken(record, told.linear.curvature.lowest, rate, part)
            yield Prediction("steps to an excess loss, taken", problem, rule, steps, taken)


def _of_network(sample: str, rule: str, folder: Path) -> Iterator[Prediction]:
    import steepest
    from steepest.explain import sharpness
    from steepest.explain.record import read_record

    rate = 0.01 if rule in ADAPTIVE else 0.05
    model = {"hidden": [8, 8], "activation": "tanh"}
    given = recipe_of(sample, folder, model, optimizer=RULES[rule], batch_size=64,
                      learning_rate=rate, epochs=20)  # fmt: skip
    steepest.train(given, folder / "run", progress=False)
    record = read_record(folder / "run")
    problem = f"{sample}, network"
    for one in sharpness.measure_sharpness(record):
        index = int(np.flatnonzero(record.steps == one.step)[0])
        exact = _dense_largest(record, record.thetas[index], rule)
        yield Prediction("λmax, dense eigenvalues", problem, rule, one.largest, exact)
    for index in (0, len(record.thetas) // 2, -1):
        exact = _noise_of_events(record, record.thetas[index])
        for most, what in ((sharpness.MOST_SINGLE, "noise scale"), (0, "noise scale by batches")):
            with patch.object(sharpness, "MOST_SINGLE", most):  # as of more events
                noise = sharpness.measure_noise(record, index)
            assert noise is not None
            what += ", gradients of single events"
            yield Prediction(what, problem, rule, noise.scale, exact)


def _hessian(record: Any, theta: Array) -> Array:
    """∇²J by central differences of the gradient."""
    size, step = len(theta), 1e-5
    rows = []
    for k in range(size):
        away = np.zeros(size)
        away[k] = step
        up, down = (record.objective.loss_and_gradient(t, record.train)[1]
                    for t in (theta + away, theta - away))  # fmt: skip
        rows.append((np.asarray(up) - np.asarray(down)) / (2 * step))
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2


def _dense_largest(record: Any, theta: Array, rule: str) -> float:
    from steepest.explain.sharpness import _divisor

    root = np.sqrt(_divisor(record, theta)) if rule in ADAPTIVE else np.ones(len(theta))
    return float(np.linalg.eigvalsh(_hessian(record, theta) / np.outer(root, root))[-1])


def _noise_of_events(record: Any, theta: Array) -> float:
    single = np.array([
        record.objective.loss_and_gradient(theta, record.train.take(slice(i, i + 1)))[1]
        for i in range(len(record.train))
    ])  # fmt: skip
    mean = single.mean(axis=0)
    variance = ((single - mean) ** 2).sum() / (len(single) - 1)
    signal = (mean**2).sum() - variance / len(single)
    return float(variance / signal) if signal > 0 else math.inf


def _bisected(record: Any, minimum: Array, about: float) -> float:
    """The largest η that comes back to the minimum from near it, by descents.

    √v̂ of Adam and RMSprop is held at its value at θ₀, as in their bound: with v̂ that follows the
    gradient to zero no η is stable.
    """
    from steepest.explain.sharpness import _divisor

    rule, start = record.rule, minimum + 1e-4 * np.random.default_rng(0).normal(size=minimum.shape)
    adaptive = rule.stability is None
    divisor = _divisor(record, record.thetas[0]) if adaptive else None
    if adaptive:  # of θ₀, where the bound is told
        minimum = record.thetas[0]
        start = minimum + 1e-4 * np.random.default_rng(0).normal(size=minimum.shape)
    base = np.asarray(record.objective.loss_and_gradient(minimum, record.train)[1])
    beta = getattr(record.descent.optimizer, "beta1", 0.0)

    def returns(rate: float) -> bool:
        theta, state = start.copy(), rule.initial_state(start)
        momentum, away = np.zeros_like(start), math.inf
        for step in range(1, 3001):
            gradient = np.asarray(record.objective.loss_and_gradient(theta, record.train)[1]) - base
            if divisor is None:
                theta, state = rule.update(theta, gradient, state, rate, step)
            else:
                momentum = beta * momentum + (1 - beta) * gradient
                theta = theta - rate * momentum / divisor
            away = np.abs(theta - minimum).max()
            if not away < 1e-2:
                return False
            if away < 1e-7:
                break
        return bool(away < 5e-3)

    low, high = 0.5 * about, 2.0 * about
    for _ in range(9):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if returns(middle) else (low, middle)
    return math.sqrt(low * high)


def _taken(record: Any, lowest: float, rate: float, part: float, most: int = 200_000) -> float:
    """Steps that a descent takes to `part` of its first J − J*."""
    theta, rule = record.thetas[0].copy(), record.rule
    state, goal = rule.initial_state(theta), math.inf
    for step in range(most):
        loss, gradient = record.objective.loss_and_gradient(theta, record.train)
        if not step:
            goal = lowest + part * (loss - lowest)
        if loss <= goal:
            return step
        theta, state = rule.update(theta, np.asarray(gradient), state, rate, step + 1)
    return math.inf


def table(found: list[Prediction]) -> str:
    """The table of docs/explain.md."""
    lines = ["| prediction, against | rule | compared | within | median off by | largest | asked |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for what, asked in ASKED.items():
        for rule in RULES:
            off = [one.off for one in found if (one.what, one.rule) == (what, rule)]
            if off:
                within = sum(value <= asked for value in off)
                lines.append(
                    f"| {what} | {rule} | {len(off)} | {within} | {_percent(np.median(off))} | "
                    f"{_percent(max(off))} | {100 * asked:g} % |"
                )
    return "\n".join(lines)


def case(found: list[Prediction]) -> Case:
    """The share within what was asked, of each prediction."""
    claims = []
    for what, asked in ASKED.items():
        near = [one.off <= asked for one in found if one.what == what]
        if near:
            claims.append(
                Claim(f"{what}: within {100 * asked:g} %", *rate(sum(near), len(near)), 1.0)
            )
    return Case("explain", "predictions on held-out samples", {}, claims)


def _percent(part: Any) -> str:
    return "< 0.01 %" if part < 1e-4 else f"{100 * part:.2g} %"


def main() -> None:
    """Compare, print every miss, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="write the table into this page")
    options = parser.parse_args()
    found: list[Prediction] = []
    for one in predictions():
        found.append(one)
        if one.off > ASKED[one.what]:
            print(f"off by {100 * one.off:.3g} %: {one}", flush=True)
    print(table(found))
    if options.page:
        write_between(options.page, BEGIN, END, table(found))


if __name__ == "__main__":
    main()
