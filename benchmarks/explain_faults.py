"""Faults that are put into runs, the causes that name each, and healthy runs.

Equivalent causes are listed here, before any run. `families` says which models a fault is for: L
logistic regression, D dense network, S Deep Sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.explain_events import Events

__all__ = ["BASES", "FAULTS", "HEALTHY", "KINDS", "Fault", "Kind", "recipe_of"]

Change = Callable[[Events, int], Events]
SGD: dict[str, Any] = {"optimizer": "sgd", "schedule": "constant"}
_DESCENT: dict[str, Any] = {
    "method": "descent", "optimizer": "adam", "batch_size": 64, "scaling": "standard",
    "schedule": "one-cycle", "stop": {},
}  # fmt: skip
BASES: dict[str, dict[str, Any]] = {
    "L": {"model": {"hidden": []}, "descent": _DESCENT},
    "D": {"model": {"hidden": [32, 32]}, "descent": _DESCENT},
    "S": {
        "model": {"name": "deep-sets", "per_particle": [16, 16], "per_jet": [16, 16]},
        "descent": _DESCENT,
    },
}
"""Without faults; η and epochs are those of `HEALTHY` of the set of samples."""


@dataclass(frozen=True)
class Fault:
    """A change of a healthy recipe or of its events; `times` is that of its η."""

    name: str
    causes: frozenset[str]
    families: str
    events: Change | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of recipe without a fault, whose η and epochs `explain_healthy` chooses by its rule.

    Parameters
    ----------
    name, families, settings
        As of a fault.
    middle, epochs
        Where the search begins; of Deep Sets half the epochs.
    pick
        Which η of those that are good: "best", "largest" or "smallest".
    """

    name: str
    families: str
    settings: dict[str, Any]
    middle: float
    epochs: int
    pick: str = "best"


def recipe_of(
    settings: dict[str, Any],
    family: str,
    events: dict[str, Any],
    seed: int,
    rate: float,
    epochs: int,
) -> dict[str, Any]:
    """The recipe of a run: what is healthy of that family, with these settings."""
    base = BASES[family]
    model = dict(base["model"])
    descent = {**base["descent"], "learning_rate": rate, "epochs": epochs, "seed": seed}
    events = {**events, "split": {"validation": 0.25, "test": 0.0, "seed": seed, "by": "number"}}
    for key, value in settings.items():
        if key in ("hidden", "activation", "initialization", "per_particle", "per_jet"):
            model[key] = value
        elif key == "train_weights":
            events[key] = value
        elif key == "times":
            descent["learning_rate"] = value * rate
        else:
            descent[key] = value
    return {
        "events": events, "model": model, "descent": descent, "evaluate": {"baseline": False}
    }  # fmt: skip


def _far(events: Events, seed: int) -> Events:
    powers = 10.0 ** np.linspace(-3, 3, events.x.shape[1])
    return replace(events, x=events.x * powers + 10 * powers)


def _tails(events: Events, seed: int) -> Events:
    random, x = np.random.default_rng(seed), events.x.copy()
    away = x[:, 0] - np.median(x[:, 0])
    x[:, 0] = np.sign(away) * np.exp(3 * np.abs(away / x[:, 0].std()))
    x[random.integers(0, len(x), 5), 1] += 1e4 * x[:, 1].std()
    return replace(events, x=x)


def _shuffled(events: Events, seed: int) -> Events:
    return replace(events, y=np.random.default_rng(seed).permutation(events.y))


def _part_shuffled(events: Events, seed: int) -> Events:
    random, y = np.random.default_rng(seed), events.y.copy()
    rows = random.random(len(y)) < 0.4
    y[rows] = random.permutation(y[rows])
    return replace(events, y=y)


def _leaking(events: Events, seed: int) -> Events:
    random = np.random.default_rng(seed)
    return events.with_feature("derived", events.y + 0.05 * random.normal(size=len(events.y)))


def _constant(events: Events, seed: int) -> Events:
    return events.with_feature("run_period", np.full(len(events.y), 3.0))


def _collinear(events: Events, seed: int) -> Events:
    noise = np.random.default_rng(seed).normal(size=len(events.y))
    return events.with_feature("again", events.x[:, 0] + 1e-4 * events.x[:, 0].std() * noise)


def _rare(events: Events, seed: int) -> Events:
    """Two per cent of the events are signal."""
    signal, rest = np.flatnonzero(events.y == 1), np.flatnonzero(events.y == 0)
    return events.take(np.sort(np.r_[rest, signal[: round(len(rest) / 49)]]))


def _few(events: Events, seed: int) -> Events:
    return events.take(np.arange(250))


