"""Particles, detector objects and decays of many events, as flat columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Kind(IntEnum):
    """The kind of a particle or detector object: the values of ``part_class``."""

    CHARGED_HADRON = 0
    NEUTRAL_HADRON = 1
    PHOTON = 2
    ELECTRON = 3
    MUON = 4


@dataclass(frozen=True, slots=True)
class Momenta:
    """Four-momenta (GeV, float64), and the number of the event of each."""

    event: NDArray[np.int64]
    px: Floats
    py: Floats
    pz: Floats
    energy: Floats

    def __len__(self) -> int:
        return len(self.event)

    @property
    def pt(self) -> Floats:
        """Transverse momentum (GeV)."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> Floats:
        """Pseudorapidity."""
        return np.arcsinh(self.pz / self.pt)

    @property
    def phi(self) -> Floats:
        """Azimuth (rad), from −π to π."""
        return np.arctan2(self.py, self.px)

    @property
    def rapidity(self) -> Floats:
        """Rapidity along the beam."""
        return np.arctanh(self.pz / self.energy)

    @property
    def mass(self) -> Floats:
        """Invariant mass (GeV)."""
        square = self.energy**2 - self.px**2 - self.py**2 - self.pz**2
        return np.sqrt(np.maximum(square, 0.0))

    def take(self, which: NDArray[Any]) -> Self:
        """Return the particles at these indices, or where a mask is true."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Particles(Momenta):
    """Visible stable particles of many events, in the order of the events."""

    charge: NDArray[np.int8]  # in units of e
    kind: NDArray[np.int8]  # a `Kind`
    x: Floats  # production vertex (mm), relative to the primary vertex
    y: Floats
    z: Floats

    def impact(self) -> tuple[Floats, Floats]:
        """Return the true impact parameters (mm) of the straight line from the vertex.

        ``d0 = (x p_y − y p_x) / p_T`` is the signed distance of closest approach to the beam line,
        and ``dz = z − (x p_x + y p_y) p_z / p_T²`` is z at that point. Both are 0 for neutral
        particles.
        """
        pt2 = self.px**2 + self.py**2
        d0 = (self.x * self.py - self.y * self.px) / np.sqrt(pt2)
        dz = self.z - (self.x * self.px + self.y * self.py) * self.pz / pt2
        charged = self.charge != 0
        return np.where(charged, d0, 0.0), np.where(charged, dz, 0.0)

    def as_constituents(self) -> Constituents:
        """Return the particles as constituents, without a detector."""
        d0, dz = self.impact()
        px, py, pz, energy = self.px, self.py, self.pz, self.energy
        return Constituents(self.event, px, py, pz, energy, self.charge, self.kind, d0, dz)


@dataclass(frozen=True, slots=True)
class Constituents(Momenta):
    """The constituents of jets: particles, or tracks and towers; columns as in `Particles`."""

    charge: NDArray[np.int8]
    kind: NDArray[np.int8]
    d0: Floats  # impact parameters (mm), 0 for neutral constituents
    dz: Floats


@dataclass(frozen=True, slots=True)
class Decays:
    """Decays of a resonance, such as t → b q q'."""

    event: NDArray[np.int64]  # number of the event, shape (decays,)
    rapidity: Floats  # of the resonance and its n visible products, shape (decays, 1 + n)
    phi: Floats


def delta_r(rapidity: Floats, phi: Floats) -> Floats:
    """Return ``ΔR = √(Δy² + Δφ²)`` for differences in rapidity and in azimuth.

    Examples
    --------
    >>> float(delta_r(np.array(0.3), np.array(2 * np.pi - 0.4)).round(6))
    0.5
    """
    return np.hypot(rapidity, np.remainder(phi + np.pi, 2 * np.pi) - np.pi)


def join(parts: Sequence[Constituents]) -> Constituents:
    """Return the constituents of all `parts`, in the order of their events."""
    columns = [
        np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Constituents)
    ]
    return Constituents(*columns).take(np.argsort(columns[0], kind="stable"))
