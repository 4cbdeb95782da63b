"""Networks of particles with random parameters and running values, on fitted scalings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from steepest.events.particles import FEATURES as OF_PARTICLE
from steepest.events.particles import GROUPS, cartesian, particle_groups
from steepest.groups import FEATURES, PARTICLES, UNSCALED, Groups, Jagged
from steepest.losses import Head, Loss, MeanSquaredError, WithHeads, loss_named
from steepest.models import kind_named
from steepest.scaling import GroupScaling, fit_scaling
from steepest.trained import TrainedModel

SMALL: dict[str, dict[str, Any]] = {
    "deep-sets": {"per_particle": (8, 8), "per_jet": (8,)},
    "particle-net": {"convolutions": [(7, (8, 8)), (7, (16, 16))], "fusion": 16},
    "particle-net-lite": {},
    "particle-transformer": {
        "embedding": (16, 16),
        "attention_heads": 4,
        "layers": 2,
        "token_layers": 1,
        "pair_widths": (8,),
    },
    "lorentz-net": {"width": 8, "layers": 2},
}
LOSSES: dict[str, Loss] = {
    "binary": loss_named("binary-cross-entropy"),
    "multiclass": loss_named("cross-entropy"),
    "regression": MeanSquaredError(100.0, 7.0),
}
CLASSES = {"binary": ("0", "1"), "multiclass": ("qcd", "w", "top"), "regression": ()}


def quantities(lengths: np.ndarray, seed: int = 1) -> dict[str, np.ndarray]:
    """The momenta of particles of ordinary jets, one after the other."""
    random, count = np.random.default_rng(seed), int(lengths.sum())
    found = {
        "pt": random.exponential(20.0, count) + 0.5,
        "eta": random.normal(0.3, 0.4, count),
        "phi": random.normal(3.0, 0.4, count),
        "mass": np.full(count, 0.14),
        "d0": random.normal(0.0, 0.1, count),
    }
    return {**found, **dict(zip(GROUPS["momenta"], cartesian(found).T, strict=True))}


def model_of(
    kind: str,
    task: str = "binary",
    *,
    options: Mapping[str, Any] | None = None,
    groups: Sequence[str] = (),
    particles: Mapping[str, Any] | None = None,
    further: Sequence[str] = (),
    events: Sequence[str] = (),
    heads: Sequence[Head] = (),
    scaling: str = "standard",
) -> TrainedModel:
    """A model of that kind; `groups` are those of a module of one's own."""
    lengths = np.random.default_rng(0).integers(1, 20, 200)
    flat = quantities(lengths)
    beside = np.column_stack([flat["d0"]] * len(further)) if further else None
    momenta = Jagged.of_lengths(cartesian(flat), lengths)
    values: dict[str, Any] = dict(particle_groups(momenta, further=beside).groups)
    values[FEATURES] = np.random.default_rng(2).normal(5.0, 2.0, (200, len(events)))
    names = {**GROUPS, PARTICLES: (*OF_PARTICLE, *further), FEATURES: tuple(events)}
    read = {g: names[g] for g in groups or kind_named(kind).groups}
    if events:
        read[FEATURES] = tuple(events)
    scalings = {}
    for group, columns in read.items():
        rows = values[group].values if isinstance(values[group], Jagged) else values[group]
        how = "none" if group in UNSCALED else scaling
        scalings[group] = fit_scaling(how, [(np.asarray(rows, dtype=float), None)], columns)
    loss = WithHeads(LOSSES[task], tuple(heads)) if heads else LOSSES[task]
    outputs = (3 if task == "multiclass" else 1) + len(heads)
    chosen = SMALL.get(kind, {}) if options is None else options
    network = kind_named(kind).build(chosen, read, outputs)
    return TrainedModel(
        scaling=GroupScaling(scalings),
        model=network,
        loss=loss,
        theta=network.initial(3).astype("float32"),
        classes=CLASSES[task],
        label="y",
        features=read,
        buffers=_running(network),
        particles={"most": 128, **(particles or {})},
    )


def _running(network: Any) -> dict[str, np.ndarray]:
    """Running values of normalisations, as after a training."""
    random, found = np.random.default_rng(4), {}
    for name, buffer in network.module().named_buffers():
        values = buffer.numpy()
        if values.dtype.kind == "f":
            away = random.normal(0.0, 0.2, values.shape)
            values = (np.abs(1 + away) if name.endswith("var") else away).astype(values.dtype)
        found[name] = values
    return found


def groups_of(model: TrainedModel, flat: Mapping[str, np.ndarray], lengths: np.ndarray) -> Groups:
    """What the model reads of such particles; event features are given apart."""
    momenta = Jagged.of_lengths(cartesian(flat), lengths)
    made = particle_groups(momenta, (model.particles or {})["most"]).groups
    return Groups({name: made[name] for name in model.features if name in made})