def _copied(events: Events, seed: int) -> Events:
    """A third of the events, three times: copies lie on both sides of the split."""
    third = np.arange(len(events.y) // 3)
    rows = np.r_[np.arange(len(events.y)), third, third]
    return events.take(np.random.default_rng(seed).permutation(rows))


def _heavy(events: Events, seed: int) -> Events:
    weights = np.ones(len(events.y))
    weights[np.random.default_rng(seed).integers(0, len(weights), 10)] = 1e5
    return replace(events, weights=weights)


def _fault(
    name: str, families: str, causes: str, events: Change | None = None, **settings: Any
) -> Fault:
    return Fault(name, frozenset(causes.split()), families, events, settings)


APART = "scaler fitted apart on validation"
"""Done to the validation part itself, once the split is known."""
FAULTS = (
    _fault("η too large, Adam", "DS", "learning-rate-too-large dead-units", times=100.0),
    _fault("η too large, constant", "DS", "learning-rate-too-large noise-floor dead-units",
           times=30.0, schedule="constant"),
    _fault("η too large, SGD", "LDS", "learning-rate-too-large dead-units noise-floor",
           learning_rate=100.0, **SGD),
    _fault("η too small, Adam", "LDS", "learning-rate-too-small too-few-steps", times=1e-3),
    _fault("η too small, SGD", "LDS", "learning-rate-too-small too-few-steps",
           learning_rate=1e-4, **SGD),
    _fault("unscaled", "LD", "features-unscaled start-too-far learning-rate-too-large", _far,
           scaling="none"),
    _fault("unscaled, SGD", "LD", "features-unscaled learning-rate-too-large start-too-far", _far,
           scaling="none", learning_rate=0.1, **SGD),
    _fault("badly scaled", "LD", "features-heavy-tailed features-badly-scaled", _tails,
           scaling="min-max"),
    _fault("heavy tails", "LD", "features-heavy-tailed", _tails),
    _fault("collinear", "LD", "collinear-features", _collinear),
    _fault("constant feature", "LD", "constant-features", _constant),
    _fault("wrong loss", "LDS", "wrong-loss", loss="mean-squared-error"),
    _fault("saturated tanh", "D", "saturated-units features-unscaled start-too-far", _far,
           scaling="none", activation="tanh"),
    _fault("deep sigmoid", "D", "gradients-vanish saturated-units", activation="sigmoid",
           hidden=[24] * 8),
    _fault("dying ReLU", "D", "dead-units learning-rate-too-large",
           optimizer="momentum", learning_rate=3.0, schedule="constant"),
    _fault("no decay, small batch", "LD", "noise-floor learning-rate-too-large", batch_size=2,
           schedule="constant", learning_rate=0.1, epochs=3),
    _fault("Adam's ε", "LDS", "optimizer-options learning-rate-too-small",
           optimizer={"name": "adam", "epsilon": 10.0}),
    _fault("Adam's β₁", "LDS", "optimizer-options learning-rate-too-large",
           optimizer={"name": "adam", "beta1": 0.999}),
    _fault("too much L2", "LDS", "too-much-l2", l2=0.3),
    _fault("labels shuffled", "LDS", "no-information", _shuffled),
    _fault("labels shuffled in part", "LDS", "label-noise", _part_shuffled),
    _fault("leak", "LD", "leak", _leaking),
    _fault("imbalance", "LDS", "imbalance", _rare, train_weights="as-given"),
    _fault("copies across the split", "LDS", "copies-across-the-split", _copied),
    _fault(APART, "LD", "parts-differ"),
    _fault("few heavy weights", "LDS", "few-heavy-weights", _heavy, train_weights="as-given"),
    _fault("too few epochs", "LDS", "too-few-steps learning-rate-too-small", epochs=1,
           batch_size=256, learning_rate=1e-3),
    _fault("overtraining", "D", "overtraining", _few, hidden=[128, 128], epochs=300,
           batch_size=32, keep="last"),
)  # fmt: skip
EDGE = "edge of stability"
_ALL: dict[str, Any] = {"batch_size": "all", "schedule": "constant"}
KINDS = (
    Kind("base", "LDS", {}, 1e-2, 25),
    Kind("tanh", "D", {"activation": "tanh"}, 1e-2, 25),
    Kind("constant schedule, small η", "D", {"schedule": "constant"}, 1e-3, 50, "smallest"),
    Kind("one-cycle, large η", "D", {}, 1e-2, 25, "largest"),
    Kind("Nesterov, one-cycle", "LD", {"optimizer": "nesterov"}, 0.1, 25),
    Kind(f"{EDGE}, ReLU", "D", {"optimizer": "sgd", **_ALL}, 0.5, 1500),
    Kind(f"{EDGE}, tanh", "D", {"optimizer": "sgd", "activation": "tanh", **_ALL}, 0.5, 1500),
    Kind(f"{EDGE}, momentum", "D", {"optimizer": "momentum", **_ALL}, 0.1, 500),
)
HEALTHY = (
    *(Fault(one.name, frozenset(), one.families, None, one.settings) for one in KINDS),
    _fault("default η", "LDS", "", learning_rate="auto"),
)
