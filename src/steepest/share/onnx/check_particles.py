"""Whether a graph of particles says what the model says, in onnxruntime.

Over jets of none, one and many particles, padded in several ways, of ordinary and extreme momenta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.events import Expression
from steepest.events.particles import LIGHT, cartesian, particle_groups
from steepest.groups import FEATURES, Groups, Jagged
from steepest.scaling import GroupScaling
from steepest.share.onnx.check import Agreement, columns_of, session_of, typed, values_of
from steepest.share.onnx.expressions import expressions_of, kinds_of
from steepest.share.onnx.particles import ParticleExpressions, particle_expressions
from steepest.share.weaver import INPUTS, MASK
from steepest.trained import TrainedModel

Array = np.ndarray
JETS, LONGEST, ALONE = 1000, 24, 8
"""Jets of a batch; particles of the longest, but for those beyond `most`; jets that are scored
alone too."""
ALLOWED = 1e-5
"""Of probabilities, and of values relative to what they are or to the spread of the label."""


def compared_particles(
    model: TrainedModel,
    made: Any,
    expressions: Mapping[str, Expression],
    particles: ParticleExpressions,
    kinds: Mapping[str, str],
    float32: bool,
) -> Agreement:
    """Compare a graph that reads particles with the model."""
    random = np.random.default_rng(0)
    lengths = _lengths(random, particles.most)
    flat = _columns(random, particles, kinds, int(lengths.sum()), float32)
    events = _event_columns(model, expressions, kinds, float32)
    inputs, good = _inputs(model, expressions, particles, flat, events, lengths)
    expected = _predictions(model, inputs, good)
    given = {**{name: _padded(v, lengths) for name, v in flat.items()}, **events}
    session = session_of(made.SerializeToString())
    found = _said(session, given)
    difference = _difference(model, expected, found, good)
    for row in range(ALONE):  # without padding, or with a single place of it
        alone = {n: v[[row], : max(lengths[row], 1)] if v.ndim == 2 else v[[row]]
                 for n, v in given.items()}  # fmt: skip
        difference[row] = max(
            difference[row],
            *_difference(model, expected[[row]], _said(session, alone), good[[row]]),
        )
    shifted = {n: np.pad(v[:ALONE], ((0, 0), (2, 3))) if v.ndim == 2 else v[:ALONE]
               for n, v in given.items()}  # fmt: skip
    moved = _difference(model, expected[:ALONE], _said(session, shifted), good[:ALONE])
    difference[:ALONE] = np.maximum(difference[:ALONE], moved)
    worst = int(np.argmax(difference))
    at = {name: np.array2string(values[worst], threshold=8) for name, values in given.items()}
    return Agreement(float(difference[worst]), ALLOWED, int(good.sum()), at)


def compared_weaver(model: TrainedModel, made: Any, content: Mapping[str, Any]) -> Agreement:
    """Compare a graph of weaver's inputs, prepared as `content` of preprocess.json says."""
    random = np.random.default_rng(0)
    particles = particle_expressions(model)
    kinds = kinds_of(particles.all, {})
    lengths = np.minimum(_lengths(random, particles.most), particles.most)
    flat = _columns(random, particles, kinds, int(lengths.sum()), True)
    features = model.groups
    columns = expressions_of(model)
    events = _event_columns(model, columns, kinds_of(columns, {}), True)
    inputs, good = _inputs(model, columns, particles, flat, events, lengths)
    lengths = lengths[good]
    given = {
        INPUTS[name]: _prepared(inputs[name], names, content[INPUTS[name]])
        for name, names in features.items()
    }
    given[MASK] = (np.arange(int(lengths.max())) < lengths[:, None])[:, None].astype(np.float32)
    session = session_of(made.SerializeToString())
    everything = np.ones(len(lengths), dtype=bool)
    expected = _predictions(model, inputs, everything)
    if model.task == "binary":
        expected = np.hstack([1 - expected, expected])
    difference = _difference(model, expected, _said(session, given), everything)
    worst = int(np.argmax(difference))
    at = {name: np.array2string(values[worst], threshold=8) for name, values in given.items()}
    return Agreement(float(difference[worst]), ALLOWED, len(lengths), at)


def _prepared(member: Any, names: tuple[str, ...], content: Mapping[str, Any]) -> Array:
    """A group as preprocess.json has it, ``(events, features, particles)`` float32."""
    values = np.asarray(member.values if isinstance(member, Jagged) else member)
    columns = []
    for name in content["var_names"]:
        info = content["var_infos"][name]
        numbers = np.asarray(values[:, names.index(name)], dtype=np.float64)
        scaled = (numbers - info["median"]) * info["norm_factor"]
        columns.append(np.clip(scaled, info["lower_bound"], info["upper_bound"]))
    if not isinstance(member, Jagged):
        return np.column_stack(columns).astype(np.float32)[:, :, None]
    return np.stack([_padded(c, member.lengths) for c in columns], axis=1).astype(np.float32)


def _lengths(random: np.random.Generator, most: int) -> Array:
    """Particles of each jet: none, one, two, some; of one more than are read, if these are few."""
    lengths = random.integers(0, LONGEST + 1, JETS)
    lengths[:4] = 0, 1, 2, LONGEST
    lengths[4] = most + 2 if most < 200 else LONGEST
    return lengths


