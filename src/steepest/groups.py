"""Inputs in named groups: numbers of each event, and lists of numbers of its particles.

What to use when: a model of events alone takes a flat matrix ``(events, features)``. A model that
reads particles takes `Groups`: each group is such a matrix, or a `Jagged` array with any number of
particles an event. Nothing is padded here; a model that needs padding does it inside.

Both are indexed by events, as arrays are: a slice or an array of event numbers gives those events,
in memory. The numbers themselves may lie on disk (`steepest.storage`); offsets are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from steepest.errors import InputError
from steepest.storage import AnyArray, RowsOnDisk, compressed, on_disk, split

Array = np.ndarray
FEATURES, PARTICLES, POINTS, MOMENTA = "features", "particles", "points", "momenta"
"""Names of groups that networks read: numbers of an event; and of each particle: features, Δη and
Δφ from the jet's axis, and E, px, py, pz in GeV."""
UNSCALED = (POINTS, MOMENTA)
"""Groups whose numbers mean something together, and are not scaled one by one."""


@dataclass(frozen=True, eq=False)
class Jagged:
    """Any number of particles for each event: event i has ``values[offsets[i]:offsets[i + 1]]``.

    `values` ``(particles, features)`` are in memory or on disk; the offsets ``(events + 1,)``
    int64 ascend from 0 to the number of particles. InputError if they do not fit the values.

    Examples
    --------
    >>> jets = Jagged(np.array([[1.0], [2.0], [3.0]]), np.array([0, 2, 2, 3]))
    >>> len(jets), jets.lengths
    (3, array([2, 0, 1]))
    >>> jets[np.array([2, 0])].values.ravel()
    array([3., 1., 2.])
    """

    values: AnyArray
    offsets: Array

    def __post_init__(self) -> None:
        ends = self.offsets[[0, -1]].tolist() if len(self.offsets) else []
        if ends != [0, len(self.values)] or (np.diff(self.offsets) < 0).any():
            raise InputError(
                "The offsets of a jagged array do not fit its values.",
                expected=f"numbers that ascend from 0 to {len(self.values):,}, the particles",
                found=f"{len(self.offsets):,} offsets, the first and last of them {ends}",
                cause="lengths given in place of offsets, or offsets of other events",
                do="Jagged.of_lengths(values, lengths) makes them from numbers of particles",
            )

    @classmethod
    def of_lengths(cls, values: AnyArray, lengths: Array) -> Jagged:
        """Make the array from the number of particles of each event, ``(events,)``."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Array:
        """The number of particles of each event, ``(events,)``."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes of values and offsets."""
        return self.values.nbytes + self.offsets.nbytes

    def __getitem__(self, events: slice | Array) -> Jagged:
        """Return those events, in that order, in memory."""
        if isinstance(events, slice):
            start, stop, step = events.indices(len(self))
            if step == 1:
                offsets = self.offsets[start : max(stop, start) + 1]
                return Jagged(self.values[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0])
            events = np.arange(start, stop, step)
        starts, lengths = self.offsets[:-1][events], self.lengths[events]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        # particle k of the result is particle k + (start of its event there − here) of the whole
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Jagged(self.values[rows], offsets)

    def spread(self, per_event: Array) -> Array:
        """Repeat a value of each event for each of its particles, ``(particles,)``."""
        return np.repeat(per_event, self.lengths, axis=0)

    def sums(self) -> Array:
        """Sum over the particles of each event, ``(events, features)`` float64; 0 of none.

        Examples
        --------
        >>> Jagged(np.array([[1.0], [2.0], [3.0]]), np.array([0, 2, 2, 3])).sums().ravel()
        array([3., 0., 3.])
        """
        values, filled = np.asarray(self.values, dtype=np.float64), self.lengths > 0
        sums = np.zeros((len(self), *values.shape[1:]))
        if filled.any():
            sums[filled] = np.add.reduceat(values, self.offsets[:-1][filled], axis=0)
        return sums

    def with_values(self, values: AnyArray) -> Jagged:
        """Return the same particles with other numbers, ``(particles, …)``."""
        return Jagged(values, self.offsets)


Member = np.ndarray | RowsOnDisk | Jagged


