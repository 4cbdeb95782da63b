"""What metrics.json says of a run besides figures of merit, and what environment.json says.

Both formats are interfaces: see docs/run-folder.md.
"""

from __future__ import annotations

import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_info

from steepest._version import __version__
from steepest.compiled.threads import usable_cores
from steepest.evaluate import Merit
from steepest.events import Sample
from steepest.objective import Batch
from steepest.ranks import current
from steepest.recipe import Recipe
from steepest.scaling import AsinhScaling
from steepest.storage import blocks, total
from steepest.trained import TrainedModel
from steepest.training.fitting.fitted import Fitted
from steepest.training.targets import head_columns, targets_of

_PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "scikit-learn",
    "polars",
    "pyarrow",
    "safetensors",
    "pydantic",
)
FORMAT = {"format": "steepest-metrics", "version": 1, "steepest": __version__}


def class_titles(model: TrainedModel) -> tuple[str, str]:
    """What figures call background and signal."""
    if title := model.units.get(model.label, {}).get("title"):
        return f"Not {title}", title
    if model.classes == ("0", "1"):
        if model.label == "sample":  # labels are given sample by sample
            return "Background", "Signal"
        if re.search(r"[^\w.]", model.label):  # a condition
            return "Background", f"Signal ({model.label})"
        return f"Background ({model.label} = 0)", f"Signal ({model.label} = 1)"
    return model.classes[0], model.classes[1]


def to_json(merits: Mapping[str, Merit]) -> dict[str, Any]:
    """Figures of merit as plain values."""
    return {name: merit.to_json() for name, merit in merits.items()}


def describe_part(events: Sample, classes: Sequence[str]) -> dict[str, Any]:
    """Counts and sums of weights of a part, for each class where there are classes."""
    size = max(len(classes), 1)
    counts, sums = np.zeros(size, dtype=np.int64), np.zeros(size)
    for labels, weights in blocks(events.labels, events.weights):
        index = labels if classes else np.zeros(len(labels), dtype=np.int64)
        counts += np.bincount(index, minlength=size)
        sums += np.bincount(index, weights, minlength=size)
    described: dict[str, Any] = {"events": len(events), "weight": float(sums.sum())}
    if classes:
        described["classes"] = {
            name: {"events": int(counts[index]), "weight": float(sums[index])}
            for index, name in enumerate(classes)
        }
    return described


def describe_model(model: TrainedModel) -> dict[str, Any]:
    """Architecture and, for a linear model, coefficients in original units."""
    coefficients = model.coefficients()
    relevance = getattr(model.scaling, "relevance", None)
    return {
        "name": name_of(model),
        **model.model.details(),
        "parameters": model.model.size,
        "dtype": str(model.theta.dtype),
        "scaling": model.scaling.name,
        **({} if relevance is None else {"relevance": _by_input(model, relevance)}),
        "coefficients": coefficients.to_json() if coefficients else None,
    }


def _by_input(model: TrainedModel, relevance: np.ndarray) -> dict[str, float]:
    assert isinstance(model.scaling, AsinhScaling)
    return dict(zip(model.scaling.features, relevance.tolist(), strict=True))


def name_of(model: TrainedModel) -> str:
    """What a physicist calls the model."""
    return model.model.title(model.task)


def describe_descent(recipe: Recipe, fitted: Fitted) -> dict[str, Any]:
    """How the descent went."""
    state, plan = fitted.outcome.state, fitted.plan
    exact = fitted.exact
    return {
        "method": fitted.recipe.method,
        "loss": fitted.model.loss.name,
        "optimizer": plan.rule.name,
        "schedule": recipe.descent.schedule.name,
        "batch_size": plan.batch_size,
        "l2": fitted.recipe.l2,
        "learning_rate": fitted.learning_rate.value,
        "learning_rate_reason": fitted.learning_rate.reason,
        "steps": state.step,
        "epochs": state.step / plan.batches.per_epoch,
        "steps_per_epoch": plan.batches.per_epoch,
        "kept": plan.keep,
        "kept_step": fitted.outcome.step,
        "stop": {"kind": state.reason.kind, "sentence": state.reason.sentence}
        if state.reason
        else None,
        "exact": {
            "condition_number": exact.condition_number,
            "digits_lost": exact.digits_lost,
            "rank": exact.rank,
        }
        if exact is not None
        else None,
    }


def mean_loss(model: TrainedModel, events: Sample) -> float:
    """Σ w ℓ / Σ w over those events with the weights of the descent, without the L2 term.

    It is ``validation_loss`` of the history on the validation part: of a regression in units of the
    scaled label. Of many ranks, over the events of all.
    """
    theta, ranks = model.theta.astype(np.float64), current()
    objective = model.objective()
    given, count = events.descent_weights, ranks.total(len(events))
    mean = 1.0 if given is None else ranks.total(total(given)) / count
    summed = 0.0
    columns = head_columns(model.loss, events)
    for features, labels, weights, *heads in blocks(
        events.features, events.labels, given, *columns
    ):
        targets = targets_of(model.loss, labels.astype(np.float64), heads)
        part = None if weights is None else weights / mean
        batch = Batch(model.scaled(features), targets, part)
        summed += objective.loss(theta, batch) * len(batch)
    return ranks.total(summed) / count


def metrics_of(status: str, **entries: Any) -> dict[str, Any]:
    """Put metrics.json together."""
    return {**FORMAT, "status": status, **entries}


def environment(events: dict[str, Any]) -> dict[str, Any]:
    """Describe this process and machine; `events` is the fingerprint of what is trained on."""
    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "format": "steepest-environment",
        "version": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "steepest": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": {"physical": psutil.cpu_count(logical=False), "usable": usable_cores()},
        "memory_bytes": psutil.virtual_memory().total,
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture")}
            for pool in blas
        ],
        "threads": 1,  # of BLAS during a descent
        "ranks": current().size,
        "command": sys.argv[1:],
        "events": events,
    }
