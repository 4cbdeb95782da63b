"""Particles from arrays: awkward arrays of records, or a list or array of each quantity.

The quantities of a momentum are those of a recipe: px, py, pz and energy, or pt, eta, phi and
energy or mass. All others are further features of a particle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from steepest.errors import EventsError
from steepest.events.particles import cartesian, particle_groups
from steepest.groups import Groups, Jagged
from steepest.recipe.events import COORDINATES, MOMENTUM

Array = np.ndarray


def names_of(X: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which quantities of a momentum X has, and which further features.

    Raises
    ------
    EventsError
        X has no fields, or these are no momentum.

    Examples
    --------
    >>> names_of({"pt": [[1.0]], "eta": [[0.0]], "phi": [[0.0]], "mass": [[0.0]], "d0": [[2.0]]})
    (('pt', 'eta', 'phi', 'mass'), ('d0',))
    """
    fields = tuple(X) if isinstance(X, Mapping) else tuple(getattr(X, "fields", ()))
    known = [name for name in fields if name in MOMENTUM]
    # where both are given, Cartesian momenta are exact
    for wanted in COORDINATES:
        if wanted <= set(known):
            given = tuple(name for name in MOMENTUM if name in wanted)
            return given, tuple(name for name in fields if name not in MOMENTUM)
    raise EventsError(
        "These are no particles.",
        expected="an awkward array of records, or a dict of jagged arrays, with px, py, pz and "
        "energy, or pt, eta, phi and energy or mass",
        found=", ".join(fields) or type(X).__name__,
        do='name the quantities: {"pt": jets.part_pt, "eta": …, "phi": …, "mass": …}',
    )


def particles_of(X: Any, further: tuple[str, ...], most: int) -> Groups:
    """Return what networks read of the particles of X, with these further features.

    Raises
    ------
    EventsError
        What is no momentum, a missing feature, other lengths, a number that is not finite.
    """
    given, others = names_of(X)
    if missing := [name for name in further if name not in others]:
        raise EventsError(
            f"The particles have no {missing[0]}.",
            expected=", ".join(further),
            found=", ".join(others) or "momenta alone",
            do="give the features of the training",
        )
    columns, lengths = {}, None
    for name in (*given, *further):
        columns[name], counts = _flat(name, X[name])
        if lengths is not None and not np.array_equal(lengths, counts):
            raise _other_lengths(name, given[0], counts, lengths)
        lengths = counts
    assert lengths is not None
    jagged = Jagged.of_lengths(cartesian(columns), lengths)
    if not further:
        return Groups(particle_groups(jagged, most).groups)
    values = np.column_stack([columns[name] for name in further])
    if not np.isfinite(values).all():
        particle, column = np.argwhere(~np.isfinite(values))[0]
        event = int(np.searchsorted(jagged.offsets, particle, side="right")) - 1
        raise EventsError(
            f"The particles' feature {further[column]!r} is not finite in event {event}.",
            expected="a finite number for each particle",
            found=f"{values[particle, column]:g}",
            do="give a feature that all particles have",
        )
    return Groups(particle_groups(jagged, most, further=values).groups)


def _flat(name: str, values: Any) -> tuple[Array, Array]:
    """All numbers one after the other, float64, and how many each event has."""
    if type(values).__module__.startswith("awkward"):
        import awkward

        if values.ndim == 2 and not awkward.any(awkward.is_none(values)):
            flat = awkward.to_numpy(awkward.flatten(values, axis=1), allow_missing=False)
            return flat.astype(np.float64), awkward.to_numpy(awkward.num(values)).astype(np.int64)
    else:
        lists = [np.asarray(one, dtype=np.float64) for one in values]
        if all(one.ndim == 1 for one in lists):
            lengths = np.array([len(one) for one in lists], dtype=np.int64)
            return np.concatenate([np.empty(0), *lists]), lengths
    raise EventsError(
        f"{name!r} is not a list of numbers for each event.",
        expected="events × any number of particles",
        found=f"{type(values).__name__}: {str(values)[:60]}",
        do="give jagged arrays: awkward arrays, or a list with an array for each event",
    )


def _other_lengths(name: str, first: str, counts: Array, lengths: Array) -> EventsError:
    if len(counts) != len(lengths):
        return EventsError(
            f"{name!r} has other events than {first!r}.",
            expected=f"{len(lengths):,} events",
            found=f"{len(counts):,}",
            do="give all quantities of the same events",
        )
    event = int(np.flatnonzero(counts != lengths)[0])
    return EventsError(
        f"The lists of particles differ in length in event {event}.",
        expected=f"{lengths[event]} numbers, as in {first!r}",
        found=f"{counts[event]} in {name!r}",
        do="give all quantities of the same particles",
    )
