"""The particles of each event: lists of four-momenta, from the columns that a recipe names.

A recipe gives E, px, py, pz, or pT, η, φ with E or the mass; each is a column or an expression that
is a list for each event, or a pattern such as ``E_{i}`` of columns that hold one particle each,
where a particle is padding whose energy (or pT) is 0, or of which nothing is known. Left out, the
columns of the usual names are taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.expressions.expression import Expression, column, parse
from steepest.events.particles import Particles, cartesian, particle_groups
from steepest.events.source import EventSource
from steepest.groups import Jagged
from steepest.recipe import ParticlesRecipe

Array = np.ndarray
USUAL: tuple[dict[str, str], ...] = (
    {"px": "part_px", "py": "part_py", "pz": "part_pz", "energy": "part_energy"},
    {"pt": "part_pt", "eta": "part_eta", "phi": "part_phi", "energy": "part_energy"},
    {"px": "PX_{i}", "py": "PY_{i}", "pz": "PZ_{i}", "energy": "E_{i}"},
)
"""Names that are recognised: those of JetClass, of steepest's own simulation, and of the top-quark
tagging reference set."""
NUMBERS, CONDITIONS = "a list of numbers", "a list of conditions"


@dataclass(frozen=True)
class ParticleColumns:
    """Where a source has the momenta of its particles.

    Parameters
    ----------
    given
        The expressions of each quantity, by its name: one that is a list, or one for each particle.
    most
        Particles of an event that are kept at most.
    notes
        Sentences for the log: what was taken where nothing is named.
    """

    given: Mapping[str, tuple[Expression, ...]]
    most: int
    further: Mapping[str, Expression] = field(default_factory=dict)
    """Lists that are features of a particle too, by the feature's name."""
    notes: tuple[str, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)
    """The columns of usual names that were taken, by the quantity; nothing where all are named."""

    @property
    def columns(self) -> set[str]:
        """The columns that are read."""
        every = [expression for several in self.given.values() for expression in several]
        return set().union(*(e.columns for e in (*every, *self.further.values())))

    def groups(
        self, table: pl.DataFrame, schema: pa.Schema, locate: Callable[[int], str]
    ) -> Particles:
        """What networks read of the particles of a block of events.

        Raises
        ------
        EventsError
            Lists that differ in length, or what is no momentum or no finite number.
        """
        momenta = self.momenta(table, schema, locate)
        further = [self._further(name, table, schema, momenta, locate) for name in self.further]
        return particle_groups(
            momenta, self.most, locate, np.column_stack(further) if further else None
        )

    def _further(
        self,
        name: str,
        table: pl.DataFrame,
        schema: pa.Schema,
        momenta: Jagged,
        locate: Callable[[int], str],
    ) -> Array:
        """A further feature of each particle, ``(particles,)``."""
        numbers, counts = _listed((self.further[name],), table, schema)
        _refuse_other_lengths(name, counts, momenta.lengths, locate)
        numbers = np.asarray(numbers, dtype=np.float64)
        wrong = ~np.isfinite(numbers)
        if wrong.any():
            particle = int(np.argmax(wrong))
            event = int(np.searchsorted(momenta.offsets, particle, side="right")) - 1
            raise EventsError(
                f"The particles' feature {name!r} is not finite {locate(event)}, particle "
                f"{particle - int(momenta.offsets[event])}.",
                expected="a finite number for each particle",
                found=f"{numbers[particle]:g}; {np.count_nonzero(wrong):,} of "
                f"{len(numbers):,} particles are so",
                cause="a quantity that only some particles have, or a division by zero",
                do="give an expression that is finite for all particles, or leave the feature out",
            )
        return numbers

    def momenta(
        self, table: pl.DataFrame, schema: pa.Schema, locate: Callable[[int], str]
    ) -> Jagged:
        """E, px, py, pz in GeV of each particle ``(particles, 4)`` float64.

        Raises
        ------
        EventsError
            The lists of an event differ in length.
        """
        values, lengths = {}, None
        for name, several in self.given.items():
            numbers, counts = (_padded if len(several) > 1 else _listed)(several, table, schema)
            if lengths is not None:
                _refuse_other_lengths(name, counts, lengths, locate)
            values[name], lengths = numbers, counts
        assert lengths is not None
        if any(len(several) > 1 for several in self.given.values()):
            unknown = np.all([np.isnan(numbers) for numbers in values.values()], axis=0)
            real = ~unknown & (values["energy" if "energy" in values else "pt"] != 0)
            event = np.repeat(np.arange(len(lengths)), lengths)
            lengths = np.bincount(event[real], minlength=len(lengths))
            values = {name: numbers[real] for name, numbers in values.items()}
        return Jagged.of_lengths(cartesian(values), lengths)


