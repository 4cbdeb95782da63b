"""Faults put into training runs, and healthy runs: what `steepest explain` names first.

``python -m benchmarks.explain --set held-out --seeds 2 --out FILE``. Each run is a whole
`steepest.train` and `explain_run`, with trials. Causes that are equivalent are listed with each
fault, before it is run. Thresholds of `steepest.explain` were chosen on the tuned set alone.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.explain_data import HELD_OUT, TUNED, Events

Array = np.ndarray

COUNT = 3_000
BASE: dict[str, Any] = {
    "model": {"hidden": [32, 32]},
    "descent": {
        "method": "descent", "optimizer": "adam", "learning_rate": 3e-3, "batch_size": 64,
        "epochs": 25, "scaling": "standard", "schedule": "one-cycle", "stop": {},
    },
    "evaluate": {"baseline": False},
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A change of the base recipe or of its events, and the causes that name it."""

    name: str
    causes: frozenset[str]
    settings: dict[str, Any] = field(default_factory=dict)
    events: Callable[[Events, int], Events] = lambda events, seed: events
    weights: Callable[[Events, int], Array] | None = None


def _far(events: Events, seed: int) -> Events:
    x, y, names = events
    powers = 10.0 ** np.linspace(-3, 3, x.shape[1])
    return x * powers + 10 * powers, y, names


def _tails(events: Events, seed: int) -> Events:
    x, y, names = events
    random = np.random.default_rng(seed)
    x = x.copy()
    x[:, 0] = np.sign(x[:, 0] - np.median(x[:, 0])) * np.exp(
        3 * np.abs((x[:, 0] - np.median(x[:, 0])) / x[:, 0].std())
    )
    x[random.integers(0, len(x), 5), 1] += 1e4 * x[:, 1].std()
    return x, y, names


def _shuffled(events: Events, seed: int) -> Events:
    x, y, names = events
    return x, np.random.default_rng(seed).permutation(y), names


def _leaking(events: Events, seed: int) -> Events:
    x, y, names = events
    return (
        np.column_stack([x, y + 0.05 * np.random.default_rng(seed).normal(size=len(y))]),
        y,
        [*names, "derived"],
    )


def _constant(events: Events, seed: int) -> Events:
    x, y, names = events
    return np.column_stack([x, np.full(len(y), 3.0)]), y, [*names, "run_period"]


def _collinear(events: Events, seed: int) -> Events:
    x, y, names = events
    copy = x[:, 0] + 1e-4 * x[:, 0].std() * np.random.default_rng(seed).normal(size=len(y))
    return np.column_stack([x, copy]), y, [*names, "again"]


def _rare(events: Events, seed: int) -> Events:
    x, y, names = events
    keep = (y == 0) | (np.arange(len(y)) % 60 == 0)
    return x[keep], y[keep], names


def _few(events: Events, seed: int) -> Events:
    x, y, names = events
    return x[:250], y[:250], names


def _heavy(events: Events, seed: int) -> Array:
    weights = np.ones(len(events[1]))
    weights[np.random.default_rng(seed).integers(0, len(weights), 10)] = 1e5
    return weights


def _fault(
    name: str, causes: str, events: Any = None, weights: Any = None, **settings: Any
) -> Fault:
    given: dict[str, Any] = {} if events is None else {"events": events}
    return Fault(name, frozenset(causes.split()), settings, weights=weights, **given)


SGD = {"optimizer": "sgd", "schedule": "constant"}
FAULTS = (
    _fault("η too large, Adam", "learning-rate-too-large dead-units", learning_rate=1.0),
    _fault("η too large, constant", "learning-rate-too-large noise-floor dead-units",
           learning_rate=0.3, schedule="constant"),
    _fault("η too large, SGD", "learning-rate-too-large dead-units", learning_rate=30.0, **SGD),
    _fault("η too small, Adam", "learning-rate-too-small too-few-steps", learning_rate=3e-6),
    _fault("η too small, SGD", "learning-rate-too-small too-few-steps", learning_rate=1e-4, **SGD),
    _fault("unscaled", "features-unscaled start-too-far learning-rate-too-large", _far,
           scaling="none"),
    _fault("unscaled, SGD", "features-unscaled learning-rate-too-large start-too-far", _far,
           scaling="none", learning_rate=0.1, **SGD),
    _fault("badly scaled", "features-heavy-tailed features-badly-scaled", _tails,
           scaling="min-max"),
    _fault("heavy tails", "features-heavy-tailed", _tails),
    _fault("collinear", "collinear-features", _collinear),
    _fault("constant feature", "constant-features", _constant),
    _fault("wrong loss", "wrong-loss", loss="mean-squared-error"),
    _fault("saturated tanh", "saturated-units features-unscaled start-too-far", _far,
           scaling="none", activation="tanh"),
    _fault("deep sigmoid", "gradients-vanish saturated-units", activation="sigmoid",
           hidden=[24] * 8),
    _fault("no decay, small batch", "noise-floor learning-rate-too-large", batch_size=2,
           schedule="constant", learning_rate=0.02, epochs=3),
    _fault("Adam's ε", "optimizer-options learning-rate-too-small",
           optimizer={"name": "adam", "epsilon": 10.0}),
    _fault("Adam's β₁", "optimizer-options learning-rate-too-large",
           optimizer={"name": "adam", "beta1": 0.999}),
    _fault("too much L2", "too-much-l2", l2=0.3),
    _fault("labels shuffled", "no-information", _shuffled),
    _fault("leak", "leak", _leaking),
    _fault("imbalance", "imbalance", _rare, train_weights="as-given"),
    _fault("few heavy weights", "few-heavy-weights", None, _heavy, train_weights="as-given"),
    _fault("too few epochs", "too-few-steps learning-rate-too-small", epochs=1, batch_size=256,
           learning_rate=1e-3),
    _fault("overtraining", "overtraining", _few, hidden=[128, 128], epochs=300, batch_size=32,
           keep="last"),
)  # fmt: skip
HEALTHY = (
    _fault("base", ""),
    _fault("default η", "", learning_rate="auto"),
    _fault("tanh", "", activation="tanh"),
    _fault("constant schedule, small η", "", schedule="constant", learning_rate=1e-3),
    _fault("edge of stability", "", batch_size="all", learning_rate=0.5, epochs=3000, **SGD),
    _fault("SGD one-cycle", "", optimizer={"name": "nesterov"}, learning_rate=0.05),
    _fault("logistic", "", hidden=[], learning_rate=0.05),
)
_MODEL = ("hidden", "activation", "initialization")