def _quantities(random: np.random.Generator, count: int) -> dict[str, Array]:
    """Momenta of particles, of which a twentieth are extreme."""
    extreme = random.random(count) < 0.05
    pt = np.where(
        extreme, 10.0 ** random.uniform(-3, 5, count), random.exponential(20, count) + 0.1
    )
    eta = random.normal(0, np.where(extreme, 3.0, 0.4), count).clip(-8, 8)
    phi = np.where(extreme, random.uniform(-np.pi, np.pi, count), random.normal(0, 0.4, count))
    mass = np.where(random.random(count) < 0.3, 0.0, 0.13957)
    found = {"pt": pt, "eta": eta, "phi": phi, "mass": mass}
    momenta = cartesian(found).T
    return {**found, **dict(zip(("energy", "px", "py", "pz"), momenta, strict=True))}


def _columns(
    random: np.random.Generator,
    particles: ParticleExpressions,
    kinds: Mapping[str, str],
    count: int,
    float32: bool,
) -> dict[str, Array]:
    """Columns of particles, one after the other: a momentum's quantity, or random numbers."""
    quantities = _quantities(random, count)
    columns = {name: values_of(random, kinds[name], count) for name in sorted(particles.columns)}
    for name, expression in particles.momenta.items():
        if len(expression.columns) == 1:
            (column,) = expression.columns
            columns[column] = quantities[name]
    if float32:
        numbers = {n: v for n, v in columns.items() if v.dtype == np.float64}
        columns |= {n: v.astype(np.float32).astype(np.float64) for n, v in numbers.items()}
    return columns


def _event_columns(
    model: TrainedModel,
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, str],
    float32: bool,
) -> dict[str, Array]:
    """Columns of the events, ordinary and extreme."""
    if not expressions:
        return {}
    assert isinstance(model.scaling, GroupScaling)
    flat = replace(model, features=tuple(expressions), scaling=model.scaling.groups[FEATURES])
    used = set().union(*(e.columns for e in expressions.values()))
    found = columns_of(flat, expressions, {n: k for n, k in kinds.items() if n in used}, float32)
    rows = np.linspace(0, len(next(iter(found.values()))) - 1, JETS).astype(int)
    return {name: values[rows] for name, values in found.items()}


def _inputs(
    model: TrainedModel,
    expressions: Mapping[str, Expression],
    particles: ParticleExpressions,
    flat: dict[str, Array],
    events: dict[str, Array],
    lengths: Array,
) -> tuple[Groups, Array]:
    """What the model reads of the events that it can score, and which events these are."""
    batch = pa.record_batch(flat)

    def of_particles(chosen: Mapping[str, Expression]) -> dict[str, Array]:
        return {n: _evaluated(e, batch, len(batch)) for n, e in chosen.items()}

    momenta = Jagged.of_lengths(cartesian(of_particles(particles.momenta)), lengths)
    further = list(of_particles(particles.further).values())
    values = np.asarray(momenta.values)
    with np.errstate(all="ignore"):
        size, pt = np.linalg.norm(values[:, 1:], axis=1), np.hypot(values[:, 1], values[:, 2])
        wrong = ~np.isfinite(np.column_stack([values, *further])).all(axis=1)
        wrong |= (pt <= 0) | (values[:, 0] <= 0) | (values[:, 0] < size * (1 - LIGHT))
    event = momenta.spread(np.arange(len(lengths)))
    good = np.bincount(event, wrong, minlength=len(lengths)) == 0
    inputs: dict[str, Any] = {}
    if events:
        table = pa.record_batch(events)
        columns = [_evaluated(e, table, len(table)) for e in expressions.values()]
        inputs[FEATURES] = np.column_stack(columns)
        good &= np.isfinite(inputs[FEATURES]).all(axis=1)
        inputs[FEATURES] = inputs[FEATURES][good]
    kept = momenta[np.flatnonzero(good)]
    beside = np.column_stack(further)[good[event]] if further else None
    made = particle_groups(kept, particles.most, further=beside)
    inputs |= made.groups
    features = model.features
    assert isinstance(features, Mapping)
    return Groups({name: inputs[name] for name in features}), good


def _predictions(model: TrainedModel, inputs: Groups, good: Array) -> Array:
    """What the model says, ``(events, outputs)``; NaN for events that it cannot score."""
    predictions = model.predict_beside(inputs).reshape(len(inputs), -1)
    expected = np.full((len(good), predictions.shape[1]), np.nan)
    expected[good] = predictions
    return expected


def _evaluated(expression: Expression, batch: pa.RecordBatch, rows: int) -> Array:
    with np.errstate(all="ignore"):
        return np.broadcast_to(expression.evaluate(batch), rows).astype(np.float64)


def _padded(values: Array, lengths: Array) -> Array:
    """``(events, particles)`` with zeros behind each event's last."""
    padded = np.zeros((len(lengths), int(lengths.max())), dtype=values.dtype)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = values
    return padded


def _said(session: Any, given: Mapping[str, Array]) -> Array:
    """What onnxruntime says, ``(events, outputs)``."""
    types = {one.name: one.type for one in session.get_inputs()}
    fed = {name: typed(values, types[name]) for name, values in given.items() if name in types}
    return np.column_stack(session.run(None, fed)).astype(np.float64)


def _difference(model: TrainedModel, expected: Array, found: Array, good: Array) -> Array:
    """How far each event is off; infinite where one has a value and the other has none."""
    scale = np.ones(expected.shape[1])
    if heads := model.heads:
        scale[-len(heads) :] = [abs(head.target.width) for head in heads]
    relative = np.zeros(expected.shape[1], dtype=bool)
    relative[len(relative) - len(heads) :] = True
    relative |= model.task == "regression"
    size = np.where(relative, np.maximum(np.abs(expected), scale), 1.0)
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - expected) / size
    difference[~good] = np.where(np.isnan(found[~good]), 0.0, np.inf)
    return np.where(np.isnan(difference), np.inf, difference).max(axis=1)