def particle_columns(recipe: ParticlesRecipe, source: EventSource) -> ParticleColumns:
    """Return where the source has what the recipe names, or what is recognised.

    Raises
    ------
    EventsError
        A column is missing, is no list of numbers, or none of the usual names is there.
    """
    named = recipe.momenta()
    notes, found = (), {}
    if not named:
        named = next((usual for usual in USUAL if _has_all(usual, source)), {})
        if not named:
            raise EventsError(
                f"There are no particles of a usual name in {source.files[0]}.",
                expected="; or ".join(", ".join(usual.values()) for usual in USUAL[:3]),
                found=", ".join(source.schema.names[:12]),
                cause="lists of other names",
                do='name them: [events.particles] pt = "Jet_pt", eta = …, phi = …, mass = …',
            )
        notes, found = (f"Particles are read from {', '.join(named.values())}.",), named
    given = {name: _expressions(name, text, source) for name, text in named.items()}
    if recipe.features and any(len(several) > 1 for several in given.values()):
        raise EventsError(
            "Further features of particles need lists.",
            expected="momenta in columns of lists",
            found=f"momenta in a column for each particle, such as {named['energy']}",
            do="leave events.particles.features out, or write the events with lists",
        )
    further = {}
    for feature, name in zip(recipe.features, recipe.feature_names, strict=True):
        text = feature if isinstance(feature, str) else feature.value
        further[name] = _list_expression(
            f"The particles' feature {name!r}", text, source, (NUMBERS, CONDITIONS)
        )
    return ParticleColumns(given, recipe.most, further, notes, found)


def _refuse_other_lengths(
    name: str, counts: Array, lengths: Array, locate: Callable[[int], str]
) -> None:
    """Raise EventsError where the lists `name` have other lengths than the lists before."""
    if np.array_equal(counts, lengths):
        return
    row = int(np.flatnonzero(counts != lengths)[0])
    raise EventsError(
        f"The lists of particles differ in length {locate(row)}.",
        expected=f"{lengths[row]} numbers, as in the lists before",
        found=f"{counts[row]} in {name}",
        cause="lists of different particles, or a selection of only some of them",
        do="give all quantities of the same particles in events.particles",
    )


def _has_all(names: Mapping[str, str], source: EventSource) -> bool:
    known = set(source.schema.names)
    return all(name.replace("{i}", "0") in known for name in names.values())


def _expressions(name: str, text: str, source: EventSource) -> tuple[Expression, ...]:
    role = f"events.particles.{name}"
    if "{i}" in text:
        return _of_pattern(text, role, source)
    return (_list_expression(role, text, source),)


def _list_expression(
    role: str, text: str, source: EventSource, kinds: Sequence[str] = (NUMBERS,)
) -> Expression:
    names = source.schema.names
    expression = column(text, role) if text in names else parse(text, role, names)
    typed = expression.typed(source.schema_for(expression.columns))
    if typed.words not in kinds:
        raise EventsError(
            f"{role} is {typed.words}.",
            expected="a list of numbers for each event, one number a particle",
            found=text,
            do="name a column of lists, or a pattern of columns such as E_{i}",
        )
    return expression


def _of_pattern(text: str, role: str, source: EventSource) -> tuple[Expression, ...]:
    before, after = (re.escape(part) for part in text.split("{i}", 1))
    numbers = re.compile(f"{before}([0-9]+){after}")
    found = {int(m[1]): name for name in source.schema.names if (m := numbers.fullmatch(name))}
    first = min(found, default=0)
    if len(found) < 2 or sorted(found) != list(range(first, first + len(found))):
        raise EventsError(
            f"{role} matches no row of columns in {source.files[0]}.",
            expected=f"{text.replace('{i}', '0')}, {text.replace('{i}', '1')}, … without a gap",
            found=", ".join(found[number] for number in sorted(found)[:12]) or "none of that name",
            do="write the column's name with {i} in the place of the particle's number",
        )
    return tuple(column(found[number], role) for number in sorted(found))


def _listed(
    several: Sequence[Expression], table: pl.DataFrame, schema: pa.Schema
) -> tuple[Array, Array]:
    """Numbers of a list, one after the other, and how many each event has."""
    (expression,) = several
    typed = expression.typed(schema)
    lists = Expression.series(table, typed).cast(pl.List(pl.Float64))
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    values = pl.Series(lists.to_arrow().flatten())  # Arrow's own to_numpy would import pandas
    return values.to_numpy(), lengths


def _padded(
    several: Sequence[Expression], table: pl.DataFrame, schema: pa.Schema
) -> tuple[Array, Array]:
    """Numbers of columns that hold one particle each, event by event."""
    columns = [table[expression.text].cast(pl.Float64).to_numpy() for expression in several]
    numbers = np.column_stack(columns)
    return numbers.ravel(), np.full(len(numbers), len(columns), dtype=np.int64)
