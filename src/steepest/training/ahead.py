"""Machine code for the end of a run, made by another process while this one makes the descent's.

Numba compiles one function at a time: its compiler is written in Python, and has a lock besides.
A network descends in float32, but is evaluated in float64 like the linear baseline, by other
machine code. So where a run has to compile, and there is another core, a second process takes the
same way on a few made-up events, and leaves what it compiles in Numba's cache on disk, where this
one finds it. If that process fails in any way, nobody is told: this one compiles for itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from steepest.events import TRAIN
from steepest.recipe import DescentRecipe, ModelRecipe, Recipe
from steepest.training.baseline import fit_baseline
from steepest.training.callback import TrainingCallback
from steepest.training.events import Prepared
from steepest.training.fit import model_at, predictions_of
from steepest.training.inputs import Events, Schema, objective_for
from steepest.training.results import mean_loss
from steepest.training.second import a_core_is_free, begin, end

__all__ = ["compile_as_asked", "compiling_ahead", "what_to_compile"]

_EVENTS = 2048
"""Enough for compiled code to be used, as for all events."""


@contextmanager
def compiling_ahead(recipe: Recipe, events: Prepared) -> Iterator[None]:
    """Have a second process compile what `finish` needs, as soon as this one has to compile."""
    if not recipe.model.hidden or recipe.descent.method != "descent" or not a_core_is_free():
        yield
        return
    from steepest.kernels.compiled import no_longer, while_compiling

    helper = _Helper(what_to_compile(recipe, events))
    while_compiling(helper.run)
    try:
        yield
    finally:
        no_longer(helper.run)
        helper.end()


def what_to_compile(recipe: Recipe, events: Prepared) -> dict[str, Any]:
    """Whatever decides which machine code `finish` takes, as JSON can hold it."""
    train, schema = events.parts[TRAIN], events.schema
    return {
        "events": min(len(train), _EVENTS),
        "inputs": len(schema.names),
        "labels": np.dtype(train.labels.dtype).name,
        "weights": None if train.weights is None else np.dtype(train.weights.dtype).name,
        "task": schema.task,
        "classes": list(schema.classes),
        "loss": recipe.descent.loss,
        "model": recipe.model.model_dump(mode="json"),
        "baseline": recipe.evaluate.baseline,
    }


def compile_as_asked() -> None:
    """Evaluate a network, and fit a baseline, on made-up events, as standard input says."""
    asked = json.load(sys.stdin.buffer)
    schema = Schema(
        tuple(f"x{i}" for i in range(asked["inputs"])), asked["task"], tuple(asked["classes"])
    )
    events = _made_up(asked, schema)
    if asked["baseline"]:
        baseline = fit_baseline(events, schema, TrainingCallback())
        predictions_of(baseline.model, events.features)
    model, descent = ModelRecipe(**asked["model"]), DescentRecipe(loss=asked["loss"])
    theta = objective_for(schema, model, descent).initial(0)
    trained = model_at(events, schema, model, descent, theta)
    predictions_of(trained, events.features)
    mean_loss(trained, events)


def _made_up(asked: dict[str, Any], schema: Schema) -> Events:
    """Standard normal features, and labels that say nothing of them."""
    features = np.random.default_rng(0).normal(size=(asked["events"], asked["inputs"]))
    labels = np.arange(len(features)) % max(2, len(schema.classes))
    weights = None if asked["weights"] is None else np.ones(len(features), dtype=asked["weights"])
    return Events(features, labels.astype(asked["labels"]), weights)


class _Helper:
    """The second process."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = json.dumps(asked).encode()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended, self._lock = False, threading.Lock()

    def run(self) -> None:
        """Start it, and wait until it ends."""
        with self._lock:
            process = None if self._ended else begin(compile_as_asked)
            self._process = process
        if process is not None:
            with suppress(OSError, ValueError):  # its pipe was closed
                process.communicate(self._asked)

    def end(self) -> None:
        """End it if it runs still: the run has ended, and needs nothing any more."""
        with self._lock:
            self._ended = True
        if self._process is not None:
            end(self._process)
