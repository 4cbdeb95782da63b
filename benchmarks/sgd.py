"""An epoch of single-instance stochastic gradient descent, logistic regression, shuffled."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case, Options, in_turn, ratio, same_loss
from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

__all__ = ["measure"]

Array = np.ndarray
EVENTS, FEATURES, RATE = 2_000_000, 28, 1e-3
SETTINGS = {
    "steepest": "float32, batch_size = 1, SGD, constant rate, one epoch, two-level shuffle",
    "SGDClassifier": "float32, log loss, no penalty, constant rate, one epoch, shuffled",
    "Vowpal Wabbit": "--sgd --loss_function logistic, constant rate, one pass over its cache, in "
    "the cache's order: it has no shuffle",
    "threads": "one takes the steps; in steepest a second lays the shuffled events side by side "
    "where a core is free, and may share the loss of the start; Vowpal Wabbit reads in a second",
}


def measure(options: Options) -> Iterator[Case]:
    """Yield the one case."""
    events = EVENTS // 100 if options.quick else EVENTS
    random = np.random.default_rng(0)
    X = random.standard_normal((events, FEATURES), dtype=np.float32)
    truth = random.standard_normal(FEATURES, dtype=np.float32) / np.float32(2)
    y = (X @ truth + random.logistic(size=events) > 0).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(limits=1):
        text, cache = Path(folder) / "events.txt", Path(folder) / "events.cache"
        _write_text(X, y, text)
        _wabbit(text, cache, passes=1)  # the first pass writes the cache
        thetas: dict[str, Array] = {}
        contenders = {
            "steepest": lambda: thetas.update(steepest=_steepest(X, y)),
            "SGDClassifier": lambda: thetas.update(SGDClassifier=_sklearn(X, y)),
            "Vowpal Wabbit": lambda: thetas.update({"Vowpal Wabbit": _wabbit(text, cache, 1)}),
        }
        seconds, _ = in_turn(contenders, options.rounds)
    losses = {name: _loss(X, y, theta) for name, theta in thetas.items()}
    same_loss(losses, relative=0.01)
    own = seconds["steepest"]
    yield Case(
        bench="sgd",
        work=f"logistic, {events:,} × {FEATURES}, one epoch of single events",
        seconds=seconds,
        claims=[
            ratio("against SGDClassifier", seconds["SGDClassifier"], own, 6.0),
            ratio("against Vowpal Wabbit", seconds["Vowpal Wabbit"], own, 1.5),
        ],
        settings=SETTINGS,
        losses=losses,
        numbers={"ns an event": [1e9 * s / events for s in own]},
    )


def _steepest(X: Array, y: Array) -> Array:
    objective = DenseObjective(Dense(FEATURES), loss_named("binary-cross-entropy"), 0.0, "float32")
    recipe = spec.DescentRecipe(
        batch_size=1, epochs=1, schedule=spec.Constant(), optimizer=spec.SGD(), record_every=100_000
    )
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    plan = Plan.of(recipe, rule, RATE, len(X), validated=False)
    return descend(objective, Batch(X, y), plan, MemoryCheckpointer()).theta.astype(np.float64)


def _sklearn(X: Array, y: Array) -> Array:
    model = SGDClassifier(
        loss="log_loss", penalty=None, learning_rate="constant", eta0=RATE, max_iter=1, tol=None,
        random_state=0,
    )  # fmt: skip
    model.fit(X, y)
    return np.append(model.coef_[0], model.intercept_[0])


def _write_text(X: Array, y: Array, path: Path) -> None:
    columns = {"label": pl.Series(np.where(y > 0, "1", "-1"))}
    columns |= {f"x{i}": pl.Series(X[:, i]) for i in range(FEATURES)}
    line = pl.format("{} |" + " {}:{}" * FEATURES, pl.col("label"), *(
        piece for i in range(FEATURES) for piece in (pl.lit(f"x{i}"), pl.col(f"x{i}"))
    ))  # fmt: skip
    frame = pl.DataFrame(columns)
    with path.open("w", encoding="utf-8") as file:
        for piece in frame.iter_slices(100_000):
            file.write("\n".join(piece.select(line.alias("line"))["line"].to_list()) + "\n")


def _wabbit(text: Path, cache: Path, passes: int) -> Array:
    from vowpalwabbit import Workspace

    workspace = Workspace(
        data=str(text), cache_file=str(cache), passes=passes, loss_function="logistic", sgd=True,
        learning_rate=RATE, power_t=0, bit_precision=18, quiet=True,
    )  # fmt: skip
    weights = [workspace.get_weight_from_name(f"x{i}") for i in range(FEATURES)]
    constant = workspace.get_weight_from_name("Constant")
    workspace.finish()
    return np.array([*weights, constant])


def _loss(X: Array, y: Array, theta: Array) -> float:
    z = X @ theta[:-1] + theta[-1]
    return float(np.mean(np.logaddexp(0, z) - y * z))
