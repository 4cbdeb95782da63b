"""Particles and detector objects of many events, as flat columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Constituents", "Kind", "Particles", "join"]


class Kind(IntEnum):
    """The kind of a particle or detector object: the values of ``part_class``."""

    CHARGED_HADRON = 0
    NEUTRAL_HADRON = 1
    PHOTON = 2
    ELECTRON = 3
    MUON = 4


@dataclass(frozen=True, slots=True)
class _Momenta:
    event: NDArray[np.int64]
    px: NDArray[np.float64]
    py: NDArray[np.float64]
    pz: NDArray[np.float64]
    energy: NDArray[np.float64]
    charge: NDArray[np.int8]
    kind: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.event)

    @property
    def pt(self) -> NDArray[np.float64]:
        """Transverse momentum (GeV)."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> NDArray[np.float64]:
        """Pseudorapidity."""
        return np.arcsinh(self.pz / self.pt)

    @property
    def phi(self) -> NDArray[np.float64]:
        """Azimuth (rad), from −π to π."""
        return np.arctan2(self.py, self.px)

    @property
    def rapidity(self) -> NDArray[np.float64]:
        """Rapidity along the beam."""
        return np.arctanh(self.pz / self.energy)

    def take(self, which: NDArray[Any]) -> Any:
        """Return the particles at these indices, or where a mask is true."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Particles(_Momenta):
    """Visible stable particles of `n` events: momenta (GeV) and production points (mm).

    Parameters
    ----------
    event
        Number of the event, from 0, ascending, shape (particles,).
    px, py, pz, energy
        Four-momentum (GeV), float64.
    charge
        Electric charge in units of e, int8.
    kind
        A `Kind`, int8.
    x, y, z
        Production vertex (mm), relative to the primary vertex.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]

    def impact(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
        common = {f.name: getattr(self, f.name) for f in fields(_Momenta)}
        return Constituents(**common, d0=d0, dz=dz)


@dataclass(frozen=True, slots=True)
class Constituents(_Momenta):
    """The constituents of jets: particles, or tracks and towers; columns as in `Particles`.

    Parameters
    ----------
    event, px, py, pz, energy, charge, kind
        As in `Particles`.
    d0, dz
        Transverse and longitudinal impact parameter (mm); 0 for neutral constituents.
    """

    d0: NDArray[np.float64]
    dz: NDArray[np.float64]


def join(parts: Sequence[Constituents]) -> Constituents:
    """Return the constituents of all `parts`, in the order of their events."""
    columns = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Constituents)
    }
    order = np.argsort(columns["event"], kind="stable")
    return Constituents(**{name: column[order] for name, column in columns.items()})