def run(fault: Fault, events: Events, seed: int, folder: Path) -> dict[str, Any]:
    """Train with a fault, explain, and say which cause came first."""
    import steepest
    from steepest.errors import DivergenceError
    from steepest.explain import explain_run

    x, y, names = fault.events(events, seed)
    table = pl.DataFrame(x, schema=names).with_columns(label=pl.Series(y))
    recipe = json.loads(json.dumps(BASE))
    given = {"path": str(folder / "events.parquet"), "label": "label", "features": names}
    if fault.weights is not None:
        table = table.with_columns(weight=pl.Series(fault.weights(events, seed)))
        given["weight"] = "weight"
    for key, value in fault.settings.items():
        if key == "train_weights":
            given[key] = value
        else:
            recipe["model" if key in _MODEL else "descent"][key] = value
    table.write_parquet(given["path"])
    recipe |= {"events": {**given, "split": {"seed": seed}}}
    recipe["descent"]["seed"] = seed
    began = time.time()
    with suppress(DivergenceError):
        steepest.train(recipe, folder / "run", progress=False)
    trained = time.time()
    found = explain_run(folder / "run")
    causes = [one.cause for one in found.findings]
    place = next((i for i, cause in enumerate(causes) if cause in fault.causes), None)
    gains = [one.trial for one in found.findings if one.trial is not None]
    first = found.findings[place].trial if place is not None else None
    return {
        "fault": fault.name,
        "place": place,
        "found": causes,
        "wrong": [one.cause for one in found.findings if one.severity == "wrong"],
        "helped": None if first is None else first.severity is not None,
        "trials": len(gains),
        "seconds": [trained - began, time.time() - trained],
        "verdict": found.verdict,
    }


def runs(sets: dict[str, Any], seeds: int, only: str) -> Iterator[dict[str, Any]]:
    """All faults and healthy runs on all samples."""
    for name, make in sets.items():
        for seed in range(seeds):
            events = make(COUNT, 100 + seed)
            for fault in (*FAULTS, *HEALTHY):
                if only in fault.name:
                    with tempfile.TemporaryDirectory() as folder:
                        yield {
                            "events": name,
                            "seed": seed,
                            **run(fault, events, seed, Path(folder)),
                        }


def main() -> None:
    """Run, print a line each, and write all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=("tuned", "held-out"), default="tuned")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for row in runs(TUNED if options.set == "tuned" else HELD_OUT, options.seeds, options.only):
        rows.append(row)
        place = "-" if row["place"] is None else row["place"] + 1
        print(row["events"], row["seed"], f"{row['fault']:<28}", place, row["found"][:4],
              "| wrong:", row["wrong"][:3], flush=True)  # fmt: skip
    faults = [r for r in rows if r["fault"] in {f.name for f in FAULTS}]
    healthy = [r for r in rows if r["fault"] in {f.name for f in HEALTHY}]
    for title, count, of in (
        ("first", sum(r["place"] == 0 for r in faults), len(faults)),
        ("first or second", sum(r["place"] in (0, 1) for r in faults), len(faults)),
        ("fixes that helped", sum(bool(r["helped"]) for r in faults),
         sum(r["helped"] is not None for r in faults)),
        ("healthy with a wrong finding", sum(bool(r["wrong"]) for r in healthy), len(healthy)),
    ):  # fmt: skip
        share = count / of if of else math.nan
        error = math.sqrt(share * (1 - share) / of) if of else math.nan
        print(f"{title}: {count} of {of}, {100 * share:.0f} ± {100 * error:.0f} %")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