class Groups:
    """Named groups of inputs, of the same events.

    Members by name are ``(events, features)`` per event, or `Jagged` per particle. InputError
    if there is none, or they have different numbers of events.

    Examples
    --------
    >>> jets = Jagged(np.array([[1.0], [2.0], [3.0]]), np.array([0, 2, 3]))
    >>> inputs = Groups({"jet": np.array([[500.0], [600.0]]), "particles": jets})
    >>> len(inputs), inputs[1:]["particles"].values
    (2, array([[3.]]))
    """

    def __init__(self, members: Mapping[str, Member]) -> None:
        self.members = dict(members)
        counts = {name: len(member) for name, member in self.members.items()}
        if len(set(counts.values())) != 1:
            raise InputError(
                "The groups of inputs do not have the same events.",
                expected="one group at least, all with the same number of events",
                found=", ".join(f"{name}: {count:,}" for name, count in counts.items()) or "none",
                do="select events in all groups together",
            )
        self._events = next(iter(counts.values()))

    def __len__(self) -> int:
        return self._events

    @overload
    def __getitem__(self, key: str) -> Any: ...
    @overload
    def __getitem__(self, key: slice | Array) -> Groups: ...
    def __getitem__(self, key: str | slice | Array) -> Any:
        """Return a group by its name, or events of all groups in memory."""
        if isinstance(key, str):
            return self.members[key]
        return Groups({name: member[key] for name, member in self.members.items()})

    @property
    def matrices(self) -> Iterator[AnyArray]:
        """The numbers of each group: ``(events, features)`` or ``(particles, features)``."""
        for member in self.members.values():
            yield member.values if isinstance(member, Jagged) else member

    @property
    def arrays(self) -> Iterator[AnyArray]:
        """All arrays: the matrices and the offsets."""
        yield from self.matrices
        yield from (m.offsets for m in self.members.values() if isinstance(m, Jagged))

    @property
    def nbytes(self) -> int:
        """Bytes of all groups."""
        return sum(member.nbytes for member in self.members.values())

    @property
    def on_disk(self) -> bool:
        """Whether any of the numbers lie on disk."""
        return on_disk(*self.matrices)

    @property
    def folder(self) -> Path:
        """Where numbers on disk lie."""
        return next(array.folder for array in self.matrices if isinstance(array, RowsOnDisk))

    def map(self, function: Callable[[str, AnyArray], AnyArray]) -> Groups:
        """Apply a function of a group's name and its matrix of numbers to every group."""
        return Groups(
            {
                name: member.with_values(function(name, member.values))
                if isinstance(member, Jagged)
                else function(name, member)
                for name, member in self.members.items()
            }
        )


Inputs = np.ndarray | RowsOnDisk | Groups
"""Of events: a flat matrix ``(events, features)``, in memory or on disk, or named groups."""


def split_inputs(inputs: Inputs, part: Array, parts: Sequence[int]) -> dict[int, Any]:
    """Return the events of each part; `part` ``(events,)`` says which an event is of.

    They lie where the inputs do.

    Examples
    --------
    >>> jets = Jagged(np.array([[1.0], [2.0], [3.0]]), np.array([0, 2, 2, 3]))
    >>> both = split_inputs(Groups({"particles": jets}), np.array([0, 1, 1]), (0, 1))
    >>> both[1]["particles"].values, both[1]["particles"].offsets
    (array([[3.]]), array([0, 0, 1]))
    """
    if not isinstance(inputs, Groups):
        return dict(split(inputs, part, parts))
    members: dict[int, dict[str, Member]] = {number: {} for number in parts}
    for name, member in inputs.members.items():
        if not isinstance(member, Jagged):
            pieces: Mapping[int, Member] = split(member, part, parts)
        else:
            values, lengths = split(member.values, member.spread(part), parts), member.lengths
            pieces = {k: Jagged.of_lengths(values[k], lengths[part == k]) for k in parts}
        for number, piece in pieces.items():
            members[number][name] = piece
    return {number: Groups(of_part) for number, of_part in members.items()}


def select_inputs(inputs: Inputs, mask: Array) -> Any:
    """Return the events where the mask ``(events,)`` is true; they lie where the inputs do."""
    if not isinstance(inputs, Groups):
        return compressed(inputs, mask)
    return split_inputs(inputs, mask.astype(np.int8), (1,))[1]


def join_inputs(pieces: Sequence[Any]) -> Any:
    """Return pieces of inputs in memory one after the other, as one."""
    first = pieces[0]
    if isinstance(first, Groups):
        return Groups({name: join_inputs([p[name] for p in pieces]) for name in first.members})
    if isinstance(first, Jagged):
        values = np.concatenate([piece.values for piece in pieces])
        return Jagged.of_lengths(values, np.concatenate([piece.lengths for piece in pieces]))
    return np.concatenate(pieces)
