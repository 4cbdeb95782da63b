"""What the linear baseline of a network of particles reads: a few numbers of each jet.

With (pT, Δη, Δφ) of its particles, and (pT_J, E_J) of their sum, the particles being massless:

==========  =======================================================
particles   their number, of those that the network reads
pt, energy  ln(pT_J / GeV), ln(E_J / GeV), before any are left out
mass        ln of √((Σ pT cosh Δη)² − |Σ p⃗|²) / GeV
width       Σ pT ΔR / Σ pT
dispersion  √Σ pT² / Σ pT
hardest     max pT / Σ pT
==========  =======================================================

All are zero for a jet without particles. The features of events follow, if there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from steepest.events import Sample
from steepest.events.particles import FEATURES as OF_PARTICLE
from steepest.events.particles import particle_groups
from steepest.groups import FEATURES, MOMENTA, PARTICLES, Groups
from steepest.training.inputs import Schema

Array = np.ndarray
NAMES = ("particles", "pt", "energy", "mass", "width", "dispersion", "hardest")


def baseline_reads(schema: Schema) -> Schema | None:
    """The schema of a linear baseline; None where there is none: inputs in other groups."""
    if not isinstance(schema.inputs, Mapping):
        return schema
    if schema.particles is None:
        return None
    return replace(schema, features=(*NAMES, *schema.inputs.get(FEATURES, ())), particles=None)


def with_jet_features(events: Sample) -> Sample:
    """The events with the numbers of their jets in place of the particles, if they have any."""
    groups = events.features
    return replace(events, features=jet_features(groups)) if isinstance(groups, Groups) else events


def jet_features(groups: Groups) -> Array:
    """The numbers of each jet ``(events, 7 + features of events)``, float64."""
    if PARTICLES in groups.members:
        particles = groups[PARTICLES]
    else:
        particles = particle_groups(groups[MOMENTA]).groups[PARTICLES]
    columns = np.asarray(particles.values[:], dtype=np.float64)[:, : len(OF_PARTICLE)].T
    of: dict[str, Array] = dict(zip(OF_PARTICLE, columns, strict=True))
    events, lengths = len(particles), particles.lengths
    event = particles.spread(np.arange(events))

    def total(values: Array) -> Array:
        return np.bincount(event, values, minlength=events)

    pt, eta, phi = np.exp(of["log_pt"]), of["delta_eta"], of["delta_phi"]
    sums = [total(pt * f) for f in (np.cosh(eta), np.cos(phi), np.sin(phi), np.sinh(eta))]
    squared = sums[0] ** 2 - sums[1] ** 2 - sums[2] ** 2 - sums[3] ** 2
    whole = np.where(lengths > 0, total(pt), 1.0)
    hardest = np.zeros(events)
    np.maximum.at(hardest, event, pt)
    first = particles.offsets[:-1][lengths > 0]
    of_jet = {"pt": np.zeros(events), "energy": np.zeros(events)}
    for name, values in of_jet.items():
        values[lengths > 0] = (of[f"log_{name}"] - of[f"log_{name}_fraction"])[first]
    numbers = [
        lengths,
        of_jet["pt"],
        of_jet["energy"],
        np.where(lengths > 0, 0.5 * np.log(np.maximum(squared, 1e-6)), 0.0),
        total(pt * of["delta_r"]) / whole,
        np.sqrt(total(pt**2)) / whole,
        hardest / whole,
    ]
    matrix = np.column_stack(numbers)
    if FEATURES not in groups.members:
        return matrix
    return np.column_stack([matrix, np.asarray(groups[FEATURES][:], dtype=np.float64)])
