"""What a network reads of particles, from the columns of files, as nodes of a graph.

Each quantity is a padded matrix ``(events, particles)``: padding has zero energy, or zero pT where
no energy is given. The nodes are those of `steepest.events.particles`, in float64, rounded to
float32 where it rounds; the scaling of each group follows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from steepest.errors import InputError
from steepest.events import Expression, parse
from steepest.events.expressions.expression import column
from steepest.events.particles import FEATURES as OF_PARTICLE
from steepest.events.particles import GROUPS, LIGHT
from steepest.events.reading.particles import USUAL
from steepest.groups import FEATURES, MOMENTA
from steepest.recipe import ParticlesRecipe
from steepest.scaling import GroupScaling
from steepest.share.onnx import functions
from steepest.share.onnx.expressions import Translation
from steepest.share.onnx.graph import Graph
from steepest.share.onnx.layers import scaled
from steepest.trained import TrainedModel


@dataclass(frozen=True)
class ParticleExpressions:
    """Where the momenta and the further features of particles are.

    Attributes
    ----------
    momenta, further
        By the quantity's or the feature's name, in columns of lists.
    most
        Particles of an event that are read at most.
    """

    momenta: dict[str, Expression]
    further: dict[str, Expression]
    most: int

    @property
    def all(self) -> dict[str, Expression]:
        """Every expression, by a name of its own."""
        return {f"{name} of particles": e for name, e in (self.momenta | self.further).items()}

    @property
    def columns(self) -> set[str]:
        """The columns that hold lists."""
        return set().union(*(e.columns for e in self.all.values()))

    @property
    def key(self) -> str:
        """The quantity that is zero in padding."""
        return "energy" if "energy" in self.momenta else "pt"


@dataclass(frozen=True)
class ParticleNodes:
    """The nodes that a network begins with.

    Attributes
    ----------
    groups
        By the group's name, scaled, ``(events, particles, features)``.
    mask
        True where there is a particle that is read, ``(events, particles)``.
    refused
        True for events with a momentum that is none, ``(events,)``.
    """

    groups: dict[str, str]
    mask: str
    refused: str


def particle_expressions(model: TrainedModel) -> ParticleExpressions:
    """Return the expressions of a model that reads particles.

    Columns of a particle each, ``PX_{i}``, are one matrix ``PX`` here. Where a recipe names none,
    they are those that training read, or those of JetClass for a model that does not tell them.
    """
    recipe = ParticlesRecipe.model_validate(model.particles)
    named = recipe.momenta() or model.momenta or USUAL[0]
    further = [f if isinstance(f, str) else f.value for f in recipe.features]
    return ParticleExpressions(
        {name: _expression(f"events.particles.{name}", text) for name, text in named.items()},
        {
            name: _expression(f"The particles' feature {name!r}", text)
            for name, text in zip(recipe.feature_names, further, strict=True)
        },
        recipe.most,
    )


def _expression(role: str, text: str) -> Expression:
    name = text.replace("_{i}", "").replace("{i}", "")
    return column(name, role) if name != text or text.isidentifier() else parse(text, role)


def particle_nodes(
    g: Graph, model: TrainedModel, expressions: ParticleExpressions, translation: Translation
) -> ParticleNodes:
    """Return the groups of particles that the model reads."""
    given = {name: translation.number(e) for name, e in expressions.momenta.items()}
    further = [translation.number(e) for e in expressions.further.values()]
    present = g.node("Not", g.node("Equal", given[expressions.key], g.constant(0.0)))
    momenta = cartesian(g, given)
    momenta = [  # of padding a particle that has logarithms
        g.where(present, value, of_padding)
        for value, of_padding in zip(momenta, (1.0, 1.0, 0.0, 0.0), strict=True)
    ]
    pt = functions.hypot(g, momenta[1], momenta[2])
    wrong = reduce(
        lambda a, b: g.node("Or", a, b),
        [*_wrong(g, momenta, pt), *(g.node("Not", functions.is_finite(g, x)) for x in further)],
    )
    refused = g.less(0.0, _sum(g, g.cast(g.node("And", present, wrong), np.float64), False))
    features = [*_relative(g, momenta, pt, present), *further]
    columns = {name: g.rounded(value) for name, value in zip(
        (*OF_PARTICLE, *expressions.further), features, strict=True)}  # fmt: skip
    rounded = {name: g.rounded(value) for name, value in zip(GROUPS[MOMENTA], momenta, strict=True)}
    shape, groups = g.node("Shape", pt), {}
    assert isinstance(model.scaling, GroupScaling)
    for group, names in model.groups.items():
        if group == FEATURES:
            continue
        of_group = rounded if group == MOMENTA else columns
        flat = [g.node("Reshape", of_group[name], g.constant([-1], np.int64)) for name in names]
        matrix = scaled(g, model.scaling.groups[group], flat)
        whole = g.node("Concat", shape, g.constant([len(names)], np.int64), axis=0)
        groups[group] = g.node("Reshape", matrix, whole)
    return ParticleNodes(groups, _hardest(g, pt, present, expressions.most), refused)


def refuse_groups(model: TrainedModel) -> None:
    """Raise InputError for groups that files do not have."""
    assert isinstance(model.features, Mapping)
    unknown = [name for name in model.features if name not in {*GROUPS, FEATURES}]
    if model.particles is not None and not unknown:
        return
    raise InputError(
        f"The model reads groups that are not in files: {', '.join(unknown or model.features)}.",
        expected=f"{', '.join(GROUPS)}, which [events.particles] gives, and {FEATURES}",
        found=", ".join(model.features),
        do="train it by a recipe with [events.particles]",
    )


def cartesian(g: Graph, given: Mapping[str, str]) -> list[str]:
    """E, px, py, pz of whatever is given."""
    if "px" in given:
        return [given[name] for name in GROUPS[MOMENTA]]
    pt, eta, phi = given["pt"], given["eta"], given["phi"]
    energy = given.get("energy")
    if energy is None:
        momentum, mass = g.multiply(pt, functions.cosh(g, eta)), given["mass"]
        squares = g.add(g.multiply(momentum, momentum), g.multiply(mass, mass))
        energy = g.node("Sqrt", squares)
    return [
        energy,
        g.multiply(pt, g.node("Cos", phi)),
        g.multiply(pt, g.node("Sin", phi)),
        g.multiply(pt, functions.sinh(g, eta)),
    ]


def _wrong(g: Graph, momenta: list[str], pt: str) -> list[str]:
    """Conditions under which a momentum is none."""
    energy, pz = momenta[0], momenta[3]
    momentum = functions.hypot(g, pt, pz)
    return [
        *(g.node("Not", functions.is_finite(g, value)) for value in momenta),
        g.node("LessOrEqual", pt, g.constant(0.0)),
        g.node("LessOrEqual", energy, g.constant(0.0)),
        g.less(energy, g.multiply(momentum, 1 - LIGHT)),
    ]


def _relative(g: Graph, momenta: list[str], pt: str, present: str) -> list[str]:
    """The features of `steepest.events.particles.FEATURES`."""
    energy, px, py, pz = momenta
    sums = [_sum(g, g.where(present, value, 0.0)) for value in momenta]
    jet_pt = functions.hypot(g, sums[1], sums[2])
    jet_eta = functions.arcsinh(g, g.divide(sums[3], jet_pt))
    jet_phi = functions.arctan2(g, sums[2], sums[1])
    delta_eta = g.subtract(functions.arcsinh(g, g.divide(pz, pt)), jet_eta)
    turned = g.add(g.subtract(functions.arctan2(g, py, px), jet_phi), math.pi)
    delta_phi = functions.modulo(g, turned, g.constant(2 * math.pi))
    delta_phi = g.subtract(delta_phi, math.pi)
    return [
        g.node("Log", pt),
        g.node("Log", energy),
        g.node("Log", g.divide(pt, jet_pt)),
        g.node("Log", g.divide(energy, sums[0])),
        functions.hypot(g, delta_eta, delta_phi),
        delta_eta,
        delta_phi,
    ]


def _sum(g: Graph, values: str, keep: bool = True) -> str:
    """The sum over the particles of each event."""
    return g.node("ReduceSum", values, g.constant([1], np.int64), keepdims=int(keep))


def _hardest(g: Graph, pt: str, present: str, most: int) -> str:
    """True for the `most` particles of the largest pT of each event."""
    length = g.node("Gather", g.node("Shape", pt), g.constant([1], np.int64))
    count = g.node("Min", length, g.constant([most], np.int64))
    names = [f"/TopK/{len(g.nodes)}/{part}" for part in ("values", "places")]
    ranked = g.where(present, pt, -1.0)
    g.nodes.append(g.helper.make_node("TopK", [ranked, count], names, axis=1))
    chosen = g.node("GreaterOrEqual", names[1], g.constant(0, np.int64))
    none = g.node("And", present, g.node("Not", present))
    found = g.node("ScatterElements", none, names[1], chosen, axis=1)
    return g.node("And", present, found)
